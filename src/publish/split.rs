//! Where one message of a batch ends and the next begins.

/// What one message may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) slots: usize,
    pub(crate) bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { slots: 1_000, bytes: 8 * 1024 * 1024 }
    }
}

/// A message that slots are put into, in order, until one does not fit.
pub(super) struct Filling {
    limits: Limits,
    pub(super) slots: usize,
    pub(super) bytes: usize,
}

impl Filling {
    /// An empty message, which takes so many bytes itself.
    pub(super) fn new(limits: Limits, envelope: usize) -> Self {
        Self { limits, slots: 0, bytes: envelope }
    }

    /// Takes a slot that adds so many bytes, if it fits. The first always does: there is nothing left to split.
    pub(super) fn takes(&mut self, added: usize) -> bool {
        let fits = self.slots < self.limits.slots && self.bytes + added <= self.limits.bytes;
        if self.slots > 0 && !fits {
            return false;
        }
        self.slots += 1;
        self.bytes += added;
        true
    }

    pub(super) fn is_full(&self) -> bool {
        self.slots >= self.limits.slots || self.bytes >= self.limits.bytes
    }
}
