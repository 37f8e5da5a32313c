//! What a user may set about connections.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use secrecy::zeroize::Zeroizing;

/// How connections are made. TLS verification is always on.
#[derive(Clone, PartialEq)]
pub(crate) struct HttpSettings {
    /// Longest time for a connection to come about, TLS included.
    pub(crate) connect_timeout: Duration,
    /// Proxy for all requests; without one, those that the environment names.
    pub(crate) proxy: Option<String>,
    /// Root certificates trusted in addition to the system's, PEM.
    pub(crate) root_certificates: Vec<Vec<u8>>,
    /// Whether these are trusted alone.
    pub(crate) is_pinned: bool,
    /// Client certificate and its key, PEM. It is wiped when it is dropped.
    pub(crate) client_certificate: Option<Zeroizing<Vec<u8>>>,
    /// Headers of all requests.
    pub(crate) headers: HeaderMap,
    pub(crate) user_agent: HeaderValue,
    pub(crate) is_http1_only: bool,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            // A handshake takes less than a second even around the world, and a lost packet is sent
            // again within three seconds.
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
