//! Where the slots of a publication come from: a list, all of which is there, or a stream.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::error::Error as StdError;
use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use tokio::task::yield_now;

use super::skip::Inspector;
use super::split::{Filling, Limits};
use crate::error::Error;
use crate::message::{ReadError, Slot};

/// How many slots are checked in one go, before others have a turn.
const IN_ONE_GO: usize = 4_096;

/// What a stream of slots gives: a [`Slot`], or a `Result` with one.
///
/// An error ends the publication and is its [source](std::error::Error::source). A [`ReadError`] behind which the input goes
/// on is a slot that can't be read: it can be set aside as one that is
/// [invalid](crate::client::PublishBuilder::skip_invalid).
pub trait StreamedSlot: sealed::StreamedSlot {}

impl<S: sealed::StreamedSlot> StreamedSlot for S {}

pub(crate) type Failed = Box<dyn StdError + Send + Sync>;

mod sealed {
    use super::{Failed, Slot, StdError};

    pub trait StreamedSlot {
        fn slot(self) -> Result<Slot, Failed>;
    }

    impl StreamedSlot for Slot {
        fn slot(self) -> Result<Slot, Failed> {
            Ok(self)
        }
    }

    impl<E: StdError + Send + Sync + 'static> StreamedSlot for Result<Slot, E> {
        fn slot(self) -> Result<Slot, Failed> {
            self.map_err(Into::into)
        }
    }
}

/// A list of slots, owned or borrowed.
pub(crate) trait SlotList: Send + Sync {
    fn len(&self) -> usize;
    fn get(&self, position: usize) -> Option<&Slot>;
    fn retain(&mut self, keep: &mut dyn FnMut(&Slot) -> bool);
}

impl<T: Borrow<Slot> + Send + Sync> SlotList for Vec<T> {
    fn len(&self) -> usize {
        self.len()
    }

    fn get(&self, position: usize) -> Option<&Slot> {
        <[T]>::get(self, position).map(Borrow::borrow)
    }

    fn retain(&mut self, keep: &mut dyn FnMut(&Slot) -> bool) {
        self.retain(|slot| keep(slot.borrow()));
    }
}

/// The slots of a publication. A position counts those that are published, from 0.
pub(crate) enum Source<'a> {
    List(Listed<'a>),
    Stream(Incoming<'a>),
}

/// Slots that are all there.
pub(crate) struct Listed<'a> {
    slots: Box<dyn SlotList + 'a>,
    /// How much each adds to a message; known once they are checked.
    added: Vec<u32>,
    /// How many there were, those that were set aside among them.
    came: usize,
    /// The index that each had among these; `None` if none was set aside.
    indices: Option<Vec<usize>>,
}

/// Slots that come one at a time. Those that are not yet known to be accepted are held.
pub(crate) struct Incoming<'a> {
    stream: Pin<Box<dyn Stream<Item = Result<Slot, Failed>> + Send + 'a>>,
    held: VecDeque<Held>,
    /// The position of the first that is held.
    first: usize,
    /// How many came, those that were set aside among them.
    came: usize,
    has_ended: bool,
    /// Why no more come. It is told again whenever more are asked for: what was made of slots behind a message that turns out to
    /// be too large is made again.
    failure: Option<Unreadable>,
}

/// A slot that came.
struct Held {
    slot: Slot,
    /// Its index among all that came.
    index: usize,
    /// How much it adds to a message.
    added: usize,
}

/// Slots that go into one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// The position of the first.
    pub(super) first: usize,
    /// How many they are: none behind the last.
    pub(super) slots: usize,
    /// How many bytes the message takes at most.
    pub(super) bytes: usize,
}

