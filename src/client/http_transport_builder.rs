//! The settings of a transport that several clients can share.

use std::fmt;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use secrecy::zeroize::Zeroizing;
use url::Url;

use crate::error::Error;
use crate::message::Problem;
use crate::transport::{HttpSettings, HttpTransport, Proxies, read_proxy};

/// The headers that the client or HTTP sets itself.
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
    /// Creates a builder with the default settings.
    pub fn builder() -> HttpTransportBuilder {
        HttpTransportBuilder { http: HttpSettings::default(), problems: Vec::new() }
    }

    /// Replaces the [client certificate](HttpTransportBuilder::client_certificate), for example
    /// before it expires.
    ///
    /// New connections present the new certificate. Open connections keep the old one until they
    /// are closed, which may take long over HTTP/2 under constant load. If the service closes a
    /// connection because the certificate has expired, the attempt on it fails as with any closed
    /// connection.
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
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if the PEM is invalid,
    /// or if the transport was built without a client certificate. The current certificate then
    /// remains in use.
    pub fn rotate_client_certificate(&self, pem: impl Into<Vec<u8>>) -> Result<(), Error> {
        let pem = Zeroizing::new(pem.into());
        self.replace_client_certificate(&pem).map_err(|problem| Error::configuration(vec![problem]))
    }
}

/// A builder for an [`HttpTransport`]. No setting is required.
///
/// The method [`build`](Self::build) reports all invalid settings at once. The `Debug` output
/// contains no values, because a header or a proxy may contain a secret.
///
/// # Defaults
///
/// The defaults are the same as in [`ClientBuilder`](crate::ClientBuilder):
///
/// * a connect timeout of 5 s;
/// * the proxies from the environment;
/// * the root certificates of the system;
/// * HTTP/1.1 and HTTP/2;
/// * the user agent `pushslots/` followed by the version of this crate.
#[derive(Clone)]
#[must_use = "nothing is made until build is called"]
pub struct HttpTransportBuilder {
    http: HttpSettings,
    /// The problems of invalid headers.
    problems: Vec<Problem>,
}

impl HttpTransportBuilder {
    /// Adds a header to every request, including token requests. A later header with the same name
    /// replaces it.
    ///
    /// These headers are an error, because the client or HTTP sets them: `Authorization`,
    /// `Idempotency-Key`, `Accept`, `Accept-Encoding`, `Content-Type`, `Content-Encoding`,
    /// `Content-Length`, `Host`, and the connection headers. To set `User-Agent`, use
    /// [`user_agent`](Self::user_agent).
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let wrong = match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), _) if name.as_str() == "user-agent" => {
                Err("is set by user_agent".to_owned())
            }
            (Ok(name), _) if RESERVED.contains(&name.as_str()) => {
                Err("is set by the client; remove it".to_owned())
            }
            (Ok(name), Ok(mut value)) => {
                // The value may be a secret of a gateway.
                value.set_sensitive(true);
                self.http.headers.insert(name, value);
                Ok(())
            }
            (Err(_), _) => Err("isn't a valid header name".to_owned()),
            (_, Err(_)) => {
                Err("the value contains a character that isn't allowed in a header".to_owned())
            }
        };
        if let Err(text) = wrong {
            // An invalid name may be any text.
            let name: String = name.chars().take(64).flat_map(char::escape_default).collect();
            self.problems.push(Problem::new(&format!("header {name}"), text));
        }
        self
    }

    /// Sets the user agent of every request. Defaults to `pushslots/` followed by the version of
    /// this crate.
    pub fn user_agent(mut self, user_agent: &str) -> Self {
        match HeaderValue::try_from(user_agent) {
            Ok(user_agent) => self.http.user_agent = user_agent,
            Err(_) => {
                self.problems.push(Problem::new(
                    "user_agent",
                    "contains a character that isn't allowed in \
                                                      a header",
                ));
            }
        }
        self
    }

    /// Uses only HTTP/1.1, for example because a gateway's HTTP/2 is faulty. Each message in flight
    /// then needs its own connection.
    pub fn http1_only(mut self) -> Self {
        self.http.is_http1_only = true;
        self
    }

    /// Sets the maximum time to open a connection, including TLS, above 0. Defaults to 5 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.http.connect_timeout = timeout;
        self
    }

    /// Sets a proxy for all requests, instead of those from the environment. See
    /// [`ClientBuilder::proxy`](crate::ClientBuilder::proxy).
    ///
    /// A plain http request to this machine fails if it would pass through a proxy on another
    /// machine.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.http.proxy = Some(url.into());
        self
    }

    /// Adds trusted root certificates in PEM form to the system's certificates and those added
    /// before.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.http.root_certificates.push(pem.into());
        self
    }

    /// Trusts only the certificates added with [`root_certificate`](Self::root_certificate), and
    /// not the system's.
    pub fn only_given_root_certificates(mut self) -> Self {
        self.http.is_pinned = true;
        self
    }

    /// Sets the client certificate. See
    /// [`ClientBuilder::client_certificate`](crate::ClientBuilder::client_certificate).
    pub fn client_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.http.client_certificate = Some(Zeroizing::new(pem.into()));
        self
    }

    /// Builds the transport. No request is sent yet.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if settings are
    /// invalid. The error lists all of these settings.
    pub fn build(self) -> Result<HttpTransport, Error> {
        let Self { http, mut problems } = self;
        if http.connect_timeout.is_zero() {
            problems.push(Problem::new("connect_timeout", "must be above 0"));
        }
        let proxies = match &http.proxy {
            Some(proxy) => read_proxy(proxy)
                .map(Proxies::all)
                .map_err(|text| vec![Problem::new("proxy", text)]),
            // Any addresses outside this machine.
            None => {
                let addresses = ["http://service.invalid", "https://service.invalid"];
                let addresses: Vec<_> =
                    addresses.iter().filter_map(|text| Url::parse(text).ok()).collect();
                Proxies::from_env(&addresses.iter().collect::<Vec<_>>())
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
