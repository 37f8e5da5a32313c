//! A store in PostgreSQL, which any number of processes share.
//!
//! All times are those of the database. Each lane has a row that is locked for every change of its
//! entries, except that new entries are added without waiting for workers.

mod adding;
mod batch;
mod call;
mod config;
mod failure;
mod link;
mod listening;
mod managing;
mod migration;
mod rate_limiter;
mod reading;
mod row;
#[cfg(test)]
pub(crate) mod tests;
mod working;

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use self::adding::Adding;
use self::batch::{Batches, Claim, Request, milliseconds};
pub use self::call::EnqueueCall;
pub use self::config::PostgresConfig;
use self::config::Prepared;
use self::failure::Failure;
use self::link::Link;
pub use self::rate_limiter::PgRateLimiter;
use super::{
    Changed, Enqueued, KeyGroup, Lease, Leased, NewEntry, OnChange, Settlement, Store, StoreFuture,
    StoredEntry, Summary,
};
use crate::error::StoreError;
use crate::filter::Filter;
use crate::state::EntryRecord;
use crate::time::{Now, Timestamp};

/// The time for one operation of maintenance.
const MAINTENANCE_LIMIT: Duration = Duration::from_secs(120);

/// A store in PostgreSQL.
pub(crate) struct PostgresStore {
    poll_interval: Duration,
    /// Adds entries.
    adding: mpsc::UnboundedSender<Adding>,
    /// Leases, begins and settles.
    work: mpsc::UnboundedSender<Request>,
    /// Renews leases. It is reserved, so that no other operation delays it.
    renewals: Link,
    /// Maintenance.
    maintenance: Link,
    /// All other operations.
    calls: Link,
    on_change: Arc<OnceLock<OnChange>>,
    /// Notified by `NOTIFY pushslots`.
    notified: Arc<Notify>,
    listening: Option<JoinHandle<()>>,
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        // The other tasks end with their channels.
        if let Some(listening) = &self.listening {
            listening.abort();
        }
    }
}

impl PostgresStore {
    /// Opens a store, and checks that the database can be reached and has the right schema.
    pub(crate) async fn open(config: &PostgresConfig) -> Result<Self, crate::OutboxError> {
        let prepared = config.prepare()?;
        let store = Self::start(prepared);
        let checked = async { store.calls.session().await?.run(async { Ok(()) }).await };
        checked
            .await
            .map_err(|failure: Failure| crate::OutboxError::Configuration(failure.to_string()))?;
        Ok(store)
    }

    fn start(prepared: Prepared) -> Self {
        let link = || Arc::new(Link::new(prepared.clone()));
        let on_change = Arc::default();
        let (adding, to_add) = mpsc::unbounded_channel();
        tokio::spawn(adding::run(link(), to_add));
        let (work, to_do) = mpsc::unbounded_channel();
        let batches = Batches::new(link(), Arc::clone(&on_change));
        tokio::spawn(batches.run(to_do));
        let notified = Arc::default();
        let listening = prepared.listen.clone().map(|listen| {
            tokio::spawn(listening::run(prepared.clone(), listen, Arc::clone(&notified)))
        });
        Self {
            poll_interval: prepared.poll_interval,
            adding,
            work,
            renewals: Link::new(prepared.clone()),
            maintenance: Link::new(prepared.clone()),
            calls: Link::new(prepared),
            on_change,
            notified,
            listening,
        }
    }

