//! Tasks that wait for a change of an entry.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

/// The tasks that wait for a change, by entry.
#[derive(Default)]
pub(crate) struct Waiters(Mutex<HashMap<Uuid, watch::Sender<()>>>);

/// A task that waits for the next change of an entry.
pub(crate) struct ChangeWaiter<'a> {
    waiters: &'a Waiters,
    message_id: Uuid,
    /// `None` only while it is dropped.
    receiver: Option<watch::Receiver<()>>,
}

impl Waiters {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait for a change of the entry after this call.
    pub(crate) fn wait(&self, message_id: Uuid) -> ChangeWaiter<'_> {
        let receiver = self.lock().entry(message_id).or_default().subscribe();
        ChangeWaiter { waiters: self, message_id, receiver: Some(receiver) }
    }

    /// Wakes the tasks that wait for the entry.
    pub(crate) fn changed(&self, message_id: Uuid) {
        self.lock().remove(&message_id);
    }
}

impl ChangeWaiter<'_> {
    /// Waits for the change.
    pub(crate) async fn changed(mut self) {
        if let Some(receiver) = &mut self.receiver {
            // The sender is dropped after the change.
            let _ = receiver.changed().await;
        }
    }
}

impl Drop for ChangeWaiter<'_> {
    fn drop(&mut self) {
        let mut waiting = self.waiters.lock();
        self.receiver = None;
        if waiting.get(&self.message_id).is_some_and(|sender| sender.receiver_count() == 0) {
            waiting.remove(&self.message_id);
        }
    }
}
