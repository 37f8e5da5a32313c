//! Adds all messages of a batch to an outbox.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use pushslots::chrono::{DateTime, Utc};

use crate::enqueue::{Options, add};
use crate::entry::Entry;
use crate::error::OutboxError;
use crate::outbox::Outbox;
use crate::state::{BatchPart, OnDead};

/// Slots to add to the outbox, created by [`Outbox::publish`]. Await it to store the messages.
#[must_use = "nothing is stored until this is awaited"]
pub struct PublishBuilder<'a> {
    outbox: &'a Outbox,
    publication: pushslots::PublishBuilder<'a>,
    options: Options,
}

impl<'a> PublishBuilder<'a> {
    pub(crate) fn new(outbox: &'a Outbox, publication: pushslots::PublishBuilder<'a>) -> Self {
        let options = Options { on_dead: OnDead::Hold, ..Options::default() };
        Self { outbox, publication, options }
    }

    /// Sets the id of the batch. Defaults to a fresh UUID.
    ///
    /// With an id of your own, you can repeat the call after an error: the message ids derive from
    /// the batch id and the slots.
    pub fn batch_id(mut self, id: impl Into<String>) -> Self {
        self.publication = self.publication.batch_id(id);
        self
    }

    /// Sets the maximum number of slots in one message, at least 1. Defaults to 1,000.
    pub fn slots_per_message(mut self, slots: usize) -> Self {
        self.publication = self.publication.slots_per_message(slots);
        self
    }

    /// Sets the lane, as for [a message](crate::EnqueueBuilder::lane).
    pub fn lane(mut self, lane: impl Into<String>) -> Self {
        self.options.lane = Some(lane.into());
        self
    }

    /// Sets a key, as for [a message](crate::EnqueueBuilder::supersedes).
    ///
    /// A batch is superseded only as a whole: once one of its messages was attempted, cancelled or
    /// expired, the others are sent. Use a new batch id for changed slots.
    pub fn supersedes(mut self, key: impl Into<String>) -> Self {
        self.options.key = Some(key.into());
        self
    }

    /// Sets the earliest time at which the messages are sent.
    pub fn not_before(mut self, time: DateTime<Utc>) -> Self {
        self.options.not_before = Some(time);
        self
    }

    /// Sets the time after which messages aren't sent any more. Defaults to the start of each
    /// message's last slot.
    pub fn expires_at(mut self, time: DateTime<Utc>) -> Self {
        self.options.expires_at = Some(time);
        self
    }

    /// Sets the effect of a dead letter on the lane. Defaults to
    /// [`OnDead::Hold`], so that a batch isn't continued after a gap.
    pub fn on_dead(mut self, on_dead: OnDead) -> Self {
        self.options.on_dead = on_dead;
        self
    }

    async fn publish(self) -> Result<Vec<Entry>, OutboxError> {
        let Self { outbox, publication, options } = self;
        let mut prepared = publication.prepare();
        let mut messages = Vec::new();
        while let Some(message) = prepared.next().await {
            messages.push(message.map_err(OutboxError::Publication)?);
        }
        let batch = messages.first().and_then(|message| message.batch());
        let batch = batch.map(|batch| BatchPart { id: batch.id.clone(), entries: messages.len() });
        add(outbox, messages, &options, batch.as_ref()).await
    }
}

impl<'a> IntoFuture for PublishBuilder<'a> {
    type Output = Result<Vec<Entry>, OutboxError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.publish())
    }
}

impl fmt::Debug for PublishBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishBuilder").field("options", &self.options).finish_non_exhaustive()
    }
}
