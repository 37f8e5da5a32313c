//! The settings of a transport that clients share.

use std::fmt;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use secrecy::zeroize::Zeroizing;
use url::Url;

use crate::error::Error;
use crate::message::Problem;
use crate::transport::{HttpSettings, HttpTransport, Proxies, read_proxy};

/// The headers that the client or HTTP itself sets.
const RESERVED: [&str; 18] = [
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

impl HttpTransport {
    /// Starts the settings of a transport.
    pub fn builder() -> HttpTransportBuilder {
        HttpTransportBuilder { http: HttpSettings::default(), problems: Vec::new() }
    }

    /// Replaces the [client certificate](HttpTransportBuilder::client_certificate), such as before
    /// it expires.
    ///
    /// Connections that are made from now on show the new one. Open connections keep the old one
    /// until they are closed, which over HTTP/2 under constant load may be long. If the service
    /// closes one because its certificate expired, the attempt on it fails like any other.
    ///
    /// ```
    /// # use pushslots::{Error, HttpTransport};
    /// # fn example(transport: &HttpTransport, pem: Vec<u8>) -> Result<(), Error> {
    /// // The client was built with `.transport(transport.clone())`.
    /// transport.rotate_client_certificate(pem)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if the PEM can't be
    /// used, or if the transport was built without a client certificate. The one in use then stays.
    pub fn rotate_client_certificate(&self, pem: impl Into<Vec<u8>>) -> Result<(), Error> {
        let pem = Zeroizing::new(pem.into());
        self.replace_client_certificate(&pem).map_err(|problem| Error::configuration(vec![problem]))
    }
}

/// The settings of an [`HttpTransport`], none of which is required.
///
/// [`build`](Self::build) reports values out of their range. Its `Debug` shows no value, because a
/// header or a proxy may hold a secret.
///
/// # Defaults
///
/// The same as those of a client: 5 s to connect, the proxy of the environment, the root
/// certificates of the system, HTTP/1.1 and HTTP/2, and the user agent `pushslots/` with the
/// version of this crate.
#[derive(Clone)]
#[must_use = "nothing is made until build is called"]
pub struct HttpTransportBuilder {
    http: HttpSettings,
    /// The headers that can't be used.
    problems: Vec<Problem>,
}

impl HttpTransportBuilder {
    /// Adds a header to every request, token requests included. A later one of the same name
    /// replaces it.
    ///
    /// Headers that the client or HTTP sets itself are an error: `Authorization`,
    /// `Idempotency-Key`, `Accept`, `Accept-Encoding`, `Content-Type`, `Content-Encoding`,
    /// `Content-Length`, `Host`, those of the connection, and `User-Agent`, which has a
    /// [setting](Self::user_agent).
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let wrong = match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), _) if name.as_str() == "user-agent" => {
                Err("is set by user_agent".to_owned())
            }
            (Ok(name), _) if RESERVED.contains(&name.as_str()) => {
                Err("is set by the client itself; leave it out".to_owned())
            }
            (Ok(name), Ok(mut value)) => {
                // It may be a secret of a gateway.
                value.set_sensitive(true);
                self.http.headers.insert(name, value);
                Ok(())
            }
            (Err(_), _) => Err("isn't the name of a header".to_owned()),
            (_, Err(_)) => Err("its value has a character that a header can't hold".to_owned()),
        };
        if let Err(text) = wrong {
            // A name that isn't one may be any text.
            let name: String = name.chars().take(64).flat_map(char::escape_default).collect();
            self.problems.push(Problem::new(format!("header {name}"), text));
        }
        self
    }

    /// Sets the user agent of every request.
    pub fn user_agent(mut self, user_agent: &str) -> Self {
        match HeaderValue::try_from(user_agent) {
            Ok(user_agent) => self.http.user_agent = user_agent,
            Err(_) => {
                self.problems
                    .push(Problem::new("user_agent", "has a character that a header can't hold"));
            }
        }
        self
    }

    /// Uses HTTP/1.1 only, such as for a gateway whose HTTP/2 has faults. Each message in flight
    /// then needs a connection of its own.
    pub fn http1_only(mut self) -> Self {
        self.http.is_http1_only = true;
        self
    }

    /// Sets the longest time for a connection to be made, TLS included, above 0. Defaults to 5 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.http.connect_timeout = timeout;
        self
    }

    /// Sets a proxy for all requests, instead of those of the environment; as
    /// [`ClientBuilder::proxy`](crate::ClientBuilder::proxy).
    ///
    /// A request over plain http to this machine fails if it would pass through a proxy on another
    /// one.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.http.proxy = Some(url.into());
        self
    }

    /// Trusts the certificates in this PEM in addition to those of the system, and to those given
    /// before.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.http.root_certificates.push(pem.into());
        self
    }

    /// Trusts only the certificates given by [`root_certificate`](Self::root_certificate), and not
    /// those of the system.
    pub fn only_given_root_certificates(mut self) -> Self {
        self.http.is_pinned = true;
        self
    }

    /// Sets the client certificate; as
    /// [`ClientBuilder::client_certificate`](crate::ClientBuilder::client_certificate).
    pub fn client_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.http.client_certificate = Some(Zeroizing::new(pem.into()));
        self
    }

    /// Creates the transport. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) with every setting
    /// that can't be used.
    pub fn build(self) -> Result<HttpTransport, Error> {
        let Self { http, mut problems } = self;
        if http.connect_timeout.is_zero() {
            problems.push(Problem::new("connect_timeout", "must be above 0"));
        }
        let proxies = match &http.proxy {
            Some(proxy) => read_proxy(proxy)
                .map(Proxies::all)
                .map_err(|text| vec![Problem::new("proxy", text)]),
            // Any address that isn't of this machine.
            None => {
                let addresses = ["http://service.invalid", "https://service.invalid"];
                Proxies::from_env(
                    addresses
                        .iter()
                        .filter_map(|text| Url::parse(text).ok())
                        .collect::<Vec<_>>()
                        .iter(),
                )
            }
        };
        let proxies = proxies.map_err(|wrong| problems.extend(wrong)).unwrap_or_default();
        match HttpTransport::new(&http, proxies, true) {
            Ok(transport) if problems.is_empty() => Ok(transport),
            result => {
                problems.extend(result.err().unwrap_or_default());
                Err(Error::configuration(problems))
            }
        }
    }
}

impl fmt::Debug for HttpTransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransportBuilder")
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}
