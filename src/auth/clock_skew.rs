//! The difference between this machine's clock and that of a token endpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

use super::token_response::SKEW_ALLOWED;

/// The time by which this machine's clock is ahead of the token endpoint's, as far as assertions
/// need it: 0 until the endpoint rejects one. Clones share it.
#[derive(Clone, Default)]
pub(super) struct ClockSkew(Arc<AtomicI64>);

impl ClockSkew {
    pub(super) fn get(&self) -> TimeDelta {
        TimeDelta::try_seconds(self.0.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// Notes that the endpoint accepted an assertion that was corrected by `skew`.
    pub(super) fn set(&self, skew: TimeDelta) {
        self.0.store(skew.num_seconds(), Ordering::Relaxed);
    }
}

/// The time by the endpoint's clock.
pub(super) fn corrected(now: DateTime<Utc>, skew: TimeDelta) -> DateTime<Utc> {
    now.checked_sub_signed(skew).unwrap_or(now)
}

/// Whether the skew that a rejection shows differs from the assumed one by more than an endpoint
/// allows.
pub(super) fn is_off(measured: TimeDelta, assumed: TimeDelta) -> bool {
    (measured - assumed).abs() > SKEW_ALLOWED
}
