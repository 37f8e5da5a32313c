//! A send under way: what it has tried, and what it may still try.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tracing::Span;

use super::outcome::Outcome;
use super::{Sender, trace};
use crate::clock;
use crate::error::{Cause, Error, ErrorKind, FailedSend};
use crate::message::PreparedMessage;
use crate::receipt::{Attempt, Delivery, OAuthError, Receipt, seconds_rounded_up};
use crate::retry::{AttemptDelays, Cost, Decision, NextStep, Policy, RetryState};
use crate::transport::PermitError;

/// A send under way. When it is dropped before its end, the attempt that was under way is told all
/// the same.
pub(super) struct SendState<'a> {
    sender: &'a Sender,
    message: &'a PreparedMessage,
    policy: &'a Policy,
    delays: AttemptDelays,
    current: Option<AttemptInFlight>,
    /// The attempts of this send, after those of earlier sends of the message.
    attempts: Vec<Attempt>,
    /// The number of the last attempt of the sends before.
    earlier: u32,
    /// What the service said of the attempts that failed.
    service_text: Option<String>,
    cause: Option<Cause>,
    oauth_error: Option<OAuthError>,
    token_replaced: bool,
    token_tried_again: bool,
    /// The cost of the last retry.
    last_retry: Option<Cost>,
    has_ended: bool,
    /// The span of the send.
    span: Span,
}

/// An attempt under way.
pub(super) struct AttemptInFlight {
    /// How many requests with the message went out before.
    pub(super) resend_count: usize,
    pub(super) span: Span,
    started: DateTime<Utc>,
    pub(super) began: Instant,
    /// How old the token was when the request set out; `None` before that.
    pub(super) token_age: Option<Duration>,
}

/// The reason for which the client's own limits allow no attempt.
pub(super) enum AdmissionError {
    /// The rate limit has room after this time at the earliest.
    RateLimit(Duration),
    /// The rate limiter can't decide.
    LimiterFailed(PermitError),
    /// So many messages are in flight.
    InFlight(u32),
}

impl From<PermitError> for AdmissionError {
    fn from(error: PermitError) -> Self {
        error.retry_after().map_or(Self::LimiterFailed(error), Self::RateLimit)
    }
}

impl<'a> SendState<'a> {
    pub(super) fn new(
        sender: &'a Sender,
        message: &'a PreparedMessage,
        policy: &'a Policy,
        earlier: Vec<Attempt>,
        span: Span,
    ) -> Self {
        Self {
            sender,
            message,
            policy,
            delays: AttemptDelays::new(&sender.jitter),
            current: None,
            earlier: earlier.last().map_or(0, |last| last.number),
            attempts: earlier,
            service_text: None,
            cause: None,
            oauth_error: None,
            token_replaced: false,
            token_tried_again: false,
            last_retry: None,
            has_ended: false,
            span,
        }
    }

    pub(super) fn begin_attempt(&mut self) -> &mut AttemptInFlight {
        self.current.insert(AttemptInFlight {
            span: trace::attempt(next_number(&self.attempts)),
            resend_count: self
                .attempts
                .iter()
                .filter(|attempt| attempt.token_age.is_some())
                .count(),
            started: clock::now(),
            began: Instant::now(),
            token_age: None,
        })
    }

    /// Takes back an attempt that asked nobody for anything.
    pub(super) fn postpone_attempt(&mut self) {
        if let Some(postponed) = self.current.take() {
            trace::postponed(&postponed.span);
        }
    }

    /// Takes note of what the attempt under way came to, and decides what follows: another after a
    /// delay, or the end.
    pub(super) fn end_attempt(
        &mut self,
        outcome: Outcome,
        time_left: Duration,
    ) -> ControlFlow<Result<Receipt, Error>, Duration> {
        let ended = RetryState {
            number: next_number(&self.attempts).saturating_sub(self.earlier),
            ending: outcome.ending,
            retry_after: outcome.retry_after,
            time_left,
            token_replaced: self.token_replaced,
            renewal: outcome.renewal,
            token_tried_again: self.token_tried_again,
            connection_was_closed: outcome.connection_was_closed,
        };
        let kind = outcome.kind;
        let is_rejected = outcome.renewal.is_some();
        match self.policy.after(ended, &mut self.delays, self.sender.budget.as_deref()) {
            Decision::Again(delay, next_step, cost) => {
                self.last_retry = Some(cost);
                let own_part = outcome.own_part_of(delay, next_step);
                self.record(outcome, Some(delay), next_step);
                self.token_replaced |= next_step == NextStep::NewToken;
                self.token_tried_again |= is_rejected && next_step == NextStep::TokenCooldown;
                ControlFlow::Continue(own_part)
            }
            Decision::Stop(next_step) => {
                self.record(outcome, None, next_step);
                self.has_ended = true;
                ControlFlow::Break(match next_step {
                    NextStep::Done => Ok(self.accepted()),
                    _ => Err(self.abandoned(kind, next_step)),
                })
            }
        }
    }

