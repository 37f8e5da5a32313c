//! The open database, which is closed and opened again after a failure.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ::redb::{
    CompactionError, Database, DatabaseError, ReadTransaction, ReadableDatabase, TableError,
    WriteTransaction,
};

use crate::error::StoreError;

use super::error::OpenError;
use super::tables::{self, FORMAT, FORMAT_VERSION, META, Meta, STATE};

/// The size up to which opening checks every page of a file. A larger file is checked only after a
/// crash, because the check reads all of it.
const CHECKED_BYTES: u64 = 256 * 1024 * 1024;

/// The place of the database's bytes.
pub(super) enum Source {
    File(PathBuf),
    #[cfg(test)]
    Backend(super::shared::SharedBackend),
}

/// A database that can be opened again. redb rejects all operations after an I/O error until then.
pub(super) struct Slot {
    source: Source,
    cache_bytes: usize,
    database: RwLock<Option<Database>>,
}

impl Source {
    /// Returns the path for error texts.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            #[cfg(test)]
            Self::Backend(_) => Path::new("(memory)"),
        }
    }

    fn open(&self, cache_bytes: usize, is_checked: bool) -> Result<Database, DatabaseError> {
        let mut builder = Database::builder();
        builder.set_cache_size(cache_bytes).set_check_integrity_on_open(is_checked);
        match self {
            Self::File(path) => builder.open(path),
            #[cfg(test)]
            Self::Backend(backend) => builder.create_with_backend(backend.clone()),
        }
    }
}

impl Slot {
    /// Opens the database, and returns it with the number of the last stored lease.
    pub(super) fn open(source: Source, cache_bytes: usize) -> Result<(Self, u64), OpenError> {
        let path = source.path();
        let is_checked = match &source {
            Source::File(path) => {
                let metadata = std::fs::metadata(path);
                metadata.is_ok_and(|metadata| metadata.len() <= CHECKED_BYTES)
            }
            #[cfg(test)]
            Source::Backend(_) => false,
        };
        // redb can panic if a file was damaged from outside.
        let opened = unless_panic(|| {
            let database = source
                .open(cache_bytes, is_checked)
                .map_err(|error| OpenError::of_database(path, error))?;
            let last_lease = check_format(&database, &source)?;
            Ok((database, last_lease))
        });
        let (database, last_lease) =
            opened.unwrap_or_else(|Panicked| Err(OpenError::damaged(path, Panicked)))?;
        Ok((Self { source, cache_bytes, database: RwLock::new(Some(database)) }, last_lease))
    }

    /// Closes the database and opens it again.
    pub(super) fn reopen(&self) -> Result<(), StoreError> {
        let mut database = self.write();
        close(database.take());
        let opened = unless_panic(|| self.source.open(self.cache_bytes, false));
        *database = Some(opened.map_err(|panicked| StoreError(panicked.to_string()))??);
        Ok(())
    }

    pub(super) fn close(&self) {
        close(self.write().take());
    }

    pub(super) fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        Ok(self.read().as_ref().ok_or_else(is_closed)?.begin_write()?)
    }

    pub(super) fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        Ok(self.read().as_ref().ok_or_else(is_closed)?.begin_read()?)
    }

    /// Compacts the database, unless something reads from it. Returns whether it did.
    pub(super) fn compact(&self) -> Result<bool, StoreError> {
        let mut database = self.write();
        match database.as_mut().ok_or_else(is_closed)?.compact() {
            Ok(is_smaller) => Ok(is_smaller),
            Err(CompactionError::TransactionInProgress) => Ok(false),
            Err(error) => Err(StoreError(error.to_string())),
        }
    }

    /// Adds the path to an error.
    pub(super) fn describe(&self, StoreError(text): StoreError) -> StoreError {
        StoreError(format!("{}: {text}", self.source.path().display()))
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Database>> {
        self.database.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Creates the tables of an empty database, and commits.
pub(super) fn create_tables(database: &Database) -> Result<(), StoreError> {
    let transaction = database.begin_write()?;
    tables::create(&transaction)?;
    Ok(transaction.commit()?)
}

/// Checks the format version, and returns the number of the last stored lease.
fn check_format(database: &Database, source: &Source) -> Result<u64, OpenError> {
    let path = source.path();
    let damaged = |reason: &dyn fmt::Display| OpenError::damaged(path, reason);
    let transaction = database.begin_read().map_err(|error| damaged(&error))?;
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        #[cfg(test)]
        Err(TableError::TableDoesNotExist(_)) if matches!(source, Source::Backend(_)) => {
            create_tables(database).map_err(|error| damaged(&error.0))?;
            return Ok(0);
        }
        Err(TableError::Storage(error)) => return Err(OpenError::of_storage(path, error)),
        Err(error) => return Err(damaged(&error)),
    };
    let read = |key| {
        let value = meta.get(key).map_err(|error| OpenError::of_storage(path, error))?;
        let value = value.map(|value| value.value().to_owned());
        value.ok_or_else(|| damaged(&format_args!("the value {key} is missing")))
    };
    let version = read(FORMAT)?.parse().map_err(|error| damaged(&error))?;
    match version {
        FORMAT_VERSION => {}
        version if version > FORMAT_VERSION => {
            return Err(OpenError::NewerVersion { path: path.to_owned(), version });
        }
        version => return Err(damaged(&format_args!("unknown format version {version}"))),
    }
    let meta: Meta = serde_json::from_str(&read(STATE)?).map_err(|error| damaged(&error))?;
    Ok(meta.last_lease)
}

/// A panic inside redb.
pub(super) struct Panicked;

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the database library panicked, perhaps because the file is damaged")
    }
}

/// Runs code that can panic. The caller must close the database after a panic.
pub(super) fn unless_panic<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| Panicked)
}

fn close(database: Option<Database>) {
    // After an error, or a panic, closing can fail as well. The next opening repairs the file.
    let _ = unless_panic(|| database.map(Database::close));
}

fn is_closed() -> StoreError {
    StoreError("the database is closed after a failure".to_owned())
}
