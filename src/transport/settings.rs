//! The connection settings.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use secrecy::zeroize::Zeroizing;

/// The connection settings of a transport. TLS verification is always on.
#[derive(Clone, PartialEq)]
pub(crate) struct HttpSettings {
    /// The maximum time to establish a connection, including TLS.
    pub(crate) connect_timeout: Duration,
    /// The proxy for all requests. If it is `None`, the environment's proxies are used.
    pub(crate) proxy: Option<String>,
    /// The root certificates to trust in addition to the system's, each in PEM.
    pub(crate) root_certificates: Vec<Vec<u8>>,
    /// Whether only `root_certificates` are trusted, and not the system's.
    pub(crate) is_pinned: bool,
    /// The client certificate and its private key in PEM, wiped when dropped.
    pub(crate) client_certificate: Option<Zeroizing<Vec<u8>>>,
    /// The headers that are added to all requests.
    pub(crate) headers: HeaderMap,
    pub(crate) user_agent: HeaderValue,
    pub(crate) is_http1_only: bool,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            // A handshake takes less than a second even around the world, and a lost packet is
            // resent within three seconds.
            connect_timeout: Duration::from_secs(5),
            proxy: None,
            root_certificates: Vec::new(),
            is_pinned: false,
            client_certificate: None,
            headers: HeaderMap::new(),
            user_agent: HeaderValue::from_static(concat!("pushslots/", env!("CARGO_PKG_VERSION"))),
            is_http1_only: false,
        }
    }
}
