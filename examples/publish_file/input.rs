//! The input: the batch that the environment names, and a file that can be read to its end.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::bail;
use pushslots::{Meta, ResumePoint, SlotReader};

/// The batch that is published, and where it resumes.
#[derive(Clone)]
pub struct Batch {
    pub id: Option<String>,
    /// `None` if a checkpoint knows it.
    pub start: Option<ResumePoint>,
}

impl Batch {
    pub fn from_env() -> Result<Self, String> {
        // White space that a file adds around a value means nothing.
        let is_blank = |each: char| each.is_whitespace() || each == '\u{feff}';
        let variable = |name| std::env::var(name).ok().filter(|text| !text.chars().all(is_blank));
        let id = variable("PUBLISH_BATCH_ID");
        let start = variable("PUBLISH_RESUME_FROM");
        match (start.map(|text| text.parse()).transpose(), id) {
            (Err(wrong), _) => Err(format!("PUBLISH_RESUME_FROM: {wrong}")),
            (Ok(Some(_)), None) => {
                Err("PUBLISH_BATCH_ID: missing next to PUBLISH_RESUME_FROM".to_owned())
            }
            (Ok(start), id) => Ok(Self { id, start }),
        }
    }
}

/// A file that can be read to its end.
pub struct Survey {
    pub path: PathBuf,
    /// How many slots it has, valid or not.
    pub values: u64,
    pub meta: Meta,
}

impl Survey {
    pub fn of_argument() -> Result<Self, String> {
        let mut arguments = std::env::args_os().skip(1);
        let (Some(path), None) = (arguments.next().map(PathBuf::from), arguments.next()) else {
            return Err("usage: publish_file SLOTS.ndjson".to_owned());
        };
        Self::of(&path).map_err(|wrong| format!("{}: {wrong}", path.display()))
    }

    /// Reads the file from its start.
    pub fn open(&self) -> Result<File, String> {
        File::open(&self.path).map_err(|error| format!("{}: {error}", self.path.display()))
    }

    /// Where the state of the publication is kept.
    pub fn checkpoint(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".checkpoint");
        name.into()
    }

    fn of(path: &Path) -> anyhow::Result<Self> {
        if !std::fs::metadata(path)?.is_file() {
            bail!("not a regular file, and it is read twice");
        }
        let mut reader = SlotReader::new(File::open(path)?);
        let mut values = 0;
        let mut broken = None;
        for slot in &mut reader {
            values += 1;
            broken = slot.err();
        }
        // A writer that was interrupted leaves a file so.
        if let Some(error) = broken {
            bail!("the file may be cut off: {error}");
        }
        let mut meta = reader.meta().cloned().unwrap_or_default();
        meta.batch_id = None;
        meta.current_batch = None;
        meta.total_batches = None;
        Ok(Self { path: path.to_owned(), values, meta })
    }
}
