//! The input: the batch that the environment names, and the file with the slots.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::bail;
use pushslots::{Meta, ResumePoint, SlotReader};

/// The batch to publish, and the point at which it resumes.
#[derive(Clone)]
pub struct Batch {
    pub id: Option<String>,
    /// `None` if a checkpoint contains the point.
    pub start: Option<ResumePoint>,
}

impl Batch {
    pub fn from_env() -> Result<Self, String> {
        let id = variable("PUBLISH_BATCH_ID");
        let Some(text) = variable("PUBLISH_RESUME_FROM") else {
            return Ok(Self { id, start: None });
        };
        let point = text.parse::<ResumePoint>();
        let point = point.map_err(|error| format!("PUBLISH_RESUME_FROM: {error}"))?;
        if id.is_none() {
            return Err("PUBLISH_BATCH_ID: missing; PUBLISH_RESUME_FROM requires it".to_owned());
        }
        Ok(Self { id, start: Some(point) })
    }
}

/// Returns a variable, unless it is unset or blank.
fn variable(name: &str) -> Option<String> {
    let value = env::var(name).ok()?;
    // A value that a script reads from a file may start with a byte-order mark.
    let is_blank = value.chars().all(|each| each.is_whitespace() || each == '\u{feff}');
    if is_blank { None } else { Some(value) }
}

/// A file of slots that is complete.
pub struct SlotFile {
    pub path: PathBuf,
    /// The number of slots in the file, including invalid ones.
    pub slots: u64,
    /// The `Meta` of the file's message, without its batch numbers.
    pub meta: Meta,
}

impl SlotFile {
    /// Reads the file that the command line names.
    pub fn from_arguments() -> Result<Self, String> {
        let mut arguments = env::args_os().skip(1);
        let (Some(path), None) = (arguments.next(), arguments.next()) else {
            return Err("usage: publish_file SLOTS.ndjson".to_owned());
        };
        let path = PathBuf::from(path);
        Self::read(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn read(path: &Path) -> anyhow::Result<Self> {
        if !fs::metadata(path)?.is_file() {
            bail!("not a regular file, which is required because the file is read twice");
        }
        let mut reader = SlotReader::new(File::open(path)?);
        let mut slots = 0;
        let mut last_error = None;
        for slot in &mut reader {
            slots += 1;
            last_error = slot.err();
        }
        // An invalid slot that isn't the last one is skipped later. An error at the end means that
        // the program that wrote the file may have been interrupted.
        if let Some(error) = last_error {
            bail!("the file may be cut off: {error}");
        }
        let mut meta = reader.meta().cloned().unwrap_or_default();
        meta.batch_id = None;
        meta.current_batch = None;
        meta.total_batches = None;
        Ok(Self { path: path.to_owned(), slots, meta })
    }

    /// Opens the file at its start.
    pub fn open(&self) -> Result<File, String> {
        File::open(&self.path)
            .map_err(|error| format!("failed to open {}: {error}", self.path.display()))
    }

    /// Returns the path of the file that keeps the state of the publication.
    pub fn checkpoint(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".checkpoint");
        path.into()
    }
}
