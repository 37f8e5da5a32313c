//! Why what a user brought gave nothing.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};

use super::TokenError;
use crate::debug::debug_as_display;

/// Why a [`Signer`](crate::Signer) gave no signature, or a [`TokenSource`](crate::TokenSource) no
/// access token.
///
/// The text becomes part of errors and of the log: it must hold no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthError {
    text: String,
    is_temporary: bool,
}

impl AuthError {
    /// It may work a moment later: the sends that need it try again, within their attempts and
    /// deadline, and it is asked again after a pause, of a quarter of a second at first and up to
    /// 30 s later.
    #[must_use]
    pub fn temporary(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_temporary: true }
    }

    /// It would fail the same way again: the sends that need it end as
    /// [`ErrorKind::Credentials`](crate::ErrorKind::Credentials), and it is not asked again for 10
    /// s.
    #[must_use]
    pub fn permanent(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_temporary: false }
    }

    pub(super) fn is_temporary(&self) -> bool {
        self.is_temporary
    }
}

/// Waits for what the user brought, and tells when it does not come.
pub(super) async fn result_of<T>(
    who: &str,
    response: impl Future<Output = Result<T, AuthError>>,
    deadline: Instant,
) -> Result<T, TokenError> {
    let failed = |how| Err(AuthError::temporary(format!("the {who} {how}")));
    let response = match timeout_at(deadline, AssertUnwindSafe(response).catch_unwind()).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => failed("panicked"),
        Err(_) => failed("gave no response in time"),
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
