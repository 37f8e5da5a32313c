//! The builder of messages.

use std::fmt;

use super::{Meta, Slot};
use crate::message::{InvalidMessage, PushSlots, show};

/// A builder of [`PushSlots`] messages; see [`PushSlots::builder`].
#[derive(Clone, Default)]
pub struct PushSlotsBuilder {
    meta: Meta,
    slots: Vec<Slot>,
}

impl fmt::Debug for PushSlotsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show("PushSlotsBuilder", &self.meta, &self.slots, f)
    }
}

impl PushSlotsBuilder {
    /// Sets `Meta`. Needed only for values that the client doesn't fill in.
    #[must_use]
    pub fn meta(mut self, meta: Meta) -> Self {
        self.meta = meta;
        self
    }

    /// Adds a slot.
    #[must_use]
    pub fn slot(mut self, slot: Slot) -> Self {
        self.slots.push(slot);
        self
    }

    /// Adds several slots.
    #[must_use]
    pub fn slots(mut self, slots: impl IntoIterator<Item = Slot>) -> Self {
        self.slots.extend(slots);
        self
    }

    /// Builds and validates the message.
    ///
    /// # Errors
    ///
    /// Returns the problems that [`PushSlots::validate`] finds.
    pub fn build(self) -> Result<PushSlots, InvalidMessage> {
        let message = self.build_without_validation();
        message.validate()?;
        Ok(message)
    }

    /// Builds the message without validating it.
    ///
    /// The client validates the message before sending, according to its own
    /// [`Validation`](crate::Validation).
    #[must_use]
    pub fn build_without_validation(self) -> PushSlots {
        PushSlots::new(self.meta, self.slots)
    }
}
