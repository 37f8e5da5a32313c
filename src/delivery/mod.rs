//! The send loop: token, request, answer, and whether to try again.

mod outcome;
mod request;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use tokio::time::{Instant, sleep, timeout};

use crate::auth::{Credentials, NoToken, TokenCache, TokenError};
use crate::clock;
use crate::error::{Error, FailedSend};
use crate::message::Log;
use crate::receipt::{Attempt, Delivery, Receipt, TokenRefusal};
use crate::retry::{Backoff, Class, Decision, Ended, Policy, Reason};
use crate::transport::{Failure, FailureKind, Transport};

use outcome::Outcome;
pub(crate) use request::Parcel;

/// Carries messages to the service.
pub(crate) struct Courier {
    pub(crate) endpoint: Uri,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) tokens: TokenCache,
}

impl Courier {
    /// Sends `parcel` until it is accepted or `policy` gives it up.
    pub(crate) async fn deliver(&self, parcel: &Parcel, policy: &Policy) -> Result<Receipt, Error> {
        let begin = Instant::now();
        let time_left = || policy.deadline.saturating_sub(begin.elapsed());
        let mut sending = Sending::begin(parcel, policy);
        loop {
            let (started, began) = (clock::now(), Instant::now());
            let outcome = self.attempt(parcel, policy.attempt_timeout.min(time_left())).await;
            let has_room = |pause| policy.has_room(pause, time_left());
            if outcome.pause.is_some_and(has_room) {
                // Many sends wait for the same pause, and nobody was asked: that is no attempt.
                self.tokens.sit_out_pause(has_room).await;
                continue;
            }
            let mut attempt = Attempt {
                number: sending.next_number(),
                started,
                elapsed: began.elapsed(),
                status: outcome.status,
                delivery: outcome.delivery(),
                error: outcome.error.clone(),
                delay: None,
            };
            if outcome.class == Class::Accepted {
                return Ok(sending.accepted(attempt, outcome));
            }
            match sending.after(&attempt, &outcome, time_left()) {
                Decision::Stop(reason) => return Err(sending.given_up(attempt, outcome, reason)),
                Decision::Again(delay) => {
                    attempt.delay = Some(delay);
                    let own = outcome.own_part_of(delay);
                    sending.again(attempt, outcome);
                    sleep(own).await;
                }
            }
        }
    }

    /// Puts `credentials` in the place of those in use, once they have bought a token.
    pub(crate) async fn rotate_credentials(&self, credentials: Credentials) -> Result<(), Error> {
        let Err(error) = self.tokens.rotate(credentials).await else { return Ok(()) };
        let outcome = Outcome::no_token(NoToken::after(error));
        let what = outcome.error.clone().unwrap_or_default();
        let send = FailedSend {
            message_id: None,
            delivery: outcome.delivery(),
            attempts: Vec::new(),
            logs: Vec::new(),
            retry_after: outcome.hint,
            is_retryable: outcome.class == Class::NotSent,
            service_text: outcome.service_text,
            token_refusal: outcome.token_refusal,
        };
        Err(Error::send(outcome.kind, format!("the credentials in use were not replaced: {what}"), send))
    }

    /// One attempt: an access token, and one exchange with it.
    async fn attempt(&self, parcel: &Parcel, time: Duration) -> Outcome {
        let began = Instant::now();
        let lease = match timeout(time, self.tokens.token(time)).await {
            Ok(Ok(lease)) => lease,
            Ok(Err(none)) => return Outcome::no_token(none),
            // The request for a token may have more time than this send has.
            Err(_) => {
                let failure = Failure::new(FailureKind::Timeout, true);
                return Outcome::no_token(NoToken::after(TokenError::Failure(failure)));
            }
        };
        let time_left = time.saturating_sub(began.elapsed());
        let request = parcel.request(&self.endpoint, lease.token.authorization());
        match lease.during(self.transport.send(request, time_left)).await {
            Ok(answer) => {
                let outcome = Outcome::answered(&answer);
                if outcome.class == Class::Unauthorized {
                    self.tokens.reject(&lease.token);
                }
                outcome
            }
            Err(failure) => Outcome::unanswered(&failure),
        }
    }
}

