//! Properties of reading that hold for any bytes.

use std::io::Read;

use pushslots::{Meta, PushSlots, Slot, SlotReader};
use serde::de::IgnoredAny;

/// Reads `bytes` as a message, and as a stream in pieces of `length` bytes. Asserts that neither
/// loses anything or accepts invalid JSON.
pub fn loses_nothing(bytes: &[u8], length: usize) {
    let stream = streamed(bytes, usize::MAX);
    assert!(streamed(bytes, length) == stream, "pieces of {length} bytes don't change the result");

    let text = std::str::from_utf8(bytes).unwrap_or("not UTF-8");
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\u{feff}']);
    let is_object = text.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok();
    let message = PushSlots::from_json(bytes);
    assert_eq!(message.is_ok(), is_object, "from_json accepts the same objects as serde_json");
    let Ok(message) = message else { return };

    let valid = message.validate().is_ok();
    let again = PushSlots::from_json(message.to_json()).expect("from_json reads written messages");
    assert!(again == message, "a written message is read unchanged");
    assert_eq!(again.validate().is_ok(), valid, "a written message is as valid as the original");

    if valid {
        let (slots, meta) = stream;
        let slots: Vec<_> = slots
            .into_iter()
            .map(|slot| slot.expect("SlotReader reads every valid message"))
            .collect();
        assert!(slots == message.slots(), "SlotReader returns the slots of the message");
        assert!(
            meta.unwrap_or_default() == *message.meta(),
            "SlotReader returns the Meta of the message"
        );
    }
}

/// Returns the slots and `Meta` of `bytes`, read as a stream in pieces of `length`.
fn streamed(bytes: &[u8], length: usize) -> (Vec<Result<Slot, String>>, Option<Meta>) {
    let mut reader = SlotReader::new(Pieces { bytes, length });
    let slots = reader.by_ref().map(|slot| slot.map_err(|error| error.to_string())).collect();
    (slots, reader.meta().cloned())
}

/// An input that returns its bytes in pieces.
pub struct Pieces<'a> {
    pub bytes: &'a [u8],
    pub length: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.length.min(buffer.len());
        self.bytes.read(&mut buffer[..length])
    }
}
