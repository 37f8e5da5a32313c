//! Reports the changes of entries: to the log, to metrics, and to the tasks that wait for them.

use std::sync::Arc;

use crate::state::{DeadReason, EntryRecord, EntryState};
use crate::store::OnChange;
use crate::waiters::Waiters;

/// Returns the function that receives every changed entry from the store.
pub(crate) fn reporter(waiters: Arc<Waiters>) -> OnChange {
    Arc::new(move |entry| {
        log(entry);
        #[cfg(feature = "metrics")]
        crate::metrics::entry_changed(entry);
        if entry.state.is_final() {
            waiters.changed(entry.message_id);
        }
    })
}

/// Logs the new state of an entry. The worker logs the ends of its sends itself, with their errors.
fn log(entry: &EntryRecord) {
    let (id, lane) = (entry.message_id, &*entry.lane);
    match entry.state {
        EntryState::Dead(reason @ (DeadReason::Expired | DeadReason::Poison)) => tracing::error!(
            pushslots.message_id = %id,
            pushslots.lane = lane,
            ?reason,
            "entry is a dead letter"
        ),
        EntryState::Superseded { by } => tracing::info!(
            pushslots.message_id = %id,
            pushslots.lane = lane,
            %by,
            "entry superseded"
        ),
        EntryState::Cancelled => {
            tracing::info!(pushslots.message_id = %id, pushslots.lane = lane, "entry cancelled");
        }
        state => tracing::debug!(
            pushslots.message_id = %id,
            pushslots.lane = lane,
            ?state,
            lost_leases = entry.lost_leases,
            "entry changed"
        ),
    }
}
