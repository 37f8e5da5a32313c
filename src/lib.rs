//! Publishes appointment availability: PushSlots messages to a Redox-style integration service.
//!
//! [`PushSlots::builder`] makes a message, [`Client::send`] sends it, and what comes back is a [`Receipt`] with
//! the service's log and attempt ids, or an [`Error`] that tells how certain it is that the message did not
//! arrive.
//!
//! ```no_run
//! use pushslots::chrono::{TimeZone, Utc};
//! use pushslots::{Client, PushSlots, Slot};
//!
//! # async fn example() -> Result<(), pushslots::Error> {
//! let client = Client::from_env()?;
//! let nine_o_clock = Utc.with_ymd_and_hms(2026, 12, 1, 9, 0, 0).unwrap();
//! let message = PushSlots::builder().slot(Slot::new(nine_o_clock, 15)).build()?;
//! let receipt = client.send(&message).await?;
//! println!("{:?}", receipt.logs().first().map(|log| &log.id));
//! # Ok(()) }
//! ```
//!
//! [`Client::publish`] publishes a whole book of availability: it splits the slots into messages, sends them in order and within
//! the service's rate, and says what was accepted and [where to go on](PublishReport::resume_point).
//!
//! Slots hold what they have in common [`Shared`], and [`SlotReader`] reads any number of them from a file. What a
//! send does with each answer is told at [`Client::send`], what is read and how it is written at [`message`], and the
//! settings at [`ClientBuilder`]. A private key is a [`SigningKey`], or stays elsewhere behind a [`Signer`]; access tokens
//! can come from a [`TokenSource`]. Every [`Attempt`] can be told to an [`AttemptObserver`] as it ends, and a [`Transport`]
//! of your own can carry the requests.

#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]
// What can fail in production says so in an error.
#![cfg_attr(
    not(test),
    warn(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)
)]

mod auth;
mod chance;
pub mod client;
mod clock;
mod delivery;
mod error;
pub mod message;
#[cfg(feature = "mock")]
pub mod mock;
mod publish;
pub mod receipt;
mod retry;
mod signature;
mod transport;

pub use auth::{
    AccessToken, AuthError, Credentials, KeyError, Signer, SigningAlgorithm, SigningKey, TokenSource,
};
pub use client::{Client, ClientBuilder, PublishBuilder, SendBuilder};
pub use delivery::AttemptObserver;
pub use error::{Error, ErrorKind};
pub use message::{
    Address, Destination, EncodedMessage, ExtensionError, Extensions, Identifier, InvalidMessage, Location,
    Log, Message, Meta, PhoneNumber, Problem, Provider, PushSlots, PushSlotsBuilder, ReadError, Shared, Slot,
    SlotReader, Source,
};
pub use publish::{
    ParseResumePointError, Progress, PublishError, PublishHandle, PublishReport, ResumePoint, StreamedSlot,
};
pub use receipt::{Attempt, Delivery, Receipt, TokenRefusal};
pub use retry::{Class, Exchange, Next, OnUnknown};
pub use transport::{Answer, Failure, FailureKind, Transport};

pub use bytes;
pub use chrono;
pub use http;
pub use uuid;

/// The README's examples compile and hold.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
