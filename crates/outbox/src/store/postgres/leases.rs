//! Renews and ends leases.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::failure::Failure;
use super::row::milliseconds;
use crate::store::Lease;

/// Extends a lease, and returns whether it is still valid.
pub(super) async fn renew(
    client: Arc<Client>,
    lease: &Lease,
    term: Duration,
) -> Result<bool, Failure> {
    let number = i64::try_from(lease.number).unwrap_or(i64::MAX);
    let rows = client
        .execute_typed(
            "update pushslots.lane set \
             leased_until = pushslots.clock() + $3 * interval '1 millisecond' \
             where name = $1 and lease = $2",
            &[(&lease.lane, Type::TEXT), (&number, Type::INT8), (&milliseconds(term), Type::INT8)],
        )
        .await?;
    Ok(rows > 0)
}

/// Ends a lease, unless its entry is being sent.
pub(super) async fn hand_back(client: Arc<Client>, lease: &Lease) -> Result<(), Failure> {
    let number = i64::try_from(lease.number).unwrap_or(i64::MAX);
    let sql = "select pushslots.hand_back($1, $2)";
    client.execute_typed(sql, &[(&lease.lane, Type::TEXT), (&number, Type::INT8)]).await?;
    Ok(())
}

/// Returns the number of processes with leases.
pub(super) async fn count_holders(client: Arc<Client>) -> Result<i64, Failure> {
    let sql = "select count(distinct holder) from pushslots.lane where lease is not null";
    Ok(client.query_typed_one(sql, &[]).await?.try_get(0)?)
}

/// Ends the leases of a process that it doesn't know of.
pub(super) async fn hand_back_unknown(
    client: Arc<Client>,
    holder: &str,
    known: &[i64],
) -> Result<(), Failure> {
    let sql = "select pushslots.hand_back_unknown($1::text::uuid, $2)";
    client.execute_typed(sql, &[(&holder, Type::TEXT), (&known, Type::INT8_ARRAY)]).await?;
    Ok(())
}
