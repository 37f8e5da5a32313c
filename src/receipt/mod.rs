//! What is known after a send: pure data.

mod attempt;
mod masked;
mod reason;
mod refusal;
mod response_details;
mod serialize;
mod shape;

use std::ops::Range;

use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::message::Log;

pub(crate) use response_details::ResponseDetails;
pub(crate) use serialize::{logs, milliseconds, seconds_rounded_up, whole_seconds};

pub use attempt::{Attempt, Delivery};
pub use refusal::TokenRefusal;

/// What is known of a message that the service accepted.
///
/// Accepted means: in the service's durable queue. It is not yet with its destinations; the service
/// carries it there, and [`logs`](Self::logs) finds it in the service's dashboard.
///
/// ```
/// use pushslots::Receipt;
///
/// fn record(receipt: &Receipt) -> String {
///     let logs: Vec<_> = receipt.logs().iter().filter_map(|log| log.id.as_deref()).collect();
///     format!("{} accepted after {} attempts: {}", receipt.message_id(), receipt.attempts().len(), logs.join(", "))
/// }
/// ```
///
/// Serializes to `{"message_id", "delivery": "accepted", "slots": {"start", "end"}, "logs": [{"id", "attempt_id"}],
/// "attempts": […]}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    message_id: Uuid,
    slots: Range<usize>,
    attempts: Vec<Attempt>,
}

impl Receipt {
    /// That of a message whose last attempt was accepted.
    pub(crate) fn new(message_id: Uuid, slots: Range<usize>, attempts: Vec<Attempt>) -> Self {
        Self { message_id, slots, attempts }
    }

    /// Identifies the message; the same on every attempt.
    #[must_use]
    pub fn message_id(&self) -> Uuid {
        self.message_id
    }

    /// Returns the indices of the message's slots among all that were given, starting at 0.
    ///
    /// For a publication these are all slots that were passed to it; skipped ones between those of the message count. The messages of
    /// one batch cover all its slots without an overlap.
    #[must_use]
    pub fn slots(&self) -> Range<usize> {
        self.slots.clone()
    }

    /// The service's own identifiers, one entry for each destination.
    ///
    /// Empty where the answer had none or its body was lost. Of an answer in the older form, `Message.ID`
    /// is the log's `id` and `Transmission.ID` its `attempt_id`.
    #[must_use]
    pub fn logs(&self) -> &[Log] {
        self.attempts.last().map_or(&[], |accepted| &accepted.logs)
    }

    /// Every attempt, in order; the last one was accepted.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }
}

impl Serialize for Receipt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            message_id: Uuid,
            delivery: Delivery,
            slots: &'a Range<usize>,
            #[serde(serialize_with = "logs")]
            logs: &'a [Log],
            attempts: &'a [Attempt],
        }
        let Self { message_id, slots, attempts } = self;
        let delivery = Delivery::Accepted;
        Shown { message_id: *message_id, delivery, slots, logs: self.logs(), attempts }.serialize(serializer)
    }
}
