//! Saving the state of a publication while messages are in flight.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::checkpoint::{AnyCheckpoint, CheckpointError, SavedBatch};
use super::resume::ResumePoint;

/// Saves the resume point after accepted messages. There is one write at a time, which covers all
/// messages accepted before it.
pub(super) struct Saver {
    checkpoint: Arc<dyn AnyCheckpoint>,
    batch: SavedBatch,
    /// The messages accepted since the last write began.
    waiting: usize,
    /// Whether anything changed since then.
    is_changed: bool,
    /// Whether slots are split otherwise since then. No message goes out before that is saved,
    /// because it would get another number when the batch resumes.
    is_laid_out_anew: bool,
    writing: Option<Write>,
    /// Whether anything was saved. There is nothing to save before a message is made.
    has_begun: bool,
}

/// A write in progress, and how many accepted messages it covers.
struct Write {
    done: Pin<Box<dyn Future<Output = Result<(), CheckpointError>> + Send>>,
    messages: usize,
    /// Whether slots were split otherwise before it began.
    is_layout: bool,
}

impl Saver {
    pub(super) fn new(checkpoint: Arc<dyn AnyCheckpoint>, batch: SavedBatch) -> Self {
        Self {
            checkpoint,
            batch,
            waiting: 0,
            is_changed: true,
            is_laid_out_anew: true,
            writing: None,
            has_begun: false,
        }
    }

    /// A message was accepted.
    pub(super) fn accepted(&mut self) {
        self.waiting += 1;
        self.is_changed = true;
    }

    /// Slots are split otherwise.
    pub(super) fn laid_out_anew(&mut self) {
        self.is_changed = true;
        self.is_laid_out_anew = true;
    }

    /// The last state is to be saved, such as that of a message which failed.
    pub(super) fn changed(&mut self) {
        self.is_changed = true;
    }

    /// Nothing more is to be saved.
    pub(super) fn finish(&mut self) {
        self.is_changed = false;
    }

    /// Whether no message may go out before a write has ended.
    pub(super) fn blocks(&self) -> bool {
        self.is_laid_out_anew || self.writing.as_ref().is_some_and(|write| write.is_layout)
    }

    /// How many accepted messages aren't saved.
    pub(super) fn unsaved(&self) -> usize {
        self.waiting + self.writing.as_ref().map_or(0, |write| write.messages)
    }

    /// Whether nothing is being saved, or to be saved.
    pub(super) fn is_idle(&self) -> bool {
        !self.has_begun || (!self.is_changed && self.writing.is_none())
    }

    /// Begins a write if there is something to save, and completes when a write ends. Nothing is
    /// saved before the first message `is_ready`, and no write begins unless it `may_begin`.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        is_ready: bool,
        may_begin: bool,
        point: impl FnOnce() -> ResumePoint,
    ) -> Poll<Result<(), CheckpointError>> {
        self.has_begun |= is_ready;
        if self.has_begun && may_begin && self.writing.is_none() && self.is_changed {
            let text = match self.batch.text(&point()) {
                Ok(text) => text,
                Err(error) => return Poll::Ready(Err(error)),
            };
            let messages = std::mem::take(&mut self.waiting);
            let is_layout = std::mem::take(&mut self.is_laid_out_anew);
            self.is_changed = false;
            self.writing =
                Some(Write { done: self.checkpoint.clone().save(text), messages, is_layout });
        }
        let Some(write) = &mut self.writing else { return Poll::Pending };
        let done = write.done.as_mut().poll(context);
        if done.is_ready() {
            self.writing = None;
        }
        done
    }

    /// Removes what was saved, because the batch is complete.
    pub(super) async fn remove(self) -> Result<(), CheckpointError> {
        self.checkpoint.remove().await
    }
}
