//! The thread that executes all writes. It commits once for all requests that wait.

use std::collections::VecDeque;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use ::redb::WriteTransaction;
use tokio::sync::oneshot;

use crate::error::StoreError;
use crate::store::{Change, Lease, OnChange};

use super::database::{Slot, unless_panic};
use super::leases::Leases;
use super::sending::Work;
use super::tables::Tables;

/// The most requests in one transaction.
const MAX_REQUESTS: usize = 1_000;

/// The most bytes of bodies in one transaction, unless a single request has more.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The minimum number of concurrent callers with which a transaction waits for more of them.
const MIN_GATHERED: usize = 16;

/// The longest wait for other callers.
const MAX_GATHERING: Duration = Duration::from_millis(1);

/// A request to the writer.
pub(super) enum Message {
    Write(Box<dyn Job>),
    /// Compacts the file, if no other request waits.
    Compact(oneshot::Sender<Result<bool, StoreError>>),
    /// Opens the database again, if it rejects transactions.
    Check(oneshot::Sender<Result<(), StoreError>>),
    /// Ends a lease that nobody received.
    End(Lease),
}

impl Message {
    /// Creates a request for a write operation. `run` returns `None` if it must continue in the
    /// next transaction, and `undelivered` receives a result that nobody waits for any more.
    pub(super) fn write<T: Send + 'static>(
        bytes: usize,
        run: impl FnMut(&mut Work<'_, '_>) -> Result<Option<T>, StoreError> + Send + 'static,
        undelivered: fn(T, &mut Leases),
        reply: oneshot::Sender<Result<T, StoreError>>,
    ) -> Self {
        Self::Write(Box::new(Task { bytes, run, value: None, reply, undelivered }))
    }
}

/// A write operation with a place for its result.
pub(super) trait Job: Send {
    /// Returns the size of the bodies.
    fn bytes(&self) -> usize;

    /// Runs the operation.
    fn run(&mut self, work: &mut Work<'_, '_>) -> Result<(), StoreError>;

    /// Returns whether the operation is complete. Otherwise it continues in the next transaction.
    fn is_done(&self) -> bool;

    /// Replies with the result after a commit, or with an error.
    fn reply(self: Box<Self>, committed: Result<(), StoreError>, leases: &mut Leases);
}

/// A write operation.
struct Task<T, F> {
    bytes: usize,
    run: F,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
    undelivered: fn(T, &mut Leases),
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnMut(&mut Work<'_, '_>) -> Result<Option<T>, StoreError> + Send,
{
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn run(&mut self, work: &mut Work<'_, '_>) -> Result<(), StoreError> {
        self.value = (self.run)(work)?;
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.value.is_some()
    }

    fn reply(self: Box<Self>, committed: Result<(), StoreError>, leases: &mut Leases) {
        let Task { value, reply, undelivered, .. } = *self;
        let result = committed.and_then(|()| {
            value.ok_or_else(|| StoreError("an operation ended without a result".to_owned()))
        });
        if let Err(Ok(value)) = reply.send(result) {
            undelivered(value, leases);
        }
    }
}

/// The state of the writer thread.
pub(super) struct Writer {
    slot: Arc<Slot>,
    requests: Receiver<Message>,
    on_change: Arc<OnceLock<OnChange>>,
    /// Requests that come before the others.
    pending: VecDeque<Message>,
    leases: Leases,
    /// The numbers of requests in the last two transactions. Together they are the number of callers
    /// that ask again and again: one half prepares while the other half is committed.
    recent: [usize; 2],
    /// The duration of the last transaction.
    last_time: Duration,
    /// Whether the database must be opened again before the next transaction.
    is_broken: bool,
}

impl Writer {
    pub(super) fn new(
        slot: Arc<Slot>,
        requests: Receiver<Message>,
        on_change: Arc<OnceLock<OnChange>>,
        last_lease: u64,
    ) -> Self {
        let leases = Leases::after(last_lease);
        Self {
            slot,
            requests,
            on_change,
            pending: VecDeque::new(),
            leases,
            recent: [0; 2],
            last_time: Duration::ZERO,
            is_broken: false,
        }
    }

