//! Why what a user brought gave nothing.

use std::fmt;

/// Why a [`Signer`](crate::Signer) gave no signature, or a [`TokenSource`](crate::TokenSource) no access token.
///
/// The text becomes part of errors and of the log: it must hold no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthError {
    text: String,
    is_temporary: bool,
}

impl AuthError {
    /// It may work a moment later: the sends that need it try again, within their attempts and deadline.
    #[must_use]
    pub fn temporary(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_temporary: true }
    }

    /// It would fail the same way again: the sends that need it end as
    /// [`ErrorKind::Credentials`](crate::ErrorKind::Credentials).
    #[must_use]
    pub fn permanent(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_temporary: false }
    }

    pub(super) fn is_temporary(&self) -> bool {
        self.is_temporary
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for AuthError {}
