//! Prepares a message to be added to an outbox in a transaction of the caller's own.

use std::fmt;

use pushslots::chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::enqueue::EnqueueBuilder;
use crate::error::OutboxError;
use crate::state::OnDead;
use crate::store::postgres::EnqueueCall;

/// A message to add to the outbox in your own transaction, created by
/// [`Outbox::prepare`](crate::Outbox::prepare). Requires the feature `postgres`.
#[must_use = "it does nothing without `call`"]
pub struct PrepareBuilder<'a>(pub(crate) EnqueueBuilder<'a>);

impl PrepareBuilder<'_> {
    /// Sets the message id, as [`EnqueueBuilder::message_id`] does.
    pub fn message_id(self, message_id: Uuid) -> Self {
        Self(self.0.message_id(message_id))
    }

    /// Sets the lane, as [`EnqueueBuilder::lane`] does.
    pub fn lane(self, lane: impl Into<String>) -> Self {
        Self(self.0.lane(lane))
    }

    /// Sets a key, as [`EnqueueBuilder::supersedes`] does.
    pub fn supersedes(self, key: impl Into<String>) -> Self {
        Self(self.0.supersedes(key))
    }

    /// Sets the earliest time of the send, as [`EnqueueBuilder::not_before`] does.
    pub fn not_before(self, time: DateTime<Utc>) -> Self {
        Self(self.0.not_before(time))
    }

    /// Sets the time of the expiry, as [`EnqueueBuilder::expires_at`] does.
    pub fn expires_at(self, time: DateTime<Utc>) -> Self {
        Self(self.0.expires_at(time))
    }

    /// Sets the effect of a dead letter, as [`EnqueueBuilder::on_dead`] does.
    pub fn on_dead(self, on_dead: OnDead) -> Self {
        Self(self.0.on_dead(on_dead))
    }

    /// Encodes the message, and encrypts it if the outbox has keys. The database isn't used.
    ///
    /// # Errors
    ///
    /// Returns an error if the message or an option is invalid.
    pub fn call(self) -> Result<EnqueueCall, OutboxError> {
        EnqueueCall::new(&self.0.into_new_entry()?)
    }
}

impl fmt::Debug for PrepareBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PrepareBuilder").field(&self.0).finish()
    }
}
