//! The file of an outbox: its lock, and a creation that a power failure can't spoil.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use ::redb::Database;
use ::redb::backends::FileBackend;

use super::database::{Source, create_tables};
use super::error::OpenError;
use super::lock::{LockError, LockFile, owner_only};

/// Locks the file of an outbox, and creates it if it doesn't exist.
pub(super) fn prepare(path: &Path) -> Result<(Source, LockFile), OpenError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let in_folder =
        |error| OpenError::Folder { path: path.to_owned(), folder: folder.to_owned(), error };
    let Some(name) = path.file_name() else {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name");
        return Err(OpenError::io(path, "use the path", error));
    };
    let folder = fs::canonicalize(folder).map_err(in_folder)?;
    // Two paths to one file must have the same lock.
    let real = fs::canonicalize(path).unwrap_or_else(|_| folder.join(name));
    let lock_path = with_suffix(&real, ".lock");
    let lock = LockFile::lock(&lock_path).map_err(|error| match error {
        LockError::Locked(process) => OpenError::InUse { path: path.to_owned(), process },
        LockError::Io(error) if !lock_path.exists() => in_folder(error),
        LockError::Io(error) => OpenError::io(path, format!("lock {}", lock_path.display()), error),
    })?;
    let exists = real.try_exists();
    if !exists.map_err(|error| OpenError::io(path, "find the file", error))? {
        create(path, &real)?;
    }
    // Also after a crash between the renaming and this.
    sync_folder(&real).map_err(|error| OpenError::io(path, "sync the folder", error))?;
    let opened = OpenOptions::new().read(true).write(true).open(&real);
    drop(opened.map_err(|error| OpenError::io(path, "read or write the file", error))?);
    Ok((Source::File(real), lock))
}

/// Creates an empty outbox under another name, and renames it when all of it is on the disk.
fn create(path: &Path, real: &Path) -> Result<(), OpenError> {
    let temporary = with_suffix(real, ".new");
    let failed = |action: &str, error| {
        OpenError::io(path, format!("{action} {}", temporary.display()), error)
    };
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", error));
        }
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    owner_only(&mut options);
    let file = options.open(&temporary).map_err(|error| failed("create", error))?;
    let to_sync = file.try_clone().map_err(|error| failed("create", error))?;
    let filled = fill(file).map_err(|text| failed("write", io::Error::other(text)));
    let synced = filled.and_then(|()| to_sync.sync_all().map_err(|error| failed("sync", error)));
    drop(to_sync);
    if synced.is_err() {
        // The next opening would replace it, but a full disk needs the space now.
        let _ = fs::remove_file(&temporary);
    }
    synced?;
    fs::rename(&temporary, real).map_err(|error| failed("rename", error))
}

fn fill(file: File) -> Result<(), String> {
    let backend = FileBackend::new(file).map_err(|error| error.to_string())?;
    let database = Database::builder().create_with_backend(backend);
    let database = database.map_err(|error| error.to_string())?;
    create_tables(&database).map_err(|error| error.0)?;
    database.close().map_err(|error| error.to_string())
}

/// Makes the name of a file in its folder durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        #[cfg(unix)]
        Some(folder) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}
