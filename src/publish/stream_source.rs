//! Slots that come one at a time.

use std::collections::VecDeque;
use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use tokio::task::yield_now;

use super::source::{IN_ONE_GO, SourceError, StreamError};
use super::validator::{Checked, SlotValidator};
use crate::error::Error;
use crate::message::{ReadError, Slot};

/// The slots of a stream. Slots are held until they are known to be accepted.
pub(crate) struct StreamSource<'a> {
    stream: Pin<Box<dyn Stream<Item = Result<Slot, StreamError>> + Send + 'a>>,
    held: VecDeque<PendingSlot>,
    /// The position of the first held slot.
    first: usize,
    /// The number of slots that have come, including skipped ones.
    came: usize,
    has_ended: bool,
    /// The reason why no more slots come. It is kept until the publication ends, because messages
    /// are made again if one before them was too large.
    failure: Option<SourceError>,
}

/// A slot that is held.
struct PendingSlot {
    slot: Slot,
    /// Its index among all slots of the stream.
    index: usize,
    /// The number of bytes that it adds to a message.
    added: usize,
}

impl<'a> StreamSource<'a> {
    pub(super) fn new(
        stream: Pin<Box<dyn Stream<Item = Result<Slot, StreamError>> + Send + 'a>>,
    ) -> Self {
        Self { stream, held: VecDeque::new(), first: 0, came: 0, has_ended: false, failure: None }
    }

    fn held(&self, position: usize) -> Option<&PendingSlot> {
        self.held.get(position.checked_sub(self.first)?)
    }

    pub(super) fn slot(&self, position: usize) -> Option<&Slot> {
        self.held(position).map(|held| &held.slot)
    }

    pub(super) fn index(&self, position: usize) -> Option<usize> {
        self.held(position).map(|held| held.index)
    }

    pub(super) fn came(&self) -> usize {
        self.came
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first == 0 && self.held.is_empty()
    }

    /// Returns the number of slots that can be published. It is `None` until the stream ends.
    pub(super) fn len(&self) -> Option<usize> {
        self.has_ended.then_some(self.first + self.held.len())
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    pub(super) fn take_failure(&mut self) -> Option<SourceError> {
        self.failure.take()
    }

    /// Drops the slots before `position`.
    pub(super) fn release(&mut self, position: usize) {
        let done = position.saturating_sub(self.first).min(self.held.len());
        self.held.drain(..done);
        self.first += done;
    }

    /// Returns the number of bytes that the slot at `position` adds to a message. It is `None`
    /// after the last slot.
    pub(super) async fn added_length(
        &mut self,
        position: usize,
        validator: &mut SlotValidator<'_>,
    ) -> Result<Option<usize>, SourceError> {
        loop {
            if let Some(held) = self.held(position) {
                return Ok(Some(held.added));
            }
            if self.failure.is_some() {
                return Err(SourceError::AlreadyReported);
            }
            if self.has_ended {
                return Ok(None);
            }
            if self.came % IN_ONE_GO == 0 {
                yield_now().await;
            }
            let next = self.stream.next().await;
            let index = self.came;
            self.came += usize::from(next.is_some());
            match next {
                None => self.has_ended = true,
                Some(Ok(slot)) => {
                    if let Checked::Valid(corrected, added) = validator.check(&slot, index) {
                        let slot = corrected.map_or(slot, |corrected| *corrected);
                        self.held.push_back(PendingSlot { slot, index, added });
                    }
                }
                Some(Err(failed)) => match failed.downcast_ref::<ReadError>() {
                    Some(error) if !error.is_last() => validator.unreadable(error, index),
                    _ => self.failure = Some(SourceError::Failed(failed)),
                },
            }
            if let Err(invalid) = validator.take_stopping() {
                self.failure = Some(SourceError::Invalid(Error::invalid_slots(invalid)));
            }
        }
    }
}
