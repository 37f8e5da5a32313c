//! The public face of an outbox.

use std::borrow::Borrow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pushslots::chrono::{DateTime, Utc};
use pushslots::{Client, Message, RateLimiter, Receipt, Slot};
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use crate::body_keys::BodyKeys;
use crate::builder::OutboxBuilder;
use crate::changes;
use crate::enqueue::{EnqueueBuilder, check_name};
use crate::entries::Entries;
use crate::entry::EntryDetails;
use crate::error::OutboxError;
#[cfg(feature = "postgres")]
use crate::prepare::PrepareBuilder;
use crate::publish::PublishBuilder;
use crate::retention::Retention;
use crate::stats::Stats;
use crate::store::{Changed, Store};
use crate::time::Timestamp;
use crate::waiters::Waiters;
use crate::worker::WorkerBuilder;

/// The maximum time between two reads of an entry that a caller waits for.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

pub(crate) type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// A durable queue of messages.
///
/// [`enqueue`](Self::enqueue) stores a message, and a [worker](Self::worker) delivers it, whatever
/// happens to the process, the network and the service. Clones share the same outbox.
#[derive(Clone)]
pub struct Outbox(pub(crate) Arc<Shared>);

/// The storage of an outbox and its settings.
pub(crate) struct Storage {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keys: Option<BodyKeys>,
    pub(crate) retention: Retention,
}

/// The parts of an outbox that its clones and workers share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keys: Option<BodyKeys>,
    pub(crate) retention: Retention,
    /// A client that only prepares messages.
    pub(crate) preparer: Client,
    clock: Clock,
    opened: Instant,
    /// Wakes workers after a change that can make a lane due.
    pub(crate) wake: Notify,
    waiters: Arc<Waiters>,
    /// The requests of earlier processes, until the first worker counts them.
    earlier_requests: Mutex<Vec<(Timestamp, u32)>>,
}

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)().into()
    }

    /// Returns the time of a clock that is never set.
    pub(crate) fn steady(&self) -> Timestamp {
        Timestamp(0).after(self.opened.elapsed())
    }

    /// Counts the requests of earlier processes in a rate limiter. Only the first call has an
    /// effect, because the workers of a process share a limiter.
    pub(crate) fn count_earlier_requests(&self, limiter: &RateLimiter) {
        let mut earlier = self.earlier_requests.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.now();
        for (time, requests) in earlier.drain(..) {
            limiter.count_earlier(requests, now.since(time));
        }
    }
}

impl Outbox {
    /// Creates a builder with the default settings.
    #[must_use]
    pub fn builder() -> OutboxBuilder {
        OutboxBuilder::default()
    }

    pub(crate) async fn start(
        storage: Storage,
        preparer: Client,
        clock: Clock,
    ) -> Result<Self, OutboxError> {
        let Storage { store, keys, retention } = storage;
        let waiters = Arc::new(Waiters::default());
        store.on_change(changes::reporter(waiters.clone()));
        let mut shared = Shared {
            store,
            keys,
            retention,
            preparer,
            clock,
            opened: Instant::now(),
            wake: Notify::new(),
            waiters,
            earlier_requests: Mutex::default(),
        };
        let recovered = shared.store.recover(shared.now()).await?;
        shared.earlier_requests = Mutex::new(shared.store.recent_requests().await?);
        if recovered > 0 {
            tracing::warn!(
                entries = recovered,
                "entries were being sent when the last process ended; they wait again"
            );
        }
        Ok(Self(Arc::new(shared)))
    }

    /// Adds a message to the outbox. Await the builder: the entry is durable when it returns.
    ///
    /// The message gets its final bytes now, so every attempt sends the same. It fills in the
    /// outbox's source and destinations if the message has none. A
    /// [`PreparedMessage`](pushslots::PreparedMessage) is stored unchanged.
    ///
    /// Enqueueing the same message id again returns the entry that is there already, so it is safe
    /// to repeat after an error. With other bytes, it is an error.
    pub fn enqueue<'a, M: Message>(&'a self, message: &'a M) -> EnqueueBuilder<'a> {
        EnqueueBuilder::new(self, self.0.preparer.send(message))
    }

    /// Prepares a message to be added in a transaction of your own. Requires the feature `postgres`.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     outbox: pushslots_outbox::Outbox,
    /// #     message: pushslots::PushSlots,
    /// #     transaction: tokio_postgres::Transaction<'_>,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let call = outbox.prepare(&message).lane("clinic-7").call()?;
    /// // In the transaction that changes the schedule:
    /// transaction.query_one(call.sql(), &[&call.entry(), &call.body()]).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "postgres")]
    pub fn prepare<'a, M: Message>(&'a self, message: &'a M) -> PrepareBuilder<'a> {
        PrepareBuilder(self.enqueue(message))
    }

