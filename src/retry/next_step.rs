//! The step after an attempt.

use serde::{Deserialize, Serialize};

use crate::display::display_as_str;

/// The step after an attempt: a retry and the reason for its delay, or the reason why the send
/// ends.
///
/// Serializes as [`as_str`](Self::as_str) returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NextStep {
    /// A retry after a delay drawn from the backoff.
    Backoff,
    /// A retry after the time that the service's `Retry-After` asks for, and some jitter.
    RetryAfter,
    /// A retry after a token cooldown: the time in which no access token is requested, or in which
    /// a new one may become valid.
    TokenCooldown,
    /// An immediate retry with a new access token.
    NewToken,
    /// The end: the service has the message.
    Done,
    /// The end: a retry would fail the same way, or the service has the message and [reported
    /// errors](crate::Classification::Partial) with it.
    NotRetryable,
    /// The end: the [maximum number of attempts](crate::ClientBuilder::max_attempts) was made.
    AttemptsExhausted,
    /// The end: the [deadline](crate::ClientBuilder::deadline) leaves no time for a retry.
    Deadline,
    /// The end: the service asks for a longer delay than 120 s, the maximum that a send waits.
    RetryAfterTooLong,
    /// The end: the client's [retry budget](crate::ClientBuilder::retry_budget) is empty.
    RetryBudgetExhausted,
    /// The end: the service may have the message, and the client is [configured to
    /// stop](crate::ClientBuilder::on_unknown) in that case.
    StoppedOnUnknown,
    /// The end: the client's [rate limiter](crate::PermitSource) failed.
    RateLimiterFailed,
    /// The end: the send was dropped while the attempt was in flight.
    Dropped,
    /// A step that this version doesn't know, read from JSON that a later version wrote.
    #[serde(other)]
    Other,
}

impl NextStep {
    /// Returns the step as a word for programs, such as `retry_budget_exhausted`.
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

display_as_str!(NextStep);
