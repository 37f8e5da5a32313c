//! Reads any bytes as a message and as a stream of slots. Run it with `.ci/fuzz read`.

#![no_main]

#[path = "../../tests/support/reading.rs"]
mod reading;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The first byte also sets the size of the pieces of the stream.
    let length = bytes.first().map_or(1, |&byte| 1 + usize::from(byte));
    reading::loses_nothing(bytes, length);
});
