//! The source of a publication's slots: a complete list, or a stream.

use std::borrow::Borrow;
use std::error::Error as StdError;

use futures_util::{Stream, StreamExt};

use super::chunk::{Chunk, ChunkBuilder, Limits};
use super::list_source::ListSource;
use super::stream_source::StreamSource;
use super::validator::SlotValidator;
use crate::error::Error;
use crate::message::Slot;

/// The number of slots that are checked before the task yields.
pub(super) const IN_ONE_GO: usize = 4_096;

/// An item of a stream of slots: a [`Slot`], or a `Result` with one.
///
/// An error ends the publication and becomes its [source](std::error::Error::source). The exception
/// is a [`ReadError`](crate::ReadError) that [isn't the last](crate::ReadError::is_last). It stands
/// for an invalid slot, so it is a [problem](crate::Error::problems) of the publication and can be
/// [skipped](crate::client::PublishBuilder::skip_invalid).
pub trait StreamedSlot: sealed::StreamedSlot {}

impl<S: sealed::StreamedSlot> StreamedSlot for S {}

pub(crate) type StreamError = Box<dyn StdError + Send + Sync>;

mod sealed {
    use super::{Slot, StdError, StreamError};

    pub trait StreamedSlot {
        fn slot(self) -> Result<Slot, StreamError>;
    }

    impl StreamedSlot for Slot {
        fn slot(self) -> Result<Slot, StreamError> {
            Ok(self)
        }
    }

    impl<E: StdError + Send + Sync + 'static> StreamedSlot for Result<Slot, E> {
        fn slot(self) -> Result<Slot, StreamError> {
            self.map_err(Into::into)
        }
    }
}

/// The reason why a source yields no more slots.
pub(super) enum SourceError {
    /// A slot breaks the data model or is too large.
    Invalid(Error),
    /// The slots before the resume point, or the destinations, have changed.
    Changed(Error),
    /// The stream failed.
    Failed(StreamError),
    /// The failure is in the [source](SlotSource::take_failure).
    AlreadyReported,
}

