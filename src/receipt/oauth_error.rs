//! The error response of a token endpoint.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The error response of the token endpoint, in its own words: RFC 6749, section 5.2.
///
/// The words can't repeat a message, which the endpoint never sees, and an assertion in them is
/// masked as `[token]`. They are part of the [`Error`](crate::Error)'s `Display`, and so of the
/// log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OAuthError {
    /// The code, such as `invalid_client`.
    pub error: String,
    /// The explanation, cut after 500 characters; `None` if it is missing or empty.
    pub error_description: Option<String>,
    /// The address of a page about the error, cut in the same way.
    pub error_uri: Option<String>,
}

/// The code and the explanation.
impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)?;
        match &self.error_description {
            Some(description) => write!(f, ": {description}"),
            None => Ok(()),
        }
    }
}
