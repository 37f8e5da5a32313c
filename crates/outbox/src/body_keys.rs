//! The keys that encrypt stored bodies.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use uuid::Uuid;

use crate::body::DecodeError;
use crate::error::OutboxError;

/// The maximum length of a key's id in bytes.
const MAX_ID: usize = 100;

/// Keys for the bodies in an outbox: AES-256-GCM-SIV (RFC 8452).
///
/// New bodies are encrypted with the newest key, and older bodies are read with the key that they
/// name. Keep the keys outside the outbox, such as in a key management service.
///
/// Freed pages of a file, and its backups, can keep the bytes of a body that was erased. Only
/// destroying its key erases it for certain. Therefore use a new key every day, and destroy a key
/// when its messages are no longer needed.
///
/// ```
/// use pushslots_outbox::BodyKeys;
///
/// # let (today, yesterday) = ([7; 32], [6; 32]);
/// let keys = BodyKeys::new("2026-12-01", today)?.with_older("2026-11-30", yesterday)?;
/// # Ok::<(), pushslots_outbox::OutboxError>(())
/// ```
#[derive(Clone)]
pub struct BodyKeys(Vec<Arc<Named>>);

struct Named {
    id: String,
    key: RandomizedNonceKey,
}

impl Named {
    fn new(id: String, key: [u8; 32]) -> Result<Arc<Self>, OutboxError> {
        if id.is_empty() || id.len() > MAX_ID {
            let text = format!("the id of a body key must have 1 to {MAX_ID} bytes");
            return Err(OutboxError::Configuration(text));
        }
        let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, &key)
            .map_err(|_| OutboxError::Configuration(format!("the body key {id:?} is invalid")))?;
        Ok(Arc::new(Self { id, key }))
    }
}

impl BodyKeys {
    /// Creates a ring with one key. `id` is stored with each body, and isn't secret.
    ///
    /// # Errors
    ///
    /// Returns an error if the id is empty or longer than 100 bytes.
    pub fn new(id: impl Into<String>, key: [u8; 32]) -> Result<Self, OutboxError> {
        Ok(Self(vec![Named::new(id.into(), key)?]))
    }

    /// Adds a key that only reads bodies.
    ///
    /// # Errors
    ///
    /// Returns an error if the id is empty, longer than 100 bytes, or already in the ring.
    pub fn with_older(mut self, id: impl Into<String>, key: [u8; 32]) -> Result<Self, OutboxError> {
        let id = id.into();
        if self.0.iter().any(|known| known.id == id) {
            let text = format!("the id {id:?} belongs to two body keys; use another id");
            return Err(OutboxError::Configuration(text));
        }
        self.0.push(Named::new(id, key)?);
        Ok(self)
    }

    /// Encrypts a body with the newest key: the length of the key's id, the id, the nonce, and the
    /// ciphertext with its tag. The message id is authenticated too.
    pub(crate) fn encrypt(&self, message_id: Uuid, body: Vec<u8>) -> Result<Vec<u8>, OutboxError> {
        let failed = || OutboxError::Storage("encrypting the body failed".to_owned());
        let newest = self.0.first().ok_or_else(failed)?;
        let mut text = body;
        let nonce = newest
            .key
            .seal_in_place_append_tag(Aad::from(message_id.as_bytes()), &mut text)
            .map_err(|_| failed())?;
        let length = u8::try_from(newest.id.len()).map_err(|_| failed())?;
        let mut encrypted = vec![length];
        encrypted.extend_from_slice(newest.id.as_bytes());
        encrypted.extend_from_slice(nonce.as_ref());
        encrypted.extend_from_slice(&text);
        Ok(encrypted)
    }

    /// Decrypts a body with the key that it names.
    pub(crate) fn decrypt(
        &self,
        message_id: Uuid,
        encrypted: &[u8],
    ) -> Result<Vec<u8>, DecodeError> {
        let damaged = || DecodeError::Damaged("the stored body is damaged".to_owned());
        let (length, rest) = encrypted.split_first().ok_or_else(damaged)?;
        let (id, rest) = rest.split_at_checked((*length).into()).ok_or_else(damaged)?;
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
        let key = self.0.iter().find(|key| key.id.as_bytes() == id).ok_or_else(|| {
            let id = String::from_utf8_lossy(id);
            let text = format!("the body key {id:?} is missing; add it with BodyKeys::with_older");
            DecodeError::MissingKey(text)
        })?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut text = text.to_vec();
        let opened = key.key.open_in_place(nonce, Aad::from(message_id.as_bytes()), &mut text);
        let wrong =
            |_| DecodeError::Damaged("the stored body is damaged, or its key is wrong".into());
        let length = opened.map_err(wrong)?.len();
        text.truncate(length);
        Ok(text)
    }
}

impl fmt::Debug for BodyKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}
