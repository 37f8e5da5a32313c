//! Access tokens from another part of the user's system.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::{AccessToken, AuthError};

/// A source of access tokens that another part of your system obtains, such as a sidecar, a vault
/// or a gateway.
///
/// The client keeps a token until it is due for renewal, and shares it between all sends. Sends
/// that need a token share one call and wait for its result.
///
/// ```
/// use pushslots::{AccessToken, AuthError, Credentials, TokenRequest, TokenSource};
/// use std::time::Duration;
/// # struct Sidecar;
/// # impl Sidecar { async fn token(&self, _: bool) -> Result<(String, u64), std::io::Error> { Ok(("t".into(), 60)) } }
///
/// impl TokenSource for Sidecar {
///     async fn token(&self, TokenRequest { rejected, .. }: TokenRequest<'_>) -> Result<AccessToken, AuthError> {
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
    /// Returns an access token.
    ///
    /// # Errors
    ///
    /// Returns [`AuthError::temporary`] if a token may be available a moment later, and
    /// [`AuthError::permanent`] otherwise. A panic counts as temporary. So does a call that exceeds
    /// the [attempt timeout](crate::ClientBuilder::attempt_timeout) or 30 s. The future can be
    /// dropped at any point.
    fn token(
        &self,
        request: TokenRequest<'_>,
    ) -> impl Future<Output = Result<AccessToken, AuthError>> + Send;
}

/// A request for an access token.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TokenRequest<'a> {
    /// The token that the service rejected with 401, if that is the reason for the request. A
    /// source that keeps tokens must not return it again.
    pub rejected: Option<&'a AccessToken>,
}

impl<'a> TokenRequest<'a> {
    /// Creates a request, for example to test a [`TokenSource`].
    #[must_use]
    pub fn new(rejected: Option<&'a AccessToken>) -> Self {
        Self { rejected }
    }
}

impl<S: TokenSource> TokenSource for Arc<S> {
    fn token(
        &self,
        request: TokenRequest<'_>,
    ) -> impl Future<Output = Result<AccessToken, AuthError>> + Send {
        (**self).token(request)
    }
}

/// A [`TokenSource`] of any type.
pub(super) trait AnyTokenSource: Send + Sync {
    fn token<'a>(&'a self, request: TokenRequest<'a>) -> TokenFuture<'a>;
}

type TokenFuture<'a> = Pin<Box<dyn Future<Output = Result<AccessToken, AuthError>> + Send + 'a>>;

impl<S: TokenSource> AnyTokenSource for S {
    fn token<'a>(&'a self, request: TokenRequest<'a>) -> TokenFuture<'a> {
        Box::pin(TokenSource::token(self, request))
    }
}
