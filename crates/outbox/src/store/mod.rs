//! The storage of an outbox. Each method is one transaction.

#[cfg(test)]
mod histories;
pub(crate) mod memory;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod redb;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::StoreError;
use crate::filter::Filter;
use crate::state::{BatchPart, DeadReason, EntryRecord, OnDead, Outcome};
use crate::time::{Now, Timestamp};

pub(crate) type StoreFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A message to add to the outbox.
#[derive(Clone, Debug)]
pub(crate) struct NewEntry {
    pub(crate) message_id: Uuid,
    pub(crate) lane: String,
    pub(crate) key: Option<String>,
    pub(crate) batch: Option<BatchPart>,
    pub(crate) digest: [u8; 32],
    pub(crate) slots: usize,
    pub(crate) on_dead: OnDead,
    pub(crate) enqueued: Timestamp,
    pub(crate) due: Timestamp,
    pub(crate) expires: Option<Timestamp>,
    /// The encoded body, perhaps compressed and encrypted.
    pub(crate) body: Vec<u8>,
}

/// The result of enqueueing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Enqueued {
    /// The new entries and those that were there already, in the given order.
    Entries(Vec<EntryRecord>),
    /// An entry with this message id has other bytes, so nothing was added.
    OtherBytes(Uuid),
}

/// An exclusive right to a lane.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lease {
    pub(crate) lane: String,
    pub(crate) number: u64,
}

/// The result of asking for a lane.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Leased {
    Entry {
        lease: Lease,
        entry: Box<EntryRecord>,
        body: Vec<u8>,
    },
    /// No lane is free and due. The next one is due at this time, if there is one.
    Nothing {
        next_due: Option<Timestamp>,
    },
}

/// The end of a send.
#[derive(Clone, Debug)]
pub(crate) struct Settlement {
    pub(crate) lease: Lease,
    pub(crate) message_id: Uuid,
    pub(crate) outcome: Outcome,
    /// The attempts of the send as JSON, in order.
    pub(crate) attempts: Vec<String>,
    /// The number of attempts whose requests may have left.
    pub(crate) requests: u32,
    /// The receipt as JSON, if the message was accepted.
    pub(crate) receipt: Option<String>,
    /// At least 0 and below 1. It varies the delay of a retry.
    pub(crate) random: f64,
}

impl Settlement {
    /// Returns whether the entry isn't being sent under the settlement's lease.
    pub(crate) fn is_late(&self, entry: &EntryRecord) -> bool {
        entry.state != crate::EntryState::Sending { lease: self.lease.number }
    }

    /// Returns whether a late settlement was recorded before, and is among the stored attempts.
    pub(crate) fn is_repeated(&self, stored: &[String]) -> bool {
        let count = self.attempts.len();
        count > 0 && stored.windows(count).any(|attempts| attempts == self.attempts)
    }
}

/// Everything that is stored about an entry, except for its body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredEntry {
    pub(crate) record: EntryRecord,
    /// The attempts as JSON, in order.
    pub(crate) attempts: Vec<String>,
    pub(crate) receipt: Option<String>,
}

/// The result of an operation on one entry or lane by a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    Done,
    NotFound,
    /// The entry's state doesn't allow it.
    WrongState,
    /// The body of the entry is erased.
    NoBody,
}

/// The numbers of entries by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) waiting: u64,
    pub(crate) sending: u64,
    pub(crate) accepted: u64,
    pub(crate) superseded: u64,
    pub(crate) cancelled: u64,
    pub(crate) rejected: u64,
    pub(crate) abandoned: u64,
    pub(crate) unknown: u64,
    pub(crate) expired: u64,
    pub(crate) poison: u64,
    pub(crate) invalid: u64,
}

