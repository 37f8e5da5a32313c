//! Compares what the reader returns with what serde_json reads from the same bytes:
//! `.ci/fuzz compare`.

#![no_main]

#[path = "../../tests/support/compared.rs"]
mod compared;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| compared::reads_alike(bytes));
