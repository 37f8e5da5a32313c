//! A store in PostgreSQL, which any number of processes share.
//!
//! All times are those of the database. Each lane has a row that is locked for every change of its
//! entries, except that new entries are added without waiting for workers.

mod adding;
mod batch;
mod call;
mod config;
mod failure;
mod leases;
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
use uuid::Uuid;

use self::adding::Adding;
use self::batch::{Batches, Claim, Request, SendStep};
pub use self::call::EnqueueCall;
pub use self::config::PostgresConfig;
use self::config::Prepared;
use self::failure::Failure;
use self::link::Link;
pub use self::rate_limiter::PgRateLimiter;
use super::{
    Change, Changed, Enqueued, KeyGroup, Lease, Leased, NewEntry, OnChange, Settlement, Store,
    StoreFuture, StoredEntry, Summary,
};
use crate::error::StoreError;
use crate::filter::Filter;
use crate::state::EntryRecord;
use crate::time::{Now, Timestamp};

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
        let store = Self::start(config.prepare()?);
        store.calls.check().await?;
        Ok(store)
    }

    fn start(prepared: Prepared) -> Self {
        let link = || Link::new(prepared.clone());
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
            renewals: link(),
            maintenance: Link::for_maintenance(prepared.clone()),
            calls: link(),
            on_change,
            notified,
            listening,
        }
    }

    /// Runs an operation that changes entries, and reports the changes.
    async fn change<T, F>(&self, work: impl Fn(Arc<Client>) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<(T, Vec<Change>), Failure>>,
    {
        let (result, changes) = self.calls.run(work).await?;
        report(&self.on_change, &changes);
        Ok(result)
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

fn boxed<'a, T>(work: impl Future<Output = Result<T, Failure>> + Send + 'a) -> StoreFuture<'a, T> {
    Box::pin(async move { Ok(work.await?) })
}

/// Reports changes that are durable.
fn report(on_change: &OnceLock<OnChange>, changes: &[Change]) {
    if let Some(call) = on_change.get() {
        changes.iter().for_each(|change| call(change));
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
        let term = until.since(now);
        let renewals = &self.renewals;
        boxed(async move { renewals.pipeline(|client| leases::renew(client, &lease, term)).await })
    }

    fn begin(&self, lease: Lease, message_id: Uuid, _: Timestamp) -> StoreFuture<'_, bool> {
        self.request(|reply| Request::Step(SendStep::Begin { lease, message_id, reply }))
    }

    fn settle(&self, settlement: Settlement, _: Timestamp) -> StoreFuture<'_, Option<EntryRecord>> {
        let settlement = Box::new(settlement);
        self.request(|reply| Request::Step(SendStep::Settle { settlement, reply }))
    }

    fn hand_back(&self, lease: Lease) -> StoreFuture<'_, ()> {
        boxed(async move { self.calls.pipeline(|client| leases::hand_back(client, &lease)).await })
    }

    fn entry(&self, message_id: Uuid) -> StoreFuture<'_, Option<StoredEntry>> {
        boxed(self.calls.pipeline(move |client| reading::entry(client, message_id)))
    }

    fn list(&self, filter: Filter, after: u64, limit: usize) -> StoreFuture<'_, Vec<EntryRecord>> {
        boxed(async move {
            let listing = |client| reading::list(client, &filter, after, limit);
            self.calls.pipeline(listing).await
        })
    }

    fn replay(&self, message_id: Uuid, _: Timestamp) -> StoreFuture<'_, Changed> {
        boxed(self.change(move |client| managing::replay(client, message_id)))
    }

    fn cancel(&self, message_id: Uuid, _: Timestamp) -> StoreFuture<'_, Changed> {
        boxed(self.change(move |client| managing::cancel(client, message_id)))
    }

    fn set_held(&self, lane: String, held: bool) -> StoreFuture<'_, ()> {
        boxed(async move { self.calls.run(|client| managing::set_held(client, &lane, held)).await })
    }

    fn remove_final(
        &self,
        _: Timestamp,
        age: Duration,
        dead: bool,
        limit: usize,
    ) -> StoreFuture<'_, usize> {
        boxed(async move {
            match dead {
                true => {
                    let removing = |client| managing::remove_dead(client, age, limit);
                    self.maintenance.pipeline(removing).await
                }
                false => self.maintenance.pipeline(|client| managing::rotate(client, age)).await,
            }
        })
    }

    fn erase_bodies(&self, filter: Filter) -> StoreFuture<'_, usize> {
        boxed(async move {
            self.maintenance.pipeline(|client| managing::erase_bodies(client, &filter)).await
        })
    }

    fn next_group(&self, after: Option<KeyGroup>) -> StoreFuture<'_, Option<KeyGroup>> {
        boxed(async move {
            self.maintenance.pipeline(|client| managing::next_group(client, after.as_ref())).await
        })
    }

    fn supersede_group(&self, group: KeyGroup, _: Timestamp) -> StoreFuture<'_, usize> {
        boxed(async move { self.change(|client| managing::supersede_group(client, &group)).await })
    }

    /// A shared rate limiter keeps its own record of requests.
    fn recent_requests(&self) -> StoreFuture<'_, Vec<(Timestamp, u32)>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn summary(&self) -> StoreFuture<'_, Summary> {
        boxed(self.calls.pipeline(reading::summary))
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
