//! The error of a signer or token source that the user provides.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};

use super::TokenError;
use crate::display::debug_as_display;

/// An error from a [`Signer`](crate::Signer) or a [`TokenSource`](crate::TokenSource).
///
/// The text becomes part of errors and log events, so it must hold no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthError {
    text: String,
    is_temporary: bool,
}

impl AuthError {
    /// Creates a temporary error: another call may succeed.
    ///
    /// The sends that need the signature or token retry within their attempts and deadline. The
    /// client calls the signer or source again after a cooldown of 250 to 500 ms. After further
    /// failures the cooldown grows up to 30 s.
    #[must_use]
    pub fn temporary(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_temporary: true }
    }

    /// Creates a permanent error: another call would fail the same way.
    ///
    /// The sends that need the signature or token end with
    /// [`ErrorKind::Credentials`](crate::ErrorKind::Credentials). The client doesn't call the
    /// signer or source again for 10 s.
    #[must_use]
    pub fn permanent(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_temporary: false }
    }

    pub(super) fn is_temporary(&self) -> bool {
        self.is_temporary
    }
}

/// Waits for a signer or token source until `deadline`. A panic or a timeout becomes a temporary
/// error that names `who`.
pub(super) async fn result_of<T>(
    who: &str,
    response: impl Future<Output = Result<T, AuthError>>,
    deadline: Instant,
) -> Result<T, TokenError> {
    let failed = |how| Err(AuthError::temporary(format!("the {who} {how}")));
    let response = match timeout_at(deadline, AssertUnwindSafe(response).catch_unwind()).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => failed("panicked"),
        Err(_) => failed("did not respond in time"),
    };
    response.map_err(TokenError::Auth)
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

debug_as_display!(AuthError);

impl std::error::Error for AuthError {}
