//! Records the state of the outbox as metrics.

use std::time::Duration;

use super::sender::Sender;
use crate::metrics;
use crate::stats::Stats;

/// The delay between two records.
const INTERVAL: Duration = Duration::from_secs(15);

impl Sender {
    /// Records the state of the outbox and the client, until the worker stops.
    pub(crate) async fn measure(&self) {
        metrics::describe();
        loop {
            match self.shared.store.summary().await {
                Ok(summary) => {
                    let stats = Stats::new(summary, self.shared.now());
                    metrics::state(&stats, self.client.metrics());
                }
                Err(error) => {
                    tracing::error!(error = error.0, "failed to read the state of the outbox");
                }
            }
            if self.unless_stopped(tokio::time::sleep(INTERVAL)).await.is_none() {
                return;
            }
        }
    }
}
