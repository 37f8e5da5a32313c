//! What follows an attempt.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The step after an attempt: another one and the reason for its delay, or the reason for the end.
///
/// Serializes as [`as_str`](Self::as_str) returns it.
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

impl NextStep {
    /// The step as a word for programs, such as `retry_budget_exhausted`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backoff => "backoff",
            Self::RetryAfter => "retry_after",
            Self::TokenCooldown => "token_cooldown",
            Self::NewToken => "new_token",
            Self::Done => "done",
            Self::NotRetryable => "not_retryable",
            Self::AttemptsExhausted => "attempts_exhausted",
            Self::Deadline => "deadline",
            Self::RetryAfterTooLong => "retry_after_too_long",
            Self::RetryBudgetExhausted => "retry_budget_exhausted",
            Self::StoppedOnUnknown => "stopped_on_unknown",
            Self::RateLimiterFailed => "rate_limiter_failed",
            Self::Dropped => "dropped",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for NextStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
