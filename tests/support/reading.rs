//! Properties of reading that hold for any bytes.

use std::io::Read;

use pushslots::{Meta, PushSlots, Slot, SlotReader};
use serde::de::IgnoredAny;

/// Reads `bytes` as a message, and as a stream in pieces of `length` bytes. Asserts that neither
/// loses anything or accepts invalid JSON.
pub fn loses_nothing(bytes: &[u8], length: usize) {
    let stream = streamed(bytes, usize::MAX);
    assert!(streamed(bytes, length) == stream, "a stream is the same in pieces of {length} bytes");

    let text = std::str::from_utf8(bytes).unwrap_or("no text");
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\u{feff}']);
    let is_object = text.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok();
    let message = PushSlots::from_json(bytes);
    assert_eq!(
        message.is_ok(),
        is_object,
        "a message is read from what serde_json takes for an object"
    );
    let Ok(message) = message else { return };

    let valid = message.validate().is_ok();
    let again = PushSlots::from_json(message.to_json()).expect("what is written can be read");
    assert!(again == message, "what is written reads as the same");
    assert_eq!(again.validate().is_ok(), valid, "and is as right or wrong");

    if valid {
        let (slots, meta) = stream;
        let slots: Vec<_> = slots
            .into_iter()
            .map(|slot| slot.expect("a message can be read as a stream"))
            .collect();
        assert!(slots == message.slots(), "a stream gives the slots of the message");
        assert!(meta.unwrap_or_default() == *message.meta(), "and what it says of itself");
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
