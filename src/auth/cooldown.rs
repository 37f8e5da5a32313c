//! The cooldown after a failure, in which no access token is requested.

use std::time::Duration;

use tokio::time::Instant;

use super::token_error::{TokenError, TokenUnavailable};
use crate::retry::{Backoff, LONGEST_RETRY_AFTER};

/// The length of the cooldown after rejected credentials or a rejected new token. It keeps a wrong
/// key from causing a request for every send.
pub(super) const COOLDOWN: Duration = Duration::from_secs(10);

/// The maximum length of a cooldown, even if the endpoint asks for more. No send waits longer.
const LONGEST: Duration = LONGEST_RETRY_AFTER;

/// A period after a failure in which no access token is requested.
pub(super) struct Cooldown {
    error: TokenError,
    began: Instant,
    length: Duration,
    /// The time after which the endpoint accepts requests again, according to its `Retry-After`. It
    /// may exceed `length`.
    requested: Duration,
}

impl Cooldown {
    /// Creates the cooldown after a failed request.
    pub(super) fn new(error: TokenError, began: Instant, delays: &mut Backoff) -> Self {
        let retry_after = error.retry_after().unwrap_or_default();
        let length = match error.is_temporary() {
            // Other clients got the same `Retry-After`, and must not all return at once.
            true => retry_after.saturating_add(delays.next_delay()).min(LONGEST),
            false => COOLDOWN,
        };
        Self { error, began, length, requested: length.max(retry_after) }
    }

    /// Limits the cooldown so that it ends at `latest_end` at the latest.
    pub(super) fn ending_by(mut self, latest_end: Option<Instant>) -> Self {
        if let Some(latest_end) = latest_end {
            self.length = self.length.min(latest_end.saturating_duration_since(self.began));
            self.requested = self.length;
        }
        self
    }

    /// Creates the cooldown after a new token was rejected. Meanwhile that token isn't used, and no
    /// other is requested.
    pub(super) fn after_rejection(began: Instant, length: Duration, is_final: bool) -> Self {
        Self { error: TokenError::TokenRejected { is_final }, began, length, requested: length }
    }

    pub(super) fn is_in_force(&self, now: Instant) -> bool {
        now - self.began < self.length
    }

    /// Returns the error for a send during the cooldown. It repeats the failure that began the
    /// cooldown.
    pub(super) fn remembered(&self, now: Instant) -> TokenUnavailable {
        TokenUnavailable { wait: self.wait(now), error: self.error.clone(), is_remembered: true }
    }

    /// Returns the time until a token may be available, or `None` if another request won't help.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        self.error.is_temporary().then(|| self.requested.saturating_sub(now - self.began))
    }
}
