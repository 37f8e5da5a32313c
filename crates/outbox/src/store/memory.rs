//! A store in memory: the model that other stores are compared with. It scans its entries for every
//! operation, and keeps no index that could be wrong.

mod contents;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use uuid::Uuid;

pub(crate) use self::contents::Contents;
use super::{
    Changed, Enqueued, KeyGroup, Lease, Leased, NewEntry, OnChange, Settlement, Store, StoreFuture,
    StoredEntry, Summary,
};
use crate::filter::Filter;
use crate::lane::{group_supersession, is_same_unit};
use crate::state::{EntryRecord, EntryState, Event};
use crate::time::{Now, Timestamp};

/// A store in memory.
#[derive(Default)]
pub(crate) struct MemoryStore {
    pub(crate) contents: Mutex<Contents>,
    on_change: OnceLock<OnChange>,
}

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn done<'a, T: Send + 'a>(
        &'a self,
        work: impl FnOnce(&mut Contents) -> T,
    ) -> StoreFuture<'a, T> {
        let (value, changes) = {
            let mut contents = self.lock();
            (work(&mut contents), std::mem::take(&mut contents.changes))
        };
        if let Some(call) = self.on_change.get() {
            changes.iter().for_each(|change| call(change));
        }
        Box::pin(async { Ok(value) })
    }
}

impl Store for MemoryStore {
    fn on_change(&self, call: OnChange) {
        let _ = self.on_change.set(call);
    }

