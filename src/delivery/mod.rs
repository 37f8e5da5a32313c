//! The send loop: token, request, response, and the decision whether to retry.

#[cfg(feature = "mock")]
mod exchanges;
mod in_flight;
mod in_progress;
mod observer;
mod outcome;
mod recorder;
mod request;
mod send_state;
mod trace;

#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::poll_immediate;
use http::Uri;
use tokio::time::{Instant, sleep, timeout};
use tracing::{Instrument, Span};

use crate::auth::{Credentials, TokenCache, TokenError, TokenHandle, TokenUnavailable};
use crate::error::{Error, FailedSend};
use crate::message::PreparedMessage;
use crate::random::Jitter;
use crate::receipt::{Attempt, Receipt};
use crate::retry::{AttemptDelays, AttemptResult, Classification, Exchange, Policy, RetryBudget};
use crate::transport::{
    AnyTransport, Permit, PermitError, RateLimiter, ResendCount, TransportError, TransportErrorKind,
};

use outcome::Outcome;
use recorder::{AttemptInFlight, SendRecorder};
use send_state::{AdmissionError, SendState};

pub(crate) use in_flight::InFlight;
use in_flight::InFlightPermit;
pub(crate) use in_progress::InProgress;
pub use observer::AttemptObserver;
use request::request;

/// A function that classifies exchanges, instead of [`Exchange::classification`] alone.
pub(crate) type Classifier = Arc<dyn Fn(&Exchange<'_>) -> Classification + Send + Sync>;

/// The sender of messages to the service.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) endpoint: Uri,
    pub(crate) transport: Arc<dyn AnyTransport>,
    /// The limiter from which the transport takes its permits.
    pub(crate) limiter: Option<RateLimiter>,
    pub(crate) in_flight: InFlight,
    pub(crate) in_progress: InProgress,
    pub(crate) tokens: Arc<TokenCache>,
    pub(crate) classifier: Classifier,
    pub(crate) budget: Option<Arc<RetryBudget>>,
    pub(crate) jitter: Jitter,
    pub(crate) observer: Option<Arc<dyn AttemptObserver>>,
}

/// The parts of a send that are neither its message nor its policy.
#[derive(Default)]
pub(crate) struct SendContext {
    /// A permit for the first request, if the caller has one already.
    pub(crate) permit: Option<Permit>,
    /// The attempts of earlier failed sends of the message. The receipt or error lists them first.
    pub(crate) earlier: Vec<Attempt>,
    /// An observer of this send alone.
    pub(crate) observer: Option<Arc<dyn AttemptObserver>>,
}

impl Sender {
    /// Sends `message` until it is accepted or `policy` abandons it.
    pub(crate) fn deliver(
        &self,
        message: &PreparedMessage,
        policy: &Policy,
        context: SendContext,
    ) -> impl Future<Output = Result<Receipt, Error>> + Send {
        let span = trace::send(message);
        // The current span may be the caller's, if the spans of this crate are filtered out.
        let own = span.clone();
        self.send(message, policy, context, own).instrument(span)
    }

    async fn send(
        &self,
        message: &PreparedMessage,
        policy: &Policy,
        context: SendContext,
        span: Span,
    ) -> Result<Receipt, Error> {
        let SendContext { permit: mut first_permit, earlier, observer } = context;
        let mut began = Instant::now();
        let delays = AttemptDelays::new(&self.jitter);
        let state =
            SendState::new(message.message_id, policy, self.budget.as_deref(), delays, earlier);
        let observers = [self.observer.as_deref(), observer.as_deref()];
        let mut send = SendRecorder::new(state, message, observers, span);
        loop {
            // Waiting for the end of a cooldown, or for one of the client's own limits, isn't an
            // attempt: nothing is sent.
            let has_room =
                |pause| policy.has_room(pause, policy.deadline.saturating_sub(began.elapsed()));
            self.tokens.wait_for_cooldown(has_room).await;
            let (in_flight, permit) =
                match self.admit(policy, &mut began, first_permit.take()).await {
                    Ok(admitted) => admitted,
                    Err(reason) => return Err(send.not_admitted(reason)),
                };
            let time_left = |now: Instant| policy.deadline.saturating_sub(now - began);
            let begun = send.begin_attempt();
            let attempt_span = begun.span.clone();
            let time = policy.attempt_timeout.min(time_left(begun.began));
            let outcome = self.attempt(message, begun, permit, time).instrument(attempt_span).await;
            drop(in_flight);
            let ended = Instant::now();
            if outcome.postponed_for.is_some_and(|pause| policy.has_room(pause, time_left(ended))) {
                send.postpone_attempt();
                continue;
            }
            match send.end_attempt(outcome, ended, time_left(ended)) {
                ControlFlow::Continue(delay) => sleep(delay).await,
                ControlFlow::Break(result) => return result,
            }
        }
    }

