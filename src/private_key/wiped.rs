//! Bytes of private keys that are wiped when they are dropped.
//!
//! None of these buffers grows, because a reallocation would leave a copy.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use base64::Engine;
use secrecy::zeroize::Zeroizing;

/// Bytes that are wiped when they are dropped.
pub(crate) type Wiped = Zeroizing<Vec<u8>>;

/// The maximum size of a key file, in bytes. A key takes a few thousand.
const LONGEST: usize = 256 * 1024;

/// Reads a key file.
pub(crate) fn read_file(path: &Path) -> io::Result<Wiped> {
    let mut file = File::open(path)?;
    let mut bytes = Wiped::new(vec![0; LONGEST]);
    let mut length = 0;
    while let Some(free) = bytes.get_mut(length..).filter(|free| !free.is_empty()) {
        match file.read(free) {
            Ok(0) => {
                bytes.truncate(length);
                return Ok(bytes);
            }
            Ok(count) => length = length.saturating_add(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(ErrorKind::InvalidData, "a key file must be smaller than 256 KiB"))
}

/// Decodes base64 or base64url.
pub(crate) fn decode(engine: &impl Engine, text: &[u8]) -> Option<Wiped> {
    let mut bytes = Wiped::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let length = engine.decode_slice(text, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}
