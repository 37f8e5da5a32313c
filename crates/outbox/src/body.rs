//! The stored form of a prepared message.

use aws_lc_rs::digest::{SHA256, digest};
use pushslots::{Client, PreparedMessage, PushSlots};
use uuid::Uuid;

use crate::body_keys::BodyKeys;
use crate::error::OutboxError;

/// The first byte of a body that is compressed.
const COMPRESSED: u8 = 1;

/// The first byte of a body that is compressed, and then encrypted.
const ENCRYPTED: u8 = 2;

/// The first byte of a body that is a PushSlots message as JSON, added by another language.
const JSON: u8 = 3;

/// The maximum size of a message in bytes. It bounds the memory for a damaged body.
const MAX_BYTES: usize = 256 * 1024 * 1024;

/// Returns the digest that identifies the bytes of a message.
pub(crate) fn digest_of(message: &[u8]) -> [u8; 32] {
    // SHA-256 has 32 bytes.
    digest(&SHA256, message).as_ref().try_into().unwrap_or_default()
}

/// Encodes a prepared message for storage, and encrypts it if there are keys.
pub(crate) fn encode(
    message_id: Uuid,
    message: &[u8],
    keys: Option<&BodyKeys>,
) -> Result<Vec<u8>, OutboxError> {
    if message.len() > MAX_BYTES {
        let text = "a message must be smaller than 256 MiB; publish its slots in several messages";
        return Err(OutboxError::Configuration(text.to_owned()));
    }
    let compressed = lz4_flex::compress_prepend_size(message);
    let (form, rest) = match keys {
        Some(keys) => (ENCRYPTED, keys.encrypt(message_id, compressed)?),
        None => (COMPRESSED, compressed),
    };
    let mut body = vec![form];
    body.extend(rest);
    Ok(body)
}

/// Decodes a stored body. `preparer` prepares one that is plain JSON.
pub(crate) fn decode(
    message_id: Uuid,
    body: &[u8],
    keys: Option<&BodyKeys>,
    preparer: &Client,
) -> Result<PreparedMessage, DecodeError> {
    match body {
        [JSON, json @ ..] => prepare(message_id, json, preparer),
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

fn prepare(
    message_id: Uuid,
    json: &[u8],
    preparer: &Client,
) -> Result<PreparedMessage, DecodeError> {
    let invalid =
        |error: &dyn std::fmt::Display| DecodeError::Damaged(format!("invalid message: {error}"));
    let text = std::str::from_utf8(json).map_err(|error| invalid(&error))?;
    let message = PushSlots::from_json(text).map_err(|error| invalid(&error))?;
    let prepared = preparer.send(&message).message_id(message_id).prepare();
    prepared.map_err(|error| invalid(&error))
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

#[cfg(test)]
mod tests {
    use pushslots::{Client, PushSlots, Slot};
    use uuid::Uuid;

    use super::{DecodeError, decode, encode};
    use crate::body_keys::BodyKeys;
    use crate::preparer;

    const ID: Uuid = Uuid::from_u128(7);

    fn keys(id: &str, key: u8) -> BodyKeys {
        BodyKeys::new(id, [key; 32]).unwrap()
    }

    fn client() -> Client {
        let settings = Client::builder().destination(Uuid::from_u128(1));
        preparer::build(settings).unwrap()
    }

    fn message() -> Vec<u8> {
        let client = client();
        let start: pushslots::chrono::DateTime<pushslots::chrono::Utc> =
            "2026-12-01T09:00:00Z".parse().unwrap();
        let slot = Slot::new(start, 15).reason("canary canary canary canary");
        let message = PushSlots::builder().slot(slot).build().unwrap();
        client.send(&message).message_id(ID).prepare().unwrap().to_bytes()
    }

    #[test]
    fn bodies_are_read_after_a_key_rotation_and_never_with_another_key_or_id() {
        let message = message();
        let old = encode(ID, &message, Some(&keys("old", 1))).unwrap();
        let rotated = keys("new", 2).with_older("old", [1; 32]).unwrap();
        assert_eq!(decode(ID, &old, Some(&rotated), &client()).unwrap().to_bytes(), message);
        let new = encode(ID, &message, Some(&rotated)).unwrap();
        assert_eq!(decode(ID, &new, Some(&keys("new", 2)), &client()).unwrap().to_bytes(), message);

        for keys in [None, Some(&keys("new", 2))] {
            let error = decode(ID, &old, keys, &client()).unwrap_err();
            assert!(matches!(error, DecodeError::MissingKey(_)), "{error:?}");
        }
        let wrong = [(ID, keys("old", 3)), (Uuid::nil(), keys("old", 1))];
        for (id, keys) in wrong {
            let error = decode(id, &old, Some(&keys), &client()).unwrap_err();
            assert!(matches!(error, DecodeError::Damaged(_)), "{error:?}");
        }
    }

    #[test]
    fn encrypted_body_contains_no_text_and_any_damage_is_reported() {
        let message = message();
        assert!(message.windows(6).any(|text| text == b"canary"));
        let plain = encode(ID, &message, None).unwrap();
        assert!(plain.windows(6).any(|text| text == b"canary"));
        let keys = keys("a", 1);
        let encrypted = encode(ID, &message, Some(&keys)).unwrap();
        assert!(!encrypted.windows(6).any(|text| text == b"canary"));
        for index in 0..encrypted.len() {
            let mut damaged = encrypted.clone();
            damaged[index] ^= 1;
            decode(ID, &damaged, Some(&keys), &client()).unwrap_err();
            decode(ID, &encrypted[..index], Some(&keys), &client()).unwrap_err();
        }
    }
}
