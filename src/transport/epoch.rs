//! Points in time as numbers that threads can share without a lock.

use tokio::time::Instant;

/// The point in time from which others are counted.
pub(super) struct Epoch(Instant);

impl Epoch {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    /// Returns the number of microseconds from the epoch until `now`.
    pub(super) fn age(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.0).as_micros()).unwrap_or(u64::MAX)
    }
}
