//! Who we are: credentials, and the access token that they buy.

mod assertion;
mod cache;
mod exchange;
mod legacy;
mod signing_key;
mod token;

use std::fmt;
use std::time::Duration;

use http::Uri;
use secrecy::{ExposeSecret, SecretString};

pub(crate) use cache::TokenCache;
pub use signing_key::{KeyError, SigningKey};
pub(crate) use token::{AccessToken, TokenError};

use crate::transport::Transport;

/// What proves the sender to the service.
///
/// Its `Debug` shows no secret.
#[derive(Clone)]
pub struct Credentials(Kind);

#[derive(Clone)]
enum Kind {
    SignedJwt(SignedJwt),
    ApiKey(ApiKey),
}

/// Client credentials with a signed assertion: RFC 7523, section 2.2.
#[derive(Clone)]
pub(crate) struct SignedJwt {
    client_id: String,
    key: SigningKey,
    scope: Option<String>,
}

/// The older key and secret.
#[derive(Clone)]
pub(crate) struct ApiKey {
    key: SecretString,
    secret: SecretString,
}

impl Credentials {
    /// An OAuth client that proves itself by an assertion signed with `key`.
    ///
    /// This is what the service gives to new customers: RFC 7523, section 2.2, within the client
    /// credentials grant of RFC 6749, section 4.4.
    #[must_use]
    pub fn signed_jwt(client_id: impl Into<String>, key: SigningKey) -> Self {
        Self(Kind::SignedJwt(SignedJwt { client_id: client_id.into(), key, scope: None }))
    }

    /// A legacy API key and its secret, still live for older customers.
    #[must_use]
    pub fn api_key(key: impl Into<String>, secret: impl Into<String>) -> Self {
        Self(Kind::ApiKey(ApiKey {
            key: SecretString::from(key.into()),
            secret: SecretString::from(secret.into()),
        }))
    }

    /// Asks for tokens of this scope: RFC 6749, section 3.3. A legacy API key has none and ignores it.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        if let Kind::SignedJwt(client) = &mut self.0 {
            client.scope = Some(scope.into());
        }
        self
    }

    /// Whether the client id, the key id or a half of an API key is the empty text.
    pub(crate) fn lacks_a_part(&self) -> bool {
        match &self.0 {
            Kind::SignedJwt(client) => client.client_id.is_empty() || client.key.id().is_empty(),
            Kind::ApiKey(key) => [&key.key, &key.secret].iter().any(|part| part.expose_secret().is_empty()),
        }
    }

    /// Asks the service for an access token.
    async fn request_token(
        &self,
        endpoints: &TokenEndpoints,
        transport: &dyn Transport,
        timeout: Duration,
    ) -> Result<AccessToken, TokenError> {
        match &self.0 {
            Kind::SignedJwt(client) => {
                exchange::request_token(client, &endpoints.token, transport, timeout).await
            }
            Kind::ApiKey(key) => {
                legacy::request_token(key, &endpoints.authenticate, transport, timeout).await
            }
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::SignedJwt(client) => f
                .debug_struct("SignedJwt")
                .field("client_id", &client.client_id)
                .field("key", &client.key)
                .finish_non_exhaustive(),
            Kind::ApiKey(_) => f.debug_struct("ApiKey").finish_non_exhaustive(),
        }
    }
}

/// Where tokens are asked for.
#[derive(Clone, Debug)]
pub(crate) struct TokenEndpoints {
    /// For a signed assertion.
    pub(crate) token: Uri,
    /// For a legacy API key.
    pub(crate) authenticate: Uri,
}
