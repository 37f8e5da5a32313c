//! The send loop: token, request, answer, and whether to try again.

mod in_flight;
mod observer;
mod outcome;
mod request;
mod sending;
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
use tracing::Instrument;

use crate::auth::{Credentials, NoToken, TokenCache, TokenError};
use crate::chance::Jitter;
use crate::error::{Error, FailedSend};
use crate::receipt::{Attempt, Receipt};
use crate::retry::{Class, Ending, Exchange, Policy, RetryBudget};
use crate::transport::{AnyTransport, Failure, FailureKind, Pace, Place};

use outcome::Outcome;
use sending::{Begun, KeptBack, Sending};

pub(crate) use in_flight::InFlight;
use in_flight::Permit;
pub use observer::AttemptObserver;
pub(crate) use request::Parcel;

/// A function in front of the table of classes.
pub(crate) type Classifier = Arc<dyn Fn(&Exchange<'_>) -> Class + Send + Sync>;

/// Carries messages to the service.
pub(crate) struct Courier {
    pub(crate) endpoint: Uri,
    pub(crate) transport: Arc<dyn AnyTransport>,
    /// What the transport keeps to.
    pub(crate) pace: Option<Arc<Pace>>,
    pub(crate) in_flight: InFlight,
    pub(crate) tokens: TokenCache,
    pub(crate) classifier: Classifier,
    pub(crate) budget: Option<RetryBudget>,
    pub(crate) jitter: Jitter,
    pub(crate) observer: Option<Arc<dyn AttemptObserver>>,
}

impl Courier {
    /// Sends `parcel` until it is accepted or `policy` gives it up. It may have a place in the pace already.
    ///
    /// The `earlier` attempts of sends that failed are part of its receipt or error.
    pub(crate) fn deliver(
        &self,
        parcel: &Parcel,
        policy: &Policy,
        place: Option<Place>,
        earlier: Vec<Attempt>,
    ) -> impl Future<Output = Result<Receipt, Error>> + Send {
        self.send(parcel, policy, place, earlier).instrument(trace::send(parcel))
    }

    async fn send(
        &self,
        parcel: &Parcel,
        policy: &Policy,
        mut first_place: Option<Place>,
        earlier: Vec<Attempt>,
    ) -> Result<Receipt, Error> {
        let mut began = Instant::now();
        let mut sending = Sending::new(self, parcel, policy, earlier);
        loop {
            // Nothing is sent while a send waits for the end of a cooldown or for a limit of the client: that isn't an attempt.
            let has_room = |pause| policy.has_room(pause, policy.deadline.saturating_sub(began.elapsed()));
            self.tokens.sit_out_pause(has_room).await;
            let (permit, place) = match self.admit(policy, &mut began, first_place.take()).await {
                Ok(admitted) => admitted,
                Err(kept_back) => return Err(sending.kept_back(kept_back)),
            };
            let time_left = || policy.deadline.saturating_sub(began.elapsed());
            let begun = sending.begin_attempt();
            let span = begun.span.clone();
            let time = policy.attempt_timeout.min(time_left());
            let outcome = self.attempt(parcel, begun, place, time).instrument(span).await;
            drop(permit);
            if outcome.pause.is_some_and(|pause| policy.has_room(pause, time_left())) {
                sending.call_off_attempt();
                continue;
            }
            match sending.end_attempt(outcome, time_left()) {
                ControlFlow::Continue(delay) => sleep(delay).await,
                ControlFlow::Break(result) => return result,
            }
        }
    }

    /// Waits until the client's own limits let a message out. Unless the deadline covers that, the wait moves `began`.
    ///
    /// The permit comes first, because a waiting send must not hold a place in the pace that messages in flight need.
    async fn admit(
        &self,
        policy: &Policy,
        began: &mut Instant,
        place: Option<Place>,
    ) -> Result<(Permit, Option<Place>), KeptBack> {
        let Some(permit) = self.in_flight.free_permit() else {
            drop(place);
            return Box::pin(self.wait_for_limits(policy, began, None)).await;
        };
        let place = place.or_else(|| self.pace.as_ref()?.free_place());
        if place.is_some() || self.pace.is_none() {
            return Ok((permit, place));
        }
        // Rarely needed, and large.
        Box::pin(self.wait_for_limits(policy, began, Some(permit))).await
    }

    /// The same when a message has to wait. It may have its permit already.
    async fn wait_for_limits(
        &self,
        policy: &Policy,
        began: &mut Instant,
        permit: Option<Permit>,
    ) -> Result<(Permit, Option<Place>), KeptBack> {
        let pace = self.pace.as_ref();
        let asked = Instant::now();
        if !policy.deadline_covers_limits {
            let permit = match permit {
                Some(permit) => permit,
                None => self.in_flight.permit().await,
            };
            let place = match pace {
                Some(pace) => Some(pace.place().await),
                None => None,
            };
            *began += asked.elapsed();
            return Ok((permit, place));
        }
        let time_left = || policy.deadline.saturating_sub(began.elapsed());
        let room = || policy.room(time_left());
        if let Some(wait) = pace.map(|pace| pace.wait()).filter(|wait| *wait > room()) {
            return Err(KeptBack::ByPace(wait));
        }
        let permit = match permit {
            Some(permit) => permit,
            None => {
                let permit = self.in_flight.permit_within(policy.room_in_queue(time_left())).await;
                permit.ok_or_else(|| match pace.map(|pace| pace.wait()) {
                    // The messages in flight wait for that themselves.
                    Some(wait) if !wait.is_zero() => KeptBack::ByPace(wait),
                    _ => KeptBack::InFlight(self.in_flight.size()),
                })?
            }
        };
        let place = match pace {
            Some(pace) => Some(pace.place_within(room()).await.map_err(KeptBack::ByPace)?),
            None => None,
        };
        Ok((permit, place))
    }

    /// One attempt: an access token, and one exchange with it.
    async fn attempt(
        &self,
        parcel: &Parcel,
        begun: &mut Begun,
        mut place: Option<Place>,
        time: Duration,
    ) -> Outcome {
        // A request for a token needs a place of its own, and there may be only this one.
        if !self.tokens.has_token() {
            place = None;
        }
        let mut token = pin!(self.tokens.token(time));
        let token = match poll_immediate(token.as_mut()).await {
            Some(token) => Ok(token),
            None => {
                place = None;
                timeout(time, token).await
            }
        };
        let lease = match token {
            Ok(Ok(lease)) => lease,
            Ok(Err(none)) => return Outcome::no_token(none),
            // The request for a token may have more time than this send has.
            Err(_) => {
                let failure = Failure::unknown(FailureKind::Timeout);
                return Outcome::no_token(NoToken::after(TokenError::Failure(failure)));
            }
        };
        if let (None, Some(pace)) = (&place, &self.pace) {
            place = pace.free_place();
            if place.is_none() {
                // To wait here would take from the time that the service has for its answer.
                return Outcome::unanswered(&Failure::kept_back(), &*self.classifier);
            }
        }
        let now = Instant::now();
        let time_left = time.saturating_sub(now - begun.began);
        if time_left.is_zero() {
            return Outcome::unanswered(&Failure::not_sent(FailureKind::Timeout), &*self.classifier);
        }
        begun.token_age = Some(lease.token.age(now));
        let request = parcel.request(&self.endpoint, lease.token.authorization());
        let exchange = self.transport.send_from(place, request, time_left);
        let mut outcome = match lease.during(exchange).await {
            Ok(answer) => Outcome::answered(&answer, &*self.classifier),
            Err(failure) => Outcome::unanswered(&failure, &*self.classifier),
        };
        match outcome.ending {
            Ending::Exchanged(Class::Accepted) => lease.token.proved_good(),
            Ending::Exchanged(Class::Unauthorized) => outcome.renewal = self.tokens.reject(&lease.token, now),
            _ => {}
        }
        outcome
    }

    /// Puts `credentials` in the place of those in use, once they have bought a token.
    pub(crate) async fn rotate_credentials(&self, credentials: Credentials) -> Result<(), Error> {
        let Err(error) = self.tokens.rotate(credentials).await else { return Ok(()) };
        let is_retryable = error.is_temporary();
        let outcome = Outcome::no_token(NoToken::after(error));
        let what = outcome.error.clone().unwrap_or_default();
        let send = FailedSend {
            message_id: None,
            delivery: outcome.delivery(),
            attempts: Vec::new(),
            logs: Vec::new(),
            retry_after: outcome.retry_after,
            is_retryable,
            service_text: outcome.service_text,
            token_refusal: outcome.token_refusal,
        };
        Err(Error::send(outcome.kind, format!("the credentials in use were not replaced: {what}"), send))
    }
}
