//! A database for each test, and a service that accepts messages.

use std::sync::OnceLock;
use std::time::Duration;

use pushslots::chrono::{TimeDelta, Utc};
use pushslots::mock::MockService;
use pushslots::{Client, PushSlots, Slot};
use pushslots_outbox::{Outbox, PostgresConfig};
use pushslots_test_postgres::{PgBouncer, PostgresServer};

/// The server of all tests of this process.
pub fn server() -> Option<&'static PostgresServer> {
    static SERVER: OnceLock<Option<PostgresServer>> = OnceLock::new();
    SERVER.get_or_init(PostgresServer::start).as_ref()
}

fn pgbouncer() -> Option<&'static PgBouncer> {
    static PGBOUNCER: OnceLock<Option<PgBouncer>> = OnceLock::new();
    PGBOUNCER.get_or_init(|| PgBouncer::start(server()?)).as_ref()
}

/// Returns the number in an environment variable.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().unwrap())
}

/// A database with the schema.
pub struct Database {
    pub name: String,
    pub url: String,
}

impl Database {
    /// Creates a database. Returns `None` if there is no server.
    pub async fn create() -> Option<Self> {
        let server = server()?;
        let name = server.create_database();
        let url = server.url(&name);
        PostgresConfig::new(&url).unwrap().migrate().await.unwrap();
        Some(Self { name, url })
    }

    pub fn config(&self) -> PostgresConfig {
        PostgresConfig::new(&self.url).unwrap().poll_interval(Duration::from_millis(100))
    }

    /// Returns the URL of the database behind PgBouncer.
    pub fn pooled_url(&self) -> String {
        pgbouncer().expect("PgBouncer starts where PostgreSQL does").url(&self.name)
    }

    pub fn pooled(&self) -> PostgresConfig {
        let config = PostgresConfig::new(self.pooled_url()).unwrap();
        config.poll_interval(Duration::from_millis(100))
    }

    pub fn psql(&self, sql: &str) -> String {
        server().unwrap().psql(&self.name, sql)
    }

    /// Connects as an application does.
    pub async fn connect(&self) -> tokio_postgres::Client {
        let (client, connection) =
            tokio_postgres::connect(&self.url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

pub fn service() -> MockService {
    MockService::builder().without_rate_limit().start().unwrap()
}

pub fn client(service: &MockService) -> Client {
    Client::builder().mock(service).build().unwrap()
}

pub async fn outbox(service: &MockService, config: &PostgresConfig) -> Outbox {
    Outbox::builder().destination(service.destination()).postgres(config).await.unwrap()
}

pub fn message() -> PushSlots {
    let tomorrow = Utc::now() + TimeDelta::days(1);
    PushSlots::builder().slot(Slot::new(tomorrow, 15)).build().unwrap()
}

/// Fails the test if `future` takes longer than it may on a busy machine.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it ends soon")
}
