//! Errors of the redb store.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::StoreError;

use super::tables::FORMAT_VERSION;

/// An error of opening an outbox file. The file is never overwritten.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// Another process, or this one, has the file open.
    InUse { path: PathBuf, process: Option<u32> },
    /// The file is damaged, or another program wrote it.
    Damaged { path: PathBuf, reason: String },
    /// A newer version of this package wrote the file.
    NewerVersion { path: PathBuf, version: u64 },
    /// The folder doesn't exist, or this process can't write to it.
    Folder { path: PathBuf, folder: PathBuf, error: io::Error },
    /// Another operation failed.
    Io { path: PathBuf, action: String, error: io::Error },
}

impl OpenError {
    pub(super) fn io(path: &Path, action: impl Into<String>, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), action: action.into(), error }
    }

    pub(super) fn damaged(path: &Path, reason: impl fmt::Display) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.to_string() }
    }

    /// Returns the error for a file that redb can't open.
    pub(super) fn of_database(path: &Path, error: ::redb::DatabaseError) -> Self {
        use ::redb::DatabaseError;
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                Self::InUse { path: path.to_owned(), process: None }
            }
            DatabaseError::Storage(error) => Self::of_storage(path, error),
            other => Self::damaged(path, other),
        }
    }

    /// Returns the error for a file that redb can't read.
    pub(super) fn of_storage(path: &Path, error: ::redb::StorageError) -> Self {
        use io::ErrorKind::{InvalidData, UnexpectedEof};
        match error {
            ::redb::StorageError::Io(error)
                if !matches!(error.kind(), InvalidData | UnexpectedEof) =>
            {
                Self::io(path, "read or write the file", error)
            }
            ::redb::StorageError::Io(error) => Self::damaged(path, error),
            other => Self::damaged(path, other),
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::InUse { path, .. }
        | Self::Damaged { path, .. }
        | Self::NewerVersion { path, .. }
        | Self::Folder { path, .. }
        | Self::Io { path, .. }) = self;
        write!(f, "can't open the outbox {}: ", path.display())?;
        match self {
            Self::InUse { process: Some(id), .. } if *id == std::process::id() => write!(
                f,
                "this process (id {id}) has it open already. Use one outbox for all of its tasks"
            ),
            Self::InUse { process: Some(id), .. } => {
                write!(f, "process {id} has it open. Stop that process, or use another file")
            }
            Self::InUse { process: None, .. } => {
                f.write_str("a process has it open. Stop that process, or use another file")
            }
            Self::Damaged { reason, .. } => write!(
                f,
                "the file is damaged or isn't an outbox ({reason}). It wasn't overwritten. \
                 Restore a backup, or move the file away to start with an empty outbox"
            ),
            Self::NewerVersion { version, .. } => write!(
                f,
                "its format version is {version}, and this program supports {FORMAT_VERSION} at \
                 most. Update the program"
            ),
            Self::Folder { folder, error, .. } => write!(
                f,
                "can't write to the folder {} ({error}). Create the folder, or permit this \
                 process to write to it",
                folder.display()
            ),
            Self::Io { action, error, .. } => {
                write!(f, "can't {action} ({error}). Fix the cause, and open it again")
            }
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Folder { error, .. } | Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Converts errors of redb and of stored JSON.
macro_rules! store_error_from {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        })+
    };
}

store_error_from!(
    ::redb::CommitError,
    ::redb::DatabaseError,
    ::redb::StorageError,
    ::redb::TableError,
    ::redb::TransactionError,
    serde_json::Error,
);