    /// Runs an operation on the connection for calls.
    fn call<'a, T, F>(
        &'a self,
        work: impl Fn(Arc<Client>) -> F + Send + Sync + 'a,
    ) -> StoreFuture<'a, T>
    where
        T: Send + 'a,
        F: Future<Output = Result<T, Failure>> + Send + 'a,
    {
        self.run_on(&self.calls, link::LIMIT, work)
    }

    /// Runs an operation that can take long on the connection for maintenance.
    fn maintain<'a, T, F>(
        &'a self,
        work: impl Fn(Arc<Client>) -> F + Send + Sync + 'a,
    ) -> StoreFuture<'a, T>
    where
        T: Send + 'a,
        F: Future<Output = Result<T, Failure>> + Send + 'a,
    {
        self.run_on(&self.maintenance, MAINTENANCE_LIMIT, work)
    }

    fn run_on<'a, T, F>(
        &'a self,
        link: &'a Link,
        limit: Duration,
        work: impl Fn(Arc<Client>) -> F + Send + Sync + 'a,
    ) -> StoreFuture<'a, T>
    where
        T: Send + 'a,
        F: Future<Output = Result<T, Failure>> + Send + 'a,
    {
        Box::pin(async move {
            let call = async || {
                let session = link.session().await?;
                let client = session.client.clone();
                session.run_within(limit, work(client)).await
            };
            let mut called = call().await;
            if let Err(failure) = &called
                && failure.is_missing_partition()
            {
                let session = link.session().await;
                let ensured = async {
                    let session = session?;
                    let client = session.client.clone();
                    session.run(batch::ensure_partitions(&client)).await
                };
                called = match ensured.await {
                    Ok(()) => call().await,
                    Err(failure) => Err(failure),
                };
            }
            called.map_err(|failure: Failure| StoreError(failure.to_string()))
        })
    }

    /// Runs an operation that changes entries, and reports the changes.
    fn change<'a, T, F>(
        &'a self,
        work: impl Fn(Arc<Client>) -> F + Send + Sync + 'a,
    ) -> StoreFuture<'a, T>
    where
        T: Send + 'a,
        F: Future<Output = Result<(T, Vec<super::Change>), Failure>> + Send + 'a,
    {
        Box::pin(async move {
            let (result, changes) = self.call(work).await?;
            if let Some(call) = self.on_change.get() {
                changes.iter().for_each(|change| call(change));
            }
            Ok(result)
        })
    }

    /// Passes a request to a task, and waits for its reply.
    fn request<T: Send + 'static>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Request,
    ) -> StoreFuture<'_, T> {
        let (reply, replied) = oneshot::channel();
        let _ = self.work.send(request(reply));
        Box::pin(async move { replied.await.unwrap_or_else(|_| Err(stopped())) })
    }
}

fn stopped() -> StoreError {
    StoreError("the task of the database connection has ended with its runtime".to_owned())
}

impl Store for PostgresStore {
    fn poll_interval(&self) -> Option<Duration> {
        Some(self.poll_interval)
    }

