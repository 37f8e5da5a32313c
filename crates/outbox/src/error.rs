//! Errors of an outbox.

use std::fmt;

use uuid::Uuid;

use crate::entry::EntryDetails;
use crate::state::{DeadReason, EntryState};

/// An error of the storage.
#[derive(Clone, Debug)]
pub(crate) struct StoreError(pub(crate) String);

/// An error of an outbox.
#[derive(Debug)]
#[non_exhaustive]
pub enum OutboxError {
    /// A setting of the outbox is invalid, or the database can't be opened.
    Configuration(String),
    /// The message is invalid. The error lists its problems.
    Message(pushslots::Error),
    /// The slots can't be published. The error lists the problems.
    Publication(pushslots::PublishError),
    /// An entry with this message id has other bytes. Use another message id.
    OtherBytes(Uuid),
    /// There is no entry with this message id.
    NotFound(Uuid),
    /// The entry's state doesn't allow the operation: only dead letters are replayed, and only
    /// waiting entries are cancelled.
    WrongState {
        /// The message id of the entry.
        message_id: Uuid,
        /// The state of the entry.
        state: EntryState,
    },
    /// The entry's body is erased, so it can't be sent again.
    NoBody(Uuid),
    /// The entry ended in a state other than accepted.
    NotAccepted(Box<EntryDetails>),
    /// The storage failed, and nothing was changed. Try again when the cause is fixed.
    Storage(String),
}

impl fmt::Display for OutboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(text) => write!(f, "invalid configuration: {text}"),
            Self::Message(error) => error.fmt(f),
            Self::Publication(error) => error.fmt(f),
            Self::OtherBytes(id) => {
                write!(f, "the outbox has another message with the id {id}; use another message id")
            }
            Self::NotFound(id) => write!(f, "the outbox has no entry {id}"),
            Self::WrongState { message_id, state } => write!(
                f,
                "entry {message_id} is {}; only dead letters can be replayed, and only waiting \
                 entries can be cancelled",
                name(*state)
            ),
            Self::NoBody(id) => {
                write!(f, "the body of entry {id} is erased; enqueue the message again")
            }
            Self::NotAccepted(details) => {
                let entry = details.entry();
                write!(f, "entry {} {}", entry.message_id(), ending(entry.state()))
            }
            Self::Storage(text) => write!(f, "the storage of the outbox failed: {text}"),
        }
    }
}

impl std::error::Error for OutboxError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Message(error) => std::error::Error::source(error),
            Self::Publication(error) => std::error::Error::source(error),
            _ => None,
        }
    }
}

impl From<StoreError> for OutboxError {
    fn from(error: StoreError) -> Self {
        Self::Storage(error.0)
    }
}

/// Returns the name of a state.
fn name(state: EntryState) -> &'static str {
    match state {
        EntryState::Waiting => "waiting",
        EntryState::Sending { .. } => "being sent",
        EntryState::Accepted => "accepted",
        EntryState::Superseded { .. } => "superseded",
        EntryState::Cancelled => "cancelled",
        EntryState::Dead(_) => "a dead letter",
    }
}

/// Describes the final state of an entry that wasn't accepted.
fn ending(state: EntryState) -> String {
    match state {
        EntryState::Superseded { by } => format!("was superseded by entry {by}"),
        EntryState::Cancelled => "was cancelled".to_owned(),
        EntryState::Dead(reason) => {
            let why = match reason {
                DeadReason::Rejected => "the service rejected the message",
                DeadReason::Abandoned => "all sends failed for 24 hours",
                DeadReason::Unknown => "it is unknown whether the message arrived",
                DeadReason::Expired => "it wasn't accepted before its expiry",
                DeadReason::Poison => "five workers were lost while they had it",
                DeadReason::Invalid => "the stored message can't be sent",
            };
            format!("is a dead letter: {why}; replay it when the cause is fixed")
        }
        EntryState::Accepted => "was accepted, but its receipt wasn't recorded".to_owned(),
        EntryState::Waiting | EntryState::Sending { .. } => "isn't final".to_owned(),
    }
}
