//! The classification of exchanges, in one table.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use serde::Serialize;

use super::BodyKind;
use crate::display::display_as_str;
use crate::transport::TransportError;

/// The result of one exchange for its message. It determines whether another attempt follows.
///
/// Serializes as [`as_str`](Self::as_str) returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Classification {
    /// The service has the message. The client doesn't send it again.
    Accepted,
    /// The service rejected the message, and would reject it again.
    Rejected,
    /// The service rejected the message for now, because it receives too many requests.
    Throttled,
    /// The service rejected the message for now, because it isn't ready.
    Transient,
    /// The service rejected the access token. The client makes one more attempt with a new one.
    Unauthorized,
    /// The service may have the message: no response settles it.
    Unknown,
    /// The service took the message but reported errors: one of several destinations may have
    /// failed.
    ///
    /// The delivery is [`Unknown`](crate::Delivery::Unknown). The client doesn't send the message
    /// again, because some destinations may have it. Its log ids lead to the details.
    Partial,
    /// The message never reached the service.
    NotSent,
}

/// The facts about one exchange that determine its [`Classification`].
///
/// The `Debug` output holds no text of the service.
#[derive(Clone)]
pub struct Exchange<'a>(Result<ResponseFacts<'a>, Cow<'a, TransportError>>);

/// The facts about a response.
#[derive(Clone)]
pub(crate) struct ResponseFacts<'a> {
    pub(crate) status: StatusCode,
    pub(crate) body: BodyKind,
    pub(crate) has_errors: bool,
    pub(crate) has_logs: bool,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) is_early: bool,
    pub(crate) service_text: Option<Cow<'a, str>>,
}

impl<'a> Exchange<'a> {
    /// Creates an exchange that brought a response.
    pub(crate) fn of_response(facts: ResponseFacts<'a>) -> Self {
        Self(Ok(facts))
    }

    /// Creates an exchange that brought no response.
    pub(crate) fn of_failure(error: Cow<'a, TransportError>) -> Self {
        Self(Err(error))
    }

    /// Returns the classification of the exchange according to the table below. A client can have a
    /// [classifier](crate::ClientBuilder::classifier) of its own.
    ///
    /// The first matching row applies:
    ///
    /// | response | classification |
    /// | --- | --- |
    /// | no response, and the service can't have the request | [`NotSent`](Classification::NotSent) |
    /// | no response, and the service may have the request | [`Unknown`](Classification::Unknown) |
    /// | 2xx with errors and a log or attempt id | [`Partial`](Classification::Partial) |
    /// | 2xx before the whole request was handed to the connection | [`Unknown`](Classification::Unknown) |
    /// | 2xx with errors: `Meta.Errors`, `error` or `errorDetail` | [`Rejected`](Classification::Rejected) |
    /// | 2xx with the service's own body, without a body, or with a [lost](BodyKind::Lost) one | [`Accepted`](Classification::Accepted) |
    /// | any other 2xx: the response isn't the service's, or can't be read | [`Unknown`](Classification::Unknown) |
    /// | 401 | [`Unauthorized`](Classification::Unauthorized) |
    /// | 429 | [`Throttled`](Classification::Throttled) |
    /// | 503 with `Retry-After`: its sender chose not to serve | [`Transient`](Classification::Transient) |
    /// | 408, 421 or 425: by definition, these ask for the request again | [`Transient`](Classification::Transient) |
    /// | any other 5xx: the service may have taken the message before it failed | [`Unknown`](Classification::Unknown) |
    /// | any other status; redirects are never followed | [`Rejected`](Classification::Rejected) |
    ///
    /// [`BodyKind`] defines which bodies are the service's own. RFC 9110 defines 408 and 421
    /// (sections 15.5.9 and 15.5.20), RFC 8470 defines 425 (section 5.2). After a 421 the next
    /// attempt uses a new connection.
    #[must_use]
    pub fn classification(&self) -> Classification {
        let facts = match &self.0 {
            Err(failure) if failure.may_have_arrived() => return Classification::Unknown,
            Err(_) => return Classification::NotSent,
            Ok(facts) => facts,
        };
        match facts.status.as_u16() {
            200..=299 if facts.has_errors && facts.has_logs => Classification::Partial,
            200..=299 if facts.is_early => Classification::Unknown,
            200..=299 if facts.has_errors => Classification::Rejected,
            200..=299 => match facts.body {
                BodyKind::Service | BodyKind::Empty | BodyKind::Lost => Classification::Accepted,
                BodyKind::KnownError | BodyKind::Encoded | BodyKind::Other => {
                    Classification::Unknown
                }
            },
            401 => Classification::Unauthorized,
            429 => Classification::Throttled,
            503 if facts.retry_after.is_some() => Classification::Transient,
            _ if asks_again(facts.status) => Classification::Transient,
            500..=599 => Classification::Unknown,
            _ => Classification::Rejected,
        }
    }

    fn facts(&self) -> Option<&ResponseFacts<'a>> {
        self.0.as_ref().ok()
    }

    /// Returns the status of the response, or `None` if there was no response.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.facts().map(|facts| facts.status)
    }

    /// Returns the kind of the response's body, or `None` if there was no response.
    #[must_use]
    pub fn body_kind(&self) -> Option<BodyKind> {
        self.facts().map(|facts| facts.body)
    }

    /// Returns the delay that the response asked for with `Retry-After`, at most a day.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.facts()?.retry_after
    }

    /// Returns the reason why no response came, or `None` if one did.
    #[must_use]
    pub fn transport_error(&self) -> Option<&TransportError> {
        self.0.as_ref().err().map(AsRef::as_ref)
    }

    /// Returns whether the response holds errors: `Meta.Errors`, `Errors` next to `Meta`, `error`
    /// or `errorDetail`.
    ///
    /// The letter case of these names doesn't matter. They also count inside a list.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.facts().is_some_and(|facts| facts.has_errors)
    }

    /// Returns whether the response holds a log id or an attempt id.
    #[must_use]
    pub fn has_logs(&self) -> bool {
        self.facts().is_some_and(|facts| facts.has_logs)
    }

    /// Returns whether the response came before the whole request was handed to the connection.
    #[must_use]
    pub fn is_early(&self) -> bool {
        self.facts().is_some_and(|facts| facts.is_early)
    }

    /// Returns the reason that the response gives, which is the text of
    /// [`Error::service_text`](crate::Error::service_text).
    #[must_use]
    pub fn service_text(&self) -> Option<&str> {
        self.facts()?.service_text.as_deref()
    }
}

/// Returns whether a status asks for the same request again by its definition. That holds for 408
/// and 421 (RFC 9110, sections 15.5.9 and 15.5.20), and for 425 (RFC 8470, section 5.2).
pub(crate) fn asks_again(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 421 | 425)
}

impl Classification {
    /// Returns the classification as a word for programs, such as `transient`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Throttled => "throttled",
            Self::Transient => "transient",
            Self::Unauthorized => "unauthorized",
            Self::Unknown => "unknown",
            Self::Partial => "partial",
            Self::NotSent => "not_sent",
        }
    }
}

display_as_str!(Classification);

impl fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("status", &self.status())
            .field("body_kind", &self.body_kind())
            .field("has_errors", &self.has_errors())
            .field("has_logs", &self.has_logs())
            .field("is_early", &self.is_early())
            .field("transport_error", &self.transport_error())
            .finish_non_exhaustive()
    }
}
