//! Stores the changes of a transaction.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::{Found, LaneChange, Working};
use crate::store::postgres::failure::Failure;
use crate::store::postgres::row::{FinalRow, Row, Table, state_name};

impl Working {
    /// Stores the changes.
    pub(crate) async fn save(&self, client: &Client) -> Result<(), Failure> {
        if !self.is_changed() {
            return Ok(());
        }
        let save = Save::of(self);
        let tally: Vec<_> = save
            .tally
            .iter()
            .filter(|(_, count)| **count != 0)
            .map(|(state, count)| serde_json::json!({ "state": state, "count": count }))
            .collect();
        let lanes: Vec<_> = self
            .lanes
            .iter()
            .map(|(name, LaneChange { lease, held })| {
                serde_json::json!({ "name": name, "lease": lease, "held": held })
            })
            .collect();
        let updated = json(&save.updated)?;
        let removed = json(&save.removed)?;
        let live = json(&save.live)?;
        let dead = json(&save.dead)?;
        let settled = json(&save.settled)?;
        let attempts = json(&save.attempts)?;
        let (tally, lanes) = (json(&tally)?, json(&lanes)?);
        client
            .execute_typed(
                "select pushslots.save($1::text::json, $2::text::json, $3::text::json, \
                 $4::text::json, $5::text::json, $6::text::json, $7::text::json, $8::text::json)",
                &[
                    (&updated, Type::TEXT),
                    (&removed, Type::TEXT),
                    (&live, Type::TEXT),
                    (&dead, Type::TEXT),
                    (&settled, Type::TEXT),
                    (&attempts, Type::TEXT),
                    (&tally, Type::TEXT),
                    (&lanes, Type::TEXT),
                ],
            )
            .await?;
        Ok(())
    }
}

/// The parameters of the function `save`.
#[derive(Default)]
struct Save {
    updated: Vec<Row>,
    removed: Vec<serde_json::Value>,
    live: Vec<Row>,
    dead: Vec<FinalRow>,
    settled: Vec<FinalRow>,
    attempts: Vec<serde_json::Value>,
    tally: BTreeMap<&'static str, i64>,
}

impl Save {
    fn of(working: &Working) -> Self {
        let mut save = Self::default();
        let changed = working.entries.values().filter(|found| found.is_changed);
        let mut changed: Vec<_> = changed.collect();
        changed.sort_by_key(|found| found.record.number);
        for found in changed {
            save.add(found);
        }
        save
    }

    fn add(&mut self, found: &Found) {
        let Found { table, before, record, attempts, stored_attempts, receipt, .. } = found;
        let (number, row) = (record.number, Row::from(record));
        let to = Table::of(record.state);
        let is_update = *table == Table::Entry && to == Table::Entry;
        if !is_update {
            self.removed.push(serde_json::json!({ "number": number, "source": table }));
        }
        for (of, state, count) in [(*table, before.state, -1_i64), (to, record.state, 1)] {
            if of != Table::Entry {
                let total = self.tally.entry(state_name(state)).or_default();
                *total = total.saturating_add(count);
            }
        }
        let final_row = || FinalRow {
            row: row.clone(),
            attempt_records: attempts.clone(),
            receipt: receipt.clone(),
        };
        match to {
            Table::Dead => self.dead.push(final_row()),
            Table::Settled => self.settled.push(final_row()),
            Table::Entry => {
                let stored = if is_update { *stored_attempts } else { 0 };
                let new = attempts.iter().skip(stored);
                self.attempts.extend(
                    new.map(|record| serde_json::json!({ "number": number, "record": record })),
                );
                match is_update {
                    true => self.updated.push(row),
                    false => self.live.push(row),
                }
            }
        }
    }
}

/// Returns a list as JSON, or `None` if it is empty.
fn json<T: Serialize>(list: &[T]) -> Result<Option<String>, Failure> {
    if list.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::to_string(list)?))
}
