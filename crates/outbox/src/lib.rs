#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod body_keys;
mod builder;
mod changes;
mod enqueue;
mod entries;
mod entry;
mod error;
mod filter;
#[cfg(test)]
mod interleavings;
mod lane;
#[cfg(feature = "metrics")]
mod metrics;
mod outbox;
#[cfg(feature = "postgres")]
mod prepare;
mod preparer;
mod publish;
mod retention;
mod schedule;
mod state;
mod stats;
mod store;
mod time;
mod waiters;
mod worker;

pub use body_keys::BodyKeys;
pub use builder::OutboxBuilder;
pub use enqueue::EnqueueBuilder;
pub use entries::{Cursor, Entries, Page};
pub use entry::{Entry, EntryAttempt, EntryDetails};
pub use error::OutboxError;
pub use outbox::Outbox;
#[cfg(feature = "postgres")]
pub use prepare::PrepareBuilder;
pub use publish::PublishBuilder;
pub use state::{DeadReason, EntryState, OnDead};
pub use stats::{DeadLetters, Stats};
#[cfg(feature = "postgres")]
pub use store::postgres::{EnqueueCall, PgRateLimiter, PostgresConfig};
pub use worker::{ShutdownReport, Worker, WorkerBuilder};

/// Compiles the examples of the repository's guide.
#[cfg(all(doctest, feature = "postgres"))]
#[doc = include_str!("../../../docs/durable-delivery.md")]
struct Guide;
