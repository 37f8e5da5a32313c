//! A connection to the database, which is opened again after a failure.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::config::Prepared;
use super::failure::Failure;
use super::migration;

/// The time for one transaction, after which the connection is given up. The server ends its
/// statements earlier.
pub(super) const LIMIT: Duration = Duration::from_secs(15);

/// Begins a transaction whose statements, lock waits and idle time are limited. The limits end with the
/// transaction, so that they don't stay in a pooler's connection.
pub(super) const BEGIN: &str = "begin isolation level read committed; \
    set local statement_timeout = '10s'; set local lock_timeout = '5s'; \
    set local idle_in_transaction_session_timeout = '15s'";

/// A connection for one user at a time.
pub(super) struct Link {
    prepared: Prepared,
    connection: Mutex<Option<Connection>>,
}

/// An open connection. Dropping it closes it, even if a response is missing.
pub(super) struct Connection {
    pub(super) client: Arc<Client>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The exclusive use of a connection. Dropping it before its work has ended closes the connection,
/// and the server rolls its transaction back.
pub(super) struct Session<'a> {
    slot: MutexGuard<'a, Option<Connection>>,
    connection: Connection,
    pub(super) client: Arc<Client>,
}

impl Link {
    pub(super) fn new(prepared: Prepared) -> Self {
        Self { prepared, connection: Mutex::default() }
    }

    /// Returns the connection, and opens it if necessary.
    pub(super) async fn session(&self) -> Result<Session<'_>, Failure> {
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
        let client = connection.client.clone();
        Ok(Session { slot, connection, client })
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

impl Session<'_> {
    /// Runs a transaction, and keeps the connection if it is still usable.
    pub(super) async fn run<T>(
        self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.run_within(LIMIT, work).await
    }

    pub(super) async fn run_within<T>(
        mut self,
        limit: Duration,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let result = timeout(limit, work).await.unwrap_or(Err(Failure::Timeout));
        let is_usable = match &result {
            Ok(_) => true,
            Err(Failure::Timeout) => false,
            Err(_) => {
                let rollback = self.client.batch_execute("rollback");
                matches!(timeout(LIMIT, rollback).await, Ok(Ok(())))
            }
        };
        if is_usable {
            *self.slot = Some(self.connection);
        }
        result
    }
}
