//! Compares the results of the reader with those of serde_json on the same bytes. Run it with
//! `.ci/fuzz compare`.

#![no_main]

#[path = "../../tests/support/compared.rs"]
mod compared;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| compared::reads_alike(bytes));
