//! An access token, and why there may be none.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::signing_key::KeyError;
use crate::clock;
use crate::receipt::Said;
use crate::retry::Class;
use crate::transport::{Answer, Failure};

/// How long a token lives when the answer does not say, or says what can't be.
const USUAL_LIFETIME: Duration = Duration::from_secs(300);

/// No token of the service lives for longer than a legacy one.
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// A token is not used in the last part of its life: it could expire on its way.
const MARGIN: Duration = Duration::from_secs(20);

/// What an assertion buys: it opens the message endpoint for a while.
#[derive(Clone)]
pub(crate) struct AccessToken(Arc<Inner>);

struct Inner {
    authorization: HeaderValue,
    usable_until: Instant,
}

impl AccessToken {
    /// A token asked for at `asked`, and the time that it is said to live since then; zero where that is
    /// unknown.
    pub(super) fn new(token: &SecretString, asked: Instant, lifetime: Duration) -> Result<Self, TokenError> {
        if token.expose_secret().is_empty() {
            return Err(TokenError::Odd("the access token is empty"));
        }
        let text = format!("Bearer {}", token.expose_secret());
        let mut authorization = HeaderValue::try_from(text)
            .map_err(|_| TokenError::Odd("the access token is no text for a header"))?;
        authorization.set_sensitive(true);
        let lifetime = match lifetime {
            Duration::ZERO => USUAL_LIFETIME,
            said if said > LONGEST_LIFETIME => USUAL_LIFETIME,
            said => said,
        };
        let margin = MARGIN.min(lifetime / 4);
        Ok(Self(Arc::new(Inner { authorization, usable_until: asked + (lifetime - margin) })))
    }

    /// The value of the header `Authorization`: RFC 6750, section 2.1. Marked sensitive.
    pub(crate) fn authorization(&self) -> HeaderValue {
        self.0.authorization.clone()
    }

    pub(super) fn is_usable(&self) -> bool {
        Instant::now() < self.0.usable_until
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Why there is no access token. Its `Display` holds nothing that the endpoint said but codes from a
/// fixed list.
pub(crate) enum TokenError {
    /// The endpoint gave no answer.
    Failure(Failure),
    /// It has no token for now.
    Unavailable { status: u16, hint: Option<Duration> },
    /// It refuses the credentials, and would again.
    Refused { status: u16, code: Option<&'static str>, text: Option<String> },
    /// It answered yes, and something other than a token.
    Odd(&'static str),
    /// The key did not sign.
    Key(KeyError),
}

impl TokenError {
    /// What it means for the message that needed the token.
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Failure(_) | Self::Unavailable { .. } | Self::Odd(_) => Class::NotSent,
            Self::Refused { .. } | Self::Key(_) => Class::NoToken,
        }
    }

    pub(crate) fn hint(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { hint, .. } => *hint,
            _ => None,
        }
    }

    /// What the endpoint said, in its own words: for the error value only.
    pub(crate) fn into_text(self) -> Option<String> {
        match self {
            Self::Refused { text, .. } => text,
            _ => None,
        }
    }
}

/// Sorts out the answers that bring no token, whatever the kind of credentials.
pub(super) fn accepted(answer: Answer) -> Result<Answer, TokenError> {
    if answer.status.is_success() {
        return match answer.body {
            Err(failure) => Err(TokenError::Failure(failure)),
            Ok(_) => Ok(answer),
        };
    }
    let status = answer.status.as_u16();
    let said = Said::read(&answer.headers, answer.body(), clock::now().into());
    if answer.status == StatusCode::TOO_MANY_REQUESTS || answer.status.is_server_error() {
        return Err(TokenError::Unavailable { status, hint: said.hint });
    }
    Err(TokenError::Refused { status, code: said.text.as_deref().and_then(code), text: said.text })
}

/// The error codes of RFC 6749, section 5.2: of all that the endpoint says, only these are safe to show.
const CODES: [&str; 6] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
];

fn code(text: &str) -> Option<&'static str> {
    let said = text.split(':').next()?;
    CODES.into_iter().find(|code| *code == said)
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no access token: ")?;
        match self {
            Self::Failure(failure) => write!(f, "{failure}"),
            Self::Unavailable { status, .. } => write!(f, "the endpoint answered {status}"),
            Self::Refused { status, code, .. } => {
                write!(f, "the endpoint refused with status {status}")?;
                match code {
                    Some(code) => write!(f, " ({code})"),
                    None => Ok(()),
                }
            }
            Self::Odd(what) => f.write_str(what),
            Self::Key(error) => write!(f, "{error}"),
        }
    }
}
