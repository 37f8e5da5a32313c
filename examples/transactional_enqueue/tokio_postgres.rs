//! Enqueues messages in transactions of tokio-postgres.
//!
//! `cargo run --example tokio_postgres` prints:
//!
//! ```text
//! committed: slot 1
//! rolled back: slot 2, and the outbox doesn't have its message
//! enqueued without a transaction: slot 3
//! received: slot 1
//! received: slot 3
//! ```

use anyhow::{Result, ensure};
use pushslots::uuid::Uuid;
use pushslots_outbox::Outbox;
use set_up::{Database, connect, deliver, message};
use tokio_postgres::Transaction;

mod set_up;

/// Frees a slot and enqueues its message, both in the caller's transaction.
async fn free_slot(outbox: &Outbox, transaction: &Transaction<'_>, id: i32) -> Result<Uuid> {
    let sql = "update example.appointment_slot set is_free = true where id = $1";
    transaction.execute(sql, &[&id]).await?;

    let call = outbox.prepare(&message(id)?).lane("clinic-7").call()?;
    transaction.query_one(call.sql(), &[&call.entry(), &call.body()]).await?;
    Ok(call.message_id())
}

#[tokio::main]
async fn main() -> Result<()> {
    let Some(database) = Database::open().await? else { return Ok(()) };
    let outbox = &database.outbox;
    let mut client = connect(&database.url).await?;

    let transaction = client.transaction().await?;
    let committed = free_slot(outbox, &transaction, 1).await?;
    transaction.commit().await?;
    println!("committed: slot 1");

    let transaction = client.transaction().await?;
    let rolled_back = free_slot(outbox, &transaction, 2).await?;
    transaction.rollback().await?;
    ensure!(outbox.entry(rolled_back).await?.is_none(), "the outbox has the message of slot 2");
    println!("rolled back: slot 2, and the outbox doesn't have its message");

    let enqueued = outbox.enqueue(&message(3)?).lane("clinic-7").await?.message_id();
    println!("enqueued without a transaction: slot 3");

    deliver(outbox, &[committed, enqueued]).await
}
