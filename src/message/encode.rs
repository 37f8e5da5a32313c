//! Writing a message as JSON.

use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;

use super::json::write;
use super::outgoing::Outgoing;
use super::record::{Field, Value};
use super::{Meta, Problem, PushSlots};

impl PushSlots {
    /// The message as JSON, as the model says: absent rather than null, times in UTC, whole minutes as
    /// whole numbers.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        self.written(&self.meta)
    }

    /// Writes all but `Meta`.
    pub(super) fn write_rest(&self, out: &mut Vec<u8>) {
        if self.slots.is_empty() && !self.rest.has("Slots") {
            out.extend_from_slice(br#","Slots":[]"#);
        }
        self.slots.write_member(SLOTS, out);
        self.rest.write(out, |_| true);
    }

    pub(super) fn rest_room(&self) -> usize {
        self.slots.room(SLOTS) + self.rest.room() + "{}".len()
    }
}

const META: &str = r#","Meta":"#;
const SLOTS: &str = r#","Slots":"#;

pub(super) fn write_meta(meta: &Meta, out: &mut Vec<u8>) {
    out.extend_from_slice(META.as_bytes());
    meta.write(out);
}

pub(super) fn meta_room(meta: &Meta) -> usize {
    META.len() + meta.room()
}

impl Outgoing for PushSlots {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn slot_count(&self) -> usize {
        self.slots.len()
    }

    fn problems(&self) -> Vec<Problem> {
        self.problems()
    }

    fn written(&self, meta: &Meta) -> Vec<u8> {
        let mut out = Vec::with_capacity(meta_room(meta) + self.rest_room());
        // One that could not be read is in the rest.
        if !self.rest.has("Meta") {
            write_meta(meta, &mut out);
        }
        self.write_rest(&mut out);
        write::enclose(*b"{}", 0, &mut out);
        out
    }
}

/// Serializes the message as [`PushSlots::to_json`] does; meant for `serde_json`.
impl Serialize for PushSlots {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = String::from_utf8(self.to_json()).map_err(S::Error::custom)?;
        RawValue::from_string(json).map_err(S::Error::custom)?.serialize(serializer)
    }
}