    /// Waits until the client's own limits admit a message. Moves `began` by the wait, unless the
    /// deadline covers it.
    ///
    /// The in-flight permit comes first, because a waiting send must not hold a request permit that
    /// others need.
    async fn admit(
        &self,
        policy: &Policy,
        began: &mut Instant,
        permit: Option<Permit>,
    ) -> Result<(InFlightPermit, Option<Permit>), AdmissionError> {
        self.in_flight.expect(policy.attempt_timeout);
        let Some(in_flight) = self.in_flight.free_permit() else {
            drop(permit);
            return Box::pin(self.wait_for_limits(policy, began, None)).await;
        };
        let permit = permit.or_else(|| self.limiter.as_ref()?.free_permit());
        if permit.is_some() || self.limiter.is_none() {
            return Ok((in_flight, permit));
        }
        // Boxed, because its future is large and rarely needed.
        Box::pin(self.wait_for_limits(policy, began, Some(in_flight))).await
    }

    /// Does the work of [`admit`](Self::admit) if the message has to wait. `in_flight` is the
    /// permit if the send has it already.
    async fn wait_for_limits(
        &self,
        policy: &Policy,
        began: &mut Instant,
        in_flight: Option<InFlightPermit>,
    ) -> Result<(InFlightPermit, Option<Permit>), AdmissionError> {
        let limiter = self.limiter.as_ref();
        let asked = Instant::now();
        if !policy.deadline_covers_limits {
            let in_flight = match in_flight {
                Some(in_flight) => in_flight,
                None => self.in_flight.permit().await,
            };
            let permit = match limiter {
                Some(limiter) => Some(limiter.permit().await?),
                None => None,
            };
            *began += asked.elapsed();
            return Ok((in_flight, permit));
        }
        let time_left = || policy.deadline.saturating_sub(began.elapsed());
        let room = || policy.room(time_left());
        if let Some(wait) = limiter.map(RateLimiter::wait).filter(|wait| *wait > room()) {
            return Err(AdmissionError::RateLimit(wait));
        }
        let in_flight = match in_flight {
            Some(in_flight) => in_flight,
            None => {
                let permit = self.in_flight.permit_within(policy.room_in_queue(time_left())).await;
                permit.ok_or_else(|| match limiter.map(RateLimiter::wait) {
                    // The messages in flight wait for the rate limit themselves.
                    Some(wait) if !wait.is_zero() => AdmissionError::RateLimit(wait),
                    _ => AdmissionError::InFlight(self.in_flight.size()),
                })?
            }
        };
        let permit = match limiter {
            Some(limiter) => Some(limiter.permit_within(room(), false).await?),
            None => None,
        };
        Ok((in_flight, permit))
    }

