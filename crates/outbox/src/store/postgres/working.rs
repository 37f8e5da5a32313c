//! Entries and lanes as a transaction found them, and their changes.

mod save;

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::failure::Failure;
use super::row::{FoundRow, Row, Table, record};
use crate::lane::Supersession;
use crate::state::{EntryRecord, EntryState, Event};
use crate::store::{Change, Lease, Settlement, StoredEntry, lost_attempt};
use crate::time::Timestamp;

/// An entry as it was found, with its changes.
#[derive(Debug)]
struct Found {
    table: Table,
    before: EntryRecord,
    record: EntryRecord,
    /// The attempts as JSON, in order.
    attempts: Vec<String>,
    /// The number of those that are stored.
    stored_attempts: usize,
    receipt: Option<String>,
    is_changed: bool,
}

impl Found {
    fn new(row: FoundRow) -> Result<Self, Failure> {
        let table = row.source;
        let StoredEntry { record, attempts, receipt } = row.try_into()?;
        Ok(Self {
            table,
            before: record.clone(),
            record,
            stored_attempts: attempts.len(),
            attempts,
            receipt,
            is_changed: false,
        })
    }
}

/// The changes of a lane.
#[derive(Debug, Default, Serialize)]
struct LaneChange {
    /// The lease to end.
    lease: Option<u64>,
    held: bool,
}

/// The entries and lanes of a transaction.
#[derive(Debug, Default)]
pub(super) struct Working {
    pub(super) time: Timestamp,
    /// The leases of the locked lanes, and whether their time is over.
    leases: HashMap<String, (u64, bool)>,
    entries: HashMap<Uuid, Found>,
    lanes: BTreeMap<String, LaneChange>,
    changes: Vec<Change>,
}

/// The locked lanes and entries, as the function `open` returns them.
#[derive(Deserialize)]
struct Opened {
    time: DateTime<Utc>,
    leases: Option<Vec<OpenedLease>>,
    entries: Option<Vec<FoundRow>>,
}

#[derive(Deserialize)]
struct OpenedLease {
    lane: String,
    number: u64,
    over: bool,
}

/// The first entry of a lane, as the function `heads` returns it.
#[derive(Deserialize)]
struct HeadRow {
    head: Row,
    keyed: Option<Vec<Row>>,
}

/// The first entry of a lane, and the waiting entries with its key.
pub(super) struct Head {
    pub(super) entry: EntryRecord,
    pub(super) keyed: Vec<EntryRecord>,
}

impl Working {
    /// Locks lanes, and reads entries.
    pub(super) async fn open(
        client: &Client,
        lanes: &[&str],
        ids: &[Uuid],
    ) -> Result<Self, Failure> {
        let ids: Vec<_> = ids.iter().map(Uuid::to_string).collect();
        let row = client
            .query_typed_one(
                "select pushslots.open($1, $2::text[]::uuid[])::text",
                &[(&lanes, Type::TEXT_ARRAY), (&ids, Type::TEXT_ARRAY)],
            )
            .await?;
        let Opened { time, leases, entries } = serde_json::from_str(row.try_get(0)?)?;
        let leases = leases.unwrap_or_default().into_iter();
        let mut working = Self {
            time: time.into(),
            leases: leases.map(|lease| (lease.lane, (lease.number, lease.over))).collect(),
            ..Self::default()
        };
        for row in entries.unwrap_or_default() {
            let found = Found::new(row)?;
            working.entries.insert(found.record.message_id, found);
        }
        Ok(working)
    }

    /// Reads the first entries of lanes, which must be locked.
    pub(super) async fn read_heads(
        &mut self,
        client: &Client,
        lanes: &[&str],
    ) -> Result<Vec<Head>, Failure> {
        let row = client
            .query_typed_one("select pushslots.heads($1)::text", &[(&lanes, Type::TEXT_ARRAY)])
            .await?;
        let Some(json) = row.try_get::<_, Option<&str>>(0)? else { return Ok(Vec::new()) };
        let rows: Vec<HeadRow> = serde_json::from_str(json)?;
        let mut heads = Vec::new();
        for HeadRow { head, keyed } in rows {
            let entry = EntryRecord::try_from(head)?;
            let keyed = keyed.unwrap_or_default().into_iter().map(EntryRecord::try_from);
            let keyed = keyed.collect::<Result<Vec<_>, _>>()?;
            heads.push(Head { entry, keyed });
        }
        Ok(heads)
    }

    /// Reads the waiting entries of a lane, which must be locked, with a key.
    pub(super) async fn read_keyed(
        &self,
        client: &Client,
        lane: &str,
        key: &str,
    ) -> Result<Vec<EntryRecord>, Failure> {
        let rows = client
            .query_typed(
                "select row_to_json(e)::text from pushslots.entry e \
                 where e.lane = $1 and e.key = $2 and e.state = 'waiting' order by e.number",
                &[(&lane, Type::TEXT), (&key, Type::TEXT)],
            )
            .await?;
        rows.iter().map(|row| record(row, 0)).collect()
    }

