//! A cap on the load that retries add.

use std::sync::atomic::{AtomicU32, Ordering};

/// How full the bucket is at first, unless it is sized otherwise.
pub(crate) const USUAL_BUDGET: u32 = 500;

/// What retries may cost the service, shared by all sends of a client: a bucket that each retry takes from, and that
/// messages accepted on the first attempt fill again. In an outage it is empty soon, and sends end with what their first
/// attempt came to.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    left: AtomicU32,
    size: u32,
}

/// What a retry takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cost {
    /// The service is fine: it was the token that failed.
    Free,
    /// The service answers quickly that it has enough.
    Throttled,
    /// It may be in trouble.
    Usual,
}

impl RetryBudget {
    /// A full bucket.
    pub(crate) fn new(size: u32) -> Self {
        Self { left: AtomicU32::new(size), size }
    }

    /// Takes what a retry costs; where not enough is left, takes nothing and says no.
    pub(crate) fn spend(&self, cost: Cost) -> bool {
        let cost = match cost {
            Cost::Free => return true,
            Cost::Throttled => 5,
            Cost::Usual => 14,
        };
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(cost)).is_ok()
    }

    /// Puts 1 back, for a message that was accepted on the first attempt.
    pub(crate) fn earn(&self) {
        let more = |left: u32| (left < self.size).then(|| left + 1);
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }
}