/// The slots of a publication, identified by position or index.
///
/// A position counts only slots that can be published. An index counts all slots, including skipped
/// ones. Both start at 0.
pub(crate) enum SlotSource<'a> {
    List(ListSource<'a>),
    Stream(StreamSource<'a>),
}

impl<'a> SlotSource<'a> {
    pub(crate) fn list<T: Borrow<Slot> + Send + Sync + 'a>(
        slots: impl IntoIterator<Item = T>,
    ) -> Self {
        Self::List(ListSource::new(slots.into_iter().collect::<Vec<_>>()))
    }

    pub(crate) fn stream<S>(stream: S) -> Self
    where
        S: Stream<Item: StreamedSlot> + Send + 'a,
    {
        Self::Stream(StreamSource::new(stream.map(sealed::StreamedSlot::slot).boxed()))
    }

    /// Checks the slots of a list. The slots of a stream are checked as they come.
    ///
    /// # Errors
    ///
    /// Returns the problems of invalid slots, unless they are skipped.
    pub(super) async fn check(
        &mut self,
        validator: &mut SlotValidator<'_>,
    ) -> Result<(), SourceError> {
        match self {
            Self::List(list) => list.check(validator).await,
            Self::Stream(_) => Ok(()),
        }
    }

    /// Returns whether the slot at `position` exists and has an index below `index`.
    pub(super) async fn comes_before(
        &mut self,
        position: usize,
        index: usize,
        validator: &mut SlotValidator<'_>,
    ) -> Result<bool, SourceError> {
        if let Self::Stream(stream) = self {
            stream.added_length(position, validator).await?;
        }
        Ok(self.slot(position).is_some() && self.index(position) < index)
    }

    /// Returns whether at least `count` slots have come, including skipped ones.
    pub(super) fn has_come(&self, count: usize) -> bool {
        match self {
            Self::List(list) => count <= list.came(),
            Self::Stream(stream) => count <= stream.came(),
        }
    }

    /// Returns the number of slots up to the end of `chunk`, including skipped ones.
    pub(super) fn came_by(&self, chunk: Chunk) -> usize {
        chunk.end().checked_sub(1).map_or(0, |last| self.index(last) + 1)
    }

    fn index(&self, position: usize) -> usize {
        let index = match self {
            Self::List(list) => list.index(position),
            Self::Stream(stream) => stream.index(position),
        };
        index.unwrap_or(position)
    }

    /// Returns whether no slot is known that can be published.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::List(list) => list.len() == 0,
            Self::Stream(stream) => stream.is_empty(),
        }
    }

    /// Returns the number of slots that can be published, if it is known.
    pub(super) fn len(&self) -> Option<usize> {
        match self {
            Self::List(list) => Some(list.len()),
            Self::Stream(stream) => stream.len(),
        }
    }

    /// Returns the slots for one message: as many as fit between positions `first` and `last`.
    ///
    /// `envelope` is the number of bytes that the message takes without slots. No slots are lost if
    /// the future is dropped.
    pub(super) async fn chunk(
        &mut self,
        first: usize,
        last: Option<usize>,
        limits: Limits,
        envelope: usize,
        validator: &mut SlotValidator<'_>,
    ) -> Result<Chunk, SourceError> {
        let mut chunk = ChunkBuilder::new(limits, envelope);
        match self {
            Self::List(list) => {
                for added in list.added_lengths(first, last) {
                    if !chunk.takes(added) {
                        break;
                    }
                }
            }
            Self::Stream(stream) => {
                // A full chunk doesn't wait for another slot.
                while !chunk.is_full() || chunk.slots == 0 {
                    let position = first + chunk.slots;
                    if last.is_some_and(|last| position >= last) {
                        break;
                    }
                    let added = stream.added_length(position, validator).await?;
                    if !added.is_some_and(|added| chunk.takes(added)) {
                        break;
                    }
                }
            }
        }
        Ok(Chunk { first, slots: chunk.slots, bytes: chunk.bytes })
    }

    /// Returns the number of chunks between positions `first` and `last`, if it is known.
    pub(super) fn count_chunks(
        &self,
        first: usize,
        last: Option<usize>,
        limits: Limits,
        envelope: usize,
    ) -> Option<u64> {
        let Self::List(list) = self else { return None };
        let mut count = 0;
        let mut chunk = ChunkBuilder::new(limits, envelope);
        for added in list.added_lengths(first, last) {
            if chunk.slots == 0 || !chunk.takes(added) {
                count += 1;
                chunk = ChunkBuilder::new(limits, envelope);
                chunk.takes(added);
            }
        }
        Some(count)
    }

    pub(super) fn slot(&self, position: usize) -> Option<&Slot> {
        match self {
            Self::List(list) => list.slot(position),
            Self::Stream(stream) => stream.slot(position),
        }
    }

    pub(super) fn slots(&self, chunk: Chunk) -> impl Iterator<Item = &Slot> {
        (chunk.first..chunk.end()).filter_map(|position| self.slot(position))
    }

    /// Returns whether `chunk` is known to be the last.
    pub(super) fn is_last(&self, chunk: Chunk) -> bool {
        let has_ended = match self {
            Self::List(_) => true,
            Self::Stream(stream) => stream.has_ended(),
        };
        has_ended && self.slot(chunk.end()).is_none()
    }

    /// Takes the failure of a stream, if there is one.
    pub(super) fn take_failure(&mut self) -> Option<SourceError> {
        match self {
            Self::List(_) => None,
            Self::Stream(stream) => stream.take_failure(),
        }
    }

    /// Drops the slots of a stream before `position`.
    pub(super) fn release(&mut self, position: usize) {
        if let Self::Stream(stream) = self {
            stream.release(position);
        }
    }
}
