//! What an exchange means for its message: one table.

use std::fmt;

use serde::Serialize;

use crate::transport::Failure;

/// What one exchange means for the message, and so for another attempt.
///
/// Serialized in snake case, such as `not_sent`, which is also its `Display`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Class {
    /// The service has the message: it is not sent again.
    Accepted,
    /// The service refused the message, and would again.
    Refused,
    /// It refused the message for now: it asks for fewer requests.
    Throttled,
    /// It refused the message for now: it is not ready.
    Transient,
    /// It refused the access token: a new one buys one more attempt.
    Unauthorized,
    /// It may have the message, and no answer tells.
    Unknown,
    /// The message never reached it.
    NotSent,
}

/// What is known of one exchange, as far as it bears on its [`Class`].
///
/// Its `Debug` holds nothing that the service said.
#[derive(Clone, Copy)]
pub struct Exchange<'a> {
    status: Result<u16, &'a Failure>,
    has_errors: bool,
    service_text: Option<&'a str>,
}

impl<'a> Exchange<'a> {
    /// One whose answer has this status.
    pub(crate) fn answered(status: u16, has_errors: bool, service_text: Option<&'a str>) -> Self {
        Self { status: Ok(status), has_errors, service_text }
    }

    /// One that brought no answer.
    pub(crate) fn failed(failure: &'a Failure) -> Self {
        Self { status: Err(failure), has_errors: false, service_text: None }
    }

    /// The class of an exchange, as it is where nothing else is [set](crate::ClientBuilder::classifier).
    ///
    /// | what came | class |
    /// | --- | --- |
    /// | no answer, and the request can't have left | [`NotSent`](Class::NotSent) |
    /// | no answer, and the request may have left | [`Unknown`](Class::Unknown) |
    /// | 2xx, whatever becomes of its body | [`Accepted`](Class::Accepted) |
    /// | 2xx with `Meta.Errors` | [`Refused`](Class::Refused) |
    /// | 401 | [`Unauthorized`](Class::Unauthorized) |
    /// | 429 | [`Throttled`](Class::Throttled) |
    /// | 503 | [`Transient`](Class::Transient) |
    /// | any other 5xx: it may have taken the message before it failed | [`Unknown`](Class::Unknown) |
    /// | anything else, a redirect too, which is never followed | [`Refused`](Class::Refused) |
    #[must_use]
    pub fn class(&self) -> Class {
        match self.status {
            Err(failure) if failure.may_have_arrived() => Class::Unknown,
            Err(_) => Class::NotSent,
            Ok(200..=299) if self.has_errors => Class::Refused,
            Ok(200..=299) => Class::Accepted,
            Ok(401) => Class::Unauthorized,
            Ok(429) => Class::Throttled,
            Ok(503) => Class::Transient,
            Ok(500..=599) => Class::Unknown,
            Ok(_) => Class::Refused,
        }
    }

    /// The status of the answer, where one came.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.status.ok()
    }

    /// Why no answer came.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.status.err()
    }

    /// Whether the answer holds `Meta.Errors`.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.has_errors
    }

    /// What the service said went wrong: what [`Error::service_text`](crate::Error::service_text) tells.
    #[must_use]
    pub fn service_text(&self) -> Option<&str> {
        self.service_text
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("status", &self.status)
            .field("has_errors", &self.has_errors)
            .finish_non_exhaustive()
    }
}
