//! Tasks that wait for a change of an entry.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

/// The tasks that wait for a change, by entry.
#[derive(Default)]
pub(crate) struct Waiters(Mutex<HashMap<Uuid, watch::Sender<()>>>);

impl Waiters {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a future that ends at the next change of the entry after this call.
    pub(crate) fn change_of(&self, message_id: Uuid) -> impl Future<Output = ()> + use<> {
        let mut receiver = self.lock().entry(message_id).or_default().subscribe();
        async move {
            // The sender is dropped after the change.
            let _ = receiver.changed().await;
        }
    }

    /// Wakes the tasks that wait for the entry, and forgets tasks that no longer wait.
    pub(crate) fn changed(&self, message_id: Uuid) {
        let mut waiting = self.lock();
        waiting.remove(&message_id);
        if waiting.len() > 1_000 {
            waiting.retain(|_, sender| sender.receiver_count() > 0);
        }
    }
}