    /// Keeps the attempt under way as one that has ended, and tells of it.
    fn record(&mut self, outcome: Outcome, delay: Option<Duration>, next_step: NextStep) {
        let Some(begun) = self.current.take() else { return };
        let attempt = Attempt {
            number: next_number(&self.attempts),
            message_id: self.message.message_id,
            started: begun.started,
            elapsed: begun.began.elapsed(),
            status: outcome.status,
            delivery: outcome.delivery(),
            error: outcome.error,
            logs: outcome.logs,
            token_age: begun.token_age,
            retry_after: outcome.retry_after,
            delay,
            next_step,
        };
        self.service_text = outcome.service_text.or(self.service_text.take());
        self.cause = outcome.cause;
        self.oauth_error = outcome.oauth_error;
        trace::ended(&begun.span, &attempt, outcome.kind);
        if delay.is_some() {
            trace::retrying(&attempt);
        }
        if let Some(observer) = &self.sender.observer {
            // What is wrong there must not cost the message.
            let _ = catch_unwind(AssertUnwindSafe(|| observer.attempt_ended(&attempt)));
        }
        self.attempts.push(attempt);
    }

    fn accepted(&mut self) -> Receipt {
        let attempts = std::mem::take(&mut self.attempts);
        if let Some(budget) = &self.sender.budget {
            budget.earn(self.last_retry);
        }
        let receipt = Receipt::new(self.message, attempts);
        trace::accepted(&self.span, &receipt);
        receipt
    }

    /// Ends the send because the client's own limits leave no room for the next attempt within the
    /// deadline.
    pub(super) fn not_admitted(&mut self, reason: AdmissionError) -> Error {
        self.has_ended = true;
        let deadline = self.policy.deadline;
        let mut next_step = NextStep::Deadline;
        let (kind, why, wait) = match reason {
            AdmissionError::RateLimit(wait) => {
                let limit = "the client's own rate limit, or its wait after a 429,";
                let why = format!(
                    "abandoned because {limit} leaves no room within the deadline of {deadline:?}"
                );
                (ErrorKind::Throttled, why, Some(wait))
            }
            AdmissionError::LimiterFailed(error) => {
                next_step = NextStep::RateLimiterFailed;
                let why = format!("abandoned because the rate limiter failed: {error}");
                self.cause = Some(Arc::new(error));
                (ErrorKind::RateLimiter, why, None)
            }
            AdmissionError::InFlight(limit) => {
                let why = format!(
                    "abandoned after waiting for other messages in flight (max_in_flight = {limit}): too little time for \
                     an attempt is left of the deadline of {deadline:?}; send fewer at once, or raise max_in_flight or \
                     the deadline"
                );
                (ErrorKind::Throttled, why, None)
            }
        };
        self.failed(kind, next_step, wait, &why)
    }

    fn abandoned(&mut self, kind: ErrorKind, next_step: NextStep) -> Error {
        let last = self.attempts.last();
        let number = last.map_or(0, |last| last.number);
        let retry_after = last.and_then(|last| last.retry_after);
        let why = match next_step {
            NextStep::AttemptsExhausted => format!("abandoned after attempt {number}"),
            NextStep::Deadline => {
                let deadline = self.policy.deadline;
                format!("abandoned because the deadline of {deadline:?} leaves no time for another")
            }
            NextStep::RetryAfterTooLong => {
                let wait = seconds_rounded_up(retry_after.unwrap_or_default());
                format!("abandoned because the service asks to wait for {wait} s")
            }
            NextStep::RetryBudgetExhausted => {
                "abandoned because the client's retry budget is empty: too much failed lately"
                    .to_owned()
            }
            NextStep::StoppedOnUnknown => {
                "not retried, so that the service gets no second copy".to_owned()
            }
            NextStep::NotRetryable
                if last.is_some_and(|last| last.delivery == Delivery::Unknown) =>
            {
                "not retried because another destination may have the message: look up its log ids"
                    .to_owned()
            }
            _ => "not retried because it would end the same way".to_owned(),
        };
        self.failed(kind, next_step, retry_after, &why)
    }

    fn failed(
        &mut self,
        kind: ErrorKind,
        next_step: NextStep,
        retry_after: Option<Duration>,
        why: &str,
    ) -> Error {
        let attempts = std::mem::take(&mut self.attempts);
        let delivery = Delivery::of_failed(&attempts);
        let last = attempts.last();
        let number = last.map_or(0, |last| last.number);
        let what = last.and_then(|last| last.error.as_deref()).unwrap_or_default();
        let certainty = match delivery {
            Delivery::Accepted | Delivery::Unknown => {
                "it is unknown whether the message was delivered"
            }
            Delivery::Rejected => "the service did not take the message",
            Delivery::NotSent => "the message never reached the service",
        };
        let attempt = last.map_or(String::new(), |_| format!("attempt {number}: {what}; "));
        let text = format!("{attempt}{why}; {certainty}");
        trace::abandoned(self.message.message_id, number, what, delivery, kind, next_step);
        let send = FailedSend {
            message_id: Some(self.message.message_id),
            delivery,
            logs: attempts.iter().flat_map(|attempt| attempt.logs.clone()).collect(),
            attempts,
            retry_after,
            service_text: self.service_text.take(),
            oauth_error: self.oauth_error.take(),
            is_retryable: next_step != NextStep::NotRetryable,
        };
        let error = Error::send(kind, text, send).with_source(self.cause.take());
        trace::failed(&self.span, &error);
        error
    }
}

impl Drop for SendState<'_> {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        if let Some(begun) = &self.current {
            let outcome = Outcome::dropped(begun.token_age.is_some());
            self.record(outcome, None, NextStep::Dropped);
        }
        let delivery = Delivery::of_failed(&self.attempts);
        trace::dropped(&self.span, self.message.message_id, self.attempts.len(), delivery);
    }
}

fn next_number(attempts: &[Attempt]) -> u32 {
    attempts.last().map_or(1, |last| last.number.saturating_add(1))
}
