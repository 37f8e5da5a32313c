//! The tables of the database, and how a write transaction opens and closes them.
//!
//! Entries have their numbers as keys, so that new entries and bodies are appended. The other
//! tables are indexes that follow from the entries, except for attempts, receipts, held lanes, and
//! the numbers of requests.

use std::collections::BTreeMap;

use ::redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::store::{Change, Counts};

/// The version of the format that this package writes.
pub(super) const FORMAT_VERSION: u64 = 1;

/// A lane, two numbers.
pub(super) type LaneKey = (&'static str, u64, u64);

/// The format version under [`FORMAT`], and [`Meta`] as JSON under [`STATE`].
pub(super) const META: TableDefinition<&str, &str> = TableDefinition::new("meta");
pub(super) const FORMAT: &str = "format";
pub(super) const STATE: &str = "state";

/// Message id to number.
pub(super) const IDS: TableDefinition<u128, u64> = TableDefinition::new("id");
/// Number to the entry as JSON.
pub(super) const ENTRIES: TableDefinition<u64, &[u8]> = TableDefinition::new("entry");
/// Number to body.
pub(super) const BODIES: TableDefinition<u64, &[u8]> = TableDefinition::new("body");
/// Number and index to the attempt as JSON.
pub(super) const ATTEMPTS: TableDefinition<(u64, u32), &str> = TableDefinition::new("attempt");
/// Number to the receipt as JSON.
pub(super) const RECEIPTS: TableDefinition<u64, &str> = TableDefinition::new("receipt");
/// Lane, position and number of the waiting and sending entries, to their due times.
pub(super) const QUEUE: TableDefinition<LaneKey, i64> = TableDefinition::new("queue");
/// Lane, key and number of the waiting entries with a key.
pub(super) const KEYED: TableDefinition<(&str, &str, u64), ()> = TableDefinition::new("keyed");
/// Lane, key and batch to the number of waiting entries without attempts.
pub(super) const UNTOUCHED: TableDefinition<(&str, &str, &str), u64> =
    TableDefinition::new("untouched");
/// Lane, lease and number of the sending entries.
pub(super) const SENDING: TableDefinition<LaneKey, ()> = TableDefinition::new("sending");
/// Time of enqueueing and number of the waiting and sending entries.
pub(super) const OPEN: TableDefinition<(i64, u64), ()> = TableDefinition::new("open");
/// Whether it is dead, time of the last change, and number of the final entries.
pub(super) const FINAL: TableDefinition<(bool, i64, u64), ()> = TableDefinition::new("final");
/// Numbers of the dead letters.
pub(super) const DEAD: TableDefinition<u64, ()> = TableDefinition::new("dead");
/// Due times and names of the lanes that aren't held and have an open entry.
pub(super) const DUE: TableDefinition<(i64, &str), ()> = TableDefinition::new("due");
/// Second to the number of requests that ended before it, and may have left.
pub(super) const REQUESTS: TableDefinition<i64, u32> = TableDefinition::new("request");
/// The held lanes.
pub(super) const HELD: TableDefinition<&str, ()> = TableDefinition::new("held");

/// The values that exist once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Meta {
    /// The last number of an entry or position.
    pub(super) last_number: u64,
    /// The last number of a lease, at least of those with an entry that was begun.
    pub(super) last_lease: u64,
    pub(super) counts: Counts,
}

/// The tables in a write transaction.
pub(super) struct Tables<'txn> {
    pub(super) meta: Meta,
    /// Whether a table was changed, so that the transaction needs a commit.
    pub(super) is_changed: bool,
    /// The lanes whose due times may have changed, with their times in `due`.
    pub(super) stale_lanes: BTreeMap<String, Option<i64>>,
    pub(super) changes: Vec<Change>,
    metas: Table<'txn, &'static str, &'static str>,
    pub(super) ids: Table<'txn, u128, u64>,
    pub(super) entries: Table<'txn, u64, &'static [u8]>,
    pub(super) bodies: Table<'txn, u64, &'static [u8]>,
    pub(super) attempts: Table<'txn, (u64, u32), &'static str>,
    pub(super) receipts: Table<'txn, u64, &'static str>,
    pub(super) queue: Table<'txn, LaneKey, i64>,
    pub(super) keyed: Table<'txn, (&'static str, &'static str, u64), ()>,
    pub(super) untouched: Table<'txn, (&'static str, &'static str, &'static str), u64>,
    pub(super) sending: Table<'txn, LaneKey, ()>,
    pub(super) open: Table<'txn, (i64, u64), ()>,
    pub(super) finals: Table<'txn, (bool, i64, u64), ()>,
    pub(super) dead: Table<'txn, u64, ()>,
    pub(super) due: Table<'txn, (i64, &'static str), ()>,
    pub(super) requests: Table<'txn, i64, u32>,
    pub(super) held: Table<'txn, &'static str, ()>,
}

impl<'txn> Tables<'txn> {
    /// Opens the tables, and creates those that don't exist.
    pub(super) fn open(transaction: &'txn WriteTransaction) -> Result<Self, StoreError> {
        let metas = transaction.open_table(META)?;
        let meta = match metas.get(STATE)? {
            Some(json) => serde_json::from_str(json.value())?,
            None => Meta::default(),
        };
        Ok(Self {
            meta,
            is_changed: false,
            stale_lanes: BTreeMap::new(),
            changes: Vec::new(),
            metas,
            ids: transaction.open_table(IDS)?,
            entries: transaction.open_table(ENTRIES)?,
            bodies: transaction.open_table(BODIES)?,
            attempts: transaction.open_table(ATTEMPTS)?,
            receipts: transaction.open_table(RECEIPTS)?,
            queue: transaction.open_table(QUEUE)?,
            keyed: transaction.open_table(KEYED)?,
            untouched: transaction.open_table(UNTOUCHED)?,
            sending: transaction.open_table(SENDING)?,
            open: transaction.open_table(OPEN)?,
            finals: transaction.open_table(FINAL)?,
            dead: transaction.open_table(DEAD)?,
            due: transaction.open_table(DUE)?,
            requests: transaction.open_table(REQUESTS)?,
            held: transaction.open_table(HELD)?,
        })
    }

    /// Completes the indexes. Returns the changes, or `None` if the transaction needs no commit.
    pub(super) fn finish(mut self, last_lease: u64) -> Result<Option<Vec<Change>>, StoreError> {
        self.refresh_lanes()?;
        if self.is_changed {
            self.meta.last_lease = self.meta.last_lease.max(last_lease);
            let json = serde_json::to_string(&self.meta)?;
            self.metas.insert(STATE, json.as_str())?;
        }
        Ok(self.is_changed.then_some(self.changes))
    }
}

/// Creates the tables of an empty outbox.
pub(super) fn create(transaction: &WriteTransaction) -> Result<(), StoreError> {
    let mut tables = Tables::open(transaction)?;
    tables.metas.insert(FORMAT, FORMAT_VERSION.to_string().as_str())?;
    tables.is_changed = true;
    tables.finish(0)?;
    Ok(())
}
