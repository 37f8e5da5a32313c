//! The difference between this machine's clock and the token endpoint's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

use super::token_response::SKEW_ALLOWED;

/// The time by which this machine's clock is ahead of the token endpoint's. It stays 0 until the
/// endpoint rejects an assertion because of it. Clones share the value.
#[derive(Clone, Default)]
pub(super) struct ClockSkew(Arc<AtomicI64>);

impl ClockSkew {
    pub(super) fn get(&self) -> TimeDelta {
        TimeDelta::try_seconds(self.0.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// Records that the endpoint accepted an assertion with times corrected by `skew`.
    pub(super) fn set(&self, skew: TimeDelta) {
        self.0.store(skew.num_seconds(), Ordering::Relaxed);
    }
}

/// Returns the time by the endpoint's clock.
pub(super) fn corrected(now: DateTime<Utc>, skew: TimeDelta) -> DateTime<Utc> {
    now.checked_sub_signed(skew).unwrap_or(now)
}

/// Returns whether the skew that a rejection shows differs from the assumed one by more than the
/// endpoint tolerates.
pub(super) fn is_off(measured: TimeDelta, assumed: TimeDelta) -> bool {
    (measured - assumed).abs() > SKEW_ALLOWED
}
