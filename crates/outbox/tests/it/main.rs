//! The outbox through its public API.

mod service;

mod delivery;
mod operations;
mod ordering;
mod outages;
