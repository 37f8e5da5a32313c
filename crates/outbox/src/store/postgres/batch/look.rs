//! A look for lanes that can be leased.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row as SqlRow};
use uuid::Uuid;

use crate::store::postgres::failure::Failure;
use crate::store::postgres::migration;
use crate::store::postgres::row::{milliseconds, record};
use crate::store::{Lease, Leased};
use crate::time::Timestamp;

/// A look for lanes.
#[derive(Clone, Copy)]
pub(super) struct Lookup<'a> {
    /// The maximum number of lanes.
    pub(super) wanted: usize,
    pub(super) term: Duration,
    pub(super) avoid: Option<&'a str>,
    pub(super) holder: Uuid,
}

/// The result of one look for lanes.
#[derive(Default)]
pub(super) struct Claimed {
    pub(super) leased: Vec<Leased>,
    /// Lanes whose leases are over, or whose first entries need a decision.
    pub(super) undecided: Vec<String>,
    /// Whether another look may find more.
    pub(super) may_be_more: bool,
    /// The next due time and the current time, if nothing is due.
    pub(super) nothing: Option<(Option<Timestamp>, Timestamp)>,
}

impl Lookup<'_> {
    /// Looks in the client's transaction.
    pub(super) async fn run(self, client: Arc<Client>) -> Result<Claimed, Failure> {
        let wanted = i32::try_from(self.wanted).unwrap_or(i32::MAX);
        let parameters: &[(&(dyn ToSql + Sync), Type)] = &[
            (&wanted, Type::INT4),
            (&milliseconds(self.term), Type::INT8),
            (&self.holder.to_string(), Type::TEXT),
            (&self.avoid, Type::TEXT),
            // The schema may have been migrated since the connection was opened.
            (&migration::KNOWN, Type::INT4),
        ];
        let rows = client.query_typed(
            "select step, lane, lease, entry::text, body, (extract(epoch from at) * 1000)::bigint, \
             (extract(epoch from pushslots.clock()) * 1000)::bigint \
             from pushslots.claim($1, $2 * interval '1 millisecond', $3::text::uuid, $4, $5)",
            parameters,
        );
        let mut claimed = Claimed::default();
        for row in rows.await? {
            claimed.add(&row)?;
        }
        Ok(claimed)
    }
}

impl Claimed {
    fn add(&mut self, row: &SqlRow) -> Result<(), Failure> {
        let at: Option<i64> = row.try_get(5)?;
        match row.try_get::<_, &str>(0)? {
            "lease" => {
                let lane: String = row.try_get(1)?;
                let body = row.try_get::<_, Option<Vec<u8>>>(4)?.unwrap_or_default();
                self.leased.push(Leased::Entry {
                    lease: Lease { lane, number: number(row, 2)? },
                    entry: Box::new(record(row, 3)?),
                    body,
                });
            }
            "over" | "decide" => self.undecided.push(row.try_get(1)?),
            "nothing" => {
                self.nothing = Some((at.map(Timestamp), Timestamp(row.try_get(6)?)));
            }
            _ => self.may_be_more = true,
        }
        Ok(())
    }
}

/// Returns a number that is never negative.
pub(super) fn number(row: &SqlRow, column: usize) -> Result<u64, Failure> {
    let number: i64 = row.try_get(column)?;
    Ok(u64::try_from(number).unwrap_or_default())
}
