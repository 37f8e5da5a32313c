//! Entries as callers see them.

use std::fmt;

use pushslots::chrono::{DateTime, Utc};
use pushslots::{Attempt, Delivery, Receipt};
use serde::Deserialize;
use uuid::Uuid;

use crate::error::OutboxError;
use crate::state::{EntryRecord, EntryState};
use crate::store::StoredEntry;
use crate::time::Timestamp;

/// A message in the outbox.
#[derive(Clone, PartialEq)]
pub struct Entry(pub(crate) EntryRecord);

impl Entry {
    /// Returns the message id, which identifies the entry.
    #[must_use]
    pub fn message_id(&self) -> Uuid {
        self.0.message_id
    }

    /// Returns the lane. The entries of a lane are sent in order.
    #[must_use]
    pub fn lane(&self) -> &str {
        &self.0.lane
    }

    /// Returns the key under which newer entries of the lane supersede this one.
    #[must_use]
    pub fn supersede_key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// Returns the id of the batch that the entry was published in.
    #[must_use]
    pub fn batch_id(&self) -> Option<&str> {
        self.0.batch.as_ref().map(|batch| &*batch.id)
    }

    /// Returns the number of slots in the message.
    #[must_use]
    pub fn slot_count(&self) -> usize {
        self.0.slots
    }

    /// Returns the state.
    #[must_use]
    pub fn state(&self) -> EntryState {
        self.0.state
    }

    /// Returns the certainty over all attempts so far, or `None` before the first attempt.
    ///
    /// Once an attempt is [`Delivery::Unknown`], only an acceptance changes that.
    #[must_use]
    pub fn delivery(&self) -> Option<Delivery> {
        self.0.delivery
    }

    /// Returns the number of attempts so far, over all sends and workers.
    #[must_use]
    pub fn attempt_count(&self) -> u32 {
        self.0.attempts
    }

    /// Returns the time at which the entry was enqueued.
    #[must_use]
    pub fn enqueued_at(&self) -> DateTime<Utc> {
        self.0.enqueued.to_date()
    }

    /// Returns the earliest time of the next send, while the entry waits. During an outage, a rate
    /// limit, or a delay after rejected credentials, the send can be later.
    #[must_use]
    pub fn due_at(&self) -> Option<DateTime<Utc>> {
        (self.0.state == EntryState::Waiting).then(|| self.0.due.to_date())
    }

    /// Returns the time after which the entry isn't sent any more.
    #[must_use]
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.0.expires.map(Timestamp::to_date)
    }

    /// Returns the time of the last change.
    #[must_use]
    pub fn changed_at(&self) -> DateTime<Utc> {
        self.0.changed.to_date()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("message_id", &self.message_id())
            .field("lane", &self.lane())
            .field("state", &self.state())
            .field("delivery", &self.delivery())
            .field("attempt_count", &self.attempt_count())
            .field("due_at", &self.due_at())
            .finish_non_exhaustive()
    }
}

/// An entry with its attempts and receipt.
#[derive(Clone, Debug)]
pub struct EntryDetails {
    entry: Entry,
    attempts: Vec<EntryAttempt>,
    receipt: Option<Receipt>,
}

/// An attempt to deliver an entry.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EntryAttempt {
    /// An attempt of a send, as the client recorded it. Its number starts at 1 in each send.
    Sent(Box<Attempt>),
    /// The worker was lost after it began a send. It is unknown whether the message arrived.
    ///
    /// The send may have had several requests, up to the client's
    /// [`max_attempts`](pushslots::ClientBuilder::max_attempts). Each may have arrived.
    WorkerLost {
        /// The time at which the loss was detected.
        detected_at: DateTime<Utc>,
    },
}

/// The stored form of a lost worker.
#[derive(Deserialize)]
struct LostAttempt {
    worker_lost: Timestamp,
}

impl EntryDetails {
    pub(crate) fn read(stored: &StoredEntry) -> Result<Self, OutboxError> {
        let damaged = |error: serde_json::Error| {
            let id = stored.record.message_id;
            OutboxError::Storage(format!("the record of entry {id} can't be read: {error}"))
        };
        let attempts = stored.attempts.iter().map(|json| match serde_json::from_str(json) {
            Ok(LostAttempt { worker_lost }) => {
                Ok(EntryAttempt::WorkerLost { detected_at: worker_lost.to_date() })
            }
            Err(_) => serde_json::from_str(json).map(Box::new).map(EntryAttempt::Sent),
        });
        let receipt = stored.receipt.as_deref().map(serde_json::from_str);
        Ok(Self {
            entry: Entry(stored.record.clone()),
            attempts: attempts.collect::<Result<_, _>>().map_err(damaged)?,
            receipt: receipt.transpose().map_err(damaged)?,
        })
    }

    /// Returns the entry.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Returns all attempts in order, over all sends and workers.
    #[must_use]
    pub fn attempts(&self) -> &[EntryAttempt] {
        &self.attempts
    }

    /// Returns the receipt, if the service accepted the message.
    #[must_use]
    pub fn receipt(&self) -> Option<&Receipt> {
        self.receipt.as_ref()
    }
}
