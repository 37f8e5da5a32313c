//! Reads entries and the state of the outbox.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::failure::Failure;
use super::row::{FoundRow, reason_name, record};
use crate::filter::{Filter, Kind};
use crate::state::EntryRecord;
use crate::store::{Counts, StoredEntry, Summary};
use crate::time::Timestamp;

pub(super) async fn entry(client: Arc<Client>, id: Uuid) -> Result<Option<StoredEntry>, Failure> {
    let id = id.to_string();
    let row = client
        .query_typed_opt(
            "select row_to_json(f)::text from pushslots.find(array[$1::text::uuid]) f",
            &[(&id, Type::TEXT)],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let row: FoundRow = serde_json::from_str(row.try_get(0)?)?;
    Ok(Some(row.try_into()?))
}

/// The condition for rows that a filter matches, with the parameters 1 to 4: lane, batch, states,
/// and the time before which they changed.
pub(super) const MATCHES: &str = "($1::text is null or e.lane = $1) \
    and ($2::text is null or e.batch_id = $2) \
    and ($3::text[] is null or e.state = any($3)) \
    and ($4::bigint is null or e.changed < to_timestamp($4 / 1000.0))";

/// Returns the states that a filter selects, or `None` for all.
pub(super) fn states(kind: Option<Kind>) -> Option<Vec<&'static str>> {
    Some(match kind? {
        Kind::Waiting => vec!["waiting"],
        Kind::Sending => vec!["sending"],
        Kind::Accepted => vec!["accepted"],
        Kind::Superseded => vec!["superseded"],
        Kind::Cancelled => vec!["cancelled"],
        Kind::Dead => vec!["rejected", "abandoned", "unknown", "expired", "poison", "invalid"],
        Kind::DeadBecause(reason) => vec![reason_name(reason)],
    })
}

pub(super) async fn list(
    client: Arc<Client>,
    filter: &Filter,
    after: u64,
    limit: usize,
) -> Result<Vec<EntryRecord>, Failure> {
    let part = |table: &str| {
        // The same columns for all tables.
        let columns = "number, message_id, lane, position, key, batch_id, batch_entries, digest, \
                       slots, on_dead, enqueued, expires, state, lease, superseded_by, delivery, \
                       due, failures, failing_since, lost_leases, attempts, changed";
        format!(
            "(select {columns} from pushslots.{table} e where {MATCHES} and e.number > $5 \
             order by e.number limit $6)"
        )
    };
    let (entry, dead, settled) = (part("entry"), part("dead"), part("settled"));
    let sql = format!(
        "select row_to_json(e)::text from ({entry} union all {dead} union all {settled}) e \
         order by e.number limit $6"
    );
    let states = states(filter.kind);
    let before = filter.changed_before.map(|time| time.0);
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = client
        .query_typed(
            &sql,
            &[
                (&filter.lane, Type::TEXT),
                (&filter.batch, Type::TEXT),
                (&states, Type::TEXT_ARRAY),
                (&before, Type::INT8),
                (&after, Type::INT8),
                (&limit, Type::INT8),
            ],
        )
        .await?;
    rows.iter().map(|row| record(row, 0)).collect()
}

/// The state of the outbox, as the function `summary` returns it.
#[derive(Deserialize)]
struct SummaryRow {
    waiting: u64,
    sending: u64,
    oldest: Option<DateTime<Utc>>,
    r#final: Option<HashMap<String, i64>>,
    held: Option<Vec<String>>,
}

pub(super) async fn summary(client: Arc<Client>) -> Result<Summary, Failure> {
    let row = client.query_typed_one("select pushslots.summary()::text", &[]).await?;
    let SummaryRow { waiting, sending, oldest, r#final, held } =
        serde_json::from_str(row.try_get(0)?)?;
    let counts = r#final.unwrap_or_default();
    let count = |name: &str| {
        let count = counts.get(name).copied().unwrap_or_default();
        u64::try_from(count).unwrap_or_default()
    };
    Ok(Summary {
        counts: Counts {
            waiting,
            sending,
            accepted: count("accepted"),
            superseded: count("superseded"),
            cancelled: count("cancelled"),
            rejected: count("rejected"),
            abandoned: count("abandoned"),
            unknown: count("unknown"),
            expired: count("expired"),
            poison: count("poison"),
            invalid: count("invalid"),
        },
        oldest: oldest.map(Timestamp::from),
        held_lanes: held.unwrap_or_default(),
    })
}
