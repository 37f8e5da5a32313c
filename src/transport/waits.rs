//! How often and how long requests waited for a rate limit.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A shorter wait isn't one.
const SHORTEST: Duration = Duration::from_millis(1);

/// Waits for a rate limit: their number and their length altogether.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waits {
    pub(crate) count: u64,
    pub(crate) time: Duration,
}

/// Counts the waits for a rate limit.
#[derive(Default)]
pub(super) struct WaitCounter(Mutex<Waits>);

impl WaitCounter {
    pub(super) fn add(&self, wait: Duration) {
        if wait < SHORTEST {
            return;
        }
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waits.count = waits.count.saturating_add(1);
        waits.time = waits.time.saturating_add(wait);
    }

    pub(super) fn get(&self) -> Waits {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
