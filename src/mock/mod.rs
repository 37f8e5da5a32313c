//! The service, for tests: feature `mock`.
//!
//! [`MockService`] stands in for the service in a test suite, and for any client, as it speaks HTTP
//! over a socket. It is strict where the service is: it verifies the signature and the claims of
//! every assertion, knows its tokens, and checks each message against the data model. What it took
//! is in its inbox, and what it answers next can be told.
//!
//! ```
//! use std::time::Duration;
//! use pushslots::chrono::{TimeZone, Utc};
//! use pushslots::mock::{MockResponse, MockService};
//! use pushslots::{Client, PushSlots, Slot};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = MockService::start()?;
//! let client = Client::builder().mock(&service).build()?;
//!
//! // An outage: two failures, and a response that gets lost.
//! service.respond_next(MockResponse::unavailable().times(2));
//! service.respond_next(MockResponse::reset_after_read().after_accepting());
//!
//! let nine_o_clock = Utc.with_ymd_and_hms(2026, 12, 1, 9, 0, 0).unwrap();
//! let message = PushSlots::builder().slot(Slot::new(nine_o_clock, 15)).build()?;
//! let receipt = client.send(&message).await?;
//!
//! assert_eq!(receipt.attempts().len(), 4);
//! // The service does not know a repeated message for what it is, unless it is told to.
//! let received = service.received();
//! assert_eq!(received.len(), 2);
//! assert!(received.iter().all(|copy| copy.message_id() == Some(receipt.message_id())));
//! assert_eq!(received[1].logs(), receipt.logs());
//! # Ok(()) }
//! ```
//!
//! # Any client
//!
//! It speaks HTTP/1.1, so that a client in any language can be tested with it:
//!
//! | endpoint | what it takes |
//! | --- | --- |
//! | `POST /v2/auth/token` | a form with `grant_type=client_credentials`, `client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer` and `client_assertion` |
//! | `POST /endpoint` | a message as `application/json` with `Authorization: Bearer …`; `Idempotency-Key` with a UUID names it |
//! | `POST /auth/authenticate`, `/auth/refreshToken` | a [legacy key](MockService::api_key) as JSON |
//!
//! The assertion is a JWT signed by ES384 or RS384, with `kid` in its header. `iss` and `sub` are
//! the client id, `aud` is the URL of the token endpoint as one text, `iat` lies within 300 s in
//! the past and 10 s in the future, `exp` in the future, and `jti` was not used before.
//! [`MockService::client_id`], [`key_id`](MockService::key_id) and
//! [`private_key_pem`](MockService::private_key_pem) are what one needs, or
//! [`public_key_pem`](MockServiceBuilder::public_key_pem) and
//! [`public_jwk`](MockServiceBuilder::public_jwk) register keys of your own. Why it rejected a
//! request is in [`ReceivedRequest::reason`].
//!
//! # The page
//!
//! The page at [its address](MockService::url) shows a person what came: messages, attempts, and
//! the slots on a calendar. What it shows is held in the memory of this process alone. Its buttons
//! are there for any client: `POST /page/next` with `{"response": "throttled-1s"}` as JSON makes
//! that the response to the next message, as do `unavailable`, `bad-gateway`, `rejected`,
//! `block-page`, `errors`, `unauthorized`, `reset`, `lost`, `truncated` and `stall`; `POST
//! /page/clear` with `{"queue": true, "inbox": true}` forgets what waits and what came.

mod assertion;
mod builder;
mod check;
mod inbox;
mod json;
mod mock_response;
mod page;
mod public_key;
mod request_log;
mod script;
mod server;
mod service;
mod tokens;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tokio::sync::watch;
use uuid::Uuid;

pub use builder::MockServiceBuilder;
pub use inbox::{Counts, ReceivedMessage, ReceivedRequest};
pub use mock_response::MockResponse;

use crate::message::Slot;
use crate::random::fresh_id;
use crate::signature::PrivateKey;
use request_log::RequestLog;
use script::Script;
use server::Server;
use service::{RateWindow, Service, State};
use tokens::Tokens;

