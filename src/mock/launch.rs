//! Starts a mock.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tokio::sync::watch;

use super::builder::MockServiceBuilder;
use super::mock_service::MockService;
use super::request_log::RequestLog;
use super::script::Script;
use super::server::{self, Server};
use super::service::{RateWindow, Service, ServiceState};
use super::tokens::Tokens;
use crate::random::fresh_id;
use crate::signature::PrivateKey;

impl MockService {
    /// Starts a mock with the default settings on a free port.
    ///
    /// # Errors
    ///
    /// Returns an error if no port is free or no thread can be started.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// Returns a builder with the default settings.
    #[must_use]
    pub fn builder() -> MockServiceBuilder {
        MockServiceBuilder::default()
    }
}

impl MockServiceBuilder {
    /// Starts the mock.
    ///
    /// # Errors
    ///
    /// Returns an error if the port is taken, no thread can be started, or a public key is invalid.
    pub fn start(self) -> io::Result<MockService> {
        let mut builder = self;
        if let Some(wrong) = builder.wrong_key {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, wrong));
        }
        let unusable = |_| io::Error::other("failed to generate a key");
        let (key, pkcs8, public_key) = PrivateKey::generate().map_err(unusable)?;
        let client_id = "mock-client".to_owned();
        let key_id = "mock-key".to_owned();
        builder.clients.add(client_id.clone(), key_id.clone(), public_key);
        let api_key = ("mock-api-key".to_owned(), fresh_id().to_string());
        builder.api_keys.insert(api_key.0.clone(), api_key.1.clone());

        let (listener, port) = server::listen(builder.address, builder.port)?;
        // If the mock is bound to all addresses of the machine, its URL uses loopback.
        let reached = match builder.address {
            IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            address => address,
        };
        let destination = fresh_id();
        let url = format!("http://{}", SocketAddr::new(reached, port));
        let private_key_pem = pem(&pkcs8);
        let service = Arc::new(Service {
            shell_settings: format!(
                "export PUSHSLOTS_BASE_URL='{url}'\nexport PUSHSLOTS_CLIENT_ID='{client_id}'\n\
                 export PUSHSLOTS_KEY_ID='{key_id}'\n\
                 export PUSHSLOTS_PRIVATE_KEY='{}'\n\
                 export PUSHSLOTS_DESTINATION_IDS='{destination}'\n",
                private_key_pem.trim_end(),
            ),
            url,
            address: builder.address,
            destination,
            requires_source: builder.requires_source,
            audiences: builder.audiences,
            max_bytes: builder.max_bytes,
            deduplicates: builder.deduplicates,
            accepts_warnings: builder.accepts_warnings,
            hook: builder.hook,
            state: Mutex::new(ServiceState {
                tokens: Tokens::new(builder.clients, builder.api_keys, builder.token_lifetime),
                log: RequestLog::default(),
                script: Script::default(),
                window: RateWindow { limit: builder.rate_limit, taken: VecDeque::new() },
                known_destinations: builder.known_destinations,
            }),
            received: watch::Sender::new(0),
            panic: Mutex::default(),
        });
        let server = Server::start(listener, service.clone())?;
        let key = Arc::new(key);
        Ok(MockService { service, server, key, private_key_pem, client_id, key_id, api_key })
    }
}

/// Encodes a private key in PEM (RFC 7468, section 10).
fn pem(pkcs8: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(pkcs8);
    let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem + "-----END PRIVATE KEY-----\n"
}
