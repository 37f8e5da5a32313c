//! The number and duration of waits for a rate limit.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The shortest wait that is counted.
const SHORTEST: Duration = Duration::from_millis(1);

/// The waits for a rate limit: their number and total duration.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waits {
    pub(crate) count: u64,
    pub(crate) time: Duration,
}

/// A counter of the waits for a rate limit.
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