impl<'a> Source<'a> {
    pub(crate) fn list<T: Borrow<Slot> + Send + Sync + 'a>(slots: impl IntoIterator<Item = T>) -> Self {
        let slots = Box::new(slots.into_iter().collect::<Vec<_>>());
        Self::List(Listed { came: slots.len(), slots, added: Vec::new(), indices: None })
    }

    pub(crate) fn stream<S>(stream: S) -> Self
    where
        S: Stream<Item: StreamedSlot> + Send + 'a,
    {
        let stream = stream.map(sealed::StreamedSlot::slot).boxed();
        Self::Stream(Incoming {
            stream,
            held: VecDeque::new(),
            first: 0,
            came: 0,
            has_ended: false,
            failure: None,
        })
    }

    /// Checks what is there already.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, and is not to be set aside.
    pub(super) async fn check(&mut self, inspector: &mut Inspector<'_>) -> Result<(), Unreadable> {
        let Self::List(Listed { slots, added, indices, .. }) = self else { return Ok(()) };
        let (mut set_aside, mut problems) = (Vec::new(), Vec::new());
        added.reserve_exact(slots.len());
        for index in 0..slots.len() {
            if index % IN_ONE_GO == 0 {
                yield_now().await;
            }
            let Some(slot) = slots.get(index) else { break };
            let length = slot.added_length();
            let wrong = inspector.problems(slot, length, index);
            if wrong.is_empty() {
                added.push(length.try_into().unwrap_or(u32::MAX));
                continue;
            }
            // One that can't be set aside ends it all, and so do the others.
            problems.extend(inspector.set_aside(index, wrong).err().unwrap_or_default());
            set_aside.push(index);
        }
        if !problems.is_empty() {
            return Err(Unreadable::Invalid(Error::invalid_slots(problems)));
        }
        if !set_aside.is_empty() {
            let (mut index, mut bad) = (0, set_aside.into_iter().peekable());
            let indices = indices.insert(Vec::new());
            slots.retain(&mut |_| {
                let is_good = bad.next_if_eq(&index).is_none();
                indices.extend(is_good.then_some(index));
                index += 1;
                is_good
            });
        }
        Ok(())
    }

    /// The position of the first slot that is not among the first `before` that came; `None` where not as many come.
    pub(super) async fn position_behind(
        &mut self,
        before: usize,
        inspector: &mut Inspector<'_>,
    ) -> Result<Option<usize>, Unreadable> {
        match self {
            Self::List(list) if before > list.came => Ok(None),
            Self::List(list) => Ok(Some(match &list.indices {
                None => before,
                Some(indices) => indices.partition_point(|index| *index < before),
            })),
            Self::Stream(incoming) => incoming.position_behind(before, inspector).await,
        }
    }

    /// How many slots came up to the end of `piece`, those that were set aside among them.
    pub(super) fn came_by(&self, piece: Piece) -> usize {
        let Some(last) = (piece.first + piece.slots).checked_sub(1) else { return 0 };
        let index = match self {
            Self::List(list) => list.index(last),
            Self::Stream(incoming) => incoming.held(last).map(|held| held.index),
        };
        index.unwrap_or(last) + 1
    }

    /// How many slots came before the one at this position.
    pub(super) fn came_before(&self, position: usize) -> usize {
        let index = match self {
            Self::List(list) => list.index(position),
            Self::Stream(incoming) => incoming.held(position).map(|held| held.index),
        };
        index.unwrap_or(position)
    }

    /// Whether no slot can be published, as far as is known.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::List(list) => list.slots.len() == 0,
            Self::Stream(incoming) => incoming.first == 0 && incoming.held.is_empty(),
        }
    }

    /// How many slots there are, where that is known.
    pub(super) fn len(&self) -> Option<usize> {
        match self {
            Self::List(list) => Some(list.slots.len()),
            Self::Stream(_) => None,
        }
    }

    /// The slots for one message, from the position `first` on: as many as fit, and come. When this is dropped before its end,
    /// nothing is lost.
    pub(super) async fn piece(
        &mut self,
        first: usize,
        limits: Limits,
        envelope: usize,
        inspector: &mut Inspector<'_>,
    ) -> Result<Piece, Unreadable> {
        let mut filling = Filling::new(limits, envelope);
        while !filling.is_full() || filling.slots == 0 {
            let position = first + filling.slots;
            let added = match self {
                Self::List(list) => list.added.get(position).map(|added| *added as usize),
                Self::Stream(incoming) => incoming.added_length(position, inspector).await?,
            };
            if !added.is_some_and(|added| filling.takes(added)) {
                break;
            }
        }
        Ok(Piece { first, slots: filling.slots, bytes: filling.bytes })
    }

    /// How many pieces there are from `first` on, where that is known.
    pub(super) fn count_pieces(&self, first: usize, limits: Limits, envelope: usize) -> Option<u64> {
        let Self::List(list) = self else { return None };
        let (mut count, mut filling) = (0, Filling::new(limits, envelope));
        for added in list.added.iter().skip(first).map(|added| *added as usize) {
            if filling.slots == 0 || !filling.takes(added) {
                count += 1;
                filling = Filling::new(limits, envelope);
                filling.takes(added);
            }
        }
        Some(count)
    }

    pub(super) fn slots(&self, piece: Piece) -> impl Iterator<Item = &Slot> {
        let positions = piece.first..piece.first + piece.slots;
        positions.filter_map(move |position| match self {
            Self::List(list) => list.slots.get(position),
            Self::Stream(incoming) => incoming.held(position).map(|held| &held.slot),
        })
    }

    /// Whether nothing follows `piece`, as far as is known.
    pub(super) fn is_last(&self, piece: Piece) -> bool {
        let behind = piece.first + piece.slots;
        match self {
            Self::List(list) => behind >= list.slots.len(),
            Self::Stream(incoming) => incoming.has_ended && incoming.held(behind).is_none(),
        }
    }

    /// Why no more slots come, once that was told.
    pub(super) fn take_failure(&mut self) -> Option<Unreadable> {
        match self {
            Self::List(_) => None,
            Self::Stream(incoming) => incoming.failure.take(),
        }
    }

    /// Lets go of the slots before this position.
    pub(super) fn release(&mut self, position: usize) {
        if let Self::Stream(incoming) = self {
            incoming.release(position);
        }
    }
}

