//! The meaning of a send's result for its entry.

use std::time::Duration;

use pushslots::{Attempt, Delivery, Error, ErrorKind, NextStep, Receipt};

use crate::state::{Outcome, Verdict};

/// The delay after a failed permit or token without a time of its own.
const BLOCKED: Duration = Duration::from_secs(5);

/// The minimum delay after a rate limit or without a token.
const MIN_BLOCKED: Duration = Duration::from_secs(1);

/// The part of the service that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The service doesn't respond as it should, perhaps because of the message.
    Service,
    /// The service can't be reached, whatever the message is.
    Connection,
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
    /// The number of attempts whose requests may have left.
    pub(crate) requests: u32,
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
                requests: requests(receipt.attempts()),
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
                requests: requests(error.attempts()),
                receipt: None,
                error: Some(error.to_string()),
            },
        }
    }

    /// A message that can't be sent as it is stored.
    pub(crate) fn invalid(text: String) -> Self {
        Self::without_attempts(Delivery::NotSent, Verdict::Invalid, Some(text))
    }

    /// A send that was dropped after these attempts. If it made no request, it is as if the send had
    /// not begun.
    pub(crate) fn dropped(attempts: &[Attempt]) -> Self {
        if attempts.iter().any(made_request) {
            return Self::interrupted(attempts);
        }
        let mut result = Self::interrupted(attempts);
        result.outcome.verdict = Verdict::Blocked { delay: Duration::ZERO };
        result
    }

    /// A send that panicked after these attempts. Even without a request the entry is delayed,
    /// because the worker would spin otherwise.
    pub(crate) fn panicked(attempts: &[Attempt]) -> Self {
        tracing::error!("the code of a transport, token source, classifier or observer panicked");
        Self::interrupted(attempts)
    }

    fn interrupted(attempts: &[Attempt]) -> Self {
        let delivery = least_certain(attempts);
        let last = attempts.last();
        let at_least = last.and_then(|last| last.retry_after.or(last.delay)).unwrap_or_default();
        let verdict = match delivery {
            Delivery::Accepted => Verdict::Accepted,
            _ => Verdict::Retry { at_least, is_probe: false },
        };
        Self {
            outcome: Outcome { delivery, verdict, attempts: count(attempts) },
            failure: Failure::Unrelated,
            attempts: to_json(attempts),
            requests: requests(attempts),
            receipt: None,
            error: None,
        }
    }

    /// The same result for an entry that served as the probe of a service that is down.
    pub(crate) fn of_probe(mut self) -> Self {
        let is_down = matches!(self.failure, Failure::Service | Failure::Connection);
        if let Verdict::Retry { is_probe, .. } = &mut self.outcome.verdict {
            *is_probe = is_down;
        }
        self
    }

    /// A send that can't begin now.
    pub(crate) fn blocked(delay: Duration) -> Self {
        Self::without_attempts(Delivery::NotSent, Verdict::Blocked { delay }, None)
    }

    fn without_attempts(delivery: Delivery, verdict: Verdict, error: Option<String>) -> Self {
        Self {
            outcome: Outcome { delivery, verdict, attempts: 0 },
            failure: Failure::Unrelated,
            attempts: Vec::new(),
            requests: 0,
            receipt: None,
            error,
        }
    }
}

fn count(attempts: &[Attempt]) -> u32 {
    u32::try_from(attempts.len()).unwrap_or(u32::MAX)
}

/// Returns whether the attempt made a request with the message.
fn made_request(attempt: &Attempt) -> bool {
    attempt.token_age.is_some()
}

/// Returns the number of requests that may have left. Those without a connection count too, because
/// the attempt doesn't distinguish them from requests that the service didn't process.
fn requests(attempts: &[Attempt]) -> u32 {
    let requests = attempts.iter().filter(|attempt| made_request(attempt));
    u32::try_from(requests.count()).unwrap_or(u32::MAX)
}

/// Returns the delivery of an interrupted send. A known acceptance stays, and so does doubt.
fn least_certain(attempts: &[Attempt]) -> Delivery {
    let is_any = |delivery| attempts.iter().any(|attempt| attempt.delivery == delivery);
    let is_clear =
        |attempt: &Attempt| matches!(attempt.delivery, Delivery::NotSent | Delivery::Rejected);
    match () {
        () if is_any(Delivery::Accepted) => Delivery::Accepted,
        () if !attempts.iter().all(is_clear) => Delivery::Unknown,
        () if is_any(Delivery::Rejected) => Delivery::Rejected,
        () => Delivery::NotSent,
    }
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
        _ if error.is_retryable() => {
            Verdict::Retry { at_least: after.unwrap_or_default(), is_probe: false }
        }
        _ if last.is_some_and(|attempt| attempt.delivery == Delivery::Unknown) => {
            Verdict::FinalUnknown
        }
        _ => Verdict::Final,
    }
}

fn failure_of(error: &Error) -> Failure {
    match error.kind() {
        ErrorKind::Connection if error.delivery() == Delivery::NotSent => Failure::Connection,
        ErrorKind::Unavailable | ErrorKind::Connection | ErrorKind::Timeout => Failure::Service,
        ErrorKind::Credentials => Failure::Credentials,
        ErrorKind::Rejected => Failure::None,
        _ => Failure::Unrelated,
    }
}
