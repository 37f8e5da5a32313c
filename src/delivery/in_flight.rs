//! The limit on messages in flight.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The limit on messages in flight, shared by all sends of a client.
pub(crate) struct InFlight {
    permits: Arc<Semaphore>,
    pub(super) limit: u32,
}

impl InFlight {
    pub(crate) fn new(limit: u32) -> Self {
        let permits = usize::try_from(limit).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { permits: Arc::new(Semaphore::new(permits)), limit }
    }

    /// A permit for one message, if one is free.
    pub(super) fn free_permit(&self) -> Option<OwnedSemaphorePermit> {
        self.permits.clone().try_acquire_owned().ok()
    }

    /// Waits for a permit, but at most for `time`.
    pub(super) async fn permit_within(&self, time: Duration) -> Option<OwnedSemaphorePermit> {
        timeout(time, self.permit()).await.ok()?
    }

    /// Waits for a permit. There is always one in the end, because the semaphore is never closed.
    pub(super) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        self.permits.clone().acquire_owned().await.ok()
    }
}
