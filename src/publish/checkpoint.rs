//! The stored state of a publication, from which another process can resume it.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::chunk::Limits;
use super::resume::ResumePoint;
use crate::message::{self, Meta, Object};

/// The version of the checkpoint text that this crate writes and reads.
const VERSION: u64 = 1;

/// An error from a [`Checkpoint`].
pub type CheckpointError = Box<dyn StdError + Send + Sync>;

/// Storage for the state of one publication, such as a row of your own database.
///
/// [`PublishBuilder::checkpoint`](crate::client::PublishBuilder::checkpoint) stores the state in a
/// file; [`checkpoint_in`](crate::client::PublishBuilder::checkpoint_in) takes any implementation
/// of this trait. The state is text: the `Meta` of the messages, plus a few hundred bytes for each
/// message in flight. It contains no slots.
///
/// The text must not change while a publication uses it. If several processes could use it, let
/// [`load`](Self::load) acquire a lock. If the process ends during a write, either the old text or
/// the new one must remain.
///
/// ```
/// use std::sync::Mutex;
/// use pushslots::{Checkpoint, CheckpointError};
///
/// #[derive(Default)]
/// struct InMemory(Mutex<Option<String>>);
///
/// impl Checkpoint for InMemory {
///     async fn load(&self) -> Result<Option<String>, CheckpointError> {
///         Ok(self.0.lock().map_err(|_| "poisoned")?.clone())
///     }
///
///     async fn save(&self, text: &str) -> Result<(), CheckpointError> {
///         *self.0.lock().map_err(|_| "poisoned")? = Some(text.to_owned());
///         Ok(())
///     }
///
///     async fn remove(&self) -> Result<(), CheckpointError> {
///         *self.0.lock().map_err(|_| "poisoned")? = None;
///         Ok(())
///     }
///
///     async fn archive(&self) -> Result<String, CheckpointError> {
///         Err("an unfinished batch is never replaced here".into())
///     }
/// }
/// ```
pub trait Checkpoint: Send + Sync + 'static {
    /// Returns the most recently saved text, or `None` if there is none.
    ///
    /// Called once, before the first send.
    ///
    /// # Errors
    ///
    /// Returns an error if the text can't be read, or if another publication uses it.
    fn load(&self) -> impl Future<Output = Result<Option<String>, CheckpointError>> + Send;

    /// Saves `text` durably and replaces the previous text.
    ///
    /// Called before the first send, and after messages are accepted, fail or are split. Calls
    /// never overlap.
    ///
    /// # Errors
    ///
    /// Returns an error if the text can't be saved. The publication then ends and can be resumed.
    fn save(&self, text: &str) -> impl Future<Output = Result<(), CheckpointError>> + Send;

    /// Removes the text, because the batch is complete.
    ///
    /// # Errors
    ///
    /// Returns an error if the text can't be removed.
    fn remove(&self) -> impl Future<Output = Result<(), CheckpointError>> + Send;

    /// Moves the text elsewhere and returns the new location, because [another
    /// batch](crate::client::PublishBuilder::restart_if_changed) replaces it.
    ///
    /// # Errors
    ///
    /// Returns an error if the text can't be moved. Nothing is replaced in this case.
    fn archive(&self) -> impl Future<Output = Result<String, CheckpointError>> + Send;
}

type CheckpointFuture<T> = Pin<Box<dyn Future<Output = Result<T, CheckpointError>> + Send>>;

/// An object-safe form of [`Checkpoint`].
pub(crate) trait AnyCheckpoint: Send + Sync {
    fn load(self: Arc<Self>) -> CheckpointFuture<Option<String>>;
    fn save(self: Arc<Self>, text: String) -> CheckpointFuture<()>;
    fn remove(self: Arc<Self>) -> CheckpointFuture<()>;
    fn archive(self: Arc<Self>) -> CheckpointFuture<String>;
}

impl<C: Checkpoint> AnyCheckpoint for C {
    fn load(self: Arc<Self>) -> CheckpointFuture<Option<String>> {
        Box::pin(async move { Checkpoint::load(&*self).await })
    }

    fn save(self: Arc<Self>, text: String) -> CheckpointFuture<()> {
        Box::pin(async move { Checkpoint::save(&*self, &text).await })
    }

    fn remove(self: Arc<Self>) -> CheckpointFuture<()> {
        Box::pin(async move { Checkpoint::remove(&*self).await })
    }

    fn archive(self: Arc<Self>) -> CheckpointFuture<String> {
        Box::pin(async move { Checkpoint::archive(&*self).await })
    }
}

/// The state of a publication in a checkpoint.
pub(crate) struct SavedBatch {
    pub(crate) id: String,
    /// Whether the caller set the id. If so, even a single message carries it.
    pub(crate) is_named: bool,
    pub(crate) limits: Limits,
    pub(crate) meta: Meta,
    pub(crate) resume_point: ResumePoint,
}

#[derive(Serialize, Deserialize)]
struct Text<'a> {
    pushslots_checkpoint: u64,
    batch_id: String,
    batch_id_is_given: bool,
    slots_per_message: usize,
    bytes_per_message: usize,
    resume_point: String,
    #[serde(borrow)]
    meta: &'a RawValue,
}

impl SavedBatch {
    /// Returns the text of this state with another resume point.
    pub(crate) fn text(&self, point: &ResumePoint) -> Result<String, CheckpointError> {
        let meta = self.meta.to_json();
        Ok(serde_json::to_string(&Text {
            pushslots_checkpoint: VERSION,
            batch_id: self.id.clone(),
            batch_id_is_given: self.is_named,
            slots_per_message: self.limits.slots,
            bytes_per_message: self.limits.bytes,
            resume_point: point.to_string(),
            meta: serde_json::from_slice(&meta)?,
        })?)
    }

    /// Parses the text of a checkpoint.
    ///
    /// # Errors
    ///
    /// Returns the reason why the text can't be used, without quoting the text.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let version = message::json(text)
            .and_then(Object::read)
            .and_then(|members| members.get("pushslots_checkpoint")?.parse().ok());
        match version {
            None => return Err("it isn't a pushslots checkpoint, or it is damaged".to_owned()),
            Some(VERSION) => {}
            Some(version) => {
                return Err(format!(
                    "its version is {version}, but this version of pushslots reads only \
                     {VERSION}; update pushslots"
                ));
            }
        }
        let damaged = |what: &str| format!("it is damaged: {what}");
        let text: Text<'_> = serde_json::from_str(text)
            .map_err(|_| damaged("a member is missing or has another type"))?;
        let meta = Meta::from_json(text.meta.get()).ok_or_else(|| damaged("meta can't be read"))?;
        let limits = Limits { slots: text.slots_per_message, bytes: text.bytes_per_message };
        if text.batch_id.is_empty() || limits.slots == 0 || limits.bytes == 0 {
            return Err(damaged("a member is empty or zero"));
        }
        let resume_point =
            text.resume_point.parse().map_err(|_| damaged("resume_point can't be read"))?;
        Ok(Self { id: text.batch_id, is_named: text.batch_id_is_given, limits, meta, resume_point })
    }
}
