//! Encoding a message as JSON.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::outgoing::Encode;
use crate::message::codec::extras::NoFields;
use crate::message::codec::field::Field;
use crate::message::codec::json_writer::{self as write, MemberStart, member_start};
use crate::message::codec::problems::Problems;
use crate::message::codec::value::Value;
use crate::message::validation::corrected;
use crate::message::{Meta, PushSlots, Slot};

impl PushSlots {
    /// Returns the message as JSON (RFC 8259).
    ///
    /// Absent values are omitted instead of written as null, times are in UTC, and whole minutes
    /// are whole numbers.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        self.written(&self.meta)
    }

    /// Writes everything except `Meta`.
    pub(super) fn write_rest(&self, out: &mut Vec<u8>) {
        if self.slots.is_blank() {
            out.extend_from_slice(NO_SLOTS);
        }
        self.slots.write_member(SLOTS, out);
        self.extras.write(out, &NoFields);
    }

    /// Estimates the number of bytes that [`write_rest`](Self::write_rest) writes, from a sample of
    /// the slots. The exact number would take longer than growing the buffer if they are too few.
    pub(super) fn estimated_rest(&self) -> usize {
        let count = self.slots.len();
        let sample = self.slots.iter().step_by(count / SAMPLED + 1);
        let sampled = sample.len().max(1);
        // One long slot must not stand for many short ones.
        let added = |slot: &Slot| ",".len() + slot.length::<false>().min(LONGEST_SAMPLED);
        let length: usize = sample.map(added).sum();
        let slots = (length / sampled + 1).saturating_mul(count);
        let rest = SLOTS.len() + "[]".len() + self.extras.length(&NoFields);
        slots.saturating_add(slots / 16).saturating_add(rest)
    }
}

/// The number of slots from which the length of a message is estimated.
const SAMPLED: usize = 32;

/// The maximum length of a slot in the estimate, in bytes. For longer slots, the buffer grows.
const LONGEST_SAMPLED: usize = 4 * 1024;

/// The maximum length in bytes of a buffer without spare capacity.
const LONGEST_EXACT: usize = 64 * 1024;

/// Removes spare capacity, except for an eighth of the length of a large buffer. After a large
/// buffer is shrunk and freed, glibc doesn't reuse its memory. Each later buffer would then get new
/// pages, which the system has to clear.
fn shrink(out: &mut Vec<u8>) {
    let kept = if out.len() > LONGEST_EXACT { out.len() / 8 } else { 0 };
    out.shrink_to(out.len() + kept);
}

const META: &str = r#","Meta":"#;
pub(super) const SLOTS: MemberStart = member_start!("Slots");
const NO_SLOTS: &[u8] = br#","Slots":[]"#;

pub(super) fn write_meta(meta: &Meta, out: &mut Vec<u8>) {
    out.extend_from_slice(META.as_bytes());
    meta.write(out);
}

/// Returns the number of bytes that [`write_meta`] writes.
pub(super) fn meta_length(meta: &Meta) -> usize {
    META.len() + meta.length::<true>()
}

impl Encode for PushSlots {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn slot_count(&self) -> usize {
        self.slots.len()
    }

    fn check(&self, problems: &mut Problems) {
        self.check(problems);
    }

    fn corrected(&self) -> Box<dyn Encode> {
        let corrected: Box<Self> = corrected(self, Self::drop_invalid);
        corrected
    }

    fn written(&self, meta: &Meta) -> Vec<u8> {
        let mut out = Vec::with_capacity(meta_length(meta) + self.estimated_rest());
        // A `Meta` that couldn't be read is in the extras.
        if !self.extras.has("Meta") {
            write_meta(meta, &mut out);
        }
        self.write_rest(&mut out);
        write::enclose(*b"{}", 0, &mut out);
        shrink(&mut out);
        out
    }
}

/// Serializes the same content as [`PushSlots::to_json`], in any format that has maps.
impl Serialize for PushSlots {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.extras.has("Meta") {
            map.serialize_entry("Meta", &self.meta)?;
        }
        map.serialize_entry("Slots", &self.slots)?;
        self.extras.serialize(&mut map, &NoFields)?;
        map.end()
    }
}
