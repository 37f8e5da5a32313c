//! What a token endpoint says when it refuses.

use std::fmt;

use serde::Serialize;

/// Why the token endpoint refused, in its own words: RFC 6749, section 5.2.
///
/// The words may repeat parts of what was sent: show them to a person, and do not log them. The `Debug` of this
/// shows `error` alone, and only where it is a code of the RFC.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TokenRefusal {
    /// The code, such as `invalid_client`.
    pub error: String,
    /// More about it, cut after 500 characters; `None` where it is missing or empty.
    pub error_description: Option<String>,
    /// The address of a page about it, cut in the same way.
    pub error_uri: Option<String>,
}

/// Of all that the endpoint says, only these are safe to log.
const CODES: [&str; 6] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
];

impl TokenRefusal {
    /// The code, where it is one of the RFC.
    pub(crate) fn code(&self) -> Option<&'static str> {
        CODES.into_iter().find(|code| *code == self.error)
    }

    /// The code and the description.
    pub(super) fn text(&self) -> String {
        match &self.error_description {
            Some(description) => format!("{}: {description}", self.error),
            None => self.error.clone(),
        }
    }
}

impl fmt::Debug for TokenRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRefusal").field("error", &self.code().unwrap_or("…")).finish_non_exhaustive()
    }
}
