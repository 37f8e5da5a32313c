//! Saves the state of a publication while messages are in flight.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::checkpoint::{AnyCheckpoint, CheckpointError, SavedBatch};
use super::resume::ResumePoint;

/// Saves the resume point when messages are accepted, fail or are split.
///
/// One write runs at a time. It covers all messages accepted before it began.
pub(super) struct Saver {
    checkpoint: Arc<dyn AnyCheckpoint>,
    batch: SavedBatch,
    /// The number of messages accepted since the last write began.
    waiting: usize,
    /// Whether anything changed since the last write began.
    is_changed: bool,
    /// Whether slots were split differently since the last write began. No message may be sent
    /// until this is saved, because it would get another number when the batch resumes.
    is_laid_out_anew: bool,
    writing: Option<Write>,
    /// Whether a message was made. There is nothing to save before that.
    has_begun: bool,
}

/// A write in progress, and the number of accepted messages that it covers.
struct Write {
    done: Pin<Box<dyn Future<Output = Result<(), CheckpointError>> + Send>>,
    messages: usize,
    /// Whether slots were split differently before it began.
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

    /// Records that a message was accepted.
    pub(super) fn accepted(&mut self) {
        self.waiting += 1;
        self.is_changed = true;
    }

    /// Records that slots were split differently.
    pub(super) fn laid_out_anew(&mut self) {
        self.is_changed = true;
        self.is_laid_out_anew = true;
    }

    /// Records another change that has to be saved, such as a failed message.
    pub(super) fn changed(&mut self) {
        self.is_changed = true;
    }

    /// Records that nothing more has to be saved.
    pub(super) fn finish(&mut self) {
        self.is_changed = false;
    }

    /// Returns whether no message may be sent until a write has ended.
    pub(super) fn blocks(&self) -> bool {
        self.is_laid_out_anew || self.writing.as_ref().is_some_and(|write| write.is_layout)
    }

    /// Returns the number of accepted messages that aren't saved.
    pub(super) fn unsaved(&self) -> usize {
        self.waiting + self.writing.as_ref().map_or(0, |write| write.messages)
    }

    /// Returns whether no write is running or needed.
    pub(super) fn is_idle(&self) -> bool {
        !self.has_begun || (!self.is_changed && self.writing.is_none())
    }

    /// Begins a write if there is something to save, and completes when a write ends.
    ///
    /// Nothing is saved before the first message `is_ready`. A write begins only if it `may_begin`.
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

    /// Removes the checkpoint, because the batch is complete.
    pub(super) async fn remove(self) -> Result<(), CheckpointError> {
        self.checkpoint.remove().await
    }
}
