//! The checks of slots, and the handling of invalid ones.

use std::mem;

use super::callback::Callback;
use crate::message::{
    Corrector, InvalidMessage, Problem, ProblemCode, Problems, ReadError, Slot, Validation, Verdict,
};

/// The caller's function for skipped slots.
pub(crate) type OnInvalid<'a> = Box<dyn FnMut(usize, &[Problem]) + Send + 'a>;

/// Finds the problems of slots, and skips invalid slots if the caller wants it.
pub(super) struct SlotValidator<'a> {
    /// The maximum number of bytes that a slot may add to a message.
    pub(super) longest: usize,
    validation: Validation,
    corrector: Corrector,
    /// Counts the problems of one slot, and is empty between slots. Creating a counter for each
    /// slot would take about as long as checking it.
    counter: Problems,
    on_invalid: Option<Callback<OnInvalid<'a>>>,
    /// The number of skipped slots.
    pub(super) skipped: usize,
    /// The problems that stop the publication.
    stopping: Problems,
    /// The problems of slots that are published nevertheless.
    pub(super) permitted: Problems,
}

/// The result of checking a slot.
pub(super) enum Checked {
    /// The slot can be published, or this corrected copy of it. It adds this number of bytes to a
    /// message.
    Valid(Option<Box<Slot>>, usize),
    /// The slot can't be published. It was skipped, or its problems were recorded.
    Invalid,
}

impl<'a> SlotValidator<'a> {
    pub(super) fn new(
        longest: usize,
        validation: Validation,
        on_invalid: Option<Callback<OnInvalid<'a>>>,
    ) -> Self {
        let stopping = validation.stopping_problems();
        let permitted = Problems::default();
        Self {
            longest,
            validation,
            corrector: Corrector::default(),
            counter: Problems::counter(),
            on_invalid,
            skipped: 0,
            stopping,
            permitted,
        }
    }

    /// Checks the slot at `index` among all slots.
    pub(super) fn check(&mut self, slot: &Slot, index: usize) -> Checked {
        slot.check_at(index, &mut self.counter);
        let added = slot.added_length();
        if self.counter.is_empty() && added <= self.longest {
            return Checked::Valid(None, added);
        }
        let counted = mem::replace(&mut self.counter, Problems::counter());
        self.check_closely(slot, index, &counted)
    }

    /// Checks a slot that is too long or has the problems in `counted`.
    fn check_closely(&mut self, slot: &Slot, index: usize, counted: &Problems) -> Checked {
        let check = |slot: &Slot, problems: &mut Problems| slot.check_at(index, problems);
        let corrected = |slot: &Slot| slot.corrected(&mut self.corrector);
        let verdict = self.validation.judge(slot, counted, check, corrected);
        let is_sound = matches!(verdict, Verdict::Sound);
        let is_valid = !matches!(verdict, Verdict::Invalid(_));
        let corrected = match verdict {
            Verdict::Sound => None,
            Verdict::Permitted(corrected) | Verdict::Invalid(corrected) => corrected,
        };
        let outgoing = corrected.as_deref().unwrap_or(slot);
        let added = outgoing.added_length();
        let longest = self.longest;
        if !is_valid || added > longest {
            let too_large = || {
                let text = format!(
                    "takes {added} bytes, but a message has room for only {longest}; raise \
                     bytes_per_message"
                );
                (path(index), text.into())
            };
            self.invalid(index, |problems| {
                if !is_valid {
                    check(outgoing, problems);
                }
                if added > longest {
                    problems.add_with(ProblemCode::TooLarge, too_large);
                }
            });
            return Checked::Invalid;
        }
        if !is_sound {
            check(slot, &mut self.permitted);
        }
        Checked::Valid(corrected, added)
    }

    /// Records that the slot at `index` can't be read.
    pub(super) fn unreadable(&mut self, error: &ReadError, index: usize) {
        let error_path = Some(error.path()).filter(|path| !path.is_empty());
        let path = error_path.map_or_else(|| path(index), str::to_owned);
        self.invalid(index, |problems| {
            problems.add_with(ProblemCode::Unreadable, || (path, error.at_its_place().into()));
        });
    }

    /// Skips a slot with the problems that `check` finds, or keeps them for the error.
    fn invalid(&mut self, index: usize, check: impl FnOnce(&mut Problems)) {
        let Some(callback) = &mut self.on_invalid else { return check(&mut self.stopping) };
        let mut problems = self.validation.stopping_problems();
        check(&mut problems);
        callback.call(|on_invalid| on_invalid(index, problems.list()));
        self.skipped += 1;
    }

    /// Takes the problems that stop the publication.
    ///
    /// # Errors
    ///
    /// Returns the problems of all invalid slots so far, unless these were skipped.
    pub(super) fn take_stopping(&mut self) -> Result<(), InvalidMessage> {
        mem::replace(&mut self.stopping, self.validation.stopping_problems()).into_result()
    }
}

fn path(index: usize) -> String {
    format!("Slots[{index}]")
}
