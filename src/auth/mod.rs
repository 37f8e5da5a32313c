//! Who we are: credentials, and the access token that they buy.

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
pub(crate) use cache::TokenCache;
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

/// What proves the sender to the service.
///
/// An access token of 300 s that they buy is renewed between second 224 and 252, while it stays in
/// use; in its last 20 seconds it is used no more. One that lives for less than 30 s is used for a
/// third of its life, and tokens of other lives are renewed between 80 % and 90 % of the time in
/// which they are used.
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
/// Its `Debug` shows no secret.
///
/// The crate wipes its own copies of keys and secrets when they are dropped. It can't wipe those in
/// the environment of the process, or in the buffers of the HTTP and TLS libraries through which a
/// legacy secret is sent.
#[derive(Clone)]
pub struct Credentials(CredentialsKind);

#[derive(Clone)]
enum CredentialsKind {
    SignedJwt(SignedJwt),
    ApiKey(ApiKey),
    Source(Arc<dyn AnyTokenSource>),
}

/// Client credentials with a signed assertion: RFC 7523, section 2.2.
#[derive(Clone)]
pub(crate) struct SignedJwt {
    client_id: String,
    signer: Arc<dyn AnySigner>,
    scope: Option<String>,
    /// Takes the place of the token URL in assertions.
    audience: Option<String>,
    skew: ClockSkew,
}

/// The older key and secret.
#[derive(Clone)]
pub(crate) struct ApiKey {
    key: SecretString,
    secret: SecretString,
}

impl Credentials {
    /// An OAuth client that proves itself by an assertion signed by `signer`, such as a
    /// [`SigningKey`].
    ///
    /// If the endpoint rejects an assertion and the `Date` of its response shows that this
    /// machine's clock is off by more than 10 s, the request is made once more with times by the
    /// endpoint's clock. If that works, later assertions are dated so at once.
    ///
    /// This is what the service gives to new customers: RFC 7523, section 2.2, within the client
    /// credentials grant of RFC 6749, section 4.4. Each token request has an assertion of its own:
    /// `iss` and `sub` are the client id, `aud` is the [token URL](crate::ClientBuilder::token_url)
    /// or another [audience](Self::audience), `jti` is a fresh UUID, and `exp` lies 300 s after
    /// `iat`, which is 10 s in the past to allow for clocks that differ.
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

    /// A legacy API key and its secret, still live for older customers.
    ///
    /// The client requests a token at `{base}/auth/authenticate`, and renews it at
    /// `{base}/auth/refreshToken` with the refresh token that came with it. If that fails, it
    /// authenticates anew: at once if the refresh token is rejected, otherwise as soon as the
    /// access token is no longer usable.
    #[must_use]
    pub fn api_key(key: impl Into<String>, secret: impl Into<String>) -> Self {
        // From a borrowed text, because the conversion of an owned one may leave a copy.
        let wiped = |text: String| SecretString::from(Zeroizing::new(text).as_str());
        Self(CredentialsKind::ApiKey(ApiKey {
            key: wiped(key.into()),
            secret: wiped(secret.into()),
        }))
    }

    /// Access tokens that another part of your system buys; see [`TokenSource`] for an example.
    #[must_use]
    pub fn token_source(source: impl TokenSource) -> Self {
        Self(CredentialsKind::Source(Arc::new(source)))
    }

    /// Asks for tokens of this scope (RFC 6749, section 3.3); by default the request names none.
    ///
    /// Only those of a signed JWT have one, others ignore it.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        if let CredentialsKind::SignedJwt(client) = &mut self.0 {
            client.scope = Some(scope.into());
        }
        self
    }

    /// Sets the audience of assertions (`aud`), a URI; by default the [token
    /// URL](crate::ClientBuilder::token_url).
    ///
    /// Set it if token requests go through a gateway, because the token endpoint compares the
    /// audience with its own address, character by character (RFC 7523, section 3). Only a signed
    /// JWT has an audience; other credentials ignore it.
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

    /// The problems that are known without a request.
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
            problems.push(Problem::new("credentials", "a part of them is empty"));
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
    /// Whether the message endpoint rejected it.
    is_rejected: bool,
    /// Whether its refresh token may be used.
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

/// The addresses of token requests.
#[derive(Clone, Debug)]
pub(crate) struct TokenEndpoints {
    /// For a signed assertion.
    pub(crate) token: Uri,
    /// The audience of an assertion: `token` as it was configured, because it is compared as text.
    pub(crate) audience: String,
    /// For a legacy API key.
    pub(crate) legacy: LegacyEndpoints,
}
