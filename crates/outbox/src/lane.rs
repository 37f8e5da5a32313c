//! The decision about the first entry of a lane. It has no clock and no I/O.

use std::collections::HashMap;

use uuid::Uuid;

use crate::state::{EntryRecord, EntryState};
use crate::time::Timestamp;

/// The next step with the first entry of a lane.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum HeadStep {
    /// It can be sent.
    Lease,
    /// It can be sent at its due time.
    Wait,
    Expire,
    Supersede(Supersession),
}

/// Newer entries that replace older ones with the same key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Supersession {
    pub(crate) superseded: Vec<Uuid>,
    /// The first of the newer entries.
    pub(crate) by: Uuid,
    /// The newer entries, which take `position`.
    pub(crate) moved: Vec<Uuid>,
    pub(crate) position: u64,
    /// The earliest time of the first newer entry's send.
    pub(crate) due: Timestamp,
}

/// Decides about the first entry of a lane. `keyed` has the lane's waiting entries with its key, in
/// the order of their numbers.
pub(crate) fn head_step(head: &EntryRecord, keyed: &[EntryRecord], now: Timestamp) -> HeadStep {
    if let Some(supersession) = supersession(head, keyed) {
        return HeadStep::Supersede(supersession);
    }
    match head.expires {
        Some(expires) if expires <= now => HeadStep::Expire,
        _ if head.due > now => HeadStep::Wait,
        _ => HeadStep::Lease,
    }
}

/// Returns the supersession of the first of the waiting entries with one key, if there is one.
/// `keyed` has them in the order of their numbers.
pub(crate) fn group_supersession(keyed: &[EntryRecord]) -> Option<Supersession> {
    let first = keyed.iter().min_by_key(|entry| (entry.position, entry.number))?;
    supersession(first, keyed)
}

/// Returns the supersession of older units by the newest one, if there are any. A replayed entry
/// can be behind a newer one.
///
/// A unit is the entries of a batch, or one entry without a batch. Nothing is superseded between
/// entries of one batch. A batch is superseded only as a whole: as soon as one of its messages was
/// attempted, all of them are sent.
fn supersession(head: &EntryRecord, keyed: &[EntryRecord]) -> Option<Supersession> {
    head.key.as_ref()?;
    let (oldest, newest) = (keyed.first()?, keyed.last()?);
    if is_same_unit(oldest, newest) {
        return None;
    }
    let untouched = untouched_by_batch(keyed);
    if !is_same_unit(head, newest) && !is_untouched(head, &untouched) {
        return None;
    }
    let unit = keyed.iter().filter(|entry| is_same_unit(entry, newest));
    let moved: Vec<_> = unit.map(|entry| (entry.message_id, entry.due)).collect();
    let (by, due) = *moved.first()?;
    let superseded: Vec<_> = keyed
        .iter()
        .filter(|entry| entry.number < newest.number && !is_same_unit(entry, newest))
        .filter(|entry| is_untouched(entry, &untouched))
        .map(|entry| entry.message_id)
        .collect();
    if superseded.is_empty() {
        return None;
    }
    Some(Supersession {
        superseded,
        by,
        moved: moved.into_iter().map(|(id, _)| id).collect(),
        position: head.position,
        due: due.max(head.due),
    })
}

/// Returns whether both are the same entry, or of the same batch.
pub(crate) fn is_same_unit(one: &EntryRecord, other: &EntryRecord) -> bool {
    match (&one.batch, &other.batch) {
        (Some(one), Some(other)) => one.id == other.id,
        _ => one.message_id == other.message_id,
    }
}

/// Returns the number of waiting entries that were never attempted, by batch.
fn untouched_by_batch(keyed: &[EntryRecord]) -> HashMap<&str, usize> {
    let mut untouched = HashMap::new();
    for entry in keyed.iter().filter(|entry| entry.attempts == 0) {
        if let Some(batch) = &entry.batch {
            *untouched.entry(batch.id.as_str()).or_default() += 1;
        }
    }
    untouched
}

/// Returns whether all entries of the unit wait, and no message of a batch was attempted.
fn is_untouched(entry: &EntryRecord, untouched: &HashMap<&str, usize>) -> bool {
    match &entry.batch {
        Some(batch) => untouched.get(batch.id.as_str()) == Some(&batch.entries),
        None => entry.state == EntryState::Waiting,
    }
}
