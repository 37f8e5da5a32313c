//! The kinds of errors.

use serde::{Deserialize, Serialize};

use crate::display::display_as_str;

/// The kind of an [`Error`](crate::Error).
///
/// It serializes as the text that [`as_str`](Self::as_str) returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is missing or invalid. [`Error::problems`](crate::Error::problems) lists all such
    /// settings.
    Configuration,
    /// The message breaks the data model or isn't a message, and nothing was sent.
    ///
    /// [`Error::problems`](crate::Error::problems) lists each problem with its path. If JSON can't
    /// be parsed, the error text contains the line and column instead.
    InvalidMessage,
    /// The stream of slots failed before its end. Its error is the
    /// [source](std::error::Error::source) of the [`PublishError`](crate::PublishError).
    Input,
    /// The [checkpoint](crate::PublishBuilder::checkpoint) of a publication can't be read or
    /// written, or belongs to another batch.
    Checkpoint,
    /// The publication was [stopped](crate::PublishHandle::stop) before all its slots were
    /// accepted.
    Stopped,
    /// The function that is called after each [accepted
    /// message](crate::PublishBuilder::on_accepted) failed. Its error is the
    /// [source](std::error::Error::source) of the [`PublishError`](crate::PublishError).
    Callback,
    /// The service rejected the credentials or the access token. A permanent failure of a
    /// [`Signer`](crate::Signer) or [`TokenSource`](crate::TokenSource) has the same kind.
    Credentials,
    /// The service rejected the message, or responded with a 2xx that reports errors.
    Rejected,
    /// The service responded with 429, or a limit of the client leaves no room for the message
    /// within its deadline.
    ///
    /// The client's limits are the [rate limit](crate::ClientBuilder::rate_limit) and the limit on
    /// [messages in flight](crate::ClientBuilder::max_in_flight).
    Throttled,
    /// A custom [rate limiter](crate::PermitSource) failed, and no further attempt was made.
    RateLimiter,
    /// The service is temporarily unavailable, in one of these ways:
    ///
    /// * it responded with 5xx, 408, 421 or 425;
    /// * its response isn't the service's own, or can't be read;
    /// * the token endpoint, a [`Signer`](crate::Signer) or a [`TokenSource`](crate::TokenSource)
    ///   fails temporarily.
    Unavailable,
    /// The connection failed.
    Connection,
    /// No response arrived in time.
    Timeout,
    /// A kind that this version doesn't know, read from JSON that a later version wrote.
    #[serde(other)]
    Other,
}

impl ErrorKind {
    /// Returns the kind as an identifier for programs, such as `invalid_message`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::InvalidMessage => "invalid_message",
            Self::Input => "input",
            Self::Checkpoint => "checkpoint",
            Self::Stopped => "stopped",
            Self::Callback => "callback",
            Self::Credentials => "credentials",
            Self::Rejected => "rejected",
            Self::Throttled => "throttled",
            Self::RateLimiter => "rate_limiter",
            Self::Unavailable => "unavailable",
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::Other => "other",
        }
    }
}

display_as_str!(ErrorKind);
