//! One HTTP exchange of a send, and how certain its outcome is.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::message::Log;
use crate::retry::NextStep;

/// How certain it is that the service has the message.
///
/// Serializes as [`as_str`](Self::as_str) returns it.
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

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One HTTP exchange of a send.
///
/// An attempt that found no access token is one too: it ended before the message went out, as
/// [`Delivery::NotSent`].
///
/// Serializes its durations as `elapsed_ms`, `token_age_ms` and `delay_ms` in whole milliseconds,
/// and as `retry_after_s` in seconds, rounded up. `logs` has the form that it has in a
/// [`Receipt`](crate::Receipt). An attempt that is read back therefore has shorter durations than
/// the one in memory, and doesn't compare equal to it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// Identifies the message; the same on every attempt of a send.
    pub message_id: Uuid,
    /// When it started, by this machine's clock.
    pub started: DateTime<Utc>,
    /// How long it took.
    pub elapsed: Duration,
    /// The status of the response to the message, where one came.
    ///
    /// That of the token endpoint is in `error`.
    pub status: Option<StatusCode>,
    /// Whether the service has the message, as far as this attempt tells.
    pub delivery: Delivery,
    /// What went wrong, in words that hold nothing of the message or the response.
    pub error: Option<String>,
    /// The service's own identifiers, where the response had any.
    pub logs: Vec<Log>,
    /// How old the access token was when the request set out, counted from when it was asked for;
    /// `None` where there was no token, and so no request.
    pub token_age: Option<Duration>,
    /// How long the service asked to wait, by `Retry-After`; or how long no access token is asked
    /// for.
    pub retry_after: Option<Duration>,
    /// How long the send meant to wait before the next attempt; `None` after the last.
    ///
    /// A pause in which no access token is asked for can make it longer, and credentials that are
    /// rotated meanwhile can end that.
    pub delay: Option<Duration>,
    /// What followed, and why: why the delay is as it is, or why there was no further attempt.
    pub next_step: NextStep,
}
