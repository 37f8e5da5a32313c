//! The stored form of a prepared message.

use aws_lc_rs::digest::{SHA256, digest};
use pushslots::PreparedMessage;
use uuid::Uuid;

use crate::body_keys::BodyKeys;
use crate::error::OutboxError;

/// The first byte of a body that is compressed.
const COMPRESSED: u8 = 1;

/// The first byte of a body that is compressed, and then encrypted.
const ENCRYPTED: u8 = 2;

/// The maximum size of a decoded body in bytes, which bounds the memory for a damaged one.
const MAX_BYTES: usize = 256 * 1024 * 1024;

/// Returns the digest that identifies the bytes of a message.
pub(crate) fn digest_of(message: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (byte, from) in bytes.iter_mut().zip(digest(&SHA256, message).as_ref()) {
        *byte = *from;
    }
    bytes
}

/// Encodes a prepared message for storage, and encrypts it if there are keys.
pub(crate) fn encode(
    message_id: Uuid,
    message: &[u8],
    keys: Option<&BodyKeys>,
) -> Result<Vec<u8>, OutboxError> {
    let compressed = lz4_flex::compress_prepend_size(message);
    let (form, rest) = match keys {
        Some(keys) => (ENCRYPTED, keys.encrypt(message_id, compressed)?),
        None => (COMPRESSED, compressed),
    };
    let mut body = vec![form];
    body.extend(rest);
    Ok(body)
}

/// Decodes a stored body.
pub(crate) fn decode(
    message_id: Uuid,
    body: &[u8],
    keys: Option<&BodyKeys>,
) -> Result<PreparedMessage, DecodeError> {
    match body {
        [COMPRESSED, compressed @ ..] => decompress(compressed),
        [ENCRYPTED, encrypted @ ..] => {
            let missing = || {
                let text = "the stored body is encrypted; set the outbox's body_keys";
                DecodeError::MissingKey(text.to_owned())
            };
            decompress(&keys.ok_or_else(missing)?.decrypt(message_id, encrypted)?)
        }
        [] => Err(DecodeError::Damaged("the stored body is missing".to_owned())),
        [form, ..] => {
            Err(DecodeError::Damaged(format!("the stored body has the unknown form {form}")))
        }
    }
}

/// The reason why a stored body can't be decoded.
#[derive(Debug)]
pub(crate) enum DecodeError {
    /// Its key isn't configured. It can be decoded when the key is added.
    MissingKey(String),
    Damaged(String),
}

fn decompress(compressed: &[u8]) -> Result<PreparedMessage, DecodeError> {
    let damaged = |reason: &dyn std::fmt::Display| {
        DecodeError::Damaged(format!("the stored body is damaged: {reason}"))
    };
    let (size, _) =
        lz4_flex::block::uncompressed_size(compressed).map_err(|error| damaged(&error))?;
    if size > MAX_BYTES {
        return Err(damaged(&format_args!("it claims {size} bytes")));
    }
    let message =
        lz4_flex::decompress_size_prepended(compressed).map_err(|error| damaged(&error))?;
    PreparedMessage::from_bytes(&message).map_err(|error| damaged(&error))
}