    /// Handles requests until the store is dropped, and closes the database.
    pub(super) fn run(mut self) {
        while let Some(message) = self.next() {
            match message {
                Message::Write(job) => self.write(job),
                Message::Compact(reply) => {
                    let result = self.guarded(Self::compact);
                    let _ = reply.send(result);
                }
                Message::Check(reply) => {
                    let result = self.guarded(|writer| Ok(writer.begin()?.abort()?));
                    let _ = reply.send(result);
                }
                Message::End(lease) => {
                    self.leases.end(&lease);
                    self.leases.keep();
                }
            }
        }
        self.slot.close();
    }

    fn next(&mut self) -> Option<Message> {
        self.pending.pop_front().or_else(|| self.requests.recv().ok())
    }

    /// Executes a request and those that wait in one transaction, and replies to all.
    fn write(&mut self, first: Box<dyn Job>) {
        let mut jobs = vec![first];
        let mut may_grow = self.collect(&mut jobs);
        let callers = self.recent.iter().sum::<usize>().min(MAX_REQUESTS);
        let gathering = Instant::now();
        while may_grow
            && callers >= MIN_GATHERED
            && jobs.len() < callers
            && gathering.elapsed() < (self.last_time / 4).min(MAX_GATHERING)
        {
            thread::yield_now();
            may_grow = self.collect(&mut jobs);
        }
        let began = Instant::now();
        let result = self.guarded(|writer| writer.execute(&mut jobs));
        self.recent = [jobs.len(), self.recent[0]];
        self.last_time = began.elapsed();
        match &result {
            Ok(_) => self.leases.keep(),
            Err(_) => self.leases.undo(),
        }
        let (result, changes) = match result {
            Ok(changes) => (Ok(()), changes),
            Err(error) => (Err(error), Vec::new()),
        };
        for job in jobs {
            if result.is_ok() && !job.is_done() {
                self.pending.push_front(Message::Write(job));
            } else {
                job.reply(result.clone(), &mut self.leases);
            }
        }
        // Leases of undelivered results have ended for good.
        self.leases.keep();
        if let Some(call) = self.on_change.get() {
            changes.iter().for_each(|change| call(change));
        }
    }

    /// Adds the requests that wait, up to the limits of a transaction. Returns whether more can be
    /// added later.
    fn collect(&mut self, jobs: &mut Vec<Box<dyn Job>>) -> bool {
        let mut bytes = jobs.iter().map(|job| job.bytes()).fold(0, usize::saturating_add);
        while jobs.len() < MAX_REQUESTS {
            let waiting = self.pending.pop_front().or_else(|| self.requests.try_recv().ok());
            match waiting {
                Some(Message::Write(job)) if bytes.saturating_add(job.bytes()) <= MAX_BYTES => {
                    bytes = bytes.saturating_add(job.bytes());
                    jobs.push(job);
                }
                Some(message) => {
                    self.pending.push_front(message);
                    return false;
                }
                None => return true,
            }
        }
        false
    }

    /// Executes the requests, and returns the changes after a commit.
    fn execute(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<Vec<Change>, StoreError> {
        let transaction = self.begin()?;
        let mut tables = Tables::open(&transaction)?;
        let mut work = Work { tables: &mut tables, leases: &mut self.leases };
        for job in &mut *jobs {
            job.run(&mut work)?;
        }
        // Transactions commit with immediate durability by default.
        if let Some(changes) = tables.finish(self.leases.last())? {
            transaction.commit()?;
            tracing::trace!(requests = jobs.len(), "committed");
            Ok(changes)
        } else {
            transaction.abort()?;
            Ok(Vec::new())
        }
    }

    /// Begins a transaction, and opens the database again if an error made it unusable.
    fn begin(&mut self) -> Result<WriteTransaction, StoreError> {
        if !self.is_broken
            && let Ok(transaction) = self.slot.begin_write()
        {
            return Ok(transaction);
        }
        self.is_broken = true;
        self.slot.reopen()?;
        self.is_broken = false;
        self.slot.begin_write()
    }

    fn compact(&mut self) -> Result<bool, StoreError> {
        if self.pending.is_empty()
            && let Ok(message) = self.requests.try_recv()
        {
            self.pending.push_back(message);
        }
        if !self.pending.is_empty() {
            return Ok(false);
        }
        self.begin()?.abort()?;
        self.slot.compact()
    }

    /// Uses the database. After an error or a panic, the next transaction opens it again.
    fn guarded<T>(
        &mut self,
        run: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let result = unless_panic(|| run(self));
        let result = result.unwrap_or_else(|panicked| Err(StoreError(panicked.to_string())));
        self.is_broken |= result.is_err();
        result.map_err(|error| self.slot.describe(error))
    }
}
