//! An attempt of a send, and the certainty of its outcome.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::display::display_as_str;
use crate::message::Log;
use crate::retry::NextStep;

/// The outcome of an attempt or a send, and its certainty.
///
/// It serializes as the text that [`as_str`](Self::as_str) returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Delivery {
    /// The service responded that it accepted the message.
    Accepted,
    /// The service responded that it didn't accept the message.
    Rejected,
    /// The message never reached the service, or the service reported that it didn't process it.
    NotSent,
    /// The message may have reached the service: there is no conclusive response, or the response
    /// isn't the service's.
    #[serde(other)]
    Unknown,
}

/// Attempts for tests of an [observer](crate::AttemptObserver). Requires the feature `mock`.
#[cfg(feature = "mock")]
impl Attempt {
    /// Creates an attempt that took no time. You can set its public fields.
    ///
    /// ```
    /// use pushslots::uuid::Uuid;
    /// use pushslots::{Attempt, Delivery};
    /// use std::time::Duration;
    ///
    /// let mut attempt = Attempt::new(Uuid::nil(), 1, Delivery::Unknown);
    /// attempt.elapsed = Duration::from_millis(212);
    /// assert_eq!(attempt.status, None);
    /// ```
    #[must_use]
    pub fn new(message_id: Uuid, number: u32, delivery: Delivery) -> Self {
        Self {
            number,
            message_id,
            started: DateTime::UNIX_EPOCH,
            elapsed: Duration::ZERO,
            status: None,
            delivery,
            error: None,
            logs: Vec::new(),
            token_age: None,
            retry_after: None,
            delay: None,
            next_step: if delivery == Delivery::Accepted {
                NextStep::Done
            } else {
                NextStep::NotRetryable
            },
        }
    }
}

impl Delivery {
    /// Returns the state as an identifier for programs, such as `not_sent`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::NotSent => "not_sent",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the delivery of a send without an accepted attempt, which is as uncertain as its
    /// least certain attempt.
    pub(crate) fn of_failed(attempts: &[Attempt]) -> Self {
        let any = |delivery| attempts.iter().any(|attempt| attempt.delivery == delivery);
        if any(Self::Unknown) {
            Self::Unknown
        } else if any(Self::Rejected) {
            Self::Rejected
        } else {
            Self::NotSent
        }
    }
}

display_as_str!(Delivery);

/// One HTTP exchange of a send.
///
/// An attempt without an access token ends before the message is sent, with [`Delivery::NotSent`].
///
/// # Serialization
///
/// The JSON form contains the durations `elapsed_ms`, `token_age_ms` and `delay_ms` in whole
/// milliseconds, rounded down, and `retry_after_s` in seconds, rounded up. The member `logs` has
/// the same form as in a [`Receipt`](crate::Receipt). Because of the rounding, a deserialized
/// attempt usually doesn't compare equal to the original.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Attempt {
    /// The number of the attempt, starting at 1.
    pub number: u32,
    /// The message id, which is the same on every attempt of a send.
    pub message_id: Uuid,
    /// The start of the attempt, by this machine's clock.
    pub started: DateTime<Utc>,
    /// The duration of the attempt.
    pub elapsed: Duration,
    /// The status of the response to the message; `None` if there was no response.
    ///
    /// A status of the token endpoint is in `error` instead.
    pub status: Option<StatusCode>,
    /// The outcome of this attempt alone, regardless of other attempts.
    pub delivery: Delivery,
    /// The description of the failure; `None` if the message was accepted.
    ///
    /// It contains no text of the message or of the message endpoint's response.
    pub error: Option<String>,
    /// The service's own identifiers, if the response had any.
    pub logs: Vec<Log>,
    /// The age of the access token when the request was sent, counted from the token request.
    ///
    /// It is `None` if there was no token, and therefore no request.
    pub token_age: Option<Duration>,
    /// The delay that the service asked for with `Retry-After`, or the time until the next token
    /// request; `None` if neither is known.
    pub retry_after: Option<Duration>,
    /// The planned delay before the next attempt; `None` after the last one.
    ///
    /// A token cooldown can make the actual delay longer. Rotating the credentials can end the
    /// cooldown early.
    pub delay: Option<Duration>,
    /// The step after the attempt: the reason for the delay, or the reason why no further attempt
    /// followed.
    pub next_step: NextStep,
}
