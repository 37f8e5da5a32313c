//! The contents of a store in memory, and how events change them.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::lane::{HeadStep, Supersession, head_step};
use crate::state::{EntryRecord, EntryState, Event};
use crate::store::{Change, Lease, REQUESTS_KEPT, REQUESTS_OF_LOST_SEND, lost_attempt, second_of};
use crate::time::Timestamp;

/// Everything that the store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Contents {
    pub(crate) entries: BTreeMap<Uuid, EntryRecord>,
    pub(crate) bodies: BTreeMap<Uuid, Vec<u8>>,
    pub(crate) attempts: BTreeMap<Uuid, Vec<String>>,
    pub(super) receipts: BTreeMap<Uuid, String>,
    /// The number and the end of each lane's lease.
    pub(crate) leases: BTreeMap<String, (u64, Timestamp)>,
    pub(super) held: BTreeSet<String>,
    /// The numbers of requests that may have left, by second.
    pub(crate) requests: BTreeMap<i64, u32>,
    /// The changes that the caller's function hasn't received yet.
    pub(super) changes: Vec<Change>,
    pub(super) last_number: u64,
    pub(crate) last_lease: u64,
}

impl Contents {
    /// Returns the waiting and sending entries of a lane in order.
    pub(super) fn queue(&self, lane: &str) -> Vec<EntryRecord> {
        let mut queue: Vec<_> = self
            .entries
            .values()
            .filter(|entry| entry.lane == lane && !entry.state.is_final())
            .cloned()
            .collect();
        queue.sort_by_key(|entry| (entry.position, entry.number));
        queue
    }

    pub(super) fn lanes(&self) -> BTreeSet<String> {
        let open = self.entries.values().filter(|entry| !entry.state.is_final());
        open.map(|entry| entry.lane.clone()).collect()
    }

    /// Applies an event, and returns whether the entry changed.
    pub(super) fn apply(&mut self, id: Uuid, event: Event, now: Timestamp, random: f64) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        let before = entry.state;
        let Ok(effects) = entry.apply(event, now, random) else { return false };
        if before != entry.state {
            let holds_lane = effects.holds_lane;
            self.changes.push(Change { before, entry: entry.clone(), holds_lane });
        }
        if effects.holds_lane {
            self.held.insert(entry.lane.clone());
        }
        if effects.erases_body {
            self.bodies.remove(&id);
        }
        true
    }

    /// Ends a lease. An entry that was being sent under it waits again.
    pub(super) fn lose(&mut self, lane: &str, lease: u64, now: Timestamp) -> usize {
        self.leases.remove(lane);
        let lost: Vec<_> = self
            .queue(lane)
            .into_iter()
            .filter(|entry| entry.state == EntryState::Sending { lease })
            .map(|entry| entry.message_id)
            .collect();
        for id in &lost {
            self.count_requests(REQUESTS_OF_LOST_SEND, now);
            self.apply(*id, Event::LeaseLost { lease }, now, 0.0);
            self.attempts.entry(*id).or_default().push(lost_attempt(now));
        }
        lost.len()
    }

    pub(super) fn count_requests(&mut self, requests: u32, now: Timestamp) {
        if requests == 0 {
            return;
        }
        let second = second_of(now);
        self.requests.retain(|other, _| other.abs_diff(second) <= REQUESTS_KEPT.unsigned_abs());
        let count = self.requests.entry(second).or_default();
        *count = count.saturating_add(requests);
    }

    /// Returns the waiting entries with the same lane and key in the order of their numbers.
    pub(super) fn keyed(&self, lane: &str, key: Option<&String>) -> Vec<EntryRecord> {
        let mut keyed: Vec<_> = self
            .queue(lane)
            .into_iter()
            .filter(|entry| entry.state == EntryState::Waiting && entry.key.as_ref() == key)
            .collect();
        keyed.sort_by_key(|entry| entry.number);
        keyed
    }

    pub(super) fn supersede(&mut self, supersession: &Supersession, now: Timestamp) -> usize {
        let by = supersession.by;
        let mut superseded = 0;
        for id in &supersession.superseded {
            superseded += usize::from(self.apply(*id, Event::Superseded { by }, now, 0.0));
        }
        for id in &supersession.moved {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.position = supersession.position;
                if *id == by {
                    entry.due = supersession.due;
                }
            }
        }
        superseded
    }

    /// Takes one step with the first entry of a lane. Returns the entry if it can be sent.
    pub(super) fn step(&mut self, head: EntryRecord, now: Timestamp) -> Option<EntryRecord> {
        let keyed = self.keyed(&head.lane, head.key.as_ref());
        match head_step(&head, &keyed, now) {
            HeadStep::Lease => return Some(head),
            HeadStep::Wait => {}
            HeadStep::Expire => {
                self.apply(head.message_id, Event::Expired, now, 0.0);
            }
            HeadStep::Supersede(supersession) => {
                self.supersede(&supersession, now);
            }
        }
        None
    }

    /// Returns the first entries of the lanes that are free and not held.
    pub(super) fn heads(&self) -> Vec<EntryRecord> {
        let lanes = self.lanes().into_iter();
        let free =
            lanes.filter(|lane| !self.held.contains(lane) && !self.leases.contains_key(lane));
        free.filter_map(|lane| self.queue(&lane).into_iter().next()).collect()
    }

    pub(super) fn is_valid(&self, lease: &Lease) -> bool {
        self.leases.get(&lease.lane).is_some_and(|(number, _)| *number == lease.number)
    }

    pub(super) fn end(&mut self, lease: &Lease) {
        if self.is_valid(lease) {
            self.leases.remove(&lease.lane);
        }
    }
}
