//! What holds for any bytes that are read.

use std::io::Read;

use pushslots::{PushSlots, Slot, SlotReader};
use serde::de::IgnoredAny;
use serde_json::Value;

/// Reads `bytes` as a message, and as a stream that comes in pieces of `length` bytes, and makes sure that neither loses
/// anything or takes for JSON what is none.
pub fn loses_nothing(bytes: &[u8], length: usize) {
    let slots = streamed(bytes, length);
    assert!(slots == streamed(bytes, usize::MAX), "a stream is the same in pieces of {length} bytes");

    let text = std::str::from_utf8(bytes).unwrap_or("no text").trim_start_matches('\u{feff}');
    let is_object = text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok();
    let message = PushSlots::from_json(bytes);
    assert_eq!(message.is_ok(), is_object, "a message is read from what serde_json takes for an object");
    let Ok(message) = message else { return };

    let valid = message.validate().is_ok();
    let again = PushSlots::from_json(message.to_json()).expect("what is written can be read");
    assert!(again == message, "what is written reads as the same");
    assert_eq!(again.validate().is_ok(), valid, "and is as right or wrong");

    let has_slots = serde_json::from_str::<Value>(text).is_ok_and(|json| json["Slots"].is_array());
    if let (true, Some(slots)) = (valid && has_slots, slots) {
        assert!(slots == message.slots(), "a stream gives the slots of the message");
    }
}

/// The slots of `bytes`, which come in pieces of `length`; `None` where they have an end that is none.
fn streamed(bytes: &[u8], length: usize) -> Option<Vec<Slot>> {
    SlotReader::new(Pieces { bytes, length }).collect::<Result<_, _>>().ok()
}

/// Gives what it holds in pieces.
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
