//! The settings of a client's connections.

use std::sync::Arc;
use std::time::Duration;

use secrecy::zeroize::Zeroizing;

use super::ClientBuilder;
use crate::transport::{Timed, Transport};

impl ClientBuilder {
    /// Sets the transport of messages and token requests, instead of one of the client's own.
    ///
    /// It is an [`HttpTransport`](crate::HttpTransport), which several clients can share, or a
    /// [`Transport`] of your own. It makes its own connections: to set
    /// [`connect_timeout`](Self::connect_timeout), [`proxy`](Self::proxy) or certificates as well
    /// is an error.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(Timed(transport)));
        self
    }

    /// Sets the longest time in which a connection is opened, including TLS, above 0. Defaults to
    /// 5 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.http.connect_timeout = timeout;
        self
    }

    /// Sets a proxy for all requests, instead of those of the environment (`HTTPS_PROXY`,
    /// `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`).
    ///
    /// Its scheme is `http` or `https`, and its address may hold a user name and password. A proxy
    /// on another machine is an error if plain http to this machine would pass through it. Requests
    /// to this machine (`localhost`, `127.0.0.0/8`, `[::1]`) never pass through a proxy of the
    /// environment. An unusable proxy URL is an error of [`build`](Self::build); one of the
    /// environment only if requests of this client would pass through it. The error of a connection
    /// names the proxy on its way.
    #[must_use]
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.http.proxy = Some(url.into());
        self
    }

    /// Adds trusted root certificates in PEM to those that the system trusts.
    #[must_use]
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.http.root_certificates.push(pem.into());
        self
    }

    /// Sets the client certificate for mutual TLS: PEM with the certificate, its chain and its
    /// private key. There is none by default.
    ///
    /// To replace it while the client runs, [share an `HttpTransport`](Self::transport) and call
    /// its [`rotate_client_certificate`](crate::HttpTransport::rotate_client_certificate).
    ///
    /// The crate wipes its own copies of the text when they are dropped. It can't wipe those of the
    /// TLS library.
    #[must_use]
    pub fn client_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.http.client_certificate = Some(Zeroizing::new(pem.into()));
        self
    }

    /// Allows plain http to this host, named without scheme and port. Everyone on the way can then
    /// read tokens and messages.
    ///
    /// Plain http to this machine (`localhost`, `127.0.0.0/8`, `[::1]`) is always allowed.
    #[must_use]
    pub fn allow_plain_http(mut self, host: impl Into<String>) -> Self {
        self.plain_http_hosts.push(host.into());
        self
    }
}
