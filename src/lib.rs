//! Publishes appointment availability to Redox (`Scheduling / PushSlots`), or to an integration
//! service with the same API.
//!
//! A [`Client`] sends a [`PushSlots`] message and returns a [`Receipt`] with the service's log ids,
//! or an [`Error`] that reports whether the message was rejected, was never sent, or may have
//! arrived. It requests access tokens with a signed JWT, retries temporary failures, and stays
//! within the service's rate limit. [`Client::publish`] sends a schedule of any length as one
//! batch.
//!
//! # Example
//!
//! This program needs the feature `mock` and tokio's features `macros` and `rt-multi-thread`. It
//! sends one slot to a mock of the service in the same process:
//!
#![cfg_attr(feature = "mock", doc = "```")]
#![cfg_attr(not(feature = "mock"), doc = "```ignore")]
//! use pushslots::chrono::{DateTime, Utc};
//! use pushslots::mock::MockService;
//! use pushslots::{Client, Provider, PushSlots, Slot};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let service = MockService::start()?;
//!     let client = Client::builder().mock(&service).build()?;
//!
//!     let nine_o_clock: DateTime<Utc> = "2026-12-01T09:00:00Z".parse()?;
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
//! Without the mock, a client needs [credentials](Credentials) and a
//! [destination](ClientBuilder::destination), or the environment variables of
//! [`ClientBuilder::from_env`].
//!
//! # Overview
//!
//! | task | items |
//! | --- | --- |
//! | build a message, or read one from JSON | [`PushSlots`], [`Slot`], [`Provider`], [`Location`], [`SlotReader`] |
//! | send one message | [`Client::send`], [`Receipt`], [`Error`], [`Delivery`] |
//! | publish a schedule, and resume it | [`Client::publish`], [`PublishBuilder::checkpoint`], [`PublishReport`], [`ResumePoint`] |
//! | change a setting | [`ClientBuilder`], [`ClientBuilder::from_env`] with the table of all settings |
//! | authenticate | [`Credentials`], [`SigningKey`], [`Signer`], [`TokenSource`] |
//! | observe attempts | [`AttemptObserver`], [`Attempt`], [`Client::metrics`] |
//! | replace a part | [`Transport`], [`PermitSource`], [`Checkpoint`], [`ClientBuilder::classifier`] |
//!
//! The module [`guide`] contains guides about going live, delivery guarantees, resuming, tokens,
//! rate limits, testing, observability and troubleshooting.
//!
//! # Features
//!
//! * `mock` (off by default): the module `mock` with a mock of the service, for tests.

#![cfg_attr(docsrs, feature(doc_cfg))]
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
// Code that can fail in production returns an error.
#![cfg_attr(
    not(test),
    warn(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)
)]

mod auth;
mod client;
mod clock;
mod delivery;
mod digest;
mod display;
mod error;
pub mod guide;
mod message;
#[cfg(feature = "mock")]
#[cfg_attr(docsrs, doc(cfg(feature = "mock")))]
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
#[cfg(all(doctest, feature = "mock"))]
#[doc = include_str!("../README.md")]
struct Readme;
