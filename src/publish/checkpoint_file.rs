//! A checkpoint in a file. Only this file names `fs4`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fs4::{FileExt, TryLockError};
use tokio::task::spawn_blocking;

use super::checkpoint::{Checkpoint, CheckpointError};

/// The maximum size of a checkpoint in bytes. A longer file isn't a checkpoint.
const LONGEST: u64 = 1024 * 1024;

/// The maximum number of archived checkpoints next to a checkpoint.
const MOST_ARCHIVED: u32 = 10_000;

/// A file that is replaced as a whole, and locked through another file next to it.
pub(crate) struct CheckpointFile(Arc<Paths>);

struct Paths {
    path: PathBuf,
    /// The lock file. `None` before the first use.
    lock: Mutex<Option<File>>,
}

impl CheckpointFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(Arc::new(Paths { path, lock: Mutex::new(None) }))
    }

    /// Runs `work` on a thread that may block. The lock is held until `work` ends, even if the
    /// future is dropped.
    async fn work<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Paths) -> io::Result<T> + Send + 'static,
    ) -> Result<T, CheckpointError> {
        let place = self.0.clone();
        let done = spawn_blocking(move || {
            work(&place).map_err(|error| {
                let path = place.path.display();
                io::Error::new(
                    error.kind(),
                    format!("can't {doing} the checkpoint {path}: {error}"),
                )
            })
        });
        Ok(done.await??)
    }
}

impl Checkpoint for CheckpointFile {
    async fn load(&self) -> Result<Option<String>, CheckpointError> {
        self.work("read", |place| {
            place.lock()?;
            place.read()
        })
        .await
    }

    async fn save(&self, text: &str) -> Result<(), CheckpointError> {
        let text = text.to_owned();
        self.work("write", move |place| place.write(&text)).await
    }

    async fn remove(&self) -> Result<(), CheckpointError> {
        self.work("remove", |place| {
            fs::remove_file(&place.path)?;
            place.sync_folder()
        })
        .await
    }

    async fn archive(&self) -> Result<String, CheckpointError> {
        self.work("archive", |place| {
            let archived =
                (1..=MOST_ARCHIVED).map(|number| place.sibling(&format!("replaced-{number}")));
            let free = archived.into_iter().find(|path| fs::symlink_metadata(path).is_err());
            let path = free.ok_or_else(|| {
                io::Error::other(
                    "there are already 10,000 archived checkpoints next to it; remove some",
                )
            })?;
            fs::rename(&place.path, &path)?;
            place.sync_folder()?;
            Ok(path.display().to_string())
        })
        .await
    }
}

impl Paths {
    /// Returns the path with another ending.
    fn sibling(&self, ending: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(ending);
        name.into()
    }

    fn lock(&self) -> io::Result<()> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.sibling("lock");
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(named)?;
        match FileExt::try_lock(&file) {
            Ok(()) => *lock = Some(file),
            Err(TryLockError::WouldBlock) => {
                let text = "another publication is using it; wait until that one ends, or use a \
                            separate checkpoint for each publication";
                return Err(io::Error::new(io::ErrorKind::WouldBlock, text));
            }
            Err(TryLockError::Error(error)) => return Err(named(error)),
        }
        Ok(())
    }

    fn read(&self) -> io::Result<Option<String>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(LONGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LONGEST {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the file is larger than 1 MiB, so it isn't a checkpoint",
            ));
        }
        // In a damaged checkpoint, bytes may not be UTF-8. The parser reports the damage.
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Replaces the file. After a power failure it has either the old text or the new one.
    fn write(&self, text: &str) -> io::Result<()> {
        let temporary = self.sibling("new");
        let mut file = File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        drop(file);
        fs::rename(&temporary, &self.path)?;
        self.sync_folder()
    }

    /// Makes a rename or removal durable. Only Unix can sync folders.
    fn sync_folder(&self) -> io::Result<()> {
        if cfg!(unix) {
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(())
    }
}
