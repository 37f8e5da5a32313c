//! The slots of one message, and their limits.

/// The maximum numbers of slots and bytes in one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) slots: usize,
    pub(crate) bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Encoding this number costs little compared to a request, and a rejection affects few
            // slots.
            slots: 1_000,
            // Below 10 MB, the lower of the two limits that the service publishes.
            bytes: 8 * 1024 * 1024,
        }
    }
}

/// Consecutive slots for one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    /// The position of the first slot.
    pub(super) first: usize,
    /// The number of slots; 0 if none are left.
    pub(super) slots: usize,
    /// An upper bound on the message's size in bytes.
    pub(super) bytes: usize,
}

impl Chunk {
    /// Returns the position after the last slot.
    pub(super) fn end(self) -> usize {
        self.first + self.slots
    }
}

/// Collects consecutive slots for one message until one doesn't fit.
pub(super) struct ChunkBuilder {
    limits: Limits,
    pub(super) slots: usize,
    pub(super) bytes: usize,
}

impl ChunkBuilder {
    /// Creates an empty message, which takes `envelope` bytes without slots.
    pub(super) fn new(limits: Limits, envelope: usize) -> Self {
        Self { limits, slots: 0, bytes: envelope }
    }

    /// Adds a slot of `added` bytes if it fits, and returns whether it does. The first slot always
    /// fits, because it can't be split.
    pub(super) fn takes(&mut self, added: usize) -> bool {
        let bytes = self.bytes.saturating_add(added);
        let fits = self.slots < self.limits.slots && bytes <= self.limits.bytes;
        if self.slots > 0 && !fits {
            return false;
        }
        self.slots += 1;
        self.bytes = bytes;
        true
    }

    pub(super) fn is_full(&self) -> bool {
        self.slots >= self.limits.slots || self.bytes >= self.limits.bytes
    }
}