/// Why no more slots come.
pub(super) enum Unreadable {
    /// One breaks the data model, or is too large.
    Invalid(Error),
    /// The stream failed.
    Failed(Failed),
    /// The source has the [failure](Source::take_failure).
    Kept,
}

impl Listed<'_> {
    /// The index of a slot among those that came; `None` if it is its position, or there is no such slot.
    fn index(&self, position: usize) -> Option<usize> {
        self.indices.as_ref()?.get(position).copied()
    }
}

impl Incoming<'_> {
    fn held(&self, position: usize) -> Option<&Held> {
        self.held.get(position.checked_sub(self.first)?)
    }

    async fn position_behind(
        &mut self,
        before: usize,
        inspector: &mut Inspector<'_>,
    ) -> Result<Option<usize>, Unreadable> {
        let mut position = 0;
        loop {
            if self.added_length(position, inspector).await?.is_none() {
                return Ok((self.came >= before).then_some(position));
            }
            if self.held(position).is_some_and(|held| held.index >= before) {
                return Ok(Some(position));
            }
            position += 1;
            self.release(position);
        }
    }

    /// Lets go of the slots before this position.
    fn release(&mut self, position: usize) {
        let done = position.saturating_sub(self.first).min(self.held.len());
        self.held.drain(..done);
        self.first += done;
    }

    /// How much the slot at `position` adds to a message; `None` behind the last.
    async fn added_length(
        &mut self,
        position: usize,
        inspector: &mut Inspector<'_>,
    ) -> Result<Option<usize>, Unreadable> {
        loop {
            if let Some(held) = self.held(position) {
                return Ok(Some(held.added));
            }
            if self.failure.is_some() {
                return Err(Unreadable::Kept);
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
            let problems = match next {
                None => {
                    self.has_ended = true;
                    continue;
                }
                Some(Ok(slot)) => {
                    let added = slot.added_length();
                    let problems = inspector.problems(&slot, added, index);
                    if problems.is_empty() {
                        self.held.push_back(Held { slot, index, added });
                        continue;
                    }
                    problems
                }
                Some(Err(failed)) => match failed.downcast_ref::<ReadError>() {
                    Some(error) if !error.is_last() => vec![Inspector::unreadable(error, index)],
                    _ => {
                        self.failure = Some(Unreadable::Failed(failed));
                        continue;
                    }
                },
            };
            if let Err(problems) = inspector.set_aside(index, problems) {
                self.failure = Some(Unreadable::Invalid(Error::invalid_slots(problems)));
            }
        }
    }
}
