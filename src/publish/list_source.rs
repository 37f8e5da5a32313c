//! A complete list of slots.

use std::borrow::Borrow;
use std::collections::HashMap;

use tokio::task::yield_now;

use super::source::{IN_ONE_GO, SourceError};
use super::validator::{Checked, SlotValidator};
use crate::error::Error;
use crate::message::Slot;

/// A list of slots, owned or borrowed.
trait SlotList: Send + Sync {
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

/// The slots of a list. Skipped slots are removed after all are checked.
pub(crate) struct ListSource<'a> {
    slots: Box<dyn SlotList + 'a>,
    /// The number of bytes that each slot adds to a message. Empty before the slots are checked.
    added: Vec<u32>,
    /// The number of slots passed by the caller, including skipped ones.
    came: usize,
    /// The index of each slot in the caller's list. `None` if no slot was skipped.
    indices: Option<Vec<usize>>,
    /// Corrected copies by position, which are published instead of the slots in the list.
    corrected: HashMap<usize, Box<Slot>>,
}

impl<'a> ListSource<'a> {
    pub(super) fn new<T: Borrow<Slot> + Send + Sync + 'a>(slots: Vec<T>) -> Self {
        Self {
            came: slots.len(),
            slots: Box::new(slots),
            added: Vec::new(),
            indices: None,
            corrected: HashMap::new(),
        }
    }

    pub(super) async fn check(
        &mut self,
        validator: &mut SlotValidator<'_>,
    ) -> Result<(), SourceError> {
        let Self { slots, added, indices, corrected, .. } = self;
        let mut skipped = Vec::new();
        let index_of = |position: usize, indices: &Option<Vec<usize>>| {
            indices.as_ref().and_then(|indices| indices.get(position)).copied().unwrap_or(position)
        };
        // A publication that restarts with a new batch checks its slots again.
        (validator.permitted, *corrected) = Default::default();
        added.clear();
        added.reserve_exact(slots.len());
        for position in 0..slots.len() {
            if position % IN_ONE_GO == 0 {
                yield_now().await;
            }
            let Some(slot) = slots.get(position) else { break };
            match validator.check(slot, index_of(position, indices)) {
                Checked::Valid(other, length) => {
                    if let Some(other) = other {
                        corrected.insert(added.len(), other);
                    }
                    added.push(length.try_into().unwrap_or(u32::MAX));
                }
                Checked::Invalid => skipped.push(position),
            }
        }
        // If invalid slots aren't skipped, one error lists the problems of all.
        validator
            .take_stopping()
            .map_err(|invalid| SourceError::Invalid(Error::invalid_slots(invalid)))?;
        if !skipped.is_empty() {
            let mut position = 0;
            let mut bad = skipped.into_iter().peekable();
            let mut kept = Vec::new();
            slots.retain(&mut |_| {
                let is_good = bad.next_if_eq(&position).is_none();
                kept.extend(is_good.then(|| index_of(position, indices)));
                position += 1;
                is_good
            });
            *indices = Some(kept);
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn came(&self) -> usize {
        self.came
    }

    pub(super) fn slot(&self, position: usize) -> Option<&Slot> {
        if self.corrected.is_empty() {
            return self.slots.get(position);
        }
        self.corrected.get(&position).map(|slot| &**slot).or_else(|| self.slots.get(position))
    }

    /// Returns the index of a slot in the caller's list. It is `None` if it equals the position, or
    /// if there is no such slot.
    pub(super) fn index(&self, position: usize) -> Option<usize> {
        self.indices.as_ref()?.get(position).copied()
    }

    /// Returns the number of bytes that each slot between positions `first` and `last` adds to a
    /// message.
    pub(super) fn added_lengths(
        &self,
        first: usize,
        last: Option<usize>,
    ) -> impl Iterator<Item = usize> {
        let last = last.unwrap_or(usize::MAX).min(self.added.len());
        let added = self.added.get(first..last).unwrap_or_default();
        added.iter().map(|added| *added as usize)
    }
}
