//! One HTTP exchange of a send, and how certain its outcome is.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::message::Log;
use crate::retry::NextStep;

/// How certain it is that the service has the message.
///
/// Serializes to `accepted`, `rejected`, `not_sent` or `unknown`, which is also its `Display`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Delivery {
    /// The service answered that it took the message.
    Accepted,
    /// The service answered that it did not take the message.
    Rejected,
    /// The message never reached the service, or the service reported that it didn't process it.
    NotSent,
    /// The message may have reached the service: no response settles it, or the response isn't the
    /// service's.
    #[serde(other)]
    Unknown,
}

/// With the feature `mock`: attempts to test an [observer](crate::AttemptObserver) with.
#[cfg(feature = "mock")]
impl Attempt {
    /// Creates an attempt that took no time; its public fields can be set.
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
    /// What a send comes to, whose attempts were not accepted: as uncertain as the least certain of
    /// them.
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

impl Delivery {
    /// The state as a word for programs, such as `not_sent`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::NotSent => "not_sent",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One HTTP exchange of a send.
///
/// An attempt that found no access token is one too: it ended before the message went out, as
/// [`Delivery::NotSent`].
///
/// Serializes times in whole milliseconds, `elapsed_ms`, `token_age_ms` and `delay_ms`, but for
/// `retry_after_s`, which is in seconds, rounded up; and `logs` in the words of a
/// [`Receipt`](crate::Receipt).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
#[non_exhaustive]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// Identifies the message; the same on every attempt of a send.
    pub message_id: Uuid,
    /// When it started, by this machine's clock.
    pub started: DateTime<Utc>,
    /// How long it took.
    #[serde(rename = "elapsed_ms", with = "super::json::milliseconds")]
    pub elapsed: Duration,
    /// The status of the response to the message, where one came.
    ///
    /// That of the token endpoint is in `error`.
    #[serde(default, with = "super::json::status")]
    pub status: Option<StatusCode>,
    /// Whether the service has the message, as far as this attempt tells.
    pub delivery: Delivery,
    /// What went wrong, in words that hold nothing of the message or the response.
    pub error: Option<String>,
    /// The service's own identifiers, where the response had any.
    #[serde(with = "super::json::logs")]
    pub logs: Vec<Log>,
    /// How old the access token was when the request set out, counted from when it was asked for;
    /// `None` where there was no token, and so no request.
    #[serde(rename = "token_age_ms", default, with = "super::json::optional_milliseconds")]
    pub token_age: Option<Duration>,
    /// How long the service asked to wait, by `Retry-After`; or how long no access token is asked
    /// for.
    #[serde(rename = "retry_after_s", default, with = "super::json::whole_seconds")]
    pub retry_after: Option<Duration>,
    /// How long the send meant to wait before the next attempt; `None` after the last.
    ///
    /// A pause in which no access token is asked for can make it longer, and credentials that are
    /// rotated meanwhile can end that.
    #[serde(rename = "delay_ms", default, with = "super::json::optional_milliseconds")]
    pub delay: Option<Duration>,
    /// What followed, and why: why the delay is as it is, or why there was no further attempt.
    pub next_step: NextStep,
}

impl Serialize for Attempt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// An attempt inside another record, whose errors name the path from that record on.
#[derive(Deserialize)]
pub(crate) struct StoredAttempt(#[serde(with = "Attempt")] pub(crate) Attempt);

impl<'de> Deserialize<'de> for Attempt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::read::<StoredAttempt, D>(deserializer).map(|stored| stored.0)
    }
}
