//! Sends the entries of an outbox.

mod attempts;
mod delivery;
#[cfg(test)]
mod faults;
mod health;
mod maintenance;
mod measuring;
mod sender;
mod verdict;

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pushslots::Client;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::health::Health;
use self::sender::Sender;
use crate::error::OutboxError;
use crate::outbox::Outbox;

/// The range of the duration of a lease. Five seconds of it are kept for a send that must be
/// dropped.
const LEASES: RangeInclusive<Duration> = Duration::from_secs(15)..=Duration::from_secs(3_600);

/// The settings of a worker, created by [`Outbox::worker`].
#[must_use = "a worker sends nothing until it is started"]
pub struct WorkerBuilder {
    outbox: Outbox,
    client: Client,
    concurrency: usize,
    lease: Duration,
}

impl WorkerBuilder {
    pub(crate) fn new(outbox: Outbox, client: Client) -> Self {
        Self { outbox, client, concurrency: 8, lease: Duration::from_secs(60) }
    }

    /// Sets the maximum number of messages in flight, at least 1. Defaults to 8.
    ///
    /// Messages in flight at the same time are of different lanes.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Sets the duration of a lease, from 15 s to an hour. Defaults to 60 s.
    ///
    /// The worker renews it every third of that time for as long as a send takes. If the process
    /// stops responding for longer, another worker takes over the lane, and the send counts as
    /// unknown.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Starts the worker in tasks of the current tokio runtime.
    ///
    /// Several workers can send from one outbox. The first one counts the requests of the last
    /// process in the rate limiter of its client.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting is out of its range.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    pub fn start(self) -> Result<Worker, OutboxError> {
        let invalid = |text: &str| Err(OutboxError::Configuration(text.to_owned()));
        if self.concurrency == 0 {
            return invalid("concurrency must be at least 1");
        }
        if !LEASES.contains(&self.lease) {
            return invalid("lease must be at least 15 s and at most an hour");
        }
        if let Some(limiter) = self.client.rate_limiter() {
            self.outbox.0.count_earlier_requests(limiter);
        }
        let (stop, stopped) = watch::channel(Stop::Running);
        let sender = Arc::new(Sender {
            shared: self.outbox.0,
            client: self.client,
            lease: self.lease,
            health: Health::default(),
            polling: Mutex::default(),
            stop: stopped,
            dropped: AtomicUsize::new(0),
        });
        let mut tasks = JoinSet::new();
        for _ in 0..self.concurrency {
            let sender = sender.clone();
            tasks.spawn(async move { sender.run().await });
        }
        let maintaining = sender.clone();
        tasks.spawn(async move { maintaining.maintain().await });
        let measured = sender.clone();
        tasks.spawn(async move { measured.measure().await });
        Ok(Worker { stop, tasks, sender })
    }
}

impl fmt::Debug for WorkerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder")
            .field("concurrency", &self.concurrency)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

/// The progress of a worker's stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stop {
    Running,
    /// It begins no further send.
    Stopping,
    /// It drops the sends in flight.
    Dropping,
}

/// A running worker. If it is dropped, its sends in flight are dropped too, and their outcome is
/// unknown. Call [`shutdown`](Self::shutdown) to end them first.
#[must_use = "the worker stops when it is dropped"]
pub struct Worker {
    stop: watch::Sender<Stop>,
    tasks: JoinSet<()>,
    sender: Arc<Sender>,
}

/// The end of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// The number of sends that were dropped because they didn't end in time, and whose messages
    /// may have arrived. Another worker sends them again. It also sends the messages of dropped
    /// sends that didn't leave.
    pub dropped_sends: usize,
}

impl Worker {
    /// Stops the worker: it begins no further send, and waits up to `time` for those in flight.
    pub async fn shutdown(mut self, time: Duration) -> ShutdownReport {
        self.stop.send_replace(Stop::Stopping);
        if timeout(time, join(&mut self.tasks)).await.is_err() {
            self.stop.send_replace(Stop::Dropping);
            join(&mut self.tasks).await;
        }
        ShutdownReport { dropped_sends: self.sender.dropped.load(Ordering::Relaxed) }
    }
}

/// Returns a number of at least 0 and below 1.
pub(crate) fn random() -> f64 {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    // The upper 16 bits of a version 4 UUID are random.
    let bits = u32::try_from(high >> 48).unwrap_or_default();
    f64::from(bits) / 65_536.0
}

/// Waits for all tasks.
async fn join(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}
