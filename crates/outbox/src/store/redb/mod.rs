//! A store in a file, with redb.
//!
//! One thread executes all writes, and one commit serves all requests that wait. Reads run at the
//! same time. Leases live in memory, because only one process can open the file.

mod database;
mod entries;
mod error;
#[cfg(test)]
pub(crate) mod faults;
#[cfg(test)]
mod figures;
mod file;
mod lanes;
mod leases;
mod lock;
mod managing;
mod places;
#[cfg(test)]
mod power;
mod reading;
mod reply;
mod sending;
#[cfg(test)]
pub(crate) mod shared;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use ::redb::ReadTransaction;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use uuid::Uuid;

pub(crate) use self::error::OpenError;

use self::database::{Slot, Source};
use self::leases::Leases;
use self::lock::LockFile;
use self::reply::LeaseReply;
use self::sending::Work;
use self::writer::{Message, Writer};
use super::{
    Changed, Enqueued, KeyGroup, Lease, Leased, NewEntry, OnChange, Settlement, Store, StoreFuture,
    StoredEntry, Summary,
};
use crate::error::StoreError;
use crate::filter::Filter;
use crate::state::EntryRecord;
use crate::time::{Now, Timestamp};

/// A store in a file. Call [`recover`](Store::recover) once after opening it.
///
/// Dropping it waits until the accepted requests are complete and the file is closed.
pub(crate) struct RedbStore {
    slot: Arc<Slot>,
    /// `None` only while the store is dropped.
    requests: Option<Sender<Message>>,
    writer: Option<JoinHandle<()>>,
    on_change: Arc<OnceLock<OnChange>>,
    /// Released after the writer has closed the file.
    _lock: Option<LockFile>,
}

impl RedbStore {
    /// Opens an outbox file, and creates it if it doesn't exist. `cache_bytes` is the size of the
    /// database's cache.
    ///
    /// It blocks. After a crash it reads the whole file, and otherwise only a file of at most
    /// 256 MiB.
    pub(crate) fn open(path: &Path, cache_bytes: usize) -> Result<Self, OpenError> {
        let (source, lock) = file::prepare(path)?;
        Self::start(source, cache_bytes, Some(lock))
    }

    /// Opens an outbox on any backend, and creates it if the backend is empty.
    #[cfg(test)]
    pub(crate) fn with_backend(backend: impl ::redb::StorageBackend) -> Result<Self, OpenError> {
        let source = Source::Backend(shared::SharedBackend::new(backend));
        Self::start(source, 16 * 1024 * 1024, None)
    }

    fn start(
        source: Source,
        cache_bytes: usize,
        lock: Option<LockFile>,
    ) -> Result<Self, OpenError> {
        let path = source.path().to_owned();
        let (slot, last_lease) = Slot::open(source, cache_bytes)?;
        let slot = Arc::new(slot);
        let (requests, receiver) = mpsc::channel();
        let on_change = Arc::new(OnceLock::new());
        let writer = Writer::new(slot.clone(), receiver, on_change.clone(), last_lease);
        let thread = std::thread::Builder::new().name("pushslots-outbox".to_owned());
        let writer = thread
            .spawn(move || writer.run())
            .map_err(|error| OpenError::io(&path, "start the writer thread", error))?;
        let (requests, writer) = (Some(requests), Some(writer));
        Ok(Self { slot, requests, writer, on_change, _lock: lock })
    }

    /// Sends a request to the writer, and returns the receiver of its reply.
    fn request<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Message,
    ) -> oneshot::Receiver<Result<T, StoreError>> {
        let (reply, receiver) = oneshot::channel();
        if let Some(requests) = &self.requests {
            // If the writer is gone, the receiver notices that the sender of the reply is.
            let _ = requests.send(message(reply));
        }
        receiver
    }

    /// Sends a request to the writer, and waits for its reply.
    fn ask<T: Send + 'static>(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Message,
    ) -> StoreFuture<'_, T> {
        let reply = self.request(message);
        Box::pin(async move { reply.await.unwrap_or_else(|_| Err(self.writer_is_gone())) })
    }

    fn writer_is_gone(&self) -> StoreError {
        let text = "the writer thread has ended; open the outbox again";
        self.slot.describe(StoreError(text.to_owned()))
    }

    fn write<T: Send + 'static>(
        &self,
        mut run: impl FnMut(&mut Work<'_, '_>) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        self.ask(|reply| {
            let run = move |work: &mut Work<'_, '_>| run(work).map(Some);
            Message::write(0, run, drop_value, reply)
        })
    }

    /// Reads in another thread. After an error it checks the database, and tries once more.
    fn read<T: Send + 'static>(
        &self,
        read: impl Fn(&ReadTransaction) -> Result<T, StoreError> + Send + Sync + 'static,
    ) -> StoreFuture<'_, T> {
        let read = Arc::new(read);
        Box::pin(async move {
            if let Ok(value) = self.read_once(read.clone()).await {
                return Ok(value);
            }
            self.ask(Message::Check).await?;
            self.read_once(read).await
        })
    }

    async fn read_once<T: Send + 'static>(
        &self,
        read: Arc<impl Fn(&ReadTransaction) -> Result<T, StoreError> + Send + Sync + 'static>,
    ) -> Result<T, StoreError> {
        let failed = |error: &dyn std::fmt::Display| StoreError(error.to_string());
        let runtime = Handle::try_current().map_err(|error| failed(&error))?;
        let slot = self.slot.clone();
        let reading = runtime.spawn_blocking(move || {
            slot.begin_read()
                .and_then(|transaction| read(&transaction))
                .map_err(|error| slot.describe(error))
        });
        reading.await.map_err(|error| failed(&error))?
    }
}

