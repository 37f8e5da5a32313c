//! The form of entries in the database: rows as JSON.

use std::ops::RangeInclusive;
use std::time::Duration;

use chrono::{DateTime, Utc};
use pushslots::Delivery;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row as SqlRow;
use uuid::Uuid;

use super::failure::Failure;
use crate::error::StoreError;
use crate::state::{BatchPart, DeadReason, EntryRecord, EntryState, OnDead};
use crate::store::{NewEntry, StoredEntry};
use crate::time::Timestamp;

/// The times that the database and JSON both can express: the years 1 to 9999, until its last day.
const TIMES: RangeInclusive<i64> = -62_135_596_800_000..=253_402_214_400_000;

/// A row of an entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Row {
    number: u64,
    message_id: Uuid,
    lane: String,
    position: u64,
    key: Option<String>,
    batch_id: Option<String>,
    batch_entries: Option<usize>,
    digest: String,
    slots: usize,
    on_dead: OnDead,
    enqueued: DateTime<Utc>,
    expires: Option<DateTime<Utc>>,
    state: String,
    lease: Option<u64>,
    superseded_by: Option<Uuid>,
    delivery: Option<Delivery>,
    due: DateTime<Utc>,
    failures: u32,
    failing_since: Option<DateTime<Utc>>,
    lost_leases: u32,
    attempts: u32,
    changed: DateTime<Utc>,
}

/// The table of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Table {
    Entry,
    Dead,
    Settled,
}

impl Table {
    pub(super) fn of(state: EntryState) -> Self {
        match state {
            EntryState::Waiting | EntryState::Sending { .. } => Self::Entry,
            EntryState::Dead(_) => Self::Dead,
            EntryState::Accepted | EntryState::Superseded { .. } | EntryState::Cancelled => {
                Self::Settled
            }
        }
    }
}

/// An entry, as the function `find` returns it.
#[derive(Deserialize)]
pub(super) struct FoundRow {
    pub(super) source: Table,
    entry: Row,
    attempt_records: Option<Vec<String>>,
    receipt: Option<String>,
}

impl TryFrom<FoundRow> for StoredEntry {
    type Error = StoreError;

    fn try_from(row: FoundRow) -> Result<Self, StoreError> {
        let FoundRow { entry, attempt_records, receipt, .. } = row;
        let attempts = attempt_records.unwrap_or_default();
        Ok(Self { record: entry.try_into()?, attempts, receipt })
    }
}

/// A row of a final entry, with its attempts and receipt.
#[derive(Debug, Serialize)]
pub(super) struct FinalRow {
    #[serde(flatten)]
    pub(super) row: Row,
    pub(super) attempt_records: Vec<String>,
    pub(super) receipt: Option<String>,
}

/// An entry to add, as the function `enqueue` reads it.
#[derive(Serialize)]
struct NewRow<'a> {
    message_id: Uuid,
    lane: &'a str,
    key: Option<&'a str>,
    batch_id: Option<&'a str>,
    batch_entries: Option<usize>,
    digest: String,
    slots: usize,
    on_dead: OnDead,
    /// `None` for now, by the clock of the database.
    not_before: Option<DateTime<Utc>>,
    expires: Option<DateTime<Utc>>,
}

/// Reads an entry from a column with its row as JSON.
pub(super) fn record(row: &SqlRow, column: usize) -> Result<EntryRecord, Failure> {
    let row: Row = serde_json::from_str(row.try_get(column)?)?;
    Ok(row.try_into()?)
}

/// Returns the JSON with which an entry is added.
pub(super) fn new_row(entry: &NewEntry) -> Result<String, StoreError> {
    let row = NewRow {
        message_id: entry.message_id,
        lane: &entry.lane,
        key: entry.key.as_deref(),
        batch_id: entry.batch.as_ref().map(|batch| &*batch.id),
        batch_entries: entry.batch.as_ref().map(|batch| batch.entries),
        digest: hex(&entry.digest),
        slots: entry.slots,
        on_dead: entry.on_dead,
        not_before: (entry.due > entry.enqueued).then(|| to_date(entry.due)),
        expires: entry.expires.map(to_date),
    };
    serde_json::to_string(&row).map_err(|error| StoreError(error.to_string()))
}

