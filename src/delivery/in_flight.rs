//! The limit on messages in flight.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::receipt::whole_milliseconds;

/// The time added to the attempt timeout. A message in flight ends within both together if its send
/// is polled.
const SLACK: Duration = Duration::from_secs(1);

/// The limit on messages in flight, shared by all sends of a client.
///
/// Sends that are not polled must not block the others forever. If no permit changes hands for
/// longer than any attempt takes, such sends hold all permits. The others then get new ones.
#[derive(Clone)]
pub(crate) struct InFlight(Arc<Limit>);

struct Limit {
    size: u32,
    /// The maximum time until an attempt ends, in milliseconds.
    longest: AtomicU64,
    semaphore: Mutex<Arc<Semaphore>>,
    /// The number of times that a permit was given out or returned.
    changes: AtomicU64,
}

/// A permit for one message in flight.
pub(super) struct InFlightPermit {
    limit: Arc<Limit>,
    _permit: OwnedSemaphorePermit,
}

impl InFlight {
    /// Creates a limit for attempts that take at most `attempt_timeout`.
    pub(crate) fn new(size: u32, attempt_timeout: Duration) -> Self {
        let semaphore = Mutex::new(semaphore(size));
        let longest = AtomicU64::new(0);
        let changes = AtomicU64::new(0);
        let limit = Self(Arc::new(Limit { size, longest, semaphore, changes }));
        limit.expect(attempt_timeout);
        limit
    }

    /// Records that attempts may take as long as `attempt_timeout`.
    pub(super) fn expect(&self, attempt_timeout: Duration) {
        // A day is longer than any caller waits.
        let longest = attempt_timeout.saturating_add(SLACK).min(Duration::from_secs(24 * 60 * 60));
        self.0.longest.fetch_max(whole_milliseconds(longest), Ordering::Relaxed);
    }

    /// Returns the maximum number of messages in flight.
    pub(super) fn size(&self) -> u32 {
        self.0.size
    }

    /// Returns the number of messages in flight.
    pub(crate) fn count(&self) -> u32 {
        let free = self.0.semaphore().available_permits();
        self.0.size.saturating_sub(u32::try_from(free).unwrap_or(u32::MAX))
    }

    /// Returns a permit if one is free and no send waits for it.
    pub(super) fn free_permit(&self) -> Option<InFlightPermit> {
        let semaphore = self.0.semaphore().clone();
        Some(self.0.permit(semaphore.try_acquire_owned().ok()?))
    }

    /// Waits for a permit, but at most for `time`.
    pub(super) async fn permit_within(&self, time: Duration) -> Option<InFlightPermit> {
        timeout(time, self.permit()).await.ok()
    }

    /// Waits for a permit, after the sends that came earlier.
    pub(super) async fn permit(&self) -> InFlightPermit {
        let limit = &self.0;
        loop {
            let semaphore = limit.semaphore().clone();
            let mut acquiring = pin!(semaphore.clone().acquire_owned());
            loop {
                let changes = limit.changes.load(Ordering::Relaxed);
                if let Ok(Ok(permit)) = timeout(limit.longest(), acquiring.as_mut()).await {
                    return limit.permit(permit);
                }
                if limit.changes.load(Ordering::Relaxed) == changes {
                    limit.replace(&semaphore);
                    break;
                }
            }
        }
    }
}

impl Limit {
    fn longest(&self) -> Duration {
        Duration::from_millis(self.longest.load(Ordering::Relaxed))
    }

    fn semaphore(&self) -> MutexGuard<'_, Arc<Semaphore>> {
        self.semaphore.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn permit(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> InFlightPermit {
        self.changes.fetch_add(1, Ordering::Relaxed);
        InFlightPermit { limit: self.clone(), _permit: permit }
    }

    /// Replaces the permits of `stuck` with new ones, unless that has happened already.
    fn replace(&self, stuck: &Arc<Semaphore>) {
        let mut current = self.semaphore();
        if Arc::ptr_eq(&current, stuck) {
            tracing::debug!(
                "pushslots.max_in_flight" = self.size,
                "no message in flight ended in time, waiting sends get new permits"
            );
            *current = semaphore(self.size);
        }
    }
}

impl Drop for InFlightPermit {
    fn drop(&mut self) {
        self.limit.changes.fetch_add(1, Ordering::Relaxed);
    }
}

fn semaphore(size: u32) -> Arc<Semaphore> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS)))
}
