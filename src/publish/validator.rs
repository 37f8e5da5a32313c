//! Which slots can be published, and what becomes of the others.

use super::callback::Callback;
use crate::message::{InvalidMessage, Problem, ProblemCode, Problems, ReadError, Slot};

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

    /// Whether invalid slots are skipped.
    pub(super) fn skips(&self) -> bool {
        self.on_invalid.is_some()
    }

    /// Finds what is wrong with the slot at `index` of all that came, which adds so many bytes to a message.
    pub(super) fn check(&self, slot: &Slot, added: usize, index: usize, problems: &mut Problems) {
        slot.check_at(index, problems);
        let longest = self.longest;
        if added > longest {
            problems.add_with(|| {
                let text = format!(
                    "takes {added} bytes, and a message has room for {longest}; raise bytes_per_message"
                );
                (path(index), ProblemCode::TooLarge, text.into())
            });
        }
    }

    pub(super) fn unreadable(error: &ReadError, index: usize, problems: &mut Problems) {
        let error_path = Some(error.path()).filter(|path| !path.is_empty());
        let path = error_path.map_or_else(|| path(index), str::to_owned);
        problems.add_with(|| (path, ProblemCode::Unreadable, error.at_its_place().into()));
    }

    /// Skips a slot with these problems.
    ///
    /// # Errors
    ///
    /// Returns the problems if invalid slots are not to be skipped.
    pub(super) fn skip(&mut self, index: usize, problems: Problems) -> Result<(), InvalidMessage> {
        let Some(callback) = &mut self.on_invalid else { return problems.into_result() };
        callback.call(|on_invalid| on_invalid(index, problems.list()));
        self.skipped += 1;
        Ok(())
    }
}

fn path(index: usize) -> String {
    format!("Slots[{index}]")
}
