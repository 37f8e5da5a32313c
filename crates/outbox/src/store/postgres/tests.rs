//! Tests against a real PostgreSQL, directly and through PgBouncer in transaction mode.

mod figures;
mod limits;
mod migrating;
mod reads;
mod rolling;

use std::sync::OnceLock;

use pushslots_test_postgres::{PgBouncer, PostgresServer};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

use super::{PostgresConfig, PostgresStore};
use crate::time::Timestamp;

/// The server of all tests of this process.
fn server() -> Option<&'static PostgresServer> {
    static SERVER: OnceLock<Option<PostgresServer>> = OnceLock::new();
    SERVER.get_or_init(PostgresServer::start).as_ref()
}

fn pgbouncer() -> Option<&'static PgBouncer> {
    static PGBOUNCER: OnceLock<Option<PgBouncer>> = OnceLock::new();
    PGBOUNCER.get_or_init(|| PgBouncer::start(server()?)).as_ref()
}

/// A way to the server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Through {
    Server,
    PgBouncer,
}

/// A database with a clock that the test sets.
pub(crate) struct Database {
    url: String,
    control_url: String,
}

/// A store in a database of its own.
pub(crate) struct Shared {
    pub(crate) store: PostgresStore,
    config: PostgresConfig,
    control: Client,
}

/// Returns the number in an environment variable.
fn setting(name: &str) -> Option<u64> {
    Some(std::env::var(name).ok()?.parse().unwrap_or_else(|_| panic!("{name} isn't a number")))
}

/// Creates a database. Returns `None` if there is no server.
pub(crate) async fn database(through: Through) -> Option<Database> {
    let server = server()?;
    let name = server.create_database();
    let control_url = server.url(&name);
    let url = match through {
        Through::Server => control_url.clone(),
        Through::PgBouncer => pgbouncer()?.url(&name),
    };
    PostgresConfig::new(&control_url).unwrap().migrate().await.unwrap();
    server.psql(
        &name,
        "create schema pushslots_test;
             create table pushslots_test.clock (time timestamptz);
             insert into pushslots_test.clock values (now());
             create or replace function pushslots.clock() returns timestamptz language sql volatile
             as $$ select time from pushslots_test.clock $$;",
    );
    Some(Database { url, control_url })
}

/// Connects to the server itself.
async fn control(database: &Database) -> Client {
    let (control, connection) =
        tokio_postgres::connect(&database.control_url, NoTls).await.unwrap();
    tokio::spawn(connection);
    control
}

/// Lets the database use its own clock.
async fn let_time_pass(control: &Client) {
    let clock = "create or replace function pushslots.clock() returns timestamptz \
                 language sql volatile \
                 as $$ select date_trunc('milliseconds', clock_timestamp()) $$";
    control.batch_execute(clock).await.unwrap();
}

/// Sets the clock of the database.
async fn set_time(control: &Client, now: Timestamp) {
    control
        .execute_typed(
            "update pushslots_test.clock set time = to_timestamp($1 / 1000.0)",
            &[(&now.0, Type::INT8)],
        )
        .await
        .unwrap();
}

impl Shared {
    /// Opens an empty store.
    pub(crate) async fn open(database: &Database) -> Self {
        let control = control(database).await;
        control
            .batch_execute(
                "truncate pushslots.entry, pushslots.dead, pushslots.settled, pushslots.body, \
                 pushslots.final_id, pushslots.attempt, pushslots.lane, pushslots.tally",
            )
            .await
            .unwrap();
        let config = PostgresConfig::new(&database.url).unwrap();
        let store = PostgresStore::open(&config).await.unwrap();
        Self { store, config, control }
    }

    pub(crate) async fn set_time(&self, now: Timestamp) {
        set_time(&self.control, now).await;
    }

    pub(crate) async fn reopen(&mut self) -> Result<(), String> {
        let store = PostgresStore::open(&self.config).await;
        self.store = store.map_err(|error| error.to_string())?;
        Ok(())
    }
}
