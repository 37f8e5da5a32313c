//! The outbox through its public API.

mod folder;
mod service;

mod delivery;
#[cfg(feature = "metrics")]
mod metrics;
mod operations;
mod ordering;
mod outages;
mod personal_data;
mod restarts;
