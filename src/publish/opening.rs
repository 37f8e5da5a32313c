//! Which batch a publication is for, and where it begins.

use std::sync::Arc;

use super::checkpoint::{AnyCheckpoint, SavedBatch};
use super::chunk::Limits;
use super::resume::ResumePoint;
use crate::error::Error;
use crate::message::{Defaults, Envelope, Problem, Validation};
use crate::random::fresh_id;

/// The batch that messages are made for.
pub(super) struct BatchIdentity {
    pub(super) id: String,
    /// Whether the id was given, so that even a single message carries it.
    pub(super) is_named: bool,
}

/// The options that make a batch.
#[derive(Clone)]
pub(crate) struct BatchOptions {
    pub(crate) id: Option<String>,
    pub(crate) envelope: Envelope,
    pub(crate) limits: Limits,
    pub(crate) start: Option<ResumePoint>,
    pub(crate) validation: Validation,
}

/// A checkpoint, and whether another batch may take its place.
pub(crate) struct CheckpointOptions {
    pub(crate) checkpoint: Arc<dyn AnyCheckpoint>,
    pub(crate) restarts_if_changed: bool,
}

/// A batch, and where it begins.
pub(super) struct Opened {
    pub(super) batch: BatchIdentity,
    pub(super) envelope: Envelope,
    pub(super) limits: Limits,
    pub(super) start: ResumePoint,
    pub(super) validation: Validation,
    /// Whether it was read from a checkpoint.
    pub(super) is_resumed: bool,
}

impl Opened {
    /// The batch that the options ask for, regardless of a checkpoint.
    pub(super) fn new(options: BatchOptions) -> Self {
        let BatchOptions { id, envelope, limits, start, validation } = options;
        let batch = BatchIdentity {
            is_named: id.is_some(),
            id: id.unwrap_or_else(|| fresh_id().to_string()),
        };
        let start = start.unwrap_or(ResumePoint::START);
        Self { batch, envelope, limits, start, validation, is_resumed: false }
    }

    /// Another batch in place of an unfinished one. The point at which that resumes isn't its own.
    pub(super) fn anew(options: BatchOptions) -> Self {
        Self::new(BatchOptions { start: None, ..options })
    }

    /// The batch of the checkpoint, if there is one, or else that of the options.
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
                let text = "missing; there is no checkpoint, so pass that of the batch to resume";
                return Err(Error::configuration(vec![Problem::new("batch_id", text)]));
            }
            return Ok(Self::new(options.clone()));
        };
        let invalid = |why: &str| {
            Error::checkpoint(format!("the checkpoint can't be used: {why}; nothing was changed"))
        };
        let saved = SavedBatch::read(&text).map_err(|why| invalid(&why))?;
        // It has its source and destinations, and its warnings were permitted.
        let nothing = Defaults { source: None, destinations: &[] };
        let envelope = Envelope::new(&saved.meta, nothing, Validation::Lenient);
        let mut envelope = envelope.map_err(|_| invalid("its meta is invalid"))?;
        if options.validation == Validation::DropInvalidOptional {
            // What was left out isn't in the checkpoint.
            envelope = envelope.with_problems(options.envelope.problems().clone());
        }
        if options.start.as_ref().is_some_and(|start| *start != saved.resume_point) {
            let point = &saved.resume_point;
            return Err(invalid(&format!(
                "it resumes at {point}, and resume_from asks for another point"
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
                "it is of the unfinished batch {}, with {change}; finish that batch, remove the \
                 checkpoint, or call restart_if_changed",
                saved.id
            )));
        }
        archive(checkpoint, &saved.id).await?;
        Ok(Self::anew(options.clone()))
    }

    /// The batch as a checkpoint saves it.
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

/// Keeps the text of another batch elsewhere.
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
