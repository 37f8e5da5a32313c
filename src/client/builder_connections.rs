//! The connection settings of a client.

use std::sync::Arc;
use std::time::Duration;

use secrecy::zeroize::Zeroizing;

use super::ClientBuilder;
use crate::transport::{Timed, Transport};

impl ClientBuilder {
    /// Sets the transport for messages and token requests. By default, each client creates an
    /// [`HttpTransport`](crate::HttpTransport).
    ///
    /// Pass an [`HttpTransport`](crate::HttpTransport) to share its connections between clients, or
    /// your own [`Transport`]. A transport has its own connection settings. Setting
    /// [`connect_timeout`](Self::connect_timeout), [`proxy`](Self::proxy) or certificates as well
    /// is an error.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(Timed(transport)));
        self
    }

    /// Sets the maximum time to open a connection, including TLS, above 0. Defaults to 5 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.http.connect_timeout = timeout;
        self
    }

    /// Sets a proxy for all requests. By default, the client uses the proxies from the environment
    /// variables `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    ///
    /// The scheme must be `http` or `https`. The URL may contain a user name and password. If a
    /// connection fails, its error names the proxy.
    ///
    /// An invalid proxy URL is an error of [`build`](Self::build). An invalid URL in the
    /// environment is an error only if a request of this client would use it.
    ///
    /// Requests to this machine (`localhost`, `127.0.0.0/8`, `[::1]`) never use a proxy from the
    /// environment. If plain http to this machine would pass through a proxy on another machine,
    /// [`build`](Self::build) returns an error.
    #[must_use]
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.http.proxy = Some(url.into());
        self
    }

    /// Adds trusted root certificates in PEM form to the system's certificates.
    #[must_use]
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.http.root_certificates.push(pem.into());
        self
    }

    /// Sets the client certificate for mutual TLS. There is none by default.
    ///
    /// The PEM must contain the certificate, its chain and its private key. To replace the
    /// certificate while the client runs, [share an `HttpTransport`](Self::transport) and call
    /// [`rotate_client_certificate`](crate::HttpTransport::rotate_client_certificate) on it.
    ///
    /// The client wipes its own copies of the PEM when they are dropped. It can't wipe copies in
    /// the TLS library.
    #[must_use]
    pub fn client_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.http.client_certificate = Some(Zeroizing::new(pem.into()));
        self
    }

    /// Allows plain http to this host. By default, only this machine is allowed.
    ///
    /// Pass the host name without scheme and port. Anyone on the network path can then read tokens
    /// and messages.
    ///
    /// Plain http to this machine (`localhost`, `127.0.0.0/8`, `[::1]`) is always allowed.
    #[must_use]
    pub fn allow_plain_http(mut self, host: impl Into<String>) -> Self {
        self.plain_http_hosts.push(host.into());
        self
    }
}
