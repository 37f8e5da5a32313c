//! Publishes appointment availability: PushSlots messages to a Redox-style integration service.
//!
//! [`PushSlots::builder`] makes a message, [`Client::send`] sends it, and what comes back is a
//! [`Receipt`] with the service's log and attempt ids, or an [`Error`] that tells how certain it is
//! that the message did not arrive.
//!
//! # Five minutes
//!
//! 1. `cargo add pushslots`, `cargo add tokio --features macros,rt-multi-thread`, and for the tests
//!    `cargo add pushslots --dev --features mock`.
//! 2. Send to a mock of the service in the same process. This runs as it is, with the feature
//!    `mock` on:
//!
#![cfg_attr(feature = "mock", doc = "```")]
#![cfg_attr(not(feature = "mock"), doc = "```ignore")]
//! use pushslots::chrono::{TimeZone, Utc};
//! use pushslots::mock::MockService;
//! use pushslots::{Client, Provider, PushSlots, Slot};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let service = MockService::start()?;
//!     let client = Client::builder().mock(&service).build()?;
//!
//!     let nine_o_clock = Utc.with_ymd_and_hms(2026, 12, 1, 9, 0, 0).unwrap();
//!     let provider = Provider::new().id("4356789876", "NPI").name("Pat", "Granite");
//!     let slot = Slot::new(nine_o_clock, 15).id("1").reason("Office Visit").provider(provider);
//!     let message = PushSlots::builder().slot(slot).build()?;
//!
//!     let receipt = client.send(&message).await?;
//!     assert_eq!(receipt.logs(), service.received()[0].logs());
//!     Ok(())
//! }
//! ```
//!
//! 3. Go live: make a key (`openssl ecparam -name secp384r1 -genkey -noout -out key.pem`), give the
//!    service's dashboard its public half, and put what it gives back into the
//!    [environment](ClientBuilder::from_env) or the builder. Whether that is a sandbox follows from
//!    the credentials.
//!
//! ```no_run
//! use pushslots::{Client, Credentials, SigningKey};
//! use pushslots::uuid::uuid;
//!
//! let key = SigningKey::from_pem_file("key.pem", "key-id")?;
//! let client = Client::builder()
//!     .credentials(Credentials::signed_jwt("client-id", key))
//!     .destination(uuid!("af394f14-b34a-464f-8d24-895f370af4c9"))
//!     .build()?;
//! # Ok::<(), pushslots::Error>(())
//! ```
//!
//! 4. [`Client::publish`] publishes a whole schedule: it splits the slots into messages, sends them
//!    in order and within the service's rate limit, and waits out outages. With a
//!    [checkpoint](PublishBuilder::checkpoint) any process can resume it.
//!
//! # What it promises, and what not
//!
//! | promise | its limit |
//! | --- | --- |
//! | A receipt means that the service answered 2xx without errors, in a [response that it can have written](Exchange::classification): the message is in its queue. | If the body of that response is lost, an error in it is not seen. Whether a destination has the message is not reported to a sender; the [log ids](Receipt::logs) find it in the service's dashboard. |
//! | An error reports [how certain](Delivery) it is that the message did not arrive. | If the response is lost, or isn't the service's, it is unknown: [`Delivery::Unknown`]. |
//! | A message that is known to be accepted is never sent again. | After an unknown outcome it is, unless [told otherwise](ClientBuilder::on_unknown): the same slots sent twice mean the same. The service documents no de-duplication; every attempt carries the same `Idempotency-Key`. |
//! | Every slot of a publication is in one message, or reported as skipped or not sent. With a [checkpoint](PublishBuilder::checkpoint) that holds when the process is killed. | Without a checkpoint, a process that ends takes the report with it, unless its [resume point](ResumePoint) was stored. After a kill the messages in flight go out again. |
//! | Nothing wrong is sent: every problem is [told with its path](PushSlots::validate) before. | The data model is checked, not whether a provider exists or two slots overlap. |
//! | All clones of a client, and clients with the same [`RateLimiter`], stay within the service's rate. | Another process behind the same address has a rate of its own; share the figure between them by [`ClientBuilder::rate_limit`], or the limit by a [`PermitSource`]. |
//! | No token, key, body or name is in any log, `Debug`, `Display` or panic. | The service's own text about a message is in [`Error::service_text`], and may repeat a name. The error text of the token endpoint, which never sees a message, is shown. |
//!
//! # Settings
//!
//! Of [`ClientBuilder`], with the variable that [`Client::from_env`] reads. Durations are written
//! as `500ms`, `30s` or `2m`.
//!
//! | setting | default | variable |
//! | --- | --- | --- |
//! | [`credentials`](ClientBuilder::credentials): client id, key id, private key in PEM | required | `PUSHSLOTS_CLIENT_ID`, `PUSHSLOTS_KEY_ID`, `PUSHSLOTS_PRIVATE_KEY_FILE` or `PUSHSLOTS_PRIVATE_KEY`; a JWK with its key id: `PUSHSLOTS_PRIVATE_JWK_FILE` |
//! | the same with a [legacy API key](Credentials::api_key) | | `PUSHSLOTS_API_KEY`, `PUSHSLOTS_API_SECRET` |
//! | [scope](Credentials::scope) of the tokens | none | `PUSHSLOTS_SCOPE` |
//! | [audience](Credentials::audience) of assertions, a URI | the token URL | `PUSHSLOTS_TOKEN_AUDIENCE` |
//! | [`source`](ClientBuilder::source), a UUID | none | `PUSHSLOTS_SOURCE_ID` |
//! | [`destination`](ClientBuilder::destination)s, UUIDs | none; a message must have one | `PUSHSLOTS_DESTINATION_IDS`, separated by commas |
//! | [`base_url`](ClientBuilder::base_url); in Canada `https://api.ca.redoxengine.com` | `https://api.redoxengine.com` | `PUSHSLOTS_BASE_URL` |
//! | [`token_url`](ClientBuilder::token_url) | `{base}/v2/auth/token` | `PUSHSLOTS_TOKEN_URL` |
//! | [`max_attempts`](ClientBuilder::max_attempts), from 1 | 4 | `PUSHSLOTS_MAX_ATTEMPTS` |
//! | [`attempt_timeout`](ClientBuilder::attempt_timeout) | 125 s | `PUSHSLOTS_ATTEMPT_TIMEOUT` |
//! | [`deadline`](ClientBuilder::deadline) of a send; [`SendBuilder::deadline`] for one | 300 s | `PUSHSLOTS_DEADLINE` |
//! | [`rate_limit`](ClientBuilder::rate_limit): requests in any window; [`without_rate_limit`](ClientBuilder::without_rate_limit) | 7,500 in 300 s | `PUSHSLOTS_RATE_LIMIT`, such as `7500/300s` |
//! | [`rate_limiter`](ClientBuilder::rate_limiter) that clients share, instead of `rate_limit` | one of the client's own | |
//! | [`max_in_flight`](ClientBuilder::max_in_flight): messages in flight at most, at least 1 | 100 | `PUSHSLOTS_MAX_IN_FLIGHT` |
//! | [`slots_per_message`](ClientBuilder::slots_per_message) of a publication, from 1 | 1,000 | `PUSHSLOTS_SLOTS_PER_MESSAGE` |
//! | [`bytes_per_message`](ClientBuilder::bytes_per_message) of a publication | 8,388,608 bytes | `PUSHSLOTS_BYTES_PER_MESSAGE` |
//! | [`validation`](ClientBuilder::validation) of messages and slots | [`Validation::Strict`] | `PUSHSLOTS_VALIDATION`: `strict`, `drop_invalid_optional` or `lenient` |
//! | [`on_unknown`](ClientBuilder::on_unknown) | [`OnUnknown::Retry`] | |
//! | [`retry_budget`](ClientBuilder::retry_budget), of which a retry takes 14; [`without_retry_budget`](ClientBuilder::without_retry_budget) | 500 | |
//! | [`classifier`](ClientBuilder::classifier) of answers and failures | [`Exchange::classification`] | |
//! | [`attempt_observer`](ClientBuilder::attempt_observer) | none | |
//! | [`connect_timeout`](ClientBuilder::connect_timeout) | 5 s | |
//! | [`proxy`](ClientBuilder::proxy) | that of the environment | `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` |
//! | [`root_certificate`](ClientBuilder::root_certificate), [`client_certificate`](ClientBuilder::client_certificate), PEM | those of the system, none | `PUSHSLOTS_ROOT_CERTIFICATE_FILE` |
//! | [`allow_plain_http`](ClientBuilder::allow_plain_http) to a host | to this machine alone | `PUSHSLOTS_PLAIN_HTTP_HOSTS`, separated by commas |
//! | [`transport`](ClientBuilder::transport) | an [`HttpTransport`]: reqwest, HTTP/1.1 and HTTP/2 over rustls | |
//! | [`jitter_seed`](ClientBuilder::jitter_seed) | another each time | |
//!
//! # Where to read on
//!
//! What a send does with each response is told at [`Client::send`], what is read and how it is
//! written at [`PushSlots`]. Slots hold what they have in common [`Shared`], and [`SlotReader`]
//! reads any number of them from a file. A private key is a [`SigningKey`], or stays elsewhere
//! behind a [`Signer`]; access tokens can come from a [`TokenSource`]. Every [`Attempt`] can be
//! told to an [`AttemptObserver`] as it ends, and a [`Transport`] of your own can carry the
//! requests.
//!
//! # Features
//!
//! None is on by default. `mock` adds `pushslots::mock`, the service for tests.