    /// Adds all messages of a batch, or none. Await the builder: the entries are durable when it
    /// returns.
    ///
    /// The slots are split into messages as by [`Client::publish`].
    pub fn publish<'a, I>(&'a self, slots: I) -> PublishBuilder<'a>
    where
        I: IntoIterator<Item: Borrow<Slot> + Send + Sync + 'a>,
    {
        PublishBuilder::new(self, self.0.preparer.publish(slots))
    }

    /// Creates a worker that sends the entries with `client`.
    pub fn worker(&self, client: &Client) -> WorkerBuilder {
        WorkerBuilder::new(self.clone(), client.clone())
    }

    /// Returns an entry with its attempts and receipt, or `None` if there is none with this id.
    ///
    /// # Errors
    ///
    /// Returns an error if the storage fails.
    pub async fn entry(&self, message_id: Uuid) -> Result<Option<EntryDetails>, OutboxError> {
        let stored = self.0.store.entry(message_id).await?;
        stored.as_ref().map(EntryDetails::read).transpose()
    }

    /// Selects entries, in the order in which they were enqueued.
    pub fn entries(&self) -> Entries<'_> {
        Entries::new(self)
    }

    /// Waits until an entry is accepted, and returns the receipt, which has the attempts of the last
    /// send. [`entry`](Self::entry) returns those of all sends.
    ///
    /// It waits as long as the entry does: without a worker, or in a held lane, it doesn't end. Put
    /// it into a timeout if necessary.
    ///
    /// # Errors
    ///
    /// Returns [`OutboxError::NotAccepted`] if the entry ends in another state, and
    /// [`OutboxError::NotFound`] if there is no such entry.
    pub async fn wait_for(&self, message_id: Uuid) -> Result<Receipt, OutboxError> {
        loop {
            // Before the state is read, so that no change is missed.
            let waiting = self.0.waiters.wait(message_id);
            let stored = self.0.store.entry(message_id).await?;
            let stored = stored.ok_or(OutboxError::NotFound(message_id))?;
            if stored.receipt.is_some() || stored.record.state.is_final() {
                let details = EntryDetails::read(&stored)?;
                let receipt = details.receipt().cloned();
                return receipt.ok_or_else(|| OutboxError::NotAccepted(Box::new(details)));
            }
            // A commit that failed may be stored all the same, and reports no change.
            // Another process may make the change.
            let interval = self.0.store.poll_interval().unwrap_or(POLL_INTERVAL);
            let _ = tokio::time::timeout(interval, waiting.changed()).await;
        }
    }

    /// Sends a dead letter again: the same bytes under the same message id, at the end of its lane.
    /// Its attempts and certainty are kept, and it no longer expires.
    ///
    /// If a newer entry with the same key was accepted in the meantime, the older content arrives
    /// last. If the newer entry still waits, the replayed one is superseded.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such entry, it isn't a dead letter, or its body is erased.
    pub async fn replay(&self, message_id: Uuid) -> Result<(), OutboxError> {
        let changed = self.0.store.replay(message_id, self.0.now()).await?;
        self.0.wake.notify_one();
        self.changed(message_id, changed).await
    }

    /// Cancels a waiting entry, and erases its body.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such entry, or it doesn't wait.
    pub async fn cancel(&self, message_id: Uuid) -> Result<(), OutboxError> {
        let changed = self.0.store.cancel(message_id, self.0.now()).await?;
        // The entry after it may be due.
        self.0.wake.notify_one();
        self.changed(message_id, changed).await
    }

    async fn changed(&self, message_id: Uuid, changed: Changed) -> Result<(), OutboxError> {
        match changed {
            Changed::Done => Ok(()),
            Changed::NotFound => Err(OutboxError::NotFound(message_id)),
            Changed::WrongState => {
                let stored = self.0.store.entry(message_id).await?;
                let state = stored.ok_or(OutboxError::NotFound(message_id))?.record.state;
                Err(OutboxError::WrongState { message_id, state })
            }
            Changed::NoBody => Err(OutboxError::NoBody(message_id)),
        }
    }

    /// Holds a lane: its entries wait until it is [released](Self::release). A send for which a
    /// worker already leased the lane isn't stopped.
    ///
    /// # Errors
    ///
    /// Returns an error if the name is empty or longer than 200 bytes, or if the storage fails.
    pub async fn hold(&self, lane: impl Into<String>) -> Result<(), OutboxError> {
        let lane = lane.into();
        check_name("lane", &lane)?;
        Ok(self.0.store.set_held(lane, true).await?)
    }

    /// Releases a lane that was held by a person or a dead letter.
    ///
    /// # Errors
    ///
    /// Returns an error if the storage fails.
    pub async fn release(&self, lane: impl Into<String>) -> Result<(), OutboxError> {
        self.0.store.set_held(lane.into(), false).await?;
        self.0.wake.notify_one();
        Ok(())
    }

    /// Returns the number of entries in each state, the age of the oldest one, and the held lanes.
    ///
    /// # Errors
    ///
    /// Returns an error if the storage fails.
    pub async fn stats(&self) -> Result<Stats, OutboxError> {
        let summary = self.0.store.summary().await?;
        Ok(Stats::new(summary, self.0.now()))
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}
