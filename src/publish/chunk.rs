//! Where one message of a batch ends and the next begins.

/// The most slots and bytes of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) slots: usize,
    pub(crate) bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Encoding them costs little next to a request, and a rejection concerns few slots.
            slots: 1_000,
            // Below 10 MB, the lower of the two limits that the service publishes.
            bytes: 8 * 1024 * 1024,
        }
    }
}

/// Slots that go into one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    /// The position of the first.
    pub(super) first: usize,
    /// How many they are: none after the last.
    pub(super) slots: usize,
    /// The most bytes that the message takes.
    pub(super) bytes: usize,
}

impl Chunk {
    /// The position after the last slot.
    pub(super) fn end(self) -> usize {
        self.first + self.slots
    }
}

/// Takes slots for one message, in order, until one does not fit.
pub(super) struct ChunkBuilder {
    limits: Limits,
    pub(super) slots: usize,
    pub(super) bytes: usize,
}

impl ChunkBuilder {
    /// An empty message, which takes `envelope` bytes itself.
    pub(super) fn new(limits: Limits, envelope: usize) -> Self {
        Self { limits, slots: 0, bytes: envelope }
    }

    /// Takes a slot that adds so many bytes, if it fits. The first always does: there is nothing
    /// left to split.
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
