//! Authentication: credentials, and the access tokens obtained with them.

mod assertion;
mod audience;
mod auth_error;
mod cache;
mod clock_skew;
mod cooldown;
mod exchange;
mod jwk;
mod legacy;
mod pending_token;
mod signer;
mod signing_key;
mod token;
mod token_error;
mod token_response;
mod token_source;
mod token_state;

use std::fmt;
use std::sync::Arc;

use http::Uri;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

pub(crate) use audience::check_audience;
pub use auth_error::AuthError;
pub(crate) use cache::{TokenCache, TokenHandle};
pub(crate) use legacy::LegacyEndpoints;
use legacy::Refresh;
pub use signer::{Signer, SigningAlgorithm, SigningInput};
pub use signing_key::{KeyError, SigningKey};
pub use token::AccessToken;
pub(crate) use token::CachedToken;
pub(crate) use token_error::{TokenError, TokenUnavailable};
pub use token_source::{TokenRequest, TokenSource};

use auth_error::result_of;
use clock_skew::ClockSkew;
use signer::AnySigner;
use token_source::AnyTokenSource;

use crate::message::Problem;
use crate::text;
use crate::transport::AnyTransport;

/// The credentials that authenticate a client to the service.
///
/// The client obtains an access token with them, and renews it while it is in use:
///
/// * A token that lives for 300 s is renewed between second 224 and 252. It isn't used in its last
///   20 s.
/// * A token that lives for less than 30 s is used for a third of its lifetime.
/// * A token with any other lifetime is renewed after 80 % to 90 % of the time in which it is used.
///
/// ```
/// use pushslots::{Credentials, Signer};
///
/// fn credentials(key: impl Signer) -> Credentials {
///     Credentials::signed_jwt("client-id", key)
/// }
///
/// let older = Credentials::api_key("key", "secret");
/// ```
///
/// The `Debug` output shows no secret.
///
/// The crate wipes its own copies of keys and secrets when they are dropped. It can't wipe copies
/// in the environment of the process, or in the buffers of the HTTP and TLS libraries that send a
/// legacy secret.
#[derive(Clone)]
pub struct Credentials(CredentialsKind);

#[derive(Clone)]
enum CredentialsKind {
    SignedJwt(SignedJwt),
    ApiKey(ApiKey),
    Source(Arc<dyn AnyTokenSource>),
}

/// An OAuth client that authenticates with a signed assertion (RFC 7523, section 2.2).
#[derive(Clone)]
pub(crate) struct SignedJwt {
    client_id: String,
    signer: Arc<dyn AnySigner>,
    scope: Option<String>,
    /// The audience of assertions instead of the token URL.
    audience: Option<String>,
    skew: ClockSkew,
}

/// A legacy API key and its secret.
#[derive(Clone)]
pub(crate) struct ApiKey {
    key: SecretString,
    secret: SecretString,
}

impl Credentials {
    /// Creates the credentials of an OAuth client that authenticates with assertions signed by
    /// `signer`, such as a [`SigningKey`].
    ///
    /// The service issues these credentials to new customers. Requests follow RFC 7523, section
    /// 2.2, within the client credentials grant of RFC 6749, section 4.4. Each request has an
    /// assertion of its own:
    ///
    /// * `iss` and `sub` are the client id.
    /// * `aud` is the [token URL](crate::ClientBuilder::token_url) or another
    ///   [audience](Self::audience).
    /// * `jti` is a fresh UUID.
    /// * `iat` lies 10 s in the past, to allow for clocks that differ. `exp` is 300 s after `iat`.
    ///
    /// The `Date` of a rejection may show that this machine's clock is off by more than 10 s. Then
    /// the client repeats the request once with the endpoint's time. If that succeeds, later
    /// assertions use that time too.
    #[must_use]
    pub fn signed_jwt(client_id: impl Into<String>, signer: impl Signer) -> Self {
        let client_id = client_id.into();
        let signer = Arc::new(signer);
        Self(CredentialsKind::SignedJwt(SignedJwt {
            client_id,
            signer,
            scope: None,
            audience: None,
            skew: ClockSkew::default(),
        }))
    }

    /// Creates the credentials of an older customer: a legacy API key and its secret.
    ///
    /// The client requests a token at `{base}/auth/authenticate`. It renews the token at
    /// `{base}/auth/refreshToken` with the refresh token that came with it. If that fails, it
    /// authenticates anew:
    ///
    /// * At once, if the access token was rejected, or if the refresh endpoint responds without
    ///   asking for a delay by 429 or `Retry-After`.
    /// * Otherwise after a cooldown, which ends at the latest when the access token is no longer
    ///   usable.
    #[must_use]
    pub fn api_key(key: impl Into<String>, secret: impl Into<String>) -> Self {
        // Converted from a borrowed text, because the conversion of an owned one may leave a copy.
        let wiped = |text: String| SecretString::from(Zeroizing::new(text).as_str());
        Self(CredentialsKind::ApiKey(ApiKey {
            key: wiped(key.into()),
            secret: wiped(secret.into()),
        }))
    }