impl Counts {
    /// Returns the number of entries in the state.
    pub(crate) fn of(&mut self, state: crate::EntryState) -> &mut u64 {
        use crate::EntryState;
        match state {
            EntryState::Waiting => &mut self.waiting,
            EntryState::Sending { .. } => &mut self.sending,
            EntryState::Accepted => &mut self.accepted,
            EntryState::Superseded { .. } => &mut self.superseded,
            EntryState::Cancelled => &mut self.cancelled,
            EntryState::Dead(DeadReason::Rejected) => &mut self.rejected,
            EntryState::Dead(DeadReason::Abandoned) => &mut self.abandoned,
            EntryState::Dead(DeadReason::Unknown) => &mut self.unknown,
            EntryState::Dead(DeadReason::Expired) => &mut self.expired,
            EntryState::Dead(DeadReason::Poison) => &mut self.poison,
            EntryState::Dead(DeadReason::Invalid) => &mut self.invalid,
        }
    }
}

/// The state of the whole outbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) counts: Counts,
    /// The time at which the oldest waiting or sending entry was enqueued.
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) held_lanes: Vec<String>,
}

/// The waiting entries of a lane with the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyGroup {
    pub(crate) lane: String,
    pub(crate) key: String,
}

/// A change of an entry's state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Change {
    pub(crate) before: crate::EntryState,
    pub(crate) entry: EntryRecord,
    pub(crate) holds_lane: bool,
}

/// A function that receives every change of an entry's state, once it is durable.
pub(crate) type OnChange = Arc<dyn Fn(&Change) + Send + Sync>;

/// The storage of an outbox.
///
/// A store that several processes share has clocks of its own. It uses the given times only for
/// durations, such as that of a lease.
pub(crate) trait Store: Send + Sync + 'static {
    /// Returns the maximum time without a look at the store, because other processes change it. By
    /// default, all changes are made by this process.
    fn poll_interval(&self) -> Option<Duration> {
        None
    }

    /// Waits until another process reports a change. By default, none does.
    fn changed_elsewhere(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    /// Sets the function that receives changes. Only the first call has an effect. New entries
    /// aren't passed to it.
    fn on_change(&self, call: OnChange);

    /// Adds entries, all or none. An entry that is there already is left unchanged. It is durable
    /// when the future ends.
    fn enqueue(&self, entries: Vec<NewEntry>) -> StoreFuture<'_, Enqueued>;

    /// Leases a free, due lane that isn't held, if there is one, and returns its first entry.
    /// Prefers a lane other than `avoid`.
    ///
    /// Beforehand it supersedes and expires entries, and ends leases whose time is over. `until` is
    /// a time of the steady clock.
    fn lease(&self, now: Now, until: Timestamp, avoid: Option<String>) -> StoreFuture<'_, Leased>;

    /// Extends a lease. Returns whether it is still valid. `now` and `until` are times of the steady
    /// clock.
    fn renew(&self, lease: Lease, now: Timestamp, until: Timestamp) -> StoreFuture<'_, bool>;

    /// Records that the send of the lease's entry begins. Returns whether the lease is still valid.
    /// It is durable when the future ends.
    fn begin(&self, lease: Lease, message_id: Uuid, now: Timestamp) -> StoreFuture<'_, bool>;

    /// Records the end of a send, and ends the lease. A late end is recorded as well. Returns the
    /// entry, unless it was removed. It is durable when the future ends. Recording the same end
    /// again changes nothing.
    fn settle(
        &self,
        settlement: Settlement,
        now: Timestamp,
    ) -> StoreFuture<'_, Option<EntryRecord>>;

    /// Ends a lease before its entry began. If the entry began, the lease stays until its time is
    /// over.
    fn hand_back(&self, lease: Lease) -> StoreFuture<'_, ()>;

    /// Returns an entry.
    fn entry(&self, message_id: Uuid) -> StoreFuture<'_, Option<StoredEntry>>;

    /// Returns the first `limit` entries in the order of their numbers, after the number `after`.
    fn list(&self, filter: Filter, after: u64, limit: usize) -> StoreFuture<'_, Vec<EntryRecord>>;

    /// Moves a dead letter to the end of its lane, to be sent again.
    fn replay(&self, message_id: Uuid, now: Timestamp) -> StoreFuture<'_, Changed>;

    /// Cancels a waiting entry.
    fn cancel(&self, message_id: Uuid, now: Timestamp) -> StoreFuture<'_, Changed>;

    /// Holds or releases a lane.
    fn set_held(&self, lane: String, held: bool) -> StoreFuture<'_, ()>;

    /// Removes final entries that last changed longer ago than `age`, up to `limit`, with their
    /// attempts and receipts. With `dead`, removes dead letters, and otherwise all others. Returns
    /// the number of removed entries. A shared store removes whole days of settled entries.
    fn remove_final(
        &self,
        now: Timestamp,
        age: Duration,
        dead: bool,
        limit: usize,
    ) -> StoreFuture<'_, usize>;

    /// Erases the bodies of final entries that the filter matches. Returns their number.
    fn erase_bodies(&self, filter: Filter) -> StoreFuture<'_, usize>;

    /// Returns the first group after `after` whose oldest and newest entries aren't of the same
    /// batch, in the order of lanes and keys.
    fn next_group(&self, after: Option<KeyGroup>) -> StoreFuture<'_, Option<KeyGroup>>;

    /// Supersedes the older entries of a group, unless its lane is leased. Returns their number.
    fn supersede_group(&self, group: KeyGroup, now: Timestamp) -> StoreFuture<'_, usize>;

    /// Returns the numbers of requests that may have left, with their times rounded up to a second.
    /// Those of the last day are kept.
    fn recent_requests(&self) -> StoreFuture<'_, Vec<(Timestamp, u32)>>;

    /// Returns the state of the whole outbox.
    fn summary(&self) -> StoreFuture<'_, Summary>;

    /// Returns unused space to the file system, unless other operations wait. Returns whether it
    /// did.
    fn compact(&self) -> StoreFuture<'_, bool>;

    /// Ends all leases, which are those of a process that ended. Entries that were being sent wait
    /// again.
    fn recover(&self, now: Timestamp) -> StoreFuture<'_, usize>;
}

