//! The state of a send as pure data: outcomes and times go in, retries and the result come out.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::outcome::Outcome;
use crate::error::{Cause, Error, ErrorKind, FailedSend};
use crate::receipt::{Attempt, Delivery, OAuthError, seconds_rounded_up};
use crate::retry::{AttemptDelays, Cost, Decision, NextStep, Policy, RetryBudget, RetryState};
use crate::transport::PermitError;

/// The attempts of a send so far, and everything that affects the next one.
pub(super) struct SendState<'a> {
    message_id: Uuid,
    policy: &'a Policy,
    budget: Option<&'a RetryBudget>,
    delays: AttemptDelays,
    /// The attempts of earlier sends of the message, followed by those of this send.
    attempts: Vec<Attempt>,
    /// The number of the last attempt made by earlier sends; 0 if there is none.
    earlier: u32,
    /// The service's reason, from the last attempt that had one.
    service_text: Option<String>,
    /// The error with which the last attempt ended.
    cause: Option<Cause>,
    /// The token endpoint's reason, from the last attempt.
    oauth_error: Option<OAuthError>,
    token_replaced: bool,
    token_tried_again: bool,
    /// The cost of the last retry.
    last_retry: Option<Cost>,
}

/// The times of an attempt that has ended.
pub(super) struct AttemptTimes {
    pub(super) started: DateTime<Utc>,
    pub(super) elapsed: Duration,
    /// The age of the token when the request was sent; `None` if none was sent.
    pub(super) token_age: Option<Duration>,
}

/// The decision after an attempt.
pub(super) enum SendDecision {
    Retry {
        after: Duration,
    },
    /// The last of these attempts was accepted.
    Accepted(Vec<Attempt>),
    Failed {
        error: Error,
        next_step: NextStep,
    },
}

/// The reason why the client's own limits admit no attempt.
pub(super) enum AdmissionError {
    /// The rate limit has room after this time at the earliest.
    RateLimit(Duration),
    /// The rate limiter can't decide.
    LimiterFailed(PermitError),
    /// This number of messages is in flight, which is the maximum.
    InFlight(u32),
}

impl From<PermitError> for AdmissionError {
    fn from(error: PermitError) -> Self {
        error.retry_after().map_or(Self::LimiterFailed(error), Self::RateLimit)
    }
}

impl<'a> SendState<'a> {
    pub(super) fn new(
        message_id: Uuid,
        policy: &'a Policy,
        budget: Option<&'a RetryBudget>,
        delays: AttemptDelays,
        earlier: Vec<Attempt>,
    ) -> Self {
        Self {
            message_id,
            policy,
            budget,
            delays,
            earlier: earlier.last().map_or(0, |last| last.number),
            attempts: earlier,
            service_text: None,
            cause: None,
            oauth_error: None,
            token_replaced: false,
            token_tried_again: false,
            last_retry: None,
        }
    }

    /// Returns the attempts so far.
    pub(super) fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Returns the number of the next attempt.
    pub(super) fn next_number(&self) -> u32 {
        self.attempts.last().map_or(1, |last| last.number.saturating_add(1))
    }

    /// Returns the number of requests made with the message.
    pub(super) fn requests(&self) -> usize {
        self.attempts.iter().filter(|attempt| attempt.token_age.is_some()).count()
    }

    /// Records the outcome of an attempt, and decides what follows.
    pub(super) fn decide(
        &mut self,
        outcome: Outcome,
        times: AttemptTimes,
        time_left: Duration,
    ) -> SendDecision {
        let ended = RetryState {
            number: self.next_number().saturating_sub(self.earlier),
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
        match self.policy.after(ended, &mut self.delays, self.budget) {
            Decision::Again(delay, next_step, cost) => {
                self.last_retry = Some(cost);
                let own_part = outcome.own_part_of(delay, next_step);
                self.push(outcome, times, Some(delay), next_step);
                self.token_replaced |= next_step == NextStep::NewToken;
                self.token_tried_again |= is_rejected && next_step == NextStep::TokenCooldown;
                SendDecision::Retry { after: own_part }
            }
            Decision::Stop(NextStep::Done) => {
                self.push(outcome, times, None, NextStep::Done);
                if let Some(budget) = self.budget {
                    budget.earn(self.last_retry);
                }
                SendDecision::Accepted(std::mem::take(&mut self.attempts))
            }
            Decision::Stop(next_step) => {
                self.push(outcome, times, None, next_step);
                SendDecision::Failed { error: self.abandoned(kind, next_step), next_step }
            }
        }
    }

    /// Records the outcome of an attempt that was dropped.
    pub(super) fn drop_attempt(&mut self, outcome: Outcome, times: AttemptTimes) {
        self.push(outcome, times, None, NextStep::Dropped);
    }

    fn push(
        &mut self,
        outcome: Outcome,
        times: AttemptTimes,
        delay: Option<Duration>,
        next_step: NextStep,
    ) {
        let attempt = Attempt {
            number: self.next_number(),
            message_id: self.message_id,
            started: times.started,
            elapsed: times.elapsed,
            status: outcome.status,
            delivery: outcome.delivery(),
            error: outcome.error,
            logs: outcome.logs,
            token_age: times.token_age,
            retry_after: outcome.retry_after,
            delay,
            next_step,
        };
        self.service_text = outcome.service_text.or(self.service_text.take());
        self.cause = outcome.cause;
        self.oauth_error = outcome.oauth_error;
        self.attempts.push(attempt);
    }

    /// Ends the send because the client's own limits leave no room for the next attempt within the
    /// deadline.
    pub(super) fn not_admitted(&mut self, reason: AdmissionError) -> (Error, NextStep) {
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
                    "abandoned after waiting for other messages in flight (max_in_flight = \
                     {limit}): too little time for an attempt is left of the deadline of \
                     {deadline:?}; send fewer at once, or raise max_in_flight or the deadline"
                );
                (ErrorKind::Throttled, why, None)
            }
        };
        (self.failed(kind, next_step, wait, &why), next_step)
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
                format!("abandoned because the service asks for a delay of {wait} s")
            }
            NextStep::RetryBudgetExhausted => {
                "abandoned because the client's retry budget is empty: too many requests failed \
                 recently"
                    .to_owned()
            }
            NextStep::StoppedOnUnknown => "not retried, because on_unknown is Stop".to_owned(),
            NextStep::NotRetryable
                if last.is_some_and(|last| last.delivery == Delivery::Unknown) =>
            {
                "not retried because another destination may have the message: look up its log ids"
                    .to_owned()
            }
            _ => "not retryable".to_owned(),
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
            Delivery::Rejected => "the service did not accept the message",
            Delivery::NotSent => "the message never reached the service",
        };
        let attempt = last.map_or(String::new(), |_| format!("attempt {number}: {what}; "));
        let text = format!("{attempt}{why}; {certainty}");
        let send = FailedSend {
            message_id: Some(self.message_id),
            delivery,
            logs: attempts.iter().map(|attempt| &*attempt.logs).collect::<Vec<_>>().concat(),
            attempts,
            retry_after,
            service_text: self.service_text.take(),
            oauth_error: self.oauth_error.take(),
            is_retryable: next_step != NextStep::NotRetryable,
        };
        Error::send(kind, text, send).with_source(self.cause.take())
    }
}