    /// Reads entries with their attempts, unless they are known.
    pub(super) async fn read(&mut self, client: &Client, ids: &[Uuid]) -> Result<(), Failure> {
        let unknown = ids.iter().copied().filter(|id| !self.entries.contains_key(id));
        let unknown: Vec<_> = unknown.collect();
        if !unknown.is_empty() {
            let Self { entries, .. } = Self::open(client, &[], &unknown).await?;
            self.entries.extend(entries);
        }
        Ok(())
    }

    pub(super) fn record(&self, id: Uuid) -> Option<&EntryRecord> {
        self.entries.get(&id).map(|found| &found.record)
    }

    /// Returns the lease of a lane, and whether its time is over.
    pub(super) fn lease_of(&self, lane: &str) -> Option<(u64, bool)> {
        self.leases.get(lane).copied()
    }

    fn is_valid(&self, lease: &Lease) -> bool {
        self.lease_of(&lease.lane).is_some_and(|(number, _)| number == lease.number)
    }

    /// Applies an event, and returns whether the entry changed.
    pub(super) fn apply(&mut self, id: Uuid, event: Event, random: f64) -> bool {
        let Some(found) = self.entries.get_mut(&id) else { return false };
        let before = found.record.state;
        let Ok(effects) = found.record.apply(event, self.time, random) else { return false };
        found.is_changed = true;
        let lane = self.lanes.entry(found.record.lane.clone()).or_default();
        lane.held |= effects.holds_lane;
        if before != found.record.state {
            let (entry, holds_lane) = (found.record.clone(), effects.holds_lane);
            self.changes.push(Change { before, entry, holds_lane });
        }
        true
    }

    /// Ends a lease if it is valid.
    fn end(&mut self, lease: &Lease) {
        if self.is_valid(lease) {
            self.leases.remove(&lease.lane);
            self.lanes.entry(lease.lane.clone()).or_default().lease = Some(lease.number);
        }
    }

    pub(super) fn begin(&mut self, lease: &Lease, id: Uuid) -> bool {
        self.is_valid(lease) && self.apply(id, Event::Begun { lease: lease.number }, 0.0)
    }

    pub(super) fn settle(&mut self, settlement: &Settlement) -> Option<EntryRecord> {
        self.end(&settlement.lease);
        let Settlement { lease, message_id, outcome, attempts, receipt, random, .. } = settlement;
        let found = self.entries.get_mut(message_id)?;
        if settlement.is_late(&found.record) && settlement.is_repeated(&found.attempts) {
            return Some(found.record.clone());
        }
        found.attempts.extend(attempts.iter().cloned());
        if let Some(receipt) = receipt {
            found.receipt.get_or_insert_with(|| receipt.clone());
        }
        let event = Event::Ended { lease: lease.number, outcome: *outcome };
        self.apply(*message_id, event, *random);
        self.record(*message_id).cloned()
    }

    /// Ends a lease whose time is over. `head` is the first entry of its lane.
    pub(super) fn lose(&mut self, lane: &str, head: Option<&EntryRecord>) {
        let Some((number, true)) = self.lease_of(lane) else { return };
        self.end(&Lease { lane: lane.to_owned(), number });
        let sending = EntryState::Sending { lease: number };
        if let Some(head) = head.filter(|head| head.state == sending) {
            let time = self.time;
            if self.apply(head.message_id, Event::LeaseLost { lease: number }, 0.0)
                && let Some(found) = self.entries.get_mut(&head.message_id)
            {
                found.attempts.push(lost_attempt(time));
            }
        }
    }

    /// Supersedes entries, and returns their number.
    pub(super) fn supersede(&mut self, supersession: &Supersession) -> usize {
        let Supersession { superseded, by, moved, position, due } = supersession;
        let event = Event::Superseded { by: *by };
        let count = superseded.iter().filter(|id| self.apply(**id, event, 0.0)).count();
        for id in moved {
            if let Some(found) = self.entries.get_mut(id) {
                found.record.position = *position;
                if id == by {
                    found.record.due = *due;
                }
                found.is_changed |= found.record != found.before;
            }
        }
        count
    }

    /// Moves an entry to the end of its lane.
    pub(super) fn move_to(&mut self, id: Uuid, position: u64) {
        if let Some(found) = self.entries.get_mut(&id) {
            found.record.position = position;
            found.is_changed = true;
        }
    }

    fn is_changed(&self) -> bool {
        !self.lanes.is_empty() || self.entries.values().any(|found| found.is_changed)
    }

    /// Returns the changes of states.
    pub(super) fn into_changes(self) -> Vec<Change> {
        self.changes
    }
}

/// Returns the entries of these ids that are superseded or moved.
pub(super) fn ids_of(supersession: &Supersession) -> Vec<Uuid> {
    let ids: HashSet<_> = supersession.superseded.iter().chain(&supersession.moved).collect();
    ids.into_iter().copied().collect()
}
