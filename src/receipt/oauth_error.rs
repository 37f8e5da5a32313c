//! The error response of a token endpoint.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An error response of the token endpoint, in the format of RFC 6749, section 5.2.
///
/// The texts are the endpoint's own. They can't repeat a message, because the endpoint never
/// receives one. An assertion in them is masked as `[token]`. They are part of the `Display` output
/// of the [`Error`](crate::Error), and therefore of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OAuthError {
    /// The error code, such as `invalid_client`.
    pub error: String,
    /// The description, truncated to 500 characters; `None` if it is missing or empty.
    pub error_description: Option<String>,
    /// The URL of a page about the error, truncated in the same way; `None` if it is missing or
    /// empty.
    pub error_uri: Option<String>,
}

/// Shows the code and the description.
impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)?;
        match &self.error_description {
            Some(description) => write!(f, ": {description}"),
            None => Ok(()),
        }
    }
}
