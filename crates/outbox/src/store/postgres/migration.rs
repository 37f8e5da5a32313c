//! The versions of the schema.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Client;

use super::config::PostgresConfig;
use super::failure::Failure;
use super::link;
use crate::error::OutboxError;

/// A change of the schema.
pub(super) struct Migration {
    pub(super) version: i32,
    /// The oldest version that a program must know to use the schema after the change.
    pub(super) required: i32,
    pub(super) sql: &'static str,
}

/// All changes in order.
const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, required: 1, sql: include_str!("schema/1.sql") }];

/// The version of the schema that this program knows.
pub(super) const KNOWN: i32 = 1;

/// The time for all changes.
const LIMIT: Duration = Duration::from_secs(120);

impl PostgresConfig {
    /// Creates the schema `pushslots`, or changes it to the version that this program knows.
    ///
    /// Run it with a role that may create schemas in the database, before the first program of a new
    /// version. It does nothing if the schema is up to date. Running programs of earlier versions
    /// continue, or stop with an error that names both versions. It changes all or nothing, and waits
    /// up to 3 s for locks.
    ///
    /// Other roles get their rights from `select pushslots.grant_worker('role')` and
    /// `select pushslots.grant_enqueuer('role')`.
    ///
    /// # Errors
    ///
    /// Returns an error if the database can't be reached, the role lacks rights, or another
    /// transaction holds a lock. Nothing is changed then.
    pub async fn migrate(&self) -> Result<(), OutboxError> {
        let migrated = apply(self, MIGRATIONS).await?;
        migrated.map_err(|failure| {
            OutboxError::Configuration(format!("the schema pushslots can't be migrated: {failure}"))
        })
    }
}

/// Applies the changes that are missing.
pub(super) async fn apply(
    config: &PostgresConfig,
    migrations: &[Migration],
) -> Result<Result<(), Failure>, OutboxError> {
    let prepared = config.prepare()?;
    let migrating = async {
        let connection = link::connect(&prepared).await?;
        let client = &connection.client;
        client
            .batch_execute(
                "begin; set local lock_timeout = '3s'; \
                 select pg_advisory_xact_lock(hashtextextended('pushslots.migration', 0)); \
                 create schema if not exists pushslots",
            )
            .await?;
        let version = version(client).await?.map_or(0, |(version, _)| version);
        for migration in migrations.iter().filter(|migration| migration.version > version) {
            client.batch_execute(migration.sql).await?;
            let Migration { version, required, .. } = migration;
            client
                .batch_execute(&format!(
                    "delete from pushslots.meta; \
                     insert into pushslots.meta values ({version}, {required})"
                ))
                .await?;
        }
        client.batch_execute("commit").await?;
        Ok(())
    };
    Ok(timeout(LIMIT, migrating).await.unwrap_or(Err(Failure::Timeout)))
}

/// Checks that this program can use the schema.
pub(super) async fn check(client: &Client) -> Result<(), Failure> {
    let Some((version, required)) = version(client).await? else {
        return Err(Failure::Other(
            "the schema pushslots doesn't exist; run PostgresConfig::migrate".to_owned(),
        ));
    };
    if version < KNOWN {
        return Err(Failure::Other(format!(
            "the schema pushslots has version {version}, and this program needs {KNOWN}; run \
             PostgresConfig::migrate"
        )));
    }
    if required > KNOWN {
        return Err(Failure::Other(format!(
            "the schema pushslots requires programs that know version {required}, and this one only \
             knows {KNOWN}; update the program"
        )));
    }
    Ok(())
}

/// Returns the version of the schema and the one that it requires, or `None` if there is none.
async fn version(client: &Client) -> Result<Option<(i32, i32)>, Failure> {
    // The function is missing before the first migration, which must not end the transaction.
    let exists =
        client.query_typed_one("select to_regproc('pushslots.version') is not null", &[]).await?;
    if !exists.try_get::<_, bool>(0)? {
        return Ok(None);
    }
    let row = client.query_typed_one("select v[1], v[2] from pushslots.version() v", &[]).await?;
    Ok(Some((row.try_get(0)?, row.try_get(1)?)))
}
