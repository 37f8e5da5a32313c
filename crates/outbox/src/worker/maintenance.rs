//! Supersedes entries of all free lanes, and removes entries whose time is over.

use std::time::Duration;

use super::sender::Sender;
use crate::time::Timestamp;

/// The delay between two rounds.
const INTERVAL: Duration = Duration::from_secs(60);

/// The number of rounds between two compactions.
const ROUNDS: u32 = 60;

/// The number of entries that one transaction removes, so that sends don't wait for long.
const BATCH: usize = 200;

impl Sender {
    /// Supersedes and removes entries, and returns unused space, until the worker stops.
    pub(crate) async fn maintain(&self) {
        let mut rounds = 0_u32;
        while self.unless_stopped(tokio::time::sleep(INTERVAL)).await.is_some() {
            let now = self.shared.now();
            let retention = self.shared.retention;
            let removing = async {
                self.supersede().await;
                self.remove(now, retention.settled, false).await;
                self.remove(now, retention.dead, true).await;
            };
            if self.unless_stopped(removing).await.is_none() {
                return;
            }
            rounds = rounds.wrapping_add(1);
            if rounds.is_multiple_of(ROUNDS) {
                self.compact_if_idle().await;
            }
        }
    }

    /// Supersedes older entries in all lanes, so that a held or failing lane doesn't grow.
    async fn supersede(&self) {
        let store = &self.shared.store;
        let mut after = None;
        loop {
            let superseded = match store.next_group(after).await {
                Ok(None) => return,
                Ok(Some(group)) => {
                    store.supersede_group(group.clone(), self.shared.now()).await.map(|_| group)
                }
                Err(error) => Err(error),
            };
            match superseded {
                Ok(group) => after = Some(group),
                Err(error) => {
                    tracing::error!(error = error.0, "failed to supersede entries");
                    return;
                }
            }
        }
    }

    /// Compacts the store if no entry waits or is being sent.
    async fn compact_if_idle(&self) {
        let store = &self.shared.store;
        let summary = store.summary().await;
        let is_idle = summary.is_ok_and(|summary| summary.oldest.is_none());
        if is_idle && let Err(error) = store.compact().await {
            tracing::error!(error = error.0, "failed to compact the outbox");
        }
    }

    async fn remove(&self, now: Timestamp, age: Duration, dead: bool) {
        loop {
            match self.shared.store.remove_final(now, age, dead, BATCH).await {
                Ok(BATCH) => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::error!(error = error.0, "failed to remove old entries");
                    return;
                }
            }
        }
    }
}
