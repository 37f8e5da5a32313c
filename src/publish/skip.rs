//! Which slots can be published, and what becomes of the others.

use crate::message::{Problem, ReadError, Slot};

/// Who is told of a slot that is set aside.
pub(crate) type OnInvalid<'a> = Box<dyn FnMut(usize, &[Problem]) + Send + 'a>;

/// Finds what is wrong with slots, and sets those aside where that is wanted.
pub(super) struct Inspector<'a> {
    /// The most that a slot may add to a message, in bytes.
    longest: usize,
    on_invalid: Option<OnInvalid<'a>>,
    /// How many were set aside.
    pub(super) skipped: usize,
}

impl<'a> Inspector<'a> {
    pub(super) fn new(longest: usize, on_invalid: Option<OnInvalid<'a>>) -> Self {
        Self { longest, on_invalid, skipped: 0 }
    }

    /// What is wrong with the slot at `index` of all that came, which adds so many bytes to a message.
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

    /// Sets a slot aside.
    ///
    /// # Errors
    ///
    /// The problems, where that is not wanted.
    pub(super) fn set_aside(&mut self, index: usize, problems: Vec<Problem>) -> Result<(), Vec<Problem>> {
        let Some(told) = &mut self.on_invalid else { return Err(problems) };
        told(index, &problems);
        self.skipped += 1;
        Ok(())
    }
}

fn path(index: usize) -> String {
    format!("Slots[{index}]")
}
