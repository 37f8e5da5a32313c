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

    /// Adds the JSON of slots, with a comma before each slot.
    pub(crate) fn add(&mut self, slots: &[u8]) {
        Arc::make_mut(&mut self.0).write(slots);
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
/// and differs otherwise.
pub(crate) fn message_id(batch_id: &str, number: u64, destinations: &[Uuid], body: &[u8]) -> Uuid {
    let destinations: Vec<_> = destinations.iter().map(|id| id.simple().to_string()).collect();
    // The batch id comes last, because only it may hold a slash.
    let name = format!(
        "{number}/{:032x}/{}/{batch_id}",
        XxHash3_128::oneshot(body),
        destinations.join(",")
    );
    Uuid::new_v5(&MESSAGE_IDS, name.as_bytes())
}