#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]
#![cfg_attr(not(test), warn(clippy::pedantic))]
#![expect(clippy::doc_markdown, reason = "PushSlots, OpenTelemetry and OAuth are names, not code")]
#![expect(
    clippy::match_bool,
    clippy::single_match_else,
    reason = "alternatives stand side by side"
)]
#![expect(
    clippy::similar_names,
    reason = "began and begun, slot and slots are the words for what they are"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "a value that is passed on is not used any more"
)]
#![expect(
    clippy::unnecessary_box_returns,
    reason = "an error of one word keeps the results of reading small"
)]
#![expect(clippy::naive_bytecount, reason = "counts the lines before an error, once")]
// What can fail in production says so in an error.
#![cfg_attr(
    not(test),
    warn(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)
)]

mod auth;
mod client;
mod clock;
mod debug;
mod delivery;
mod digest;
mod error;
mod message;
#[cfg(feature = "mock")]
pub mod mock;
mod private_key;
mod publish;
mod random;
mod receipt;
mod retry;
mod runtime;
mod signature;
mod text;
mod transport;

pub use auth::{
    AccessToken, AuthError, Credentials, KeyError, Signer, SigningAlgorithm, SigningInput,
    SigningKey, TokenRequest, TokenSource,
};
pub use client::{
    Client, ClientBuilder, ClientMetrics, HttpTransportBuilder, PublishBuilder, SendBuilder,
};
pub use delivery::AttemptObserver;
pub use error::{Error, ErrorKind};
pub use message::{
    Address, BatchNumbers, Destination, EncodedMessage, ExtensionError, Extensions, Identifier,
    InvalidMessage, List, Location, Log, Message, Meta, Minutes, PhoneNumber, PreparedMessage,
    Problem, ProblemCode, Provider, PushSlots, PushSlotsBuilder, ReadError, RestoreError, Severity,
    Shared, Slot, SlotReader, Source, UnreadMember, UnreadReason, Validation,
};
pub use publish::{
    AcceptedMessage, BatchCounts, Checkpoint, CheckpointError, ParseResumePointError,
    PreparedMessages, Progress, PublishError, PublishHandle, PublishReport, ResumePoint, RunCounts,
    SlotStream, StreamedSlot, Wait, WaitReason,
};
pub use receipt::{Attempt, Delivery, OAuthError, Receipt};
pub use retry::{BodyKind, Classification, Exchange, NextStep, OnUnknown};
pub use transport::{
    HttpTransport, Permit, PermitError, PermitRequest, PermitSource, RateLimiter, Response,
    Transport, TransportContext, TransportError, TransportErrorKind,
};

pub use bytes;
pub use chrono;
pub use http;
pub use uuid;

/// The README's examples compile and hold.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
