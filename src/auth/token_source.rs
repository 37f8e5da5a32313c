//! Access tokens from elsewhere.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::{AccessToken, AuthError};

/// Gives access tokens that another part of your system buys: a sidecar, a vault, a gateway.
///
/// The client keeps a token until it is due to be renewed, and shares it between all sends; while
/// one asks, those that need it wait for the response.
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
    /// Whatever keeps it from giving a token: [`AuthError::temporary`] when it may have one a
    /// moment later. A panic counts as temporary, and so does taking longer than [an attempt
    /// may](crate::ClientBuilder::attempt_timeout). The future can be dropped at any point.
    fn token(
        &self,
        request: TokenRequest<'_>,
    ) -> impl Future<Output = Result<AccessToken, AuthError>> + Send;
}

/// The circumstances of a request for an access token.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TokenRequest<'a> {
    /// The token that the service rejected with 401, if that is why a new one is requested: a
    /// source that keeps tokens must not return it again.
    pub rejected: Option<&'a AccessToken>,
}

impl<'a> TokenRequest<'a> {
    /// Creates a request, such as to test a [`TokenSource`].
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

/// A [`TokenSource`] of whatever kind.
pub(super) trait AnyTokenSource: Send + Sync {
    fn token<'a>(&'a self, request: TokenRequest<'a>) -> TokenFuture<'a>;
}

type TokenFuture<'a> = Pin<Box<dyn Future<Output = Result<AccessToken, AuthError>> + Send + 'a>>;

impl<S: TokenSource> AnyTokenSource for S {
    fn token<'a>(&'a self, request: TokenRequest<'a>) -> TokenFuture<'a> {
        Box::pin(TokenSource::token(self, request))
    }
}
