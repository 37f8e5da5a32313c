//! The settings of a mock.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::assertion::Clients;
use super::inbox::ReceivedRequest;
use super::mock_response::MockResponse;
use super::public_key;
use super::service::Hook;

/// The settings of a [`MockService`](crate::mock::MockService). Each has a default.
pub struct MockServiceBuilder {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) clients: Clients,
    pub(super) audiences: Vec<String>,
    pub(super) api_keys: HashMap<String, String>,
    pub(super) token_lifetime: Duration,
    pub(super) rate_limit: Option<(u32, Duration)>,
    pub(super) max_bytes: usize,
    pub(super) deduplicates: bool,
    pub(super) accepts_warnings: bool,
    pub(super) known_destinations: Option<Vec<Uuid>>,
    pub(super) requires_source: bool,
    pub(super) hook: Option<Hook>,
    pub(super) wrong_key: Option<&'static str>,
}

impl Default for MockServiceBuilder {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            clients: Clients::default(),
            audiences: Vec::new(),
            api_keys: HashMap::new(),
            token_lifetime: Duration::from_secs(300),
            rate_limit: Some((10_000, Duration::from_secs(300))),
            max_bytes: 40_000_000,
            deduplicates: false,
            accepts_warnings: false,
            known_destinations: None,
            requires_source: false,
            hook: None,
            wrong_key: None,
        }
    }
}

impl MockServiceBuilder {
    /// Sets the address to bind. Defaults to 127.0.0.1, which only this machine can reach.
    ///
    /// With `0.0.0.0`, containers and other machines can reach the mock. It has no TLS, so bind it
    /// only in a network that you trust. A client reaches an address other than loopback only if
    /// [`allow_plain_http`](crate::ClientBuilder::allow_plain_http) names it.
    #[must_use]
    pub fn address(mut self, address: impl Into<IpAddr>) -> Self {
        self.address = address.into();
        self
    }

    /// Sets the port. Defaults to a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Registers a public key in addition to [the mock's
    /// own](crate::mock::MockService::private_key_pem). The PEM holds a `PUBLIC KEY`, which is
    /// P-384 or RSA of at least 2048 bits.
    #[must_use]
    pub fn public_key_pem(
        mut self,
        client_id: impl Into<String>,
        key_id: impl Into<String>,
        pem: impl AsRef<[u8]>,
    ) -> Self {
        match public_key::from_pem(pem.as_ref()) {
            Ok(key) => self.clients.add(client_id.into(), key_id.into(), key),
            Err(wrong) => self.wrong_key = Some(wrong),
        }
        self
    }

    /// Registers a public key given as a JWK with its `kid` (RFC 7517, section 4). It is P-384 or
    /// RSA of at least 2048 bits.
    #[must_use]
    pub fn public_jwk(mut self, client_id: impl Into<String>, jwk: impl AsRef<str>) -> Self {
        match public_key::from_jwk(jwk.as_ref()) {
            Ok((key_id, key)) => self.clients.add(client_id.into(), key_id, key),
            Err(wrong) => self.wrong_key = Some(wrong),
        }
        self
    }

    /// Accepts assertions for this audience too. Use it for a client that always sends the real
    /// token URL.
    #[must_use]
    pub fn audience(mut self, url: impl Into<String>) -> Self {
        self.audiences.push(url.into());
        self
    }

    /// Registers a legacy API key in addition to the mock's own.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<String>, secret: impl Into<String>) -> Self {
        self.api_keys.insert(key.into(), secret.into());
        self
    }

    /// Sets the lifetime of access tokens. Defaults to 300 s.
    ///
    /// Tokens of a legacy key always last 24 h.
    #[must_use]
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = lifetime;
        self
    }

    /// Sets the maximum number of requests in any rolling window of this length. Defaults to 10,000
    /// in 5 minutes, the service's own limit.
    ///
    /// Further requests get a 429.
    #[must_use]
    pub fn rate_limit(mut self, requests: u32, window: Duration) -> Self {
        self.rate_limit = Some((requests, window));
        self
    }

    /// Removes the rate limit.
    #[must_use]
    pub fn without_rate_limit(mut self) -> Self {
        self.rate_limit = None;
        self
    }

    /// Sets the maximum size of a request body in bytes. Defaults to 40,000,000.
    ///
    /// A request with a larger one gets a 413.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the known destinations, in addition to [the mock's
    /// own](crate::mock::MockService::destination). By default any UUID is known.
    ///
    /// A message to another destination gets a 403.
    #[must_use]
    pub fn known_destinations(mut self, ids: impl IntoIterator<Item = Uuid>) -> Self {
        self.known_destinations = Some(ids.into_iter().collect());
        self
    }

    /// Requires that messages name their source, in `Meta.Source.ID` or in the header
    /// `Redox-Source-Id`. The service requires this of an organization with several keys in an
    /// environment.
    ///
    /// A message without a source gets a 401.
    #[must_use]
    pub fn require_source(mut self) -> Self {
        self.requires_source = true;
        self
    }

    /// Sets the maximum time from `iat` to `exp` of an assertion. There is no limit by default.
    ///
    /// An assertion with a longer time gets no token.
    #[must_use]
    pub fn max_assertion_lifetime(mut self, lifetime: Duration) -> Self {
        self.clients.max_lifetime = Some(lifetime);
        self
    }

    /// Recognizes repeated messages by their `Idempotency-Key`, which may be any text. A repeat
    /// gets the log ids of the first message, and isn't added to the inbox.
    ///
    /// By default a repeated message is accepted again, because the service documents no
    /// de-duplication.
    #[must_use]
    pub fn deduplicate(mut self) -> Self {
        self.deduplicates = true;
        self
    }

    /// Accepts messages with [warnings](crate::Severity::Warning), which the service's schema
    /// allows and its reference doesn't.
    ///
    /// By default such a message gets a 400. Clients send it only with a lenient
    /// [`Validation`](crate::Validation).
    #[must_use]
    pub fn accept_warnings(mut self) -> Self {
        self.accepts_warnings = true;
        self
    }

    /// Sets a function that is called first with every request, including those for the page. If it
    /// returns `None`, the mock responds as usual.
    ///
    /// The function must not block, because the mock has only one thread. A panic in it fails the
    /// test that holds the mock.
    ///
    /// ```
    /// use pushslots::http::StatusCode;
    /// use pushslots::mock::{MockResponse, MockService};
    ///
    /// let service = MockService::builder()
    ///     .respond_with(|request| {
    ///         assert!(request.headers().contains_key("idempotency-key") || request.path() != "/endpoint");
    ///         (request.path() == "/health").then(|| MockResponse::new(StatusCode::NO_CONTENT))
    ///     })
    ///     .start()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn respond_with(
        mut self,
        response: impl Fn(&ReceivedRequest) -> Option<MockResponse> + Send + Sync + 'static,
    ) -> Self {
        self.hook = Some(Arc::new(response));
        self
    }
}

impl fmt::Debug for MockServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockServiceBuilder")
            .field("address", &self.address)
            .field("port", &self.port)
            .field("token_lifetime", &self.token_lifetime)
            .field("rate_limit", &self.rate_limit)
            .field("max_bytes", &self.max_bytes)
            .field("deduplicates", &self.deduplicates)
            .field("accepts_warnings", &self.accepts_warnings)
            .finish_non_exhaustive()
    }
}
