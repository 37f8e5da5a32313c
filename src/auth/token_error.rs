//! Why there is no access token.

use std::fmt;
use std::time::Duration;

use chrono::TimeDelta;
use http::StatusCode;

use super::AuthError;
use crate::receipt::TokenRefusal;
use crate::transport::Failure;

/// Why there is no access token. Its `Display` holds nothing that the endpoint said but codes from a fixed
/// list.
#[derive(Clone)]
pub(crate) enum TokenError {
    /// The endpoint gave no answer.
    Failure(Failure),
    /// It has no token for now.
    Unavailable { status: u16, hint: Option<Duration> },
    /// It refuses the credentials, and would again.
    Refused(Box<Refused>),
    /// It answered yes, and something other than a token.
    Odd(&'static str),
    /// What the user brought gave nothing.
    Auth(AuthError),
}

/// What the endpoint said when it refused.
#[derive(Clone)]
pub(crate) struct Refused {
    pub(super) status: u16,
    pub(crate) refusal: Option<TokenRefusal>,
    pub(crate) text: Option<String>,
    /// How far this machine's clock is ahead of the endpoint's, where that is much.
    pub(super) ahead: Option<TimeDelta>,
}

impl TokenError {
    /// Whether a token may be had a moment later.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Failure(_) | Self::Unavailable { .. } | Self::Odd(_) => true,
            Self::Auth(error) => error.is_temporary(),
            Self::Refused(_) => false,
        }
    }

    /// Whether the endpoint answered, and asked for no pause.
    pub(super) fn is_answer_without_pause(&self) -> bool {
        match self {
            Self::Unavailable { status, hint } => {
                *status != StatusCode::TOO_MANY_REQUESTS && hint.unwrap_or_default().is_zero()
            }
            Self::Refused(_) | Self::Odd(_) => true,
            Self::Failure(_) | Self::Auth(_) => false,
        }
    }

    /// Notes that this machine's clock may be why the endpoint refused.
    pub(super) fn with_clock_ahead(mut self, ahead: Option<TimeDelta>) -> Self {
        if let Self::Refused(refused) = &mut self {
            refused.ahead = ahead;
        }
        self
    }

    pub(super) fn hint(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { hint, .. } => *hint,
            _ => None,
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failure(failure) => write!(f, "{failure}"),
            Self::Unavailable { status, .. } => write!(f, "the endpoint answered {status}"),
            Self::Refused(refused) => write!(f, "{refused}"),
            Self::Odd(what) => f.write_str(what),
            Self::Auth(error) => write!(f, "{error}"),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the endpoint refused with status {}", self.status)?;
        if let Some(code) = self.refusal.as_ref().and_then(TokenRefusal::code) {
            write!(f, " ({code})")?;
        }
        if matches!(self.status, 300..=399 | 404 | 405) {
            f.write_str(" (check the base and token URL)")?;
        }
        if let Some(ahead) = self.ahead {
            let side = if ahead > TimeDelta::zero() { "ahead of" } else { "behind" };
            let seconds = ahead.num_seconds().unsigned_abs();
            write!(
                f,
                "; this machine's clock is {seconds} s {side} the endpoint's, which may be why: set it"
            )?;
        }
        Ok(())
    }
}

/// What a send is told that needed a token.
pub(crate) struct NoToken {
    pub(crate) error: TokenError,
    /// How long it is until a token is asked for again; none where asking again is of no use.
    pub(crate) wait: Option<Duration>,
    /// Whether the endpoint was not asked, since it failed a moment before.
    pub(crate) is_remembered: bool,
}

impl NoToken {
    /// What is told where no pause follows that all sends share.
    pub(crate) fn after(error: TokenError) -> Self {
        Self { wait: error.hint(), error, is_remembered: false }
    }
}

impl fmt::Display for NoToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let also = match self.is_remembered {
            true if self.error.is_temporary() => ", nor is one asked for yet",
            true => ", by an answer of the last 10 s",
            false => "",
        };
        write!(f, "no access token{also}: {}", self.error)
    }
}
