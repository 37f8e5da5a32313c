//! Where the slots of a publication come from: a list, all of which is there, or a stream.

use std::borrow::Borrow;
use std::error::Error as StdError;

use futures_util::{Stream, StreamExt};

use super::chunk::{Chunk, ChunkBuilder, Limits};
use super::list_source::ListSource;
use super::stream_source::StreamSource;
use super::validator::SlotValidator;
use crate::error::Error;
use crate::message::Slot;

/// How many slots are checked in one go, before others have a turn.
pub(super) const IN_ONE_GO: usize = 4_096;

/// An item of a stream of slots: a [`Slot`], or a `Result` with one.
///
/// An error ends the publication and is its [source](std::error::Error::source), except a
/// [`ReadError`](crate::ReadError) after which there is more input. Such an error stands for an
/// invalid slot: it is a [problem](crate::Error::problems) of the publication, and can be
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

/// Why no more slots come.
pub(super) enum SourceError {
    /// One breaks the data model, or is too large.
    Invalid(Error),
    /// The slots before the resume point, or the destinations, are others.
    Changed(Error),
    /// The stream failed.
    Failed(StreamError),
    /// The source has the [failure](Source::take_failure).
    AlreadyReported,
}

/// The slots of a publication. A position counts those that can be published, an index all that
/// came, each from 0.
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

    /// Checks the slots that are there already.
    ///
    /// # Errors
    ///
    /// Returns the problems of slots that are not to be skipped.
    pub(super) async fn check(
        &mut self,
        validator: &mut SlotValidator<'_>,
    ) -> Result<(), SourceError> {
        match self {
            Self::List(list) => list.check(validator).await,
            Self::Stream(_) => Ok(()),
        }
    }

    /// Whether there is a slot at `position`, and its index is below `index`.
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

    /// Whether at least so many slots came, including those that were skipped.
    pub(super) fn has_come(&self, count: usize) -> bool {
        match self {
            Self::List(list) => count <= list.came(),
            Self::Stream(stream) => count <= stream.came(),
        }
    }

    /// How many slots came up to the end of `chunk`, including those that were skipped.
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

    /// Whether no slot can be published, as far as is known.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::List(list) => list.len() == 0,
            Self::Stream(stream) => stream.is_empty(),
        }
    }

    /// How many slots can be published, if that is known.
    pub(super) fn len(&self) -> Option<usize> {
        match self {
            Self::List(list) => Some(list.len()),
            Self::Stream(stream) => stream.len(),
        }
    }

    /// The slots for one message, from position `first` up to `last`: as many as fit, and come.
    /// When this is dropped before its end, nothing is lost.
    pub(super) async fn chunk(
        &mut self,
        first: usize,
        last: Option<usize>,
        limits: Limits,
        envelope: usize,
        validator: &mut SlotValidator<'_>,
    ) -> Result<Chunk, SourceError> {
        let mut chunk = ChunkBuilder::new(limits, envelope);
        while !chunk.is_full() || chunk.slots == 0 {
            let position = first + chunk.slots;
            if last.is_some_and(|last| position >= last) {
                break;
            }
            let added = match self {
                Self::List(list) => list.added_length(position),
                Self::Stream(stream) => stream.added_length(position, validator).await?,
            };
            if !added.is_some_and(|added| chunk.takes(added)) {
                break;
            }
        }
        Ok(Chunk { first, slots: chunk.slots, bytes: chunk.bytes })
    }

    /// How many chunks there are from position `first` up to `last`, if that is known.
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

    /// Whether nothing follows `chunk`, as far as is known.
    pub(super) fn is_last(&self, chunk: Chunk) -> bool {
        let has_ended = match self {
            Self::List(_) => true,
            Self::Stream(stream) => stream.has_ended(),
        };
        has_ended && self.slot(chunk.end()).is_none()
    }

    /// Why no more slots come, once that was reported.
    pub(super) fn take_failure(&mut self) -> Option<SourceError> {
        match self {
            Self::List(_) => None,
            Self::Stream(stream) => stream.take_failure(),
        }
    }

    /// Drops the slots before this position.
    pub(super) fn release(&mut self, position: usize) {
        if let Self::Stream(stream) = self {
            stream.release(position);
        }
    }
}
