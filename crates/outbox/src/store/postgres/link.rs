//! A connection to the database, which is opened again after a failure.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join3;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::config::Prepared;
use super::failure::Failure;
use super::migration;
use crate::error::OutboxError;

/// The time for one transaction, after which the connection is given up. The server ends its
/// statements earlier.
pub(super) const LIMIT: Duration = Duration::from_secs(15);

/// The time for one transaction of maintenance.
const MAINTENANCE_LIMIT: Duration = Duration::from_secs(120);

/// Begins a transaction whose statements, lock waits and idle time are limited. The limits end with the
/// transaction, so that they don't stay in a pooler's connection.
pub(super) const BEGIN: &str = "begin isolation level read committed; \
    set local statement_timeout = '10s'; set local lock_timeout = '5s'; \
    set local idle_in_transaction_session_timeout = '15s'";

/// A connection for one user at a time.
pub(super) struct Link {
    prepared: Prepared,
    limit: Duration,
    /// Begins a limited transaction.
    begin: String,
    connection: Mutex<Option<Connection>>,
}

/// An open connection. Dropping it closes it, even if a response is missing. The server rolls the
/// transaction back, unless its commit was sent already.
pub(super) struct Connection {
    pub(super) client: Arc<Client>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Link {
    pub(super) fn new(prepared: Prepared) -> Self {
        Self { prepared, limit: LIMIT, begin: BEGIN.to_owned(), connection: Mutex::default() }
    }

    /// Creates a connection whose transactions can take long.
    pub(super) fn for_maintenance(prepared: Prepared) -> Self {
        let begin = format!("{BEGIN}; set local statement_timeout = '100s'");
        Self { limit: MAINTENANCE_LIMIT, begin, ..Self::new(prepared) }
    }

    /// Checks that the database can be reached and has the right schema.
    pub(super) async fn check(&self) -> Result<(), OutboxError> {
        let checked = self.run(|_| async { Ok(()) }).await;
        checked.map_err(|failure| OutboxError::Configuration(failure.to_string()))
    }

    /// Runs a transaction, which `work` begins and commits. Runs it once more if the partition of the
    /// day was missing.
    pub(super) async fn run<T, F>(&self, work: impl Fn(Arc<Client>) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        match self.run_once(&work).await {
            Err(failure) if failure.is_missing_partition() => {
                let ensuring = |client: Arc<Client>| async move {
                    self.transact(&client, ensure_partitions(&client)).await
                };
                self.run_once(ensuring).await?;
                self.run_once(&work).await
            }
            result => result,
        }
    }

    /// Runs statements in one limited transaction. `work` must send all of them before it waits, so
    /// that they take one round trip with the transaction's begin and end.
    pub(super) async fn pipeline<T, F>(&self, work: impl Fn(Arc<Client>) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let work = &work;
        self.run(|client| async move { self.transact(&client, work(client.clone())).await }).await
    }

    /// Sends a transaction at once.
    async fn transact<T>(
        &self,
        client: &Client,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let (begun, result, committed) =
            join3(client.batch_execute(&self.begin), work, client.batch_execute("commit")).await;
        begun?;
        let result = result?;
        committed?;
        Ok(result)
    }

    /// Opens the connection if necessary, and keeps it if it is still usable after the work.
    async fn run_once<T, F>(&self, work: impl Fn(Arc<Client>) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut slot = self.connection.lock().await;
        let connection = match slot.take().filter(|open| !open.client.is_closed()) {
            Some(connection) => connection,
            None => {
                let connection = connect(&self.prepared).await?;
                let checking = migration::check(&connection.client);
                timeout(LIMIT, checking).await.map_err(|_| Failure::Timeout)??;
                connection
            }
        };
        let client = &connection.client;
        let result =
            timeout(self.limit, work(client.clone())).await.unwrap_or(Err(Failure::Timeout));
        let is_usable = match &result {
            Ok(_) => true,
            Err(Failure::Timeout) => false,
            Err(_) => {
                let rollback = client.batch_execute("rollback");
                matches!(timeout(LIMIT, rollback).await, Ok(Ok(())))
            }
        };
        if is_usable {
            *slot = Some(connection);
        }
        result
    }
}

/// Opens a connection.
pub(super) async fn connect(prepared: &Prepared) -> Result<Connection, Failure> {
    let connecting = prepared.config.connect(prepared.tls.clone());
    let failed = |failure: &Failure| {
        let target = Prepared::target(&prepared.config);
        Failure::Other(format!("can't connect to {target}: {failure}"))
    };
    let connected = timeout(LIMIT, connecting).await.map_err(|_| failed(&Failure::Timeout))?;
    let (client, connection) = connected.map_err(|error| failed(&error.into()))?;
    let task = tokio::spawn(async move {
        // The next operation on the client reports the error.
        let _ = connection.await;
    });
    Ok(Connection { client: Arc::new(client), task })
}

/// Creates the partitions of the next days.
pub(super) async fn ensure_partitions(client: &Client) -> Result<(), Failure> {
    client.execute_typed("select pushslots.ensure_partitions()", &[]).await?;
    Ok(())
}
