//! Building a message.

use std::fmt;

use super::{Meta, Slot};
use crate::message::{InvalidMessage, PushSlots, show};

/// Builds a [`PushSlots`] message; see [`PushSlots::builder`].
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
    /// What the message says of itself; needed only for more than the client fills in.
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

    /// Adds slots.
    #[must_use]
    pub fn slots(mut self, slots: impl IntoIterator<Item = Slot>) -> Self {
        self.slots.extend(slots);
        self
    }

    /// Finishes the message, and checks it.
    ///
    /// # Errors
    ///
    /// The problems that [`PushSlots::validate`] finds.
    pub fn build(self) -> Result<PushSlots, InvalidMessage> {
        let message = self.build_without_validation();
        message.validate()?;
        Ok(message)
    }

    /// Finishes the message without checking it.
    ///
    /// The client checks it before it sends, by its own [`Validation`](crate::Validation).
    #[must_use]
    pub fn build_without_validation(self) -> PushSlots {
        PushSlots::new(self.meta, self.slots)
    }
}
