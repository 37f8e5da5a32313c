//! Enqueues messages in transactions of sqlx.
//!
//! `cargo run --features sqlx --example sqlx` prints:
//!
//! ```text
//! committed: slot 1
//! rolled back: slot 2, and the outbox doesn't have its message
//! received: slot 1
//! ```

use anyhow::{Result, ensure};
use pushslots::uuid::Uuid;
use pushslots_outbox::Outbox;
use set_up::{Database, deliver, message};
use sqlx::{PgConnection, PgPool};

mod set_up;

/// Frees a slot and enqueues its message, both in the caller's transaction.
async fn free_slot(outbox: &Outbox, transaction: &mut PgConnection, id: i32) -> Result<Uuid> {
    sqlx::query("update example.appointment_slot set is_free = true where id = $1")
        .bind(id)
        .execute(&mut *transaction)
        .await?;

    let call = outbox.prepare(&message(id)?).lane("clinic-7").call()?;
    sqlx::query(call.sql()).bind(call.entry()).bind(call.body()).fetch_one(transaction).await?;
    Ok(call.message_id())
}

#[tokio::main]
async fn main() -> Result<()> {
    let Some(database) = Database::open().await? else { return Ok(()) };
    let outbox = &database.outbox;
    let pool = PgPool::connect(&database.url).await?;

    let mut transaction = pool.begin().await?;
    let committed = free_slot(outbox, &mut transaction, 1).await?;
    transaction.commit().await?;
    println!("committed: slot 1");

    let mut transaction = pool.begin().await?;
    let rolled_back = free_slot(outbox, &mut transaction, 2).await?;
    transaction.rollback().await?;
    ensure!(outbox.entry(rolled_back).await?.is_none(), "the outbox has the message of slot 2");
    println!("rolled back: slot 2, and the outbox doesn't have its message");

    deliver(outbox, &[committed]).await
}
