//! Access tokens from elsewhere.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::{AccessToken, AuthError};

/// Gives access tokens that another part of your system buys: a sidecar, a vault, a gateway.
///
/// The client keeps a token until it is due to be renewed, and shares it between all sends; while one asks, those
/// that need it wait for the response.
///
/// ```
/// use pushslots::{AccessToken, AuthError, Credentials, TokenSource};
/// use std::time::Duration;
/// # struct Sidecar;
/// # impl Sidecar { async fn token(&self, _: bool) -> Result<(String, u64), std::io::Error> { Ok(("t".into(), 60)) } }
///
/// impl TokenSource for Sidecar {
///     async fn token(&self, rejected: Option<&AccessToken>) -> Result<AccessToken, AuthError> {
///         let (token, seconds) = Sidecar::token(self, rejected.is_some())
///             .await
///             .map_err(|error| AuthError::temporary(format!("the sidecar: {}", error.kind())))?;
///         Ok(AccessToken::new(token).expires_in(Duration::from_secs(seconds)))
///     }
/// }
///
/// let credentials = Credentials::token_source(Sidecar);
/// ```
pub trait TokenSource: Send + Sync + 'static {
    /// Gives an access token.
    ///
    /// `rejected` is the one that the service answered with 401, where that is why a new one is asked for: a source
    /// that keeps tokens must not give that one again.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from giving a token: [`AuthError::temporary`] when it may have one a moment later. A panic
    /// counts as temporary, and so does taking longer than [an attempt may](crate::ClientBuilder::attempt_timeout). The
    /// future can be dropped at any point.
    fn token(
        &self,
        rejected: Option<&AccessToken>,
    ) -> impl Future<Output = Result<AccessToken, AuthError>> + Send;
}

impl<S: TokenSource> TokenSource for Arc<S> {
    fn token(
        &self,
        rejected: Option<&AccessToken>,
    ) -> impl Future<Output = Result<AccessToken, AuthError>> + Send {
        (**self).token(rejected)
    }
}

/// A [`TokenSource`] of whatever kind.
pub(super) trait AnyTokenSource: Send + Sync {
    fn token<'a>(&'a self, rejected: Option<&'a AccessToken>) -> Asking<'a>;
}

type Asking<'a> = Pin<Box<dyn Future<Output = Result<AccessToken, AuthError>> + Send + 'a>>;

impl<S: TokenSource> AnyTokenSource for S {
    fn token<'a>(&'a self, rejected: Option<&'a AccessToken>) -> Asking<'a> {
        Box::pin(TokenSource::token(self, rejected))
    }
}
