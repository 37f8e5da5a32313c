//! The selection of entries.

use crate::state::{DeadReason, EntryRecord, EntryState};
use crate::time::Timestamp;

/// A selection of entries. It matches those that meet all conditions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) lane: Option<String>,
    pub(crate) batch: Option<String>,
    pub(crate) kind: Option<Kind>,
    pub(crate) changed_before: Option<Timestamp>,
}

/// A kind of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Waiting,
    Sending,
    Accepted,
    Superseded,
    Cancelled,
    Dead,
    DeadBecause(DeadReason),
}

impl Filter {
    pub(crate) fn matches(&self, entry: &EntryRecord) -> bool {
        let is_of_kind = |kind: Kind| match (kind, entry.state) {
            (Kind::Waiting, EntryState::Waiting)
            | (Kind::Sending, EntryState::Sending { .. })
            | (Kind::Accepted, EntryState::Accepted)
            | (Kind::Superseded, EntryState::Superseded { .. })
            | (Kind::Cancelled, EntryState::Cancelled)
            | (Kind::Dead, EntryState::Dead(_)) => true,
            (Kind::DeadBecause(wanted), EntryState::Dead(reason)) => wanted == reason,
            _ => false,
        };
        let batch = entry.batch.as_ref().map(|batch| &batch.id);
        self.lane.as_ref().is_none_or(|lane| *lane == entry.lane)
            && self.batch.as_ref().is_none_or(|id| Some(id) == batch)
            && self.kind.is_none_or(is_of_kind)
            && self.changed_before.is_none_or(|before| entry.changed < before)
    }
}
