//! What is known after a send: pure data.

mod answer;
mod attempt;
mod refusal;
mod serialize;

use uuid::Uuid;

use crate::message::Log;

pub(crate) use answer::Said;
pub(crate) use serialize::{logs, milliseconds, whole_seconds};

pub use attempt::{Attempt, Delivery};
pub use refusal::TokenRefusal;

/// What is known of a message that the service accepted.
///
/// Accepted means: in the service's durable queue. It is not yet with its destinations; the service
/// carries it there, and [`logs`](Self::logs) finds it in the service's dashboard.
///
/// Serializes to `{"message_id", "delivery": "accepted", "logs": [{"id", "attempt_id"}], "attempts": […]}`.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Receipt {
    message_id: Uuid,
    delivery: Delivery,
    #[serde(serialize_with = "logs")]
    logs: Vec<Log>,
    attempts: Vec<Attempt>,
}

impl Receipt {
    pub(crate) fn new(message_id: Uuid, logs: Vec<Log>, attempts: Vec<Attempt>) -> Self {
        Self { message_id, delivery: Delivery::Accepted, logs, attempts }
    }

    /// Identifies the message; the same on every attempt.
    #[must_use]
    pub fn message_id(&self) -> Uuid {
        self.message_id
    }

    /// The service's own identifiers, one entry for each destination.
    ///
    /// Empty where the answer had none or its body was lost. Of an answer in the older form, `Message.ID`
    /// is the log's `id` and `Transmission.ID` its `attempt_id`.
    #[must_use]
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }

    /// Every attempt, in order; the last one was accepted.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }
}