/// A send under way: what it has tried, and what it may still try.
struct Sending<'a> {
    parcel: &'a Parcel,
    policy: &'a Policy,
    backoff: Backoff,
    attempts: Vec<Attempt>,
    /// What the service said of the attempts that failed.
    logs: Vec<Log>,
    service_text: Option<String>,
    token_refusal: Option<TokenRefusal>,
    token_replaced: bool,
}

impl<'a> Sending<'a> {
    fn begin(parcel: &'a Parcel, policy: &'a Policy) -> Self {
        Self {
            parcel,
            policy,
            backoff: Backoff::of_attempts(),
            attempts: Vec::new(),
            logs: Vec::new(),
            service_text: None,
            token_refusal: None,
            token_replaced: false,
        }
    }

    fn next_number(&self) -> u32 {
        self.attempts.last().map_or(1, |last| last.number + 1)
    }

    fn after(&mut self, attempt: &Attempt, outcome: &Outcome, time_left: Duration) -> Decision {
        let ended = Ended {
            number: attempt.number,
            class: outcome.class,
            hint: outcome.hint,
            time_left,
            token_replaced: self.token_replaced,
        };
        self.policy.after(ended, &mut self.backoff)
    }

    fn again(&mut self, attempt: Attempt, outcome: Outcome) {
        tracing::warn!(
            message_id = %self.parcel.message_id,
            attempt = attempt.number,
            status = attempt.status,
            delivery = %attempt.delivery,
            error = attempt.error,
            delay = ?attempt.delay,
            "attempt failed, trying again"
        );
        self.token_replaced |= outcome.class == Class::Unauthorized;
        self.failed(attempt, outcome);
    }

    fn failed(&mut self, attempt: Attempt, outcome: Outcome) {
        self.attempts.push(attempt);
        self.logs.extend(outcome.logs);
        self.service_text = outcome.service_text.or(self.service_text.take());
        self.token_refusal = outcome.token_refusal;
    }

    fn accepted(mut self, attempt: Attempt, outcome: Outcome) -> Receipt {
        tracing::info!(
            message_id = %self.parcel.message_id,
            attempt = attempt.number,
            status = attempt.status,
            logs = outcome.logs.len(),
            "message accepted"
        );
        self.attempts.push(attempt);
        Receipt::new(self.parcel.message_id, outcome.logs, self.attempts)
    }

    fn given_up(mut self, attempt: Attempt, outcome: Outcome, reason: Reason) -> Error {
        let number = attempt.number;
        let what = attempt.error.clone().unwrap_or_default();
        let (kind, retry_after) = (outcome.kind, outcome.hint);
        self.failed(attempt, outcome);
        let delivery = Delivery::of_failed(&self.attempts);
        tracing::error!(
            message_id = %self.parcel.message_id,
            attempts = number,
            error = what,
            %delivery,
            ?kind,
            ?reason,
            "message given up"
        );
        let why = match reason {
            Reason::Final => "not tried again, since it would end the same way".to_owned(),
            Reason::AttemptsUsedUp => format!("given up after attempt {number}"),
            Reason::Deadline => {
                format!(
                    "given up, since the deadline of {:?} leaves no time for another",
                    self.policy.deadline
                )
            }
            Reason::HintTooLong => {
                let wait = retry_after.unwrap_or_default().as_secs();
                format!("given up, since the service asks to wait for {wait} s")
            }
        };
        let certainty = match delivery {
            Delivery::Accepted | Delivery::Unknown => "whether the service has the message is not known",
            Delivery::Refused => "the service did not take the message",
            Delivery::NotSent => "the message never reached the service",
        };
        let text = format!("attempt {number}: {what}; {why}; {certainty}");
        let send = FailedSend {
            message_id: Some(self.parcel.message_id),
            delivery,
            attempts: self.attempts,
            logs: self.logs,
            retry_after,
            service_text: self.service_text,
            token_refusal: self.token_refusal,
            is_retryable: reason != Reason::Final,
        };
        Error::send(kind, text, send)
    }
}
