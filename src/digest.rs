//! Digests of slots and messages; the only file that names `twox_hash`.
//!
//! They detect mistakes, such as different slots under the same batch id. They don't protect
//! against forgery.

use std::fmt;
use std::hash::Hasher;
use std::sync::Arc;

use twox_hash::{XxHash3_64, XxHash3_128};
use uuid::{Uuid, uuid};

/// The namespace of message ids (RFC 9562, section 5.5).
const MESSAGE_IDS: Uuid = uuid!("0d1c3c8e-6a0b-4c0e-9a39-5a6f1f6c2a71");

/// Hashes the JSON of a slot, with the comma before it.
fn slot_hash(slot: &[u8]) -> [u8; 8] {
    XxHash3_64::oneshot(slot).to_le_bytes()
}

/// The hashes of a message's slots, in order. The digest of slots and the message id are computed
/// from them, so that slots are hashed only once. A hash has 64 bits, which is enough against
/// mistakes.
pub(crate) struct SlotHashes(Vec<[u8; 8]>);

impl<'a> FromIterator<&'a [u8]> for SlotHashes {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(slots: I) -> Self {
        Self(slots.into_iter().map(slot_hash).collect())
    }
}

/// The digest of a sequence of slots and their destinations. It doesn't depend on how the slots are
/// split.
#[derive(Clone)]
pub(crate) struct SlotsDigest(Arc<XxHash3_64>);

impl SlotsDigest {
    /// Creates the digest before the first slot.
    pub(crate) fn new(destinations: &[Uuid]) -> Self {
        let mut digest = XxHash3_64::new();
        for id in destinations {
            digest.write(id.as_bytes());
        }
        Self(Arc::new(digest))
    }

    /// Adds the slots of a message.
    pub(crate) fn add(&mut self, slots: &SlotHashes) {
        Arc::make_mut(&mut self.0).write(slots.0.as_flattened());
    }

    /// Adds a slot from its JSON, with the comma before it.
    pub(crate) fn add_slot(&mut self, slot: &[u8]) {
        Arc::make_mut(&mut self.0).write(&slot_hash(slot));
    }

    pub(crate) fn to_u64(&self) -> u64 {
        self.0.finish()
    }
}

impl fmt::Debug for SlotsDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.to_u64())
    }
}

/// Returns the digest of a stored text followed by a message body.
pub(crate) fn stored(text: &str, body: &[u8]) -> u128 {
    let mut digest = XxHash3_128::new();
    digest.write(text.as_bytes());
    digest.write(body);
    digest.finish_128()
}

/// Returns the id of a message. It is the same for the same batch, number, destinations and body,
/// and differs otherwise. The body consists of the JSON before the slots, and the slots.
pub(crate) fn message_id(
    batch_id: &str,
    number: u64,
    destinations: &[Uuid],
    before_slots: &[u8],
    slots: &SlotHashes,
) -> Uuid {
    let destinations: Vec<_> = destinations.iter().map(|id| id.simple().to_string()).collect();
    let mut body = XxHash3_128::new();
    body.write(before_slots);
    body.write(slots.0.as_flattened());
    // The batch id comes last, because only it may hold a slash.
    let name = format!("{number}/{:032x}/{}/{batch_id}", body.finish_128(), destinations.join(","));
    Uuid::new_v5(&MESSAGE_IDS, name.as_bytes())
}
