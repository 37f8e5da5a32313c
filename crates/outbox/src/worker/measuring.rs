//! Records sends, and the state of the outbox, as metrics. Without the feature `metrics` it does
//! nothing.

use std::time::Duration;

use pushslots::{Attempt, PreparedMessage};

use super::sender::Sender;

/// The delay between two records of the state.
#[cfg(feature = "metrics")]
const INTERVAL: Duration = Duration::from_secs(15);

#[cfg(feature = "metrics")]
impl Sender {
    /// Records the end of a send.
    pub(super) fn measure_send(
        &self,
        message: &PreparedMessage,
        attempts: &[Attempt],
        time: Duration,
        is_accepted: bool,
    ) {
        unless_panic(|| {
            crate::metrics::send_ended(attempts, time);
            if is_accepted {
                crate::metrics::accepted(message.body(), self.shared.now());
            }
        });
    }

    /// Records the wait for a permit.
    pub(super) fn measure_permit(&self, time: Duration) {
        unless_panic(|| crate::metrics::permit_obtained(time));
    }

    /// Records the state of the outbox and the client, until the worker stops.
    pub(super) async fn measure(&self) {
        unless_panic(crate::metrics::describe);
        let mut is_stopped = false;
        loop {
            match self.shared.store.summary().await {
                Ok(summary) => {
                    let stats = crate::stats::Stats::new(summary, self.shared.now());
                    unless_panic(|| crate::metrics::state(&stats, self.client.metrics()));
                }
                Err(error) => {
                    tracing::error!(error = error.0, "failed to read the state of the outbox");
                }
            }
            if is_stopped {
                return;
            }
            // The state at the end is recorded too.
            is_stopped = self.unless_stopped(tokio::time::sleep(INTERVAL)).await.is_none();
        }
    }
}

/// Calls the application's recorder, whose panic must not cost a message its outcome.
#[cfg(feature = "metrics")]
fn unless_panic(record: impl FnOnce()) {
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(record));
}

#[cfg(not(feature = "metrics"))]
impl Sender {
    pub(super) fn measure_send(&self, _: &PreparedMessage, _: &[Attempt], _: Duration, _: bool) {}

    pub(super) fn measure_permit(&self, _: Duration) {}

    pub(super) async fn measure(&self) {}
}
