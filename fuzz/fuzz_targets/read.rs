//! Reads any bytes as a message and as a stream of slots: `cargo +nightly fuzz run read`.

#![no_main]

#[path = "../../tests/support/reading.rs"]
mod reading;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The first byte is also the size of the pieces in which the stream comes.
    let length = bytes.first().map_or(1, |&byte| 1 + usize::from(byte));
    reading::loses_nothing(bytes, length);
});
