//! The kinds of failure.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of an [`Error`](crate::Error).
///
/// Serializes as [`as_str`](Self::as_str) returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is missing or can't be used: [`Error::problems`](crate::Error::problems) names
    /// each.
    Configuration,
    /// The message breaks the data model, or is none, and nothing went out:
    /// [`Error::problems`](crate::Error::problems) names each place, or the text of the error does
    /// where JSON could not be read.
    InvalidMessage,
    /// The stream of slots to publish failed before its end; its error is the
    /// [source](std::error::Error::source) of the [`PublishError`](crate::PublishError).
    Input,
    /// The [checkpoint](crate::PublishBuilder::checkpoint) of a publication can't be read or
    /// written, or belongs to another batch.
    Checkpoint,
    /// The publication was [stopped](crate::PublishHandle::stop) before all its slots were
    /// accepted.
    Stopped,
    /// The function that is called after each [accepted
    /// message](crate::PublishBuilder::on_accepted) failed; its error is the
    /// [source](std::error::Error::source) of the [`PublishError`](crate::PublishError).
    Callback,
    /// The service rejects the credentials, or the access token that they bought; or a
    /// [`Signer`](crate::Signer) or [`TokenSource`](crate::TokenSource) gives nothing, for good.
    Credentials,
    /// The service rejects the message, or reports errors with it.
    Rejected,
    /// The service responded with 429 and asks for fewer requests, or a limit of the client leaves
    /// no room for the message within its deadline: the [rate
    /// limit](crate::ClientBuilder::rate_limit), or that on [messages in
    /// flight](crate::ClientBuilder::max_in_flight).
    Throttled,
    /// A [rate limiter](crate::PermitSource) of your own failed, and no further attempt was made.
    RateLimiter,
    /// The service answered 5xx, 408, 421 or 425, or the response isn't the service's or can't be
    /// read; or its token endpoint has no token for now; or a [`Signer`](crate::Signer) or
    /// [`TokenSource`](crate::TokenSource) gives nothing for now.
    Unavailable,
    /// The connection failed.
    Connection,
    /// No response came in time.
    Timeout,
    /// A kind that this version does not know, in JSON that a later version wrote.
    #[serde(other)]
    Other,
}

impl ErrorKind {
    /// The kind as a word for programs, such as `invalid_message`.
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

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
