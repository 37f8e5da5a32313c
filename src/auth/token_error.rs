//! The errors of a token request.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use http::StatusCode;

use super::AuthError;
use crate::receipt::OAuthError;
use crate::transport::TransportError;

/// A reason why there is no access token. Its `Display` output repeats text of the endpoint only
/// from an OAuth error response.
#[derive(Clone)]
pub(crate) enum TokenError {
    /// The endpoint sent no response.
    Transport(TransportError),
    /// The endpoint can't issue a token for now.
    Unavailable { status: u16, retry_after: Option<Duration> },
    /// The endpoint rejected the credentials, and would reject them again.
    CredentialsRejected(Box<CredentialsRejection>),
    /// The endpoint reported success, but its response holds no token.
    InvalidResponse(Cow<'static, str>),
    /// The user's signer or token source failed.
    Auth(AuthError),
    /// The refresh endpoint of a legacy key failed. The access token is still usable.
    Refresh(Box<TokenError>),
    /// The message endpoint rejected a new token. The token is tried again unless `is_final` is
    /// set.
    TokenRejected { is_final: bool },
}

/// A response with which the endpoint rejected the credentials.
#[derive(Clone)]
pub(crate) struct CredentialsRejection {
    pub(super) status: u16,
    pub(crate) oauth_error: Option<OAuthError>,
    pub(crate) text: Option<String>,
    /// The time by which this machine's clock is ahead of the endpoint's. It is zero if the
    /// difference is small, and `None` if it is unknown.
    pub(super) ahead: Option<TimeDelta>,
    /// The URL of the endpoint.
    pub(super) endpoint: String,
    /// The OAuth client id; `None` for a legacy API key, which is a secret.
    pub(super) client_id: Option<String>,
}

impl TokenError {
    /// Creates the error of a response that reports success but holds no token.
    #[cold]
    pub(super) fn invalid_response(what: &'static str) -> Self {
        Self::InvalidResponse(what.into())
    }

    /// Returns whether a token may be available a moment later.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Transport(_) | Self::Unavailable { .. } | Self::InvalidResponse(_) => true,
            Self::Auth(error) => error.is_temporary(),
            Self::CredentialsRejected(_) => false,
            Self::Refresh(error) => error.is_temporary(),
            Self::TokenRejected { is_final } => !is_final,
        }
    }

    /// Returns whether a response arrived that doesn't ask for a cooldown.
    pub(super) fn is_response_without_cooldown(&self) -> bool {
        match self {
            Self::Unavailable { status, retry_after } => {
                *status != StatusCode::TOO_MANY_REQUESTS
                    && retry_after.unwrap_or_default().is_zero()
            }
            Self::CredentialsRejected(_) | Self::InvalidResponse(_) => true,
            Self::Transport(_) | Self::Auth(_) | Self::Refresh(_) | Self::TokenRejected { .. } => {
                false
            }
        }
    }

    /// Returns the underlying error of a transport, a signer or a token source.
    pub(crate) fn cause(&self) -> Option<Arc<dyn StdError + Send + Sync>> {
        match self {
            Self::Transport(error) => Some(Arc::new(error.clone())),
            Self::Auth(error) => Some(Arc::new(error.clone())),
            Self::Refresh(error) => error.cause(),
            _ => None,
        }
    }

    /// Records that this machine's clock may be the reason for the rejection.
    pub(super) fn with_clock_ahead(mut self, ahead: Option<TimeDelta>) -> Self {
        if let Self::CredentialsRejected(rejected) = &mut self {
            rejected.ahead = ahead;
        }
        self
    }

    /// Returns whether only the refresh endpoint failed.
    pub(super) fn is_of_refresh(&self) -> bool {
        matches!(self, Self::Refresh(_))
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            Self::Transport(failure) => failure.permit_error()?.retry_after(),
            Self::Refresh(error) => error.retry_after(),
            _ => None,
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(failure) => write!(f, "{failure}"),
            Self::Unavailable { status, .. } => write!(f, "the endpoint responded with {status}"),
            Self::CredentialsRejected(rejected) => write!(f, "{rejected}"),
            Self::InvalidResponse(what) => f.write_str(what),
            Self::Auth(error) => write!(f, "{error}"),
            Self::Refresh(error) => write!(f, "the refresh endpoint failed: {error}"),
            Self::TokenRejected { .. } => f.write_str(
                "the message endpoint rejected a new access token; check the account, the scope \
                 and the audience",
            ),
        }
    }
}

impl fmt::Display for CredentialsRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, oauth_error, ahead, endpoint, client_id, .. } = self;
        let whom = match client_id {
            Some(client_id) => format!("the client id {client_id:?}"),
            None => "the API key".to_owned(),
        };
        match oauth_error {
            Some(oauth_error) => {
                write!(f, "{endpoint} rejected {whom} with status {status}: {oauth_error}")?;
            }
            // A gateway may have responded instead of the endpoint.
            None => write!(f, "{endpoint} responded with status {status} to {whom}")?,
        }
        write!(f, "; check {}", self.what_to_check())?;
        if let Some(ahead) = ahead.filter(|ahead| !ahead.is_zero()) {
            let side = if ahead > TimeDelta::zero() { "ahead of" } else { "behind" };
            let seconds = ahead.num_seconds().unsigned_abs();
            write!(
                f,
                "; this machine's clock is {seconds} s {side} the endpoint's; correct it (an \
                 assertion with the endpoint's time was rejected too)"
            )?;
        }
        Ok(())
    }
}

impl CredentialsRejection {
    /// Returns the most likely causes of the rejection.
    fn what_to_check(&self) -> &'static str {
        if matches!(self.status, 300..=399 | 404 | 405) {
            return "the base and token URL";
        }
        if self.client_id.is_none() {
            return "the API key and its secret";
        }
        let Some(OAuthError { error, error_description, .. }) = &self.oauth_error else {
            return "the client id, the key id, the private key, and gateways on the way";
        };
        let description = error_description.as_deref().unwrap_or_default();
        let words: Vec<_> = description.split(|each: char| !each.is_ascii_alphanumeric()).collect();
        let names = |names: &[&str]| {
            words.iter().any(|word| names.iter().any(|name| word.eq_ignore_ascii_case(name)))
        };
        match error.as_str() {
            "invalid_scope" => "the scope",
            "unauthorized_client" | "unsupported_grant_type" => {
                "that the OAuth client may use client credentials with a signed JWT"
            }
            _ if names(&["aud", "audience"]) => {
                "the token URL, which is the audience of the assertion"
            }
            _ if names(&["iat", "exp", "nbf", "expired", "clock"]) => "the clock of this machine",
            _ => {
                "the client id, the key id, and that the dashboard has the public key in the \
                 environment of the client id"
            }
        }
    }
}

/// The error of a send that needs a token and can't get one.
pub(crate) struct TokenUnavailable {
    pub(crate) error: TokenError,
    /// The time until a token is requested again; `None` if it is unknown, or if another request
    /// won't help.
    pub(crate) wait: Option<Duration>,
    /// Whether no request was made because one had failed a moment before.
    pub(crate) is_remembered: bool,
}

impl TokenUnavailable {
    /// Creates the error of a failure that starts no shared cooldown.
    #[cold]
    pub(crate) fn after(error: TokenError) -> Self {
        Self { wait: error.retry_after(), error, is_remembered: false }
    }
}

impl fmt::Display for TokenUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let also = match self.is_remembered {
            true if self.error.is_temporary() => ", and none is requested yet",
            true => ", and none is requested during the cooldown",
            false => "",
        };
        write!(f, "no access token{also}: {}", self.error)
    }
}
