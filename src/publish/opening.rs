//! The batch of a publication, and the point at which it starts.

use std::sync::Arc;

use super::checkpoint::{AnyCheckpoint, SavedBatch};
use super::chunk::Limits;
use super::resume::ResumePoint;
use crate::error::Error;
use crate::message::{Defaults, Envelope, Problem, Validation};
use crate::random::fresh_id;

/// The identity of a batch.
pub(super) struct BatchIdentity {
    pub(super) id: String,
    /// Whether the caller set the id. If so, even a single message carries it.
    pub(super) is_named: bool,
}

/// The options of a batch.
#[derive(Clone)]
pub(crate) struct BatchOptions {
    pub(crate) id: Option<String>,
    pub(crate) envelope: Envelope,
    pub(crate) limits: Limits,
    pub(crate) start: Option<ResumePoint>,
    pub(crate) validation: Validation,
}

/// A checkpoint, and whether a new batch may replace its batch.
pub(crate) struct CheckpointOptions {
    pub(crate) checkpoint: Arc<dyn AnyCheckpoint>,
    pub(crate) restarts_if_changed: bool,
}

/// A batch, and the point at which it starts.
pub(super) struct Opened {
    pub(super) batch: BatchIdentity,
    pub(super) envelope: Envelope,
    pub(super) limits: Limits,
    pub(super) start: ResumePoint,
    pub(super) validation: Validation,
    /// Whether the batch was read from a checkpoint.
    pub(super) is_resumed: bool,
}

impl Opened {
    /// Creates the batch of these options, regardless of any checkpoint.
    pub(super) fn new(options: BatchOptions) -> Self {
        let BatchOptions { id, envelope, limits, start, validation } = options;
        let batch = BatchIdentity {
            is_named: id.is_some(),
            id: id.unwrap_or_else(|| fresh_id().to_string()),
        };
        let start = start.unwrap_or(ResumePoint::START);
        Self { batch, envelope, limits, start, validation, is_resumed: false }
    }

    /// Creates a batch that replaces an unfinished one. It starts at its first slot, because the
    /// resume point in the options belongs to the other batch.
    pub(super) fn anew(options: BatchOptions) -> Self {
        Self::new(BatchOptions { start: None, ..options })
    }

    /// Opens the batch of the checkpoint, or creates one from the options if there is none.
    pub(super) async fn from_checkpoint(
        options: &BatchOptions,
        checkpoint: Option<&CheckpointOptions>,
    ) -> Result<Self, Error> {
        let Some(CheckpointOptions { checkpoint, restarts_if_changed }) = checkpoint else {
            return Ok(Self::new(options.clone()));
        };
        let text = checkpoint.clone().load().await.map_err(Error::of_checkpoint)?;
        let Some(text) = text else {
            if options.id.is_none() && options.start.as_ref().is_some_and(ResumePoint::is_begun) {
                let text = "missing; there is no checkpoint, so pass the id of the batch to resume";
                return Err(Error::configuration(vec![Problem::new("batch_id", text)]));
            }
            return Ok(Self::new(options.clone()));
        };
        let invalid = |why: &str| {
            Error::checkpoint(format!("the checkpoint can't be used: {why}; nothing was changed"))
        };
        let saved = SavedBatch::read(&text).map_err(|why| invalid(&why))?;
        // The saved `Meta` includes source and destinations, and its warnings were permitted.
        let nothing = Defaults { source: None, destinations: &[] };
        let envelope = Envelope::new(&saved.meta, nothing, Validation::Lenient);
        let mut envelope = envelope.map_err(|_| invalid("its meta is invalid"))?;
        if options.validation == Validation::DropInvalidOptional {
            // The checkpoint lacks the values that were left out, and therefore their problems.
            envelope = envelope.with_problems(options.envelope.problems().clone());
        }
        if options.start.as_ref().is_some_and(|start| *start != saved.resume_point) {
            let point = &saved.resume_point;
            return Err(invalid(&format!(
                "it resumes at {point}, but resume_from names another point; leave resume_from \
                 out to use the checkpoint"
            )));
        }
        let change = match () {
            () if options.id.as_ref().is_some_and(|id| *id != saved.id) => "another batch id",
            () if envelope.destination_ids() != options.envelope.destination_ids() => {
                "other destinations"
            }
            () => {
                let batch = BatchIdentity { id: saved.id, is_named: saved.is_named };
                let limits = saved.limits;
                let start = saved.resume_point;
                let validation = options.validation;
                return Ok(Self { batch, envelope, limits, start, validation, is_resumed: true });
            }
        };
        if !restarts_if_changed {
            return Err(invalid(&format!(
                "it belongs to the unfinished batch {}, with {change}; finish that batch, remove \
                 the checkpoint, or call restart_if_changed",
                saved.id
            )));
        }
        archive(checkpoint, &saved.id).await?;
        Ok(Self::anew(options.clone()))
    }

    /// Returns the state to save in a checkpoint.
    pub(super) fn saved(&self) -> SavedBatch {
        SavedBatch {
            id: self.batch.id.clone(),
            is_named: self.batch.is_named,
            limits: self.limits,
            meta: self.envelope.shared_meta().clone(),
            resume_point: self.start.clone(),
        }
    }
}

/// Archives the checkpoint of another batch and returns its new location.
pub(super) async fn archive(
    checkpoint: &Arc<dyn AnyCheckpoint>,
    batch_id: &str,
) -> Result<String, Error> {
    let archived = checkpoint.clone().archive().await.map_err(Error::of_checkpoint)?;
    tracing::warn!(
        "pushslots.batch_id" = batch_id,
        "pushslots.archived" = archived,
        "the checkpoint of an unfinished batch was replaced, because slots or options changed"
    );
    Ok(archived)
}
