//! The settings of an outbox.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pushslots::chrono::{DateTime, Utc};
use pushslots::{Client, ClientBuilder, Validation};
use uuid::Uuid;

use crate::body_keys::BodyKeys;
use crate::error::OutboxError;
use crate::outbox::{Clock, Outbox, Storage};
use crate::preparer;
use crate::retention::Retention;
use crate::store::memory::MemoryStore;
#[cfg(feature = "postgres")]
use crate::store::postgres::{PostgresConfig, PostgresStore};
use crate::store::redb::RedbStore;

/// The default size of the cache of an outbox file in bytes.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// The settings of an [`Outbox`].
pub struct OutboxBuilder {
    messages: ClientBuilder,
    clock: Clock,
    body_keys: Option<BodyKeys>,
    retention: Retention,
    cache_bytes: usize,
}

impl Default for OutboxBuilder {
    fn default() -> Self {
        Self {
            messages: Client::builder(),
            clock: Arc::new(Utc::now),
            body_keys: None,
            retention: Retention::default(),
            cache_bytes: CACHE_BYTES,
        }
    }
}

impl OutboxBuilder {
    /// Adds a destination for messages without their own. There is none by default.
    #[must_use]
    pub fn destination(mut self, destination: Uuid) -> Self {
        self.messages = self.messages.destination(destination);
        self
    }

    /// Sets the source of messages without their own. There is none by default.
    #[must_use]
    pub fn source(mut self, source: Uuid) -> Self {
        self.messages = self.messages.source(source);
        self
    }

    /// Sets whether messages with problems are enqueued. Defaults to
    /// [`Validation::Strict`].
    #[must_use]
    pub fn validation(mut self, validation: Validation) -> Self {
        self.messages = self.messages.validation(validation);
        self
    }

    /// Sets the keys that encrypt stored bodies. By default, bodies are compressed only.
    ///
    /// Lanes, keys for superseding, times, states and log ids are never encrypted.
    #[must_use]
    pub fn body_keys(mut self, keys: BodyKeys) -> Self {
        self.body_keys = Some(keys);
        self
    }

    /// Sets how long final entries are kept with their attempts and receipts. Defaults to 30 days
    /// for accepted, superseded and cancelled entries, and 90 days for dead letters.
    ///
    /// A worker removes older ones.
    #[must_use]
    pub fn keep(mut self, settled: Duration, dead: Duration) -> Self {
        self.retention = Retention { settled, dead };
        self
    }

    /// Sets the size of the database's cache in bytes. Defaults to 16 MiB.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Sets the wall clock. Defaults to the system's.
    ///
    /// Tests can use it to reach due times and expiries without waiting.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Opens an outbox in a file, and creates the file if it doesn't exist.
    ///
    /// One process can open it at a time. Entries that an earlier process was sending when it ended
    /// wait again.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting is invalid, another process has the file open, its folder
    /// can't be written, or the file is damaged or of a newer version. An existing file is never
    /// overwritten.
    pub async fn open(self, path: impl AsRef<Path>) -> Result<Outbox, OutboxError> {
        let path = path.as_ref().to_owned();
        let cache_bytes = self.cache_bytes;
        let preparer = preparer::build(self.messages).map_err(OutboxError::Message)?;
        let opening = tokio::task::spawn_blocking(move || RedbStore::open(&path, cache_bytes));
        let store = opening
            .await
            .map_err(|_| OutboxError::Storage("opening the outbox was cancelled".to_owned()))?
            .map_err(|error| OutboxError::Configuration(error.to_string()))?;
        let storage =
            Storage { store: Arc::new(store), keys: self.body_keys, retention: self.retention };
        Outbox::start(storage, preparer, self.clock).await
    }

    /// Opens an outbox in PostgreSQL, which any number of processes can share. Requires the feature
    /// `postgres`.
    ///
    /// Run [`PostgresConfig::migrate`] once before. All leases and due times follow the clock of the
    /// database. Up to five connections are opened when they are needed, and opened again after a
    /// failure.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting is invalid, the database can't be reached, or its schema is
    /// missing or has another version.
    #[cfg(feature = "postgres")]
    pub async fn postgres(self, config: &PostgresConfig) -> Result<Outbox, OutboxError> {
        let preparer = preparer::build(self.messages).map_err(OutboxError::Message)?;
        let store = Arc::new(PostgresStore::open(config).await?);
        let storage = Storage { store, keys: self.body_keys, retention: self.retention };
        Outbox::start(storage, preparer, self.clock).await
    }

    /// Opens an outbox in memory, for tests. Its entries are lost when it is dropped.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting is invalid.
    pub async fn in_memory(self) -> Result<Outbox, OutboxError> {
        let preparer = preparer::build(self.messages).map_err(OutboxError::Message)?;
        let store = Arc::new(MemoryStore::default());
        let storage = Storage { store, keys: self.body_keys, retention: self.retention };
        Outbox::start(storage, preparer, self.clock).await
    }
}

impl fmt::Debug for OutboxBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxBuilder")
            .field("cache_bytes", &self.cache_bytes)
            .finish_non_exhaustive()
    }
}
