//! The stores that are compared with the model.

use crate::store::Store;
#[cfg(feature = "postgres")]
use crate::store::postgres::tests::Shared;
use crate::store::redb::RedbStore;
use crate::store::redb::shared::SharedBackend;
use crate::time::Timestamp;

/// A store that is compared with the model.
pub(super) enum Subject {
    Redb {
        backend: SharedBackend,
        store: Option<RedbStore>,
    },
    #[cfg(feature = "postgres")]
    Postgres(Box<Shared>),
}

impl Subject {
    pub(super) fn redb() -> Self {
        let backend = SharedBackend::new(::redb::backends::InMemoryBackend::new());
        let store = RedbStore::with_backend(backend.clone()).expect("the backend is empty");
        Self::Redb { backend, store: Some(store) }
    }

    pub(super) fn store(&self) -> &dyn Store {
        match self {
            Self::Redb { store, .. } => store.as_ref().expect("the store is open"),
            #[cfg(feature = "postgres")]
            Self::Postgres(shared) => &shared.store,
        }
    }

    /// Returns whether several processes can share the store. It then has a clock of its own, keeps
    /// the leases of other processes, counts no requests, and removes settled entries by days.
    pub(super) fn is_shared(&self) -> bool {
        !matches!(self, Self::Redb { .. })
    }

    /// Sets the store's own clock, if it has one.
    pub(super) async fn set_time(&self, now: Timestamp) {
        match self {
            Self::Redb { .. } => {
                let _ = now;
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(shared) => shared.set_time(now).await,
        }
    }

    /// Opens the store again, as another process does.
    pub(super) async fn reopen(&mut self) -> Result<(), String> {
        match self {
            Self::Redb { backend, store } => {
                *store = None;
                let opened = RedbStore::with_backend(backend.clone());
                *store = Some(opened.map_err(|error| error.to_string())?);
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(shared) => shared.reopen().await?,
        }
        Ok(())
    }
}