    /// Creates credentials that take access tokens from another part of your system. See
    /// [`TokenSource`] for an example.
    #[must_use]
    pub fn token_source(source: impl TokenSource) -> Self {
        Self(CredentialsKind::Source(Arc::new(source)))
    }

    /// Sets the scope of access tokens (RFC 6749, section 3.3). By default, requests name no scope.
    ///
    /// Only a signed JWT has a scope; other credentials ignore it.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        if let CredentialsKind::SignedJwt(client) = &mut self.0 {
            client.scope = Some(scope.into());
        }
        self
    }

    /// Sets the audience of assertions (`aud`), a URI. Defaults to the [token
    /// URL](crate::ClientBuilder::token_url).
    ///
    /// Set it if token requests go through a gateway. The token endpoint compares the audience with
    /// its own address, character by character (RFC 7523, section 3). Only a signed JWT has an
    /// audience; other credentials ignore it.
    ///
    /// ```
    /// use pushslots::{Client, ClientBuilder, Credentials, Signer};
    ///
    /// fn through_a_gateway(key: impl Signer) -> ClientBuilder {
    ///     let credentials = Credentials::signed_jwt("client-id", key);
    ///     Client::builder()
    ///         .base_url("https://gw.internal")
    ///         .token_url("https://gw.internal/v2/auth/token")
    ///         .credentials(credentials.audience("https://api.redoxengine.com/v2/auth/token"))
    /// }
    /// ```
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        if let CredentialsKind::SignedJwt(client) = &mut self.0 {
            client.audience = Some(text::trimmed(&audience.into()).to_owned());
        }
        self
    }

    /// Returns the problems that can be found without a request.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let lacks_a_part = match &self.0 {
            CredentialsKind::SignedJwt(client) => {
                client.client_id.is_empty() || client.signer.key_id().is_empty()
            }
            CredentialsKind::ApiKey(key) => {
                [&key.key, &key.secret].iter().any(|part| part.expose_secret().is_empty())
            }
            CredentialsKind::Source(_) => false,
        };
        let mut problems = Vec::new();
        if lacks_a_part {
            problems.push(Problem::new(
                "credentials",
                "the client id, key id, API key or secret is empty",
            ));
        }
        if let CredentialsKind::SignedJwt(SignedJwt { audience: Some(audience), .. }) = &self.0 {
            problems
                .extend(check_audience(audience).err().map(|text| Problem::new("audience", text)));
        }
        problems
    }

    /// Requests an access token instead of `former`.
    async fn request_token(
        &self,
        former: Option<&Former>,
        endpoints: &TokenEndpoints,
        transport: &dyn AnyTransport,
        deadline: Instant,
    ) -> Result<AccessToken, TokenError> {
        match &self.0 {
            CredentialsKind::SignedJwt(client) => {
                exchange::request_token(
                    client,
                    &endpoints.token,
                    &endpoints.audience,
                    transport,
                    deadline,
                )
                .await
            }
            CredentialsKind::ApiKey(key) => {
                let refresh = former.and_then(Former::refresh);
                legacy::request_token(key, refresh, &endpoints.legacy, transport, deadline).await
            }
            CredentialsKind::Source(source) => {
                let rejected = former.filter(|former| former.is_rejected);
                result_of(
                    "token source",
                    source.token(TokenRequest::new(rejected.map(|former| former.token.token()))),
                    deadline,
                )
                .await
            }
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            CredentialsKind::SignedJwt(client) => f
                .debug_struct("SignedJwt")
                .field("client_id", &client.client_id)
                .field("key_id", &client.signer.key_id())
                .field("algorithm", &client.signer.algorithm())
                .finish_non_exhaustive(),
            CredentialsKind::ApiKey(_) => f.debug_struct("ApiKey").finish_non_exhaustive(),
            CredentialsKind::Source(_) => f.debug_struct("TokenSource").finish_non_exhaustive(),
        }
    }
}

/// The access token that a new one replaces.
struct Former {
    token: CachedToken,
    /// Whether the message endpoint rejected the token.
    is_rejected: bool,
    /// Whether the refresh token of the token may be used.
    may_refresh: bool,
}

impl Former {
    fn refresh(&self) -> Option<Refresh<'_>> {
        let token = self.token.token().refresh_token.as_ref().filter(|_| self.may_refresh)?;
        Some(Refresh {
            token,
            access_token_until: (!self.is_rejected).then(|| self.token.usable_until()),
        })
    }

    fn is_usable(&self, now: Instant) -> bool {
        !self.is_rejected && self.token.is_usable(now)
    }
}

/// The addresses for token requests.
#[derive(Clone, Debug)]
pub(crate) struct TokenEndpoints {
    /// The endpoint for a signed assertion.
    pub(crate) token: Uri,
    /// The audience of an assertion: `token` as it was configured, because audiences are compared
    /// as text.
    pub(crate) audience: String,
    /// The endpoints for a legacy API key.
    pub(crate) legacy: LegacyEndpoints,
}
