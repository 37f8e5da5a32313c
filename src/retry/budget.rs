//! A limit on the load that retries add.

use std::sync::atomic::{AtomicU32, Ordering};

/// The default size: enough for 35 failed retries, or 100 after a 429. Single failures need fewer.
/// An outage soon exhausts it.
pub(crate) const DEFAULT_BUDGET: u32 = 500;

/// The retry budget, shared by all sends of a client. Each retry takes its cost from this bucket. A
/// retry that succeeds returns its cost, and a message accepted on the first attempt adds 1. In an
/// outage the bucket is soon empty. Sends then end with the outcome of their first attempt.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    left: AtomicU32,
    size: u32,
}

/// The cost of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cost {
    /// 0, because the service is fine: the token failed, or an idle connection was closed.
    Free,
    /// 5, because rejecting a request with 429 costs the service little.
    Throttled,
    /// 14, because the service may be in trouble.
    Usual,
}

impl Cost {
    fn amount(self) -> u32 {
        match self {
            Self::Free => 0,
            Self::Throttled => 5,
            Self::Usual => 14,
        }
    }
}

impl RetryBudget {
    /// Creates a full bucket.
    pub(crate) fn new(size: u32) -> Self {
        Self { left: AtomicU32::new(size), size }
    }

    /// Returns the remaining budget.
    pub(crate) fn left(&self) -> u32 {
        self.left.load(Ordering::Relaxed)
    }

    /// Takes the cost of a retry. If not enough is left, takes nothing and returns `false`.
    pub(crate) fn spend(&self, cost: Cost) -> bool {
        let cost = cost.amount();
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(cost))
            .is_ok()
    }

    /// Returns the cost of an accepted retry to the bucket. A message that needed no retry adds 1.
    pub(crate) fn earn(&self, last_retry: Option<Cost>) {
        let amount = last_retry.map_or(1, Cost::amount);
        let more = |left: u32| {
            Some(left.saturating_add(amount).min(self.size)).filter(|more| *more != left)
        };
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }
}
