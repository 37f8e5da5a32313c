//! Reports the changes of entries: to the log, to metrics, and to the tasks that wait for them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tracing::field::display;

use crate::state::EntryState;
use crate::store::{Change, OnChange};
use crate::waiters::Waiters;

/// Returns the function that receives every change from the store.
pub(crate) fn reporter(waiters: Arc<Waiters>) -> OnChange {
    Arc::new(move |change| {
        if change.entry.state.is_final() {
            waiters.changed(change.entry.message_id);
        }
        // A panic in the application's subscriber or recorder must not end the store's thread.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            log(change);
            #[cfg(feature = "metrics")]
            crate::metrics::entry_changed(&change.entry);
        }));
    })
}

/// Logs a change.
fn log(change: &Change) {
    let Change { before, entry, holds_lane } = change;
    let span = tracing::error_span!(
        "entry",
        pushslots.message_id = %entry.message_id,
        pushslots.lane = entry.lane,
    );
    let _entered = span.enter();
    let delivery = entry.delivery.map(display);
    match (before, entry.state) {
        (_, EntryState::Accepted) => {
            tracing::info!(attempts = entry.attempts, "entry accepted");
        }
        (_, EntryState::Dead(reason)) => {
            tracing::error!(?reason, delivery, "entry is a dead letter");
        }
        (_, EntryState::Superseded { by }) => tracing::info!(%by, "entry superseded"),
        (_, EntryState::Cancelled) => tracing::info!("entry cancelled"),
        (EntryState::Sending { .. }, EntryState::Waiting) => tracing::warn!(
            due = %entry.due.to_date(),
            failures = entry.failures,
            lost_leases = entry.lost_leases,
            delivery,
            "entry waits for the next send"
        ),
        (_, EntryState::Waiting) => tracing::info!("dead letter replayed"),
        (_, EntryState::Sending { .. }) => tracing::debug!("send begun"),
    }
    if *holds_lane {
        tracing::warn!("the lane is held until it is released");
    }
}
