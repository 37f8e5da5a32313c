//! Publishes appointment availability: PushSlots messages to a Redox-style integration service.

#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]
// What can fail in production says so in an error.
#![cfg_attr(
    not(test),
    warn(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)
)]

mod auth;
pub mod client;
mod clock;
mod delivery;
mod error;
pub mod message;
pub mod receipt;
mod retry;
mod transport;

pub use auth::{Credentials, KeyError, SigningKey};
pub use client::{Client, ClientBuilder};
pub use error::{Error, ErrorKind};
pub use message::{
    Address, Destination, Identifier, InvalidMessage, Location, Log, Meta, Problem, Provider, PushSlots,
    PushSlotsBuilder, ReadError, Slot, Source,
};
pub use receipt::{Attempt, Delivery, Receipt};

pub use chrono;
pub use uuid;
