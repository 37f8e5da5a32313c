//! The meaning of a send's result for its entry.

use std::time::Duration;

use pushslots::{Attempt, Delivery, Error, ErrorKind, NextStep, Receipt};

use crate::state::{Outcome, Verdict};
use crate::store::lost_attempt;
use crate::time::Timestamp;

/// The delay after a failed permit or token without a time of its own.
const BLOCKED: Duration = Duration::from_secs(5);

/// The minimum delay after a rate limit or without a token.
const MIN_BLOCKED: Duration = Duration::from_secs(1);

/// The part of the service that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The service doesn't respond as it should.
    Service,
    /// There is no access token.
    Credentials,
    /// Neither, or it isn't known: the message or a limit of the client.
    Unrelated,
    /// The service responded as it should.
    None,
}

/// The result of a send.
pub(crate) struct SendResult {
    pub(crate) outcome: Outcome,
    pub(crate) failure: Failure,
    /// The attempts as JSON.
    pub(crate) attempts: Vec<String>,
    /// The receipt as JSON.
    pub(crate) receipt: Option<String>,
    /// The error's text, which contains no personal data.
    pub(crate) error: Option<String>,
}

impl SendResult {
    pub(crate) fn of(result: &Result<Receipt, Error>) -> Self {
        match result {
            Ok(receipt) => Self {
                outcome: Outcome {
                    delivery: Delivery::Accepted,
                    verdict: Verdict::Accepted,
                    attempts: count(receipt.attempts()),
                },
                failure: Failure::None,
                attempts: to_json(receipt.attempts()),
                receipt: serde_json::to_string(receipt).ok(),
                error: None,
            },
            Err(error) => Self {
                outcome: Outcome {
                    delivery: error.delivery(),
                    verdict: verdict_of(error),
                    attempts: count(error.attempts()),
                },
                failure: failure_of(error),
                attempts: to_json(error.attempts()),
                receipt: None,
                error: Some(error.to_string()),
            },
        }
    }

    /// A message that can't be sent as it is stored.
    pub(crate) fn invalid(text: String) -> Self {
        Self::without_attempts(Delivery::NotSent, Verdict::Invalid, Some(text))
    }

    /// A send that was dropped, or panicked, while its request may have been on the wire.
    pub(crate) fn dropped(now: Timestamp) -> Self {
        let verdict = Verdict::Retry { at_least: Duration::ZERO };
        let mut result = Self::without_attempts(Delivery::Unknown, verdict, None);
        result.outcome.attempts = 1;
        result.attempts.push(lost_attempt(now));
        result
    }

    /// A send that can't begin now.
    pub(crate) fn blocked(delay: Duration, error: Option<String>) -> Self {
        Self::without_attempts(Delivery::NotSent, Verdict::Blocked { delay }, error)
    }

    fn without_attempts(delivery: Delivery, verdict: Verdict, error: Option<String>) -> Self {
        Self {
            outcome: Outcome { delivery, verdict, attempts: 0 },
            failure: Failure::Unrelated,
            attempts: Vec::new(),
            receipt: None,
            error,
        }
    }
}

fn count(attempts: &[Attempt]) -> u32 {
    u32::try_from(attempts.len()).unwrap_or(u32::MAX)
}

fn to_json(attempts: &[Attempt]) -> Vec<String> {
    attempts.iter().filter_map(|attempt| serde_json::to_string(attempt).ok()).collect()
}

fn verdict_of(error: &Error) -> Verdict {
    let after = error.retry_after();
    let last = error.attempts().last();
    if last.is_some_and(|attempt| attempt.next_step == NextStep::StoppedOnUnknown) {
        return Verdict::StopOnUnknown;
    }
    match error.kind() {
        ErrorKind::Throttled | ErrorKind::RateLimiter | ErrorKind::Credentials => {
            // A `Retry-After` of zero must not make the worker spin.
            Verdict::Blocked { delay: after.unwrap_or(BLOCKED).max(MIN_BLOCKED) }
        }
        ErrorKind::Configuration | ErrorKind::InvalidMessage => Verdict::Invalid,
        _ if error.is_retryable() => Verdict::Retry { at_least: after.unwrap_or_default() },
        _ if last.is_some_and(|attempt| attempt.delivery == Delivery::Unknown) => {
            Verdict::FinalUnknown
        }
        _ => Verdict::Final,
    }
}

fn failure_of(error: &Error) -> Failure {
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Connection | ErrorKind::Timeout => Failure::Service,
        ErrorKind::Credentials => Failure::Credentials,
        ErrorKind::Rejected => Failure::None,
        _ => Failure::Unrelated,
    }
}
