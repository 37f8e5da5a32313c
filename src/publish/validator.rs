//! Which slots can be published, and what becomes of the others.

use super::callback::Callback;
use crate::message::{Problem, ReadError, Slot};

/// Called for each slot that is skipped.
pub(crate) type OnInvalid<'a> = Box<dyn FnMut(usize, &[Problem]) + Send + 'a>;

/// Finds the problems of slots, and skips invalid slots if that is wanted.
pub(super) struct SlotValidator<'a> {
    /// The most that a slot may add to a message, in bytes.
    pub(super) longest: usize,
    on_invalid: Option<Callback<OnInvalid<'a>>>,
    /// How many were skipped.
    pub(super) skipped: usize,
}

impl<'a> SlotValidator<'a> {
    pub(super) fn new(longest: usize, on_invalid: Option<Callback<OnInvalid<'a>>>) -> Self {
        Self { longest, on_invalid, skipped: 0 }
    }

    /// The problems of the slot at `index` of all that came, which adds so many bytes to a message.
    pub(super) fn problems(&self, slot: &Slot, added: usize, index: usize) -> Vec<Problem> {
        let mut problems = slot.problems_at(index);
        if added > self.longest {
            let longest = self.longest;
            let text =
                format!("takes {added} bytes, and a message has room for {longest}; raise bytes_per_message");
            problems.push(Problem::new(path(index), text));
        }
        problems
    }

    pub(super) fn unreadable(error: &ReadError, index: usize) -> Problem {
        let path =
            Some(error.path()).filter(|path| !path.is_empty()).map_or_else(|| path(index), str::to_owned);
        Problem::new(path, error.at_its_place())
    }

    /// Skips a slot.
    ///
    /// # Errors
    ///
    /// Returns the problems if invalid slots are not to be skipped.
    pub(super) fn skip(&mut self, index: usize, problems: Vec<Problem>) -> Result<(), Vec<Problem>> {
        let Some(callback) = &mut self.on_invalid else { return Err(problems) };
        callback.call(|on_invalid| on_invalid(index, &problems));
        self.skipped += 1;
        Ok(())
    }
}

fn path(index: usize) -> String {
    format!("Slots[{index}]")
}