    fn enqueue(&self, entries: Vec<NewEntry>) -> StoreFuture<'_, Enqueued> {
        self.done(|contents| {
            let other = entries.iter().find(|new| {
                let known = contents.entries.get(&new.message_id);
                known.is_some_and(|known| known.digest != new.digest)
            });
            if let Some(other) = other {
                return Enqueued::OtherBytes(other.message_id);
            }
            let mut records = Vec::new();
            for new in entries {
                if let Some(known) = contents.entries.get(&new.message_id) {
                    records.push(known.clone());
                    continue;
                }
                contents.last_number += 1;
                let (record, body) = new.into_record(contents.last_number);
                contents.bodies.insert(record.message_id, body);
                contents.entries.insert(record.message_id, record.clone());
                records.push(record);
            }
            Enqueued::Entries(records)
        })
    }

    fn lease(&self, now: Now, until: Timestamp, avoid: Option<String>) -> StoreFuture<'_, Leased> {
        self.done(|contents| {
            let Now { wall: now, steady } = now;
            let over: Vec<_> = contents
                .leases
                .iter()
                .filter(|(_, (_, until))| *until <= steady)
                .map(|(lane, (number, _))| (lane.clone(), *number))
                .collect();
            for (lane, number) in over {
                contents.lose(&lane, number, now);
            }
            loop {
                let heads = contents.heads();
                let next_due = heads.iter().map(|head| head.due).min();
                let is_avoided = |head: &EntryRecord| avoid.as_ref() == Some(&head.lane);
                let due = heads.into_iter().filter(|head| head.due <= now);
                let first = due.min_by_key(|head| (is_avoided(head), head.due, head.lane.clone()));
                let Some(head) = first else { return Leased::Nothing { next_due } };
                // If the entry was superseded or expired, the next round sees what follows it.
                let Some(entry) = contents.step(head, now) else { continue };
                contents.last_lease += 1;
                let lease = Lease { lane: entry.lane.clone(), number: contents.last_lease };
                contents.leases.insert(entry.lane.clone(), (lease.number, until));
                let body = contents.bodies.get(&entry.message_id).cloned().unwrap_or_default();
                return Leased::Entry { lease, entry: Box::new(entry), body };
            }
        })
    }

    fn renew(&self, lease: Lease, _: Timestamp, until: Timestamp) -> StoreFuture<'_, bool> {
        self.done(|contents| {
            let is_valid = contents.is_valid(&lease);
            if is_valid {
                contents.leases.insert(lease.lane, (lease.number, until));
            }
            is_valid
        })
    }

    fn begin(&self, lease: Lease, message_id: Uuid, now: Timestamp) -> StoreFuture<'_, bool> {
        self.done(|contents| {
            let event = Event::Begun { lease: lease.number };
            contents.is_valid(&lease) && contents.apply(message_id, event, now, 0.0)
        })
    }

    fn settle(
        &self,
        settlement: Settlement,
        now: Timestamp,
    ) -> StoreFuture<'_, Option<EntryRecord>> {
        self.done(|contents| {
            contents.end(&settlement.lease);
            let Some(entry) = contents.entries.get(&settlement.message_id) else {
                contents.count_requests(settlement.requests, now);
                return None;
            };
            let stored =
                contents.attempts.get(&settlement.message_id).map_or(&[][..], Vec::as_slice);
            if settlement.is_late(entry) && settlement.is_repeated(stored) {
                return Some(entry.clone());
            }
            let Settlement { lease, message_id, outcome, attempts, requests, receipt, random } =
                settlement;
            contents.count_requests(requests, now);
            contents.attempts.entry(message_id).or_default().extend(attempts);
            if let Some(receipt) = receipt {
                contents.receipts.entry(message_id).or_insert(receipt);
            }
            contents.apply(message_id, Event::Ended { lease: lease.number, outcome }, now, random);
            contents.entries.get(&message_id).cloned()
        })
    }

    fn hand_back(&self, lease: Lease) -> StoreFuture<'_, ()> {
        self.done(|contents| {
            let sending = EntryState::Sending { lease: lease.number };
            if !contents.queue(&lease.lane).iter().any(|entry| entry.state == sending) {
                contents.end(&lease);
            }
        })
    }

    fn entry(&self, message_id: Uuid) -> StoreFuture<'_, Option<StoredEntry>> {
        self.done(|contents| {
            let record = contents.entries.get(&message_id)?.clone();
            let attempts = contents.attempts.get(&message_id).cloned().unwrap_or_default();
            let receipt = contents.receipts.get(&message_id).cloned();
            Some(StoredEntry { record, attempts, receipt })
        })
    }

    fn list(&self, filter: Filter, after: u64, limit: usize) -> StoreFuture<'_, Vec<EntryRecord>> {
        self.done(|contents| {
            let entries = contents.entries.values();
            let mut found: Vec<_> = entries
                .filter(|entry| entry.number > after && filter.matches(entry))
                .cloned()
                .collect();
            found.sort_by_key(|entry| entry.number);
            found.truncate(limit);
            found
        })
    }

    fn replay(&self, message_id: Uuid, now: Timestamp) -> StoreFuture<'_, Changed> {
        self.done(|contents| {
            let Some(entry) = contents.entries.get(&message_id) else { return Changed::NotFound };
            if !matches!(entry.state, EntryState::Dead(_)) {
                return Changed::WrongState;
            }
            if !contents.bodies.contains_key(&message_id) {
                return Changed::NoBody;
            }
            contents.apply(message_id, Event::Replayed, now, 0.0);
            contents.last_number += 1;
            let position = contents.last_number;
            if let Some(entry) = contents.entries.get_mut(&message_id) {
                entry.position = position;
            }
            Changed::Done
        })
    }

    fn cancel(&self, message_id: Uuid, now: Timestamp) -> StoreFuture<'_, Changed> {
        self.done(|contents| {
            if !contents.entries.contains_key(&message_id) {
                return Changed::NotFound;
            }
            let is_done = contents.apply(message_id, Event::Cancelled, now, 0.0);
            if is_done { Changed::Done } else { Changed::WrongState }
        })
    }

    fn set_held(&self, lane: String, held: bool) -> StoreFuture<'_, ()> {
        self.done(|contents| {
            if held {
                contents.held.insert(lane);
            } else {
                contents.held.remove(&lane);
            }
        })
    }

    fn remove_final(
        &self,
        now: Timestamp,
        age: Duration,
        dead: bool,
        limit: usize,
    ) -> StoreFuture<'_, usize> {
        let before = now.before(age);
        self.done(|contents| {
            let is_dead = |entry: &EntryRecord| matches!(entry.state, EntryState::Dead(_));
            let entries = contents.entries.values();
            let mut old: Vec<_> = entries
                .filter(|entry| entry.state.is_final() && entry.changed < before)
                .filter(|entry| is_dead(entry) == dead)
                .map(|entry| (entry.changed, entry.number, entry.message_id))
                .collect();
            old.sort();
            old.truncate(limit);
            for (_, _, id) in &old {
                contents.entries.remove(id);
                contents.bodies.remove(id);
                contents.attempts.remove(id);
                contents.receipts.remove(id);
            }
            old.len()
        })
    }

    fn erase_bodies(&self, filter: Filter) -> StoreFuture<'_, usize> {
        self.done(|contents| {
            let Contents { entries, bodies, .. } = contents;
            let before = bodies.len();
            bodies.retain(|id, _| {
                let entry = entries.get(id);
                !entry.is_some_and(|entry| entry.state.is_final() && filter.matches(entry))
            });
            before - bodies.len()
        })
    }

    fn next_group(&self, after: Option<KeyGroup>) -> StoreFuture<'_, Option<KeyGroup>> {
        self.done(|contents| {
            let mut groups: BTreeMap<(&String, &String), Vec<&EntryRecord>> = BTreeMap::new();
            let entries = contents.entries.values();
            for entry in entries.filter(|entry| entry.state == EntryState::Waiting) {
                if let Some(key) = &entry.key {
                    groups.entry((&entry.lane, key)).or_default().push(entry);
                }
            }
            let after = after.as_ref().map(|group| (&group.lane, &group.key));
            for ((lane, key), entries) in groups {
                let oldest = entries.iter().min_by_key(|entry| entry.number)?;
                let newest = entries.iter().max_by_key(|entry| entry.number)?;
                let is_later = after.is_none_or(|after| after < (lane, key));
                if is_later && !is_same_unit(oldest, newest) {
                    return Some(KeyGroup { lane: lane.clone(), key: key.clone() });
                }
            }
            None
        })
    }

    fn supersede_group(&self, group: KeyGroup, now: Timestamp) -> StoreFuture<'_, usize> {
        self.done(|contents| {
            if contents.leases.contains_key(&group.lane) {
                return 0;
            }
            let keyed = contents.keyed(&group.lane, Some(&group.key));
            group_supersession(&keyed)
                .map_or(0, |supersession| contents.supersede(&supersession, now))
        })
    }

    fn recent_requests(&self) -> StoreFuture<'_, Vec<(Timestamp, u32)>> {
        self.done(|contents| {
            let times = contents.requests.iter();
            times.map(|(second, count)| (Timestamp(second.saturating_mul(1_000)), *count)).collect()
        })
    }

    fn summary(&self) -> StoreFuture<'_, Summary> {
        self.done(|contents| {
            let mut summary = Summary::default();
            for entry in contents.entries.values() {
                *summary.counts.of(entry.state) += 1;
                if !entry.state.is_final() {
                    let oldest =
                        summary.oldest.map_or(entry.enqueued, |old| old.min(entry.enqueued));
                    summary.oldest = Some(oldest);
                }
            }
            summary.held_lanes = contents.held.iter().cloned().collect();
            summary
        })
    }

    fn compact(&self) -> StoreFuture<'_, bool> {
        self.done(|_| false)
    }

    fn recover(&self, now: Timestamp) -> StoreFuture<'_, usize> {
        self.done(|contents| {
            let leases: Vec<_> = std::mem::take(&mut contents.leases)
                .into_iter()
                .map(|(lane, (number, _))| (lane, number))
                .collect();
            leases.into_iter().map(|(lane, number)| contents.lose(&lane, number, now)).sum()
        })
    }
}
