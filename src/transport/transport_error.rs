//! Why there is no response, or no whole one.

use std::fmt;

use super::PermitError;
use crate::debug::debug_as_display;

/// Why an exchange brought no response, or no whole one, and whether the request may have reached
/// the service.
///
/// Its `Display` is what an [`Attempt`](crate::Attempt) says went wrong.
#[derive(Clone, PartialEq, Eq)]
pub struct TransportError {
    kind: TransportErrorKind,
    may_have_arrived: bool,
    is_called_off: bool,
    /// Why the rate limiter gave no permit.
    permit_error: Option<PermitError>,
    detail: String,
}

/// What failed on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The request could not be made of what was given.
    InvalidRequest,
    /// The host's name was not found.
    Dns,
    /// No connection came about, TLS included.
    Connect,
    /// Time ran out.
    Timeout,
    /// The connection was cut.
    Interrupted,
    /// The service reported that it didn't process the request: RFC 9113, section 8.7.
    NotProcessed,
    /// The response is longer than any that the service sends.
    ResponseTooLong,
}

impl TransportErrorKind {
    /// The kind as a word for programs, such as `interrupted`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
            Self::NotProcessed => "not_processed",
            Self::ResponseTooLong => "response_too_long",
        }
    }
}

impl fmt::Display for TransportErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl TransportError {
    /// The service can't have the request: nothing of it left, nor will, or the service reported
    /// that it didn't process it.
    #[must_use]
    pub fn not_sent(kind: TransportErrorKind) -> Self {
        Self {
            kind,
            may_have_arrived: false,
            is_called_off: false,
            permit_error: None,
            detail: String::new(),
        }
    }

    /// The request, or a part of it, may have reached the service.
    ///
    /// What is not known for certain is this.
    #[must_use]
    pub fn unknown(kind: TransportErrorKind) -> Self {
        Self { may_have_arrived: true, ..Self::not_sent(kind) }
    }

    /// The rate limiter gave no permit, and nothing was sent.
    pub(crate) fn rate_limited(error: &PermitError) -> Self {
        let permit_error = Some(error.clone());
        Self { is_called_off: true, permit_error, ..Self::not_sent(TransportErrorKind::Timeout) }
    }

    /// No connection took the request in time. It goes over another one at once.
    pub(crate) fn not_taken() -> Self {
        let detail = "no connection took it".to_owned();
        Self { is_called_off: true, detail, ..Self::not_sent(TransportErrorKind::Timeout) }
    }

    /// Adds more about it.
    ///
    /// It is shown in logs and errors: it must hold nothing of the request or the response.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Whether the connection was closed before the service took the request: a retry adds nothing
    /// to its load.
    pub(crate) fn is_closed_connection(&self) -> bool {
        self.kind == TransportErrorKind::Interrupted && !self.may_have_arrived
    }

    /// Whether the request was called off before anything of it left, and can be made again at
    /// once.
    pub(crate) fn is_called_off(&self) -> bool {
        self.is_called_off
    }

    /// Why the rate limiter gave no permit, if that is the reason.
    pub(crate) fn permit_error(&self) -> Option<&PermitError> {
        self.permit_error.as_ref()
    }

    /// What failed.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Whether the request, or a part of it, may have reached the service.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        self.may_have_arrived
    }
}

debug_as_display!(TransportError);

impl std::error::Error for TransportError {}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.permit_error {
            Some(error) if error.retry_after().is_some() => {
                return f.write_str("the client's rate limit leaves no room");
            }
            Some(error) => return write!(f, "the rate limiter failed: {error}"),
            None => {}
        }
        f.write_str(match (self.kind, self.may_have_arrived) {
            (TransportErrorKind::InvalidRequest, _) => "the request could not be made",
            (TransportErrorKind::Dns, _) => "the host was not found",
            (TransportErrorKind::Connect, _) => "no connection could be made",
            (TransportErrorKind::Timeout, false) => "time ran out before the request left",
            (TransportErrorKind::Timeout, true) => "no response came in time",
            (TransportErrorKind::Interrupted, false) => {
                "the connection was closed before the service took the request"
            }
            (TransportErrorKind::Interrupted, true) => {
                "the connection was cut before the whole response came"
            }
            (TransportErrorKind::NotProcessed, _) => "the service didn't process the request",
            (TransportErrorKind::ResponseTooLong, _) => "the response is too long",
        })?;
        match self.detail.as_str() {
            "" => Ok(()),
            detail => write!(f, " ({detail})"),
        }
    }
}
