//! The outbox on PostgreSQL through its public API, against real servers.
#![cfg(all(feature = "postgres", unix))]

mod database;

mod access;
mod delivery;
mod outages;
mod rate_limit;
mod transactions;