    /// Makes one attempt: obtains an access token, and exchanges one request and response.
    async fn attempt(
        &self,
        message: &PreparedMessage,
        begun: &mut AttemptInFlight,
        mut permit: Option<Permit>,
        time: Duration,
    ) -> Outcome {
        let handle = match self.tokens.ready_token() {
            Some(handle) => handle,
            None => match self.requested_token(time, &mut permit).await {
                Ok(handle) => handle,
                Err(none) => return Outcome::no_token(none),
            },
        };
        if let (None, Some(limiter)) = (&permit, &self.limiter) {
            permit = limiter.free_permit();
            if permit.is_none() {
                // Waiting here would take from the time that the service has for its response.
                let failure = TransportError::rate_limited(&PermitError::no_room(limiter.wait()));
                return Outcome::of_failure(&failure, &*self.classifier);
            }
        }
        let now = Instant::now();
        let time_left = time.saturating_sub(now - begun.began);
        if time_left.is_zero() {
            return Outcome::of_failure(
                &TransportError::not_sent(TransportErrorKind::Timeout),
                &*self.classifier,
            );
        }
        begun.token_age = Some(handle.token.age(now));
        let mut request = request(message, &self.endpoint, handle.token.authorization());
        request.extensions_mut().insert(ResendCount(begun.resend_count));
        let exchange = self.transport.send_with(permit, request, time_left);
        let mut outcome = match handle.drive_renewal_during(exchange).await {
            Ok(response) => Outcome::of_response(&response, &*self.classifier),
            Err(failure) => Outcome::of_failure(&failure, &*self.classifier),
        };
        match outcome.ending {
            AttemptResult::Exchanged(Classification::Accepted) => handle.token.proved_good(),
            AttemptResult::Exchanged(Classification::Unauthorized) => {
                outcome.renewal = self.tokens.reject(&handle.token, now);
            }
            _ => {}
        }
        outcome
    }

    /// Obtains an access token within `time`. Drops `permit` if the token needs a request, or if the
    /// send has to wait for it.
    async fn requested_token(
        &self,
        time: Duration,
        permit: &mut Option<Permit>,
    ) -> Result<TokenHandle, TokenUnavailable> {
        // A token request needs a permit of its own, and this one may be the last.
        if !self.tokens.has_token() {
            *permit = None;
        }
        let mut token = pin!(self.tokens.token(time));
        if let Some(token) = poll_immediate(token.as_mut()).await {
            return token;
        }
        *permit = None;
        // The token request may have more time than this send.
        timeout(time, token).await.unwrap_or_else(|_| {
            let failure = TransportError::unknown(TransportErrorKind::Timeout);
            Err(TokenUnavailable::after(TokenError::Transport(failure)))
        })
    }

    /// Replaces the credentials in use, once a token was obtained with the new ones.
    pub(crate) async fn rotate_credentials(&self, credentials: Credentials) -> Result<(), Error> {
        let rotated = self.tokens.rotate(credentials).await;
        rotated.map_err(|error| {
            without_token(
                TokenUnavailable::after(error),
                "the credentials in use were not replaced: ",
            )
        })
    }

    /// Obtains an access token, unless there is one.
    pub(crate) async fn check(&self, time: Duration) -> Result<(), Error> {
        if self.tokens.has_token() {
            return Ok(());
        }
        let checked = match timeout(time, self.tokens.token(time)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(none)) => none,
            Err(_) => TokenUnavailable::after(TokenError::Transport(TransportError::unknown(
                TransportErrorKind::Timeout,
            ))),
        };
        Err(without_token(checked, ""))
    }
}

/// Creates the error of a token request without a message. Its text begins with `what_failed`.
fn without_token(none: TokenUnavailable, what_failed: &str) -> Error {
    let is_retryable = none.error.is_temporary();
    let mut outcome = Outcome::no_token(none);
    let cause = outcome.cause.take();
    let what = outcome.error.clone().unwrap_or_default();
    let send = FailedSend {
        message_id: None,
        delivery: outcome.delivery(),
        attempts: Vec::new(),
        logs: Vec::new(),
        retry_after: outcome.retry_after,
        is_retryable,
        service_text: outcome.service_text,
        oauth_error: outcome.oauth_error,
    };
    Error::send(outcome.kind, format!("{what_failed}{what}"), send).with_source(cause)
}