/// A mock of the service, on a port of 127.0.0.1 unless it is set otherwise; see [the
/// module](self).
///
/// It runs in a thread of its own until it is dropped, under any runtime and under none. It goes by
/// the real clock: under tokio's paused time a client would run into its timeouts while it waits
/// for a socket.
///
/// A panic in it, such as of an assertion in [`respond_with`](MockServiceBuilder::respond_with),
/// comes up again when it is dropped, so that the test fails.
#[must_use = "the mock ends when it is dropped"]
pub struct MockService {
    service: Arc<Service>,
    server: Server,
    key: Arc<PrivateKey>,
    private_key_pem: String,
    client_id: String,
    key_id: String,
    api_key: (String, String),
    destination: Uuid,
}

impl MockService {
    /// Starts one as it is by default, on a free port.
    ///
    /// # Errors
    ///
    /// When the machine has no port or no thread for it.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// Starts with the settings of one.
    #[must_use]
    pub fn builder() -> MockServiceBuilder {
        MockServiceBuilder::default()
    }

    fn with(mut builder: MockServiceBuilder) -> io::Result<Self> {
        if let Some(wrong) = builder.wrong_key {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, wrong));
        }
        let unusable = |_| io::Error::other("no key can be made");
        let (key, pkcs8, public_key) = PrivateKey::generate().map_err(unusable)?;
        let client_id = "mock-client".to_owned();
        let key_id = "mock-key".to_owned();
        builder.clients.add(client_id.clone(), key_id.clone(), public_key);
        let api_key = ("mock-api-key".to_owned(), fresh_id().to_string());
        builder.api_keys.insert(api_key.0.clone(), api_key.1.clone());

        let (listener, port) = server::listen(builder.address, builder.port)?;
        // An address that stands for all of the machine's is reached over loopback.
        let reached = match builder.address {
            IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            address => address,
        };
        let destination = fresh_id();
        let mut rules = builder.rules;
        if let Some(known) = &mut rules.known_destinations {
            known.push(destination);
        }
        let service = Arc::new(Service {
            url: format!("http://{}", SocketAddr::new(reached, port)),
            address: builder.address,
            rules,
            audiences: builder.audiences,
            max_bytes: builder.max_bytes,
            deduplicates: builder.deduplicates,
            accepts_warnings: builder.accepts_warnings,
            hook: builder.hook,
            state: Mutex::new(State {
                tokens: Tokens::new(builder.clients, builder.api_keys, builder.token_lifetime),
                log: RequestLog::default(),
                script: Script::default(),
                window: RateWindow { limit: builder.rate_limit, taken: VecDeque::new() },
            }),
            received: watch::Sender::new(0),
            panic: Mutex::default(),
        });
        let server = Server::start(listener, service.clone())?;
        let key = Arc::new(key);
        let private_key_pem = pem(&pkcs8);
        Ok(Self { service, server, key, private_key_pem, client_id, key_id, api_key, destination })
    }

    /// Where it is, such as `http://127.0.0.1:49152`: the base URL of a client, and its page for a
    /// person.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.service.url
    }

    /// A client id that it knows.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// What it calls the public key of that client: `kid` of the assertion.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The private key of that client, of P-384 and in PKCS#8, made anew for each mock.
    #[must_use]
    pub fn private_key_pem(&self) -> &str {
        &self.private_key_pem
    }

    pub(crate) fn private_key(&self) -> Arc<PrivateKey> {
        self.key.clone()
    }

    /// A legacy API key that it takes, and its secret.
    #[must_use]
    pub fn api_key(&self) -> (&str, &str) {
        (&self.api_key.0, &self.api_key.1)
    }

    /// An endpoint to send to; it takes messages for any.
    #[must_use]
    pub fn destination(&self) -> Uuid {
        self.destination
    }

    /// Answers a message like this: the next one, or the next behind those answers that wait
    /// already.
    ///
    /// It comes before everything that the mock would say of the message, unless the response
    /// [takes it](MockResponse::after_accepting).
    pub fn respond_next(&self, response: MockResponse) {
        self.service.script(|script| Script::add(&mut script.messages, response));
    }

    /// Answers a request for a token like this: the next one, or the next behind those answers that
    /// wait already.
    pub fn respond_next_token(&self, response: MockResponse) {
        self.service.script(|script| Script::add(&mut script.tokens, response));
    }

    /// Answers all messages and requests for tokens with 503 from now on for that long.
    ///
    /// It goes by the clock, and the delays between attempts are drawn: the four attempts of a
    /// client as it is by default can be over within milliseconds. Where the send is to outlive the
    /// outage, give the client more [attempts](crate::ClientBuilder::max_attempts), or count
    /// failures instead: `next(MockResponse::unavailable().times(2))`.
    pub fn fail_for(&self, duration: Duration) {
        self.service.script(|script| script.fail_for(duration));
    }

    /// How many answers still wait to be given, for messages and tokens: 0 at the end of a test
    /// whose script was played.
    #[must_use]
    pub fn pending_responses(&self) -> usize {
        self.service.state().script.pending()
    }

    /// Forgets the answers that wait, and an outage.
    pub fn clear_script(&self) {
        self.service.script(|script| *script = Script::default());
    }

    /// Rejects every token that it has issued so far, refresh tokens too.
    pub fn revoke_tokens(&self) {
        self.service.state().tokens.revoke_all();
    }

    /// The messages that it accepted, in order.
    #[must_use]
    pub fn received(&self) -> Vec<ReceivedMessage> {
        self.service.state().log.messages.clone()
    }

    /// The messages that it accepted for this endpoint, in order.
    #[must_use]
    pub fn received_for(&self, destination: Uuid) -> Vec<ReceivedMessage> {
        self.matching(|message| message.is_for(destination))
    }

    /// The messages that it accepted of this batch, by `CurrentBatch`.
    #[must_use]
    pub fn batch(&self, batch_id: &str) -> Vec<ReceivedMessage> {
        let mut messages =
            self.matching(|message| message.meta().batch_id.as_deref() == Some(batch_id));
        messages.sort_by_key(|message| message.meta().current_batch);
        messages
    }

    fn matching(&self, matches: impl Fn(&ReceivedMessage) -> bool) -> Vec<ReceivedMessage> {
        let state = self.service.state();
        state.log.messages.iter().filter(|message| matches(message)).cloned().collect()
    }

    /// The slots of all messages that it accepted, in order.
    ///
    /// Of a message that came twice they are there twice, unless it [knows it
    /// again](MockServiceBuilder::deduplicate).
    #[must_use]
    pub fn slots(&self) -> Vec<Slot> {
        self.received().iter().flat_map(ReceivedMessage::slots).cloned().collect()
    }

    /// The slots that it accepted for this endpoint, in order.
    #[must_use]
    pub fn slots_for(&self, destination: Uuid) -> Vec<Slot> {
        self.received_for(destination).iter().flat_map(ReceivedMessage::slots).cloned().collect()
    }

    /// Waits until it has accepted so many messages; gives all of them.
    ///
    /// For what sends in the background. It waits for as long as it takes: put a timeout of the
    /// test's runtime around it.
    ///
    /// ```no_run
    /// # use pushslots::mock::MockService;
    /// # use std::time::Duration;
    /// # async fn example(service: MockService) -> Result<(), Box<dyn std::error::Error>> {
    /// let received = tokio::time::timeout(Duration::from_secs(5), service.wait_for(2)).await?;
    /// assert_eq!(received[1].slots().len(), 12);
    /// # Ok(()) }
    /// ```
    pub async fn wait_for(&self, messages: usize) -> Vec<ReceivedMessage> {
        // The sender is in the service, and outlives this.
        let _ = self.service.received.subscribe().wait_for(|received| *received >= messages).await;
        self.received()
    }

    /// Every request that came, in order, and what it was answered; those for the page aside.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.service.state().log.requests.clone()
    }

    /// How much came.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.service.state().log.counts
    }

    /// Forgets what came, and frees its bodies, which are kept until then.
    ///
    /// Tokens stay good.
    pub fn clear_inbox(&self) {
        self.service.clear_inbox();
    }
}

impl Drop for MockService {
    fn drop(&mut self) {
        self.server.stop();
        let panic = self.service.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic.filter(|_| !std::thread::panicking()) {
            std::panic::resume_unwind(panic);
        }
    }
}

impl fmt::Debug for MockService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockService")
            .field("url", &self.service.url)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

/// RFC 7468, section 10.
fn pem(pkcs8: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(pkcs8);
    let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem + "-----END PRIVATE KEY-----\n"
}