/// Drops a result that nobody waits for.
fn drop_value<T>(_: T, _: &mut Leases) {}

impl Drop for RedbStore {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(writer) = self.writer.take() {
            // A panic of the thread has been reported by its requests.
            let _ = writer.join();
        }
    }
}

impl Store for RedbStore {
    fn on_change(&self, call: OnChange) {
        let _ = self.on_change.set(call);
    }

    fn enqueue(&self, entries: Vec<NewEntry>) -> StoreFuture<'_, Enqueued> {
        let bytes = entries.iter().map(|entry| entry.body.len()).fold(0, usize::saturating_add);
        let mut entries = entries;
        let run = move |work: &mut Work<'_, '_>| {
            work.tables.enqueue(std::mem::take(&mut entries)).map(Some)
        };
        self.ask(|reply| Message::write(bytes, run, drop_value, reply))
    }

    fn lease(&self, now: Now, until: Timestamp, avoid: Option<String>) -> StoreFuture<'_, Leased> {
        let run = move |work: &mut Work<'_, '_>| work.lease(now, until, avoid.as_deref());
        let undelivered = |leased, leases: &mut Leases| {
            if let Leased::Entry { lease, .. } = leased {
                leases.end(&lease);
            }
        };
        let receiver = self.request(|reply| Message::write(0, run, undelivered, reply));
        let reply = LeaseReply { receiver, requests: self.requests.clone() };
        Box::pin(async move { reply.await.unwrap_or_else(|_| Err(self.writer_is_gone())) })
    }

    fn renew(&self, lease: Lease, _: Timestamp, until: Timestamp) -> StoreFuture<'_, bool> {
        self.write(move |work| Ok(work.leases.extend(&lease, until)))
    }

    fn begin(&self, lease: Lease, message_id: Uuid, now: Timestamp) -> StoreFuture<'_, bool> {
        self.write(move |work| work.begin(&lease, message_id, now))
    }

    fn settle(
        &self,
        settlement: Settlement,
        now: Timestamp,
    ) -> StoreFuture<'_, Option<EntryRecord>> {
        self.write(move |work| work.settle(&settlement, now))
    }

    fn hand_back(&self, lease: Lease) -> StoreFuture<'_, ()> {
        self.write(move |work| work.hand_back(&lease))
    }

    fn entry(&self, message_id: Uuid) -> StoreFuture<'_, Option<StoredEntry>> {
        self.read(move |transaction| reading::entry(transaction, message_id))
    }

    fn list(&self, filter: Filter, after: u64, limit: usize) -> StoreFuture<'_, Vec<EntryRecord>> {
        self.read(move |transaction| reading::list(transaction, &filter, after, limit))
    }

    fn replay(&self, message_id: Uuid, now: Timestamp) -> StoreFuture<'_, Changed> {
        self.write(move |work| work.tables.replay(message_id, now))
    }

    fn cancel(&self, message_id: Uuid, now: Timestamp) -> StoreFuture<'_, Changed> {
        self.write(move |work| work.tables.cancel(message_id, now))
    }

    fn set_held(&self, lane: String, held: bool) -> StoreFuture<'_, ()> {
        self.write(move |work| work.tables.set_held(&lane, held))
    }

    fn remove_final(
        &self,
        now: Timestamp,
        age: Duration,
        dead: bool,
        limit: usize,
    ) -> StoreFuture<'_, usize> {
        let before = now.before(age);
        self.write(move |work| work.tables.remove_final(before, dead, limit))
    }

    fn erase_bodies(&self, filter: Filter) -> StoreFuture<'_, usize> {
        self.write(move |work| work.tables.erase_bodies(&filter))
    }

    fn next_group(&self, after: Option<KeyGroup>) -> StoreFuture<'_, Option<KeyGroup>> {
        self.read(move |transaction| reading::next_group(transaction, after.as_ref()))
    }

    fn supersede_group(&self, group: KeyGroup, now: Timestamp) -> StoreFuture<'_, usize> {
        self.write(move |work| work.supersede_group(&group, now))
    }

    fn recent_requests(&self) -> StoreFuture<'_, Vec<(Timestamp, u32)>> {
        self.read(reading::requests)
    }

    fn summary(&self) -> StoreFuture<'_, Summary> {
        self.read(reading::summary)
    }

    /// Removed entries leave free space in the file, which new entries use again. Compacting is
    /// useful when a large backlog is delivered and removed. It copies the remaining data, and
    /// other operations wait meanwhile.
    fn compact(&self) -> StoreFuture<'_, bool> {
        self.ask(Message::Compact)
    }

    fn recover(&self, now: Timestamp) -> StoreFuture<'_, usize> {
        self.write(move |work| work.recover(now))
    }
}
