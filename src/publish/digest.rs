//! Digests of what is sent; the only file that names `xxhash_rust`.
//!
//! They find mistakes, such as other slots under the same batch id. They don't protect against forgery.

use uuid::{Uuid, uuid};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// The space of names that message ids are derived in: RFC 9562, section 5.5.
const MESSAGE_IDS: Uuid = uuid!("0d1c3c8e-6a0b-4c0e-9a39-5a6f1f6c2a71");

/// The digest of a sequence of slots and of the destinations that they go to. However the slots are split, it is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotsDigest(u64);

impl SlotsDigest {
    /// The digest before the first slot.
    pub(super) fn new(destinations: &[Uuid]) -> Self {
        let bytes: Vec<u8> = destinations.iter().flat_map(|id| *id.as_bytes()).collect();
        Self(xxh3_64(&bytes))
    }

    /// The digest after one slot more.
    pub(super) fn with(self, encoded_slot: &[u8]) -> Self {
        let mut pair = [0; 16];
        pair[..8].copy_from_slice(&self.0.to_le_bytes());
        pair[8..].copy_from_slice(&xxh3_64(encoded_slot).to_le_bytes());
        Self(xxh3_64(&pair))
    }

    pub(super) fn to_u64(self) -> u64 {
        self.0
    }
}

/// The id of a message: the same for the same batch, number, destinations and body, and another for any other.
pub(super) fn message_id(batch_id: &str, number: u64, destinations: &[Uuid], body: &[u8]) -> Uuid {
    let destinations: Vec<_> = destinations.iter().map(|id| id.simple().to_string()).collect();
    // The batch id comes last, because only it may hold a slash.
    let name = format!("{number}/{:032x}/{}/{batch_id}", xxh3_128(body), destinations.join(","));
    Uuid::new_v5(&MESSAGE_IDS, name.as_bytes())
}
