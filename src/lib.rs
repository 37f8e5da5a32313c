//! Publishes appointment availability: PushSlots messages to a Redox-style integration service.

#![forbid(unsafe_code)]

pub mod message;

pub use message::{
    Address, Destination, Identifier, InvalidMessage, Location, Log, Meta, Problem, Provider,
    PushSlots, PushSlotsBuilder, ReadError, Slot, Source,
};

pub use chrono;
pub use uuid;
