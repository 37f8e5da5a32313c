//! The limit on messages in flight.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

/// The time beyond that of an attempt in which a message in flight ends if its send is polled.
const SLACK: Duration = Duration::from_secs(1);

/// The limit on messages in flight, shared by all sends of a client.
///
/// Sends that nobody polls must not keep the others waiting for ever. If no permit changes hands for longer than any attempt takes,
/// such sends hold them all, and the others get new permits.
pub(crate) struct InFlight(Arc<Limit>);

struct Limit {
    size: u32,
    /// The longest time in which an attempt ends.
    longest: Duration,
    permits: Mutex<Permits>,
}

struct Permits {
    semaphore: Arc<Semaphore>,
    /// When a permit was taken or given back last.
    changed: Instant,
}

/// The permit for one message in flight.
pub(super) struct Permit {
    limit: Arc<Limit>,
    _permit: OwnedSemaphorePermit,
}

impl InFlight {
    /// A limit for attempts that take at most `attempt_timeout`.
    pub(crate) fn new(size: u32, attempt_timeout: Duration) -> Self {
        let permits = Permits { semaphore: semaphore(size), changed: Instant::now() };
        let longest = attempt_timeout.saturating_add(SLACK);
        Self(Arc::new(Limit { size, longest, permits: Mutex::new(permits) }))
    }

    /// How many messages may be in flight.
    pub(super) fn size(&self) -> u32 {
        self.0.size
    }

    /// A permit, if one is free and no send waits for it.
    pub(super) fn free_permit(&self) -> Option<Permit> {
        let mut permits = self.0.permits();
        let permit = permits.semaphore.clone().try_acquire_owned().ok()?;
        permits.changed = Instant::now();
        Some(Permit { limit: self.0.clone(), _permit: permit })
    }

    /// Waits for a permit, but at most for `time`.
    pub(super) async fn permit_within(&self, time: Duration) -> Option<Permit> {
        timeout(time, self.permit()).await.ok()
    }

    /// Waits for a permit, after the sends that came before.
    pub(super) async fn permit(&self) -> Permit {
        let limit = &self.0;
        let mut semaphore = limit.permits().semaphore.clone();
        loop {
            let mut acquiring = std::pin::pin!(semaphore.clone().acquire_owned());
            while let Some(stuck_at) = limit.stuck_at(&semaphore) {
                if let Ok(Ok(permit)) = timeout_at(stuck_at, acquiring.as_mut()).await {
                    limit.permits().changed = Instant::now();
                    return Permit { limit: limit.clone(), _permit: permit };
                }
            }
            semaphore = limit.permits().semaphore.clone();
        }
    }
}

impl Limit {
    fn permits(&self) -> MutexGuard<'_, Permits> {
        self.permits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the permits of `semaphore` are stuck unless one changes hands before; `None` if there are new ones.
    fn stuck_at(&self, semaphore: &Arc<Semaphore>) -> Option<Instant> {
        let now = Instant::now();
        let mut permits = self.permits();
        if !Arc::ptr_eq(&permits.semaphore, semaphore) {
            return None;
        }
        // A day is longer than anybody waits.
        let longest = self.longest.min(Duration::from_secs(24 * 60 * 60));
        let stuck_at = permits.changed + longest;
        if stuck_at > now {
            return Some(stuck_at);
        }
        tracing::debug!(max_in_flight = self.size, "no message in flight ended, so others go ahead");
        *permits = Permits { semaphore: self::semaphore(self.size), changed: now };
        None
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limit.permits().changed = Instant::now();
    }
}

fn semaphore(size: u32) -> Arc<Semaphore> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS)))
}