#[cfg(test)]
impl NewEntry {
    /// Returns an entry for tests.
    pub(crate) fn of(message_id: Uuid, lane: &str) -> Self {
        Self {
            message_id,
            lane: lane.to_owned(),
            key: None,
            batch: None,
            digest: [0; 32],
            slots: 1,
            on_dead: OnDead::Continue,
            enqueued: Timestamp(0),
            due: Timestamp(0),
            expires: None,
            body: vec![1],
        }
    }
}

impl NewEntry {
    /// Returns the entry under its number, and its body.
    pub(crate) fn into_record(self, number: u64) -> (EntryRecord, Vec<u8>) {
        let record = EntryRecord {
            message_id: self.message_id,
            number,
            lane: self.lane,
            position: number,
            key: self.key,
            batch: self.batch,
            digest: self.digest,
            slots: self.slots,
            on_dead: self.on_dead,
            enqueued: self.enqueued,
            expires: self.expires,
            state: crate::EntryState::Waiting,
            delivery: None,
            due: self.due,
            failures: 0,
            failing_since: None,
            lost_leases: 0,
            attempts: 0,
            changed: self.enqueued,
        };
        (record, self.body)
    }
}

/// The time for which the numbers of requests are kept, which is the longest window of a rate
/// limit, in seconds.
pub(crate) const REQUESTS_KEPT: i64 = 24 * 60 * 60;

/// The number of requests that count for a send whose worker was lost: the client's default maximum
/// of attempts.
pub(crate) const REQUESTS_OF_LOST_SEND: u32 = 4;

/// Returns the second at which requests that ended at `time` count, rounded up.
pub(crate) fn second_of(time: Timestamp) -> i64 {
    time.0.div_euclid(1_000).saturating_add(1)
}

/// Returns the attempt of a worker that was lost, as JSON.
pub(crate) fn lost_attempt(at: Timestamp) -> String {
    serde_json::json!({ "worker_lost": at }).to_string()
}