impl From<&EntryRecord> for Row {
    fn from(entry: &EntryRecord) -> Self {
        let (lease, superseded_by) = match entry.state {
            EntryState::Sending { lease } => (Some(lease), None),
            EntryState::Superseded { by } => (None, Some(by)),
            _ => (None, None),
        };
        Self {
            number: entry.number,
            message_id: entry.message_id,
            lane: entry.lane.clone(),
            position: entry.position,
            key: entry.key.clone(),
            batch_id: entry.batch.as_ref().map(|batch| batch.id.clone()),
            batch_entries: entry.batch.as_ref().map(|batch| batch.entries),
            digest: hex(&entry.digest),
            slots: entry.slots,
            on_dead: entry.on_dead,
            enqueued: to_date(entry.enqueued),
            expires: entry.expires.map(to_date),
            state: state_name(entry.state).to_owned(),
            lease,
            superseded_by,
            delivery: entry.delivery,
            due: to_date(entry.due),
            failures: entry.failures,
            failing_since: entry.failing_since.map(to_date),
            lost_leases: entry.lost_leases,
            attempts: entry.attempts,
            changed: to_date(entry.changed),
        }
    }
}

impl TryFrom<Row> for EntryRecord {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let id = row.message_id;
        let invalid = |what: &str| StoreError(format!("the {what} of entry {id} can't be read"));
        let state = state_of(&row).ok_or_else(|| invalid("state"))?;
        Ok(Self {
            message_id: id,
            number: row.number,
            lane: row.lane,
            position: row.position,
            key: row.key,
            batch: row
                .batch_id
                .zip(row.batch_entries)
                .map(|(id, entries)| BatchPart { id, entries }),
            digest: digest_of(&row.digest).ok_or_else(|| invalid("digest"))?,
            slots: row.slots,
            on_dead: row.on_dead,
            enqueued: row.enqueued.into(),
            expires: row.expires.map(Timestamp::from),
            state,
            delivery: row.delivery,
            due: row.due.into(),
            failures: row.failures,
            failing_since: row.failing_since.map(Timestamp::from),
            lost_leases: row.lost_leases,
            attempts: row.attempts,
            changed: row.changed.into(),
        })
    }
}

/// Returns the name of a state. The reason of a dead letter is its state.
pub(super) fn state_name(state: EntryState) -> &'static str {
    match state {
        EntryState::Waiting => "waiting",
        EntryState::Sending { .. } => "sending",
        EntryState::Accepted => "accepted",
        EntryState::Superseded { .. } => "superseded",
        EntryState::Cancelled => "cancelled",
        EntryState::Dead(reason) => reason_name(reason),
    }
}

pub(super) fn reason_name(reason: DeadReason) -> &'static str {
    match reason {
        DeadReason::Rejected => "rejected",
        DeadReason::Abandoned => "abandoned",
        DeadReason::Unknown => "unknown",
        DeadReason::Expired => "expired",
        DeadReason::Poison => "poison",
        DeadReason::Invalid => "invalid",
    }
}

fn state_of(row: &Row) -> Option<EntryState> {
    Some(match &*row.state {
        "waiting" => EntryState::Waiting,
        "sending" => EntryState::Sending { lease: row.lease? },
        "accepted" => EntryState::Accepted,
        "superseded" => EntryState::Superseded { by: row.superseded_by? },
        "cancelled" => EntryState::Cancelled,
        "rejected" => EntryState::Dead(DeadReason::Rejected),
        "abandoned" => EntryState::Dead(DeadReason::Abandoned),
        "unknown" => EntryState::Dead(DeadReason::Unknown),
        "expired" => EntryState::Dead(DeadReason::Expired),
        "poison" => EntryState::Dead(DeadReason::Poison),
        "invalid" => EntryState::Dead(DeadReason::Invalid),
        _ => return None,
    })
}

/// Returns the time that is stored, which is the closest possible one.
fn to_date(time: Timestamp) -> DateTime<Utc> {
    Timestamp(time.0.clamp(*TIMES.start(), *TIMES.end())).to_date()
}

pub(super) fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Returns bytes in the form of the database.
fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    format!("\\x{}", digits.collect::<String>())
}

fn digest_of(hex: &str) -> Option<[u8; 32]> {
    let digits = hex.strip_prefix("\\x")?;
    let bytes: Option<Vec<u8>> = (0..digits.len())
        .step_by(2)
        .map(|start| u8::from_str_radix(digits.get(start..start.checked_add(2)?)?, 16).ok())
        .collect();
    bytes?.try_into().ok()
}
