//! What follows an attempt.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What followed an attempt, and why: the reason for the delay before the next one, or why there is
/// none.
///
/// Serialized in snake case, such as `retry_budget_exhausted`, which is also its `Display`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NextStep {
    /// Another attempt, after a delay drawn from the backoff.
    Backoff,
    /// Another attempt, after the time that the service's `Retry-After` asks for and some jitter.
    RetryAfter,
    /// Another attempt, after the time in which no access token is requested, or in which a new one
    /// may become valid.
    TokenCooldown,
    /// Another attempt at once, with a new access token.
    NewToken,
    /// None: the service has the message.
    Done,
    /// None: it would end the same way, or the service has the message and [reported
    /// errors](crate::Classification::Partial) with it.
    NotRetryable,
    /// None: there were [as many as may be](crate::ClientBuilder::max_attempts).
    AttemptsExhausted,
    /// None: the [deadline](crate::ClientBuilder::deadline) leaves no time for it.
    Deadline,
    /// None: the service asks for a longer wait than the 120 s that a send waits for.
    RetryAfterTooLong,
    /// None: the [retry budget](crate::ClientBuilder::retry_budget) of the client is empty.
    RetryBudgetExhausted,
    /// None: the service may have the message, and [that is
    /// enough](crate::ClientBuilder::on_unknown) to stop.
    StoppedOnUnknown,
    /// None: the [rate limiter](crate::PermitSource) of the client failed.
    RateLimiterFailed,
    /// None: the send was dropped while the attempt was under way.
    Dropped,
    /// A step that this version does not know, in JSON that a later version wrote.
    #[serde(other)]
    Other,
}

impl fmt::Display for NextStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
