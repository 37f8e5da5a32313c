//! The vendor's database, its messages, and a worker that sends them to a mock of the service.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pushslots::chrono::{TimeDelta, Utc};
use pushslots::mock::MockService;
use pushslots::uuid::{Uuid, uuid};
use pushslots::{Client, PushSlots, Slot};
use pushslots_outbox::{Outbox, PostgresConfig};
use pushslots_test_postgres::PostgresServer;

pub const DESTINATION: Uuid = uuid!("af394f14-b34a-464f-8d24-895f370af4c9");

/// The vendor's schedule: four slots tomorrow, none of them free.
const SCHEDULE: &str = "
    create schema if not exists example;
    create table if not exists example.appointment_slot (
        id integer primary key, starts_at timestamptz not null, is_free boolean not null);
    insert into example.appointment_slot
    select id, date_trunc('hour', now()) + interval '1 day' + id * interval '15 minutes', false
    from generate_series(1, 4) id
    on conflict (id) do update set starts_at = excluded.starts_at, is_free = false";

/// A database with the vendor's schedule and an outbox.
pub struct Database {
    pub url: String,
    pub outbox: Outbox,
    /// Stops with the example.
    _server: Option<PostgresServer>,
}

impl Database {
    /// Opens the database of `PUSHSLOTS_DATABASE_URL`, or starts a server of its own. Returns `None`
    /// if PostgreSQL isn't installed.
    pub async fn open() -> Result<Option<Self>> {
        let (url, server) = match std::env::var("PUSHSLOTS_DATABASE_URL") {
            Ok(url) => (url, None),
            Err(_) => {
                let Some(server) = PostgresServer::start() else { return Ok(None) };
                (server.url(&server.create_database()), Some(server))
            }
        };
        let config = PostgresConfig::new(&url)?;
        config.migrate().await?;
        let outbox = Outbox::builder().destination(DESTINATION).postgres(&config).await?;
        let stats = outbox.stats().await?;
        ensure!(
            stats.waiting + stats.sending == 0,
            "the outbox already has entries, which the example would send to its mock; set \
             PUSHSLOTS_DATABASE_URL to an empty database"
        );
        connect(&url).await?.batch_execute(SCHEDULE).await?;
        Ok(Some(Self { url, outbox, _server: server }))
    }
}

/// Connects as the vendor's program does.
pub async fn connect(url: &str) -> Result<tokio_postgres::Client> {
    let connecting = tokio_postgres::connect(url, tokio_postgres::NoTls).await;
    let (client, connection) = connecting.context("failed to connect to the database")?;
    tokio::spawn(connection);
    Ok(client)
}

/// Creates the message that publishes a slot.
pub fn message(slot_id: i32) -> Result<PushSlots> {
    let starts_at = Utc::now() + TimeDelta::days(1);
    Ok(PushSlots::builder().slot(Slot::new(starts_at, 15).id(slot_id.to_string())).build()?)
}

/// Delivers the messages of the outbox, and prints the slots that the service received.
pub async fn deliver(outbox: &Outbox, message_ids: &[Uuid]) -> Result<()> {
    let service = MockService::start()?;
    let client = Client::builder().mock(&service).build()?;
    let worker = outbox.worker(&client).start()?;
    for id in message_ids {
        outbox.wait_for(*id).await?;
    }
    worker.shutdown(Duration::from_secs(30)).await;
    for received in service.received() {
        for slot in received.slots() {
            println!("received: slot {}", slot.id.as_deref().unwrap_or("without an id"));
        }
    }
    Ok(())
}
