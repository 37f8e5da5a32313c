//! The record of a send, as pure data.

mod attempt;
mod attempt_json;
mod json;
mod masked;
mod oauth_error;
mod reason;
mod response_details;
mod shape;
mod usual_response;

use std::ops::Range;

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::message::{Log, PermittedProblems, PreparedMessage, Problem};

pub(crate) use json::{
    logs, milliseconds, read, seconds_rounded_up, whole_milliseconds, whole_seconds,
};
pub(crate) use response_details::ResponseDetails;

pub use attempt::{Attempt, Delivery};
pub(crate) use attempt_json::StoredAttempt;
pub use oauth_error::OAuthError;

/// The receipt of an accepted message, with all attempts.
///
/// The message is in the service's durable queue, and the service delivers it to the destinations.
/// The [`logs`](Self::logs) identify it in the service's dashboard.
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
/// # Serialization
///
/// The JSON form is `{"message_id", "delivery": "accepted", "slots": {"start", "end"}, "logs":
/// [{"id", "attempt_id"}], "attempts": […], "problems": […], "omitted_problems"}`. The members
/// `problems` and `omitted_problems` are omitted if empty or 0. Deserialization ignores unknown
/// members.
///
/// The durations of attempts are [stored in whole units](crate::Attempt). Therefore a deserialized
/// receipt usually doesn't compare equal to the original. Compare the message ids instead.
///
/// ```
/// use pushslots::Receipt;
///
/// let stored = r#"{"message_id": "0b5d8a4e-5b5c-4f0e-9a1e-8a1f0c6f3d55", "delivery": "rejected"}"#;
/// let error = serde_json::from_str::<Receipt>(stored).unwrap_err();
/// assert!(error.to_string().starts_with("delivery: invalid value: string \"rejected\", expected \"accepted\""), "{error}");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    message_id: Uuid,
    slots: Range<usize>,
    attempts: Vec<Attempt>,
    problems: PermittedProblems,
}

impl Receipt {
    /// Creates the receipt of a message whose last attempt was accepted.
    pub(crate) fn new(message: &PreparedMessage, attempts: Vec<Attempt>) -> Self {
        let PreparedMessage { message_id, slots, problems, .. } = message;
        Self { message_id: *message_id, slots: slots.clone(), attempts, problems: problems.clone() }
    }

    /// Returns the message id, which is the same on every attempt.
    #[must_use]
    pub fn message_id(&self) -> Uuid {
        self.message_id
    }

    /// Returns the range of the message's slots, as indices that start at 0.
    ///
    /// In a publication, the indices count all slots passed to it. The range includes skipped slots
    /// between the message's own slots. The ranges of a batch cover all its slots without overlap.
    #[must_use]
    pub fn slots(&self) -> Range<usize> {
        self.slots.clone()
    }

    /// Returns the service's own identifiers of the message, one entry per destination.
    ///
    /// The list is empty if the response had none, or if its body was lost. In a response of the
    /// older form, `Meta.Message.ID` becomes the log's `id`, and `Meta.Transmission.ID` its
    /// `attempt_id`.
    #[must_use]
    pub fn logs(&self) -> &[Log] {
        self.attempts.last().map_or(&[], |accepted| &accepted.logs)
    }

    /// Returns all attempts, in order. The last one was accepted.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Returns the first 1,000 problems of the message that the [`Validation`](crate::Validation)
    /// permitted. They include problems of dropped values.
    ///
    /// The problems of a publication are in its [report](crate::PublishReport::problems) instead.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        self.problems.list()
    }

    /// Returns the number of problems beyond the first 1,000.
    #[must_use]
    pub fn omitted_problems(&self) -> usize {
        self.problems.omitted()
    }
}

impl Serialize for Receipt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct ReceiptJson<'a> {
            message_id: Uuid,
            delivery: Delivery,
            slots: &'a Range<usize>,
            #[serde(with = "logs")]
            logs: &'a [Log],
            attempts: &'a [Attempt],
            #[serde(skip_serializing_if = "<[Problem]>::is_empty")]
            problems: &'a [Problem],
            #[serde(skip_serializing_if = "Option::is_none")]
            omitted_problems: Option<usize>,
        }
        let Self { message_id, slots, attempts, problems } = self;
        let shown = ReceiptJson {
            message_id: *message_id,
            delivery: Delivery::Accepted,
            slots,
            logs: self.logs(),
            attempts,
            problems: problems.list(),
            omitted_problems: Some(problems.omitted()).filter(|omitted| *omitted > 0),
        };
        shown.serialize(serializer)
    }
}

/// The JSON form of a receipt.
#[derive(Deserialize)]
pub(crate) struct StoredReceipt {
    message_id: Uuid,
    #[serde(rename = "delivery", deserialize_with = "accepted")]
    _delivery: (),
    #[serde(deserialize_with = "slots")]
    slots: Range<usize>,
    #[serde(deserialize_with = "attempts")]
    attempts: Vec<Attempt>,
    #[serde(default)]
    problems: Vec<Problem>,
    #[serde(default)]
    omitted_problems: usize,
}

fn accepted<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    let delivery = Delivery::deserialize(deserializer)?;
    if delivery == Delivery::Accepted {
        return Ok(());
    }
    let found = delivery.to_string();
    Err(D::Error::invalid_value(Unexpected::Str(&found), &"\"accepted\": it isn't a receipt"))
}

/// Deserializes a range and ignores unknown members, unlike serde's own implementation.
fn slots<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Range<usize>, D::Error> {
    #[derive(Deserialize)]
    struct StoredRange {
        start: usize,
        end: usize,
    }
    let StoredRange { start, end } = StoredRange::deserialize(deserializer)?;
    if start <= end {
        Ok(start..end)
    } else {
        Err(D::Error::custom("the range ends before its start"))
    }
}

fn attempts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Attempt>, D::Error> {
    let attempts = Vec::<StoredAttempt>::deserialize(deserializer)?;
    let attempts: Vec<_> = attempts.into_iter().map(|stored| stored.0).collect();
    match attempts.last() {
        Some(last) if last.delivery == Delivery::Accepted => Ok(attempts),
        _ => Err(D::Error::custom("the last attempt isn't accepted")),
    }
}

impl From<StoredReceipt> for Receipt {
    fn from(stored: StoredReceipt) -> Self {
        let StoredReceipt { message_id, slots, attempts, problems, omitted_problems, .. } = stored;
        let problems = PermittedProblems::of_parts([(&problems, omitted_problems), (&[], 0)]);
        Self { message_id, slots, attempts, problems }
    }
}

impl<'de> Deserialize<'de> for Receipt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read::<StoredReceipt, D>(deserializer).map(Self::from)
    }
}