    fn changed_elsewhere(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.notified.notified())
    }

    fn on_change(&self, call: OnChange) {
        let _ = self.on_change.set(call);
    }

    fn enqueue(&self, entries: Vec<NewEntry>) -> StoreFuture<'_, Enqueued> {
        Box::pin(async move {
            let (reply, replied) = oneshot::channel();
            let _ = self.adding.send(Adding::new(entries, reply)?);
            replied.await.unwrap_or_else(|_| Err(stopped()))
        })
    }

    fn lease(&self, now: Now, until: Timestamp, avoid: Option<String>) -> StoreFuture<'_, Leased> {
        let term = until.since(now.steady);
        self.request(|reply| Request::Claim(Claim { term, avoid, wall: now.wall, reply }))
    }

    fn renew(&self, lease: Lease, now: Timestamp, until: Timestamp) -> StoreFuture<'_, bool> {
        let term = milliseconds(until.since(now));
        let number = i64::try_from(lease.number).unwrap_or(i64::MAX);
        Box::pin(async move {
            let renewed = async {
                let session = self.renewals.session().await?;
                let client = session.client.clone();
                let renewing = async move {
                    let rows = client
                        .execute_typed(
                            "update pushslots.lane set \
                             leased_until = pushslots.clock() + $3 * interval '1 millisecond' \
                             where name = $1 and lease = $2",
                            &[
                                (&lease.lane, Type::TEXT),
                                (&number, Type::INT8),
                                (&term, Type::INT8),
                            ],
                        )
                        .await?;
                    Ok(rows > 0)
                };
                session.run(renewing).await
            };
            renewed.await.map_err(|failure: Failure| StoreError(failure.to_string()))
        })
    }

    fn begin(&self, lease: Lease, message_id: Uuid, _: Timestamp) -> StoreFuture<'_, bool> {
        self.request(|reply| Request::Begin { lease, message_id, reply })
    }

    fn settle(&self, settlement: Settlement, _: Timestamp) -> StoreFuture<'_, Option<EntryRecord>> {
        self.request(|reply| Request::Settle { settlement: Box::new(settlement), reply })
    }

    fn hand_back(&self, lease: Lease) -> StoreFuture<'_, ()> {
        let number = i64::try_from(lease.number).unwrap_or(i64::MAX);
        self.call(move |client| {
            let lane = lease.lane.clone();
            async move {
                client
                    .execute_typed(
                        "select pushslots.hand_back($1, $2)",
                        &[(&lane, Type::TEXT), (&number, Type::INT8)],
                    )
                    .await?;
                Ok(())
            }
        })
    }

    fn entry(&self, message_id: Uuid) -> StoreFuture<'_, Option<StoredEntry>> {
        self.call(move |client| async move { reading::entry(&client, message_id).await })
    }

    fn list(&self, filter: Filter, after: u64, limit: usize) -> StoreFuture<'_, Vec<EntryRecord>> {
        self.call(move |client| {
            let filter = filter.clone();
            async move { reading::list(&client, &filter, after, limit).await }
        })
    }

    fn replay(&self, message_id: Uuid, _: Timestamp) -> StoreFuture<'_, Changed> {
        self.change(move |client| async move { managing::replay(&client, message_id).await })
    }

    fn cancel(&self, message_id: Uuid, _: Timestamp) -> StoreFuture<'_, Changed> {
        self.change(move |client| async move { managing::cancel(&client, message_id).await })
    }

    fn set_held(&self, lane: String, held: bool) -> StoreFuture<'_, ()> {
        self.call(move |client| {
            let lane = lane.clone();
            async move { managing::set_held(&client, &lane, held).await }
        })
    }

    fn remove_final(
        &self,
        _: Timestamp,
        age: Duration,
        dead: bool,
        limit: usize,
    ) -> StoreFuture<'_, usize> {
        self.maintain(move |client| async move {
            match dead {
                true => managing::remove_dead(&client, age, limit).await,
                false => managing::rotate(&client, age).await,
            }
        })
    }

    fn erase_bodies(&self, filter: Filter) -> StoreFuture<'_, usize> {
        self.maintain(move |client| {
            let filter = filter.clone();
            async move { managing::erase_bodies(&client, &filter).await }
        })
    }

    fn next_group(&self, after: Option<KeyGroup>) -> StoreFuture<'_, Option<KeyGroup>> {
        self.maintain(move |client| {
            let after = after.clone();
            async move { managing::next_group(&client, after.as_ref()).await }
        })
    }

    fn supersede_group(&self, group: KeyGroup, _: Timestamp) -> StoreFuture<'_, usize> {
        self.change(move |client| {
            let group = group.clone();
            async move { managing::supersede_group(&client, &group).await }
        })
    }

    /// A shared rate limiter keeps its own record of requests.
    fn recent_requests(&self) -> StoreFuture<'_, Vec<(Timestamp, u32)>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn summary(&self) -> StoreFuture<'_, Summary> {
        self.call(|client| async move { reading::summary(&client).await })
    }

    /// The database does it itself.
    fn compact(&self) -> StoreFuture<'_, bool> {
        Box::pin(async { Ok(false) })
    }

    /// Other processes may have leases. Those of processes that ended are over soon.
    fn recover(&self, _: Timestamp) -> StoreFuture<'_, usize> {
        Box::pin(async { Ok(0) })
    }
}
