//! Errors from exchanges without a complete response.

use std::fmt;

use super::PermitError;
use crate::display::{debug_as_display, display_as_str};

/// An error from an exchange without a complete response. It reports whether the request may have
/// reached the service.
///
/// An [`Attempt`](crate::Attempt) shows its `Display` text as the reason of the failure.
#[derive(Clone, PartialEq, Eq)]
pub struct TransportError {
    kind: TransportErrorKind,
    may_have_arrived: bool,
    is_called_off: bool,
    /// The rate limiter's error, if it gave no permit.
    permit_error: Option<PermitError>,
    detail: String,
}

/// The kind of a [`TransportError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The request could not be created, for example because its URL is invalid.
    InvalidRequest,
    /// The host name could not be resolved.
    Dns,
    /// No connection could be established, including TLS.
    Connect,
    /// The time ran out.
    Timeout,
    /// The connection was closed or broke.
    Interrupted,
    /// The service reported that it didn't process the request (RFC 9113, section 8.7).
    NotProcessed,
    /// The response is longer than any response of the service.
    ResponseTooLong,
}

impl TransportErrorKind {
    /// Returns the kind as a machine-readable word, such as `interrupted`.
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

display_as_str!(TransportErrorKind);

impl TransportError {
    /// Creates an error for a request that the service can't have. Either nothing of the request
    /// has left or will leave, or the service reported that it didn't process it.
    #[must_use]
    #[cold]
    pub fn not_sent(kind: TransportErrorKind) -> Self {
        Self {
            kind,
            may_have_arrived: false,
            is_called_off: false,
            permit_error: None,
            detail: String::new(),
        }
    }

    /// Creates an error for a request that may have reached the service, entirely or in part.
    ///
    /// Use it whenever that is uncertain.
    #[must_use]
    #[cold]
    pub fn unknown(kind: TransportErrorKind) -> Self {
        Self { may_have_arrived: true, ..Self::not_sent(kind) }
    }

    /// Creates an error for a request that got no permit from the rate limiter and was not sent.
    pub(crate) fn rate_limited(error: &PermitError) -> Self {
        let permit_error = Some(error.clone());
        Self { is_called_off: true, permit_error, ..Self::not_sent(TransportErrorKind::Timeout) }
    }

    /// Creates an error for a request that no connection took in time. It is sent again over
    /// another connection at once.
    #[cold]
    pub(crate) fn not_taken() -> Self {
        let detail = "no connection accepted the request in time".to_owned();
        Self { is_called_off: true, detail, ..Self::not_sent(TransportErrorKind::Timeout) }
    }

    /// Sets additional text about the failure.
    ///
    /// Logs and errors show it, so it must not contain any part of the request or the response.
    #[must_use]
    #[cold]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Returns whether the connection was closed before the service took the request. A retry then
    /// adds nothing to the service's load.
    pub(crate) fn is_closed_connection(&self) -> bool {
        self.kind == TransportErrorKind::Interrupted && !self.may_have_arrived
    }

    /// Returns whether the request was called off before any of it left. It can be made again at
    /// once.
    pub(crate) fn is_called_off(&self) -> bool {
        self.is_called_off
    }

    /// Returns the rate limiter's error, if it gave no permit.
    pub(crate) fn permit_error(&self) -> Option<&PermitError> {
        self.permit_error.as_ref()
    }

    /// Returns the kind of the failure.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Returns whether the request, or a part of it, may have reached the service.
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
            (TransportErrorKind::InvalidRequest, _) => "the request could not be created",
            (TransportErrorKind::Dns, _) => "the host name could not be resolved",
            (TransportErrorKind::Connect, _) => "no connection could be made",
            (TransportErrorKind::Timeout, false) => {
                "the timeout expired before the request was sent"
            }
            (TransportErrorKind::Timeout, true) => "no response arrived within the timeout",
            (TransportErrorKind::Interrupted, false) => {
                "the connection was closed before the service took the request"
            }
            (TransportErrorKind::Interrupted, true) => {
                "the connection was closed before the whole response arrived"
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
