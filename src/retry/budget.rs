//! A cap on the load that retries add.

use std::sync::atomic::{AtomicU32, Ordering};

/// The default size: 35 failed retries, or 100 after a 429. Single failures need fewer, and an
/// outage soon uses them up.
pub(crate) const DEFAULT_BUDGET: u32 = 500;

/// The cap on the load of retries, shared by all sends of a client. Each retry takes from this
/// bucket. A retry that succeeds gives back its cost, and a message accepted on the first attempt
/// adds 1. In an outage the bucket is soon empty, and sends end with the outcome of their first
/// attempt.
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
    /// A full bucket.
    pub(crate) fn new(size: u32) -> Self {
        Self { left: AtomicU32::new(size), size }
    }

    /// How much is left.
    pub(crate) fn left(&self) -> u32 {
        self.left.load(Ordering::Relaxed)
    }

    /// Takes the cost of a retry. If not enough is left, it takes nothing and returns `false`.
    pub(crate) fn spend(&self, cost: Cost) -> bool {
        let cost = cost.amount();
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(cost))
            .is_ok()
    }

    /// Gives back the cost of a retry that was accepted. Without a retry, the message adds 1.
    pub(crate) fn earn(&self, last_retry: Option<Cost>) {
        let amount = last_retry.map_or(1, Cost::amount);
        let more = |left: u32| {
            Some(left.saturating_add(amount).min(self.size)).filter(|more| *more != left)
        };
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }
}
