//! The private key that signs assertions; the only file that names aws-lc-rs.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA384};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use secrecy::zeroize::Zeroizing;

/// A private key and the ID under which the service knows its public half.
///
/// The key chooses the algorithm: an RSA key of at least 2048 bits signs with RS384, a P-384 key with
/// ES384 (RFC 7518, sections 3.3 and 3.4). Cloning is cheap. Its `Debug` shows the ID and no key.
#[derive(Clone)]
pub struct SigningKey {
    id: String,
    key: Arc<Key>,
}

enum Key {
    Rsa(RsaKeyPair),
    P384(EcdsaKeyPair),
}

impl SigningKey {
    /// Reads a private key in PEM: PKCS#8 (`PRIVATE KEY`), PKCS#1 (`RSA PRIVATE KEY`) or SEC1
    /// (`EC PRIVATE KEY`). The first key of the text is taken, and it must not be encrypted.
    ///
    /// `key_id` is what the service calls the public key: the header `kid` of the assertion.
    ///
    /// # Errors
    ///
    /// Text without a private key, a key that can't be read, or one of another kind than RSA from 2048
    /// bits or P-384.
    pub fn from_pem(pem: impl AsRef<[u8]>, key_id: impl Into<String>) -> Result<Self, KeyError> {
        let pem = pem.as_ref();
        let der = PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
            let encrypted = pem.windows(9).any(|word| word == b"ENCRYPTED");
            KeyError(if encrypted {
                "the private key is encrypted; give it without a passphrase".to_owned()
            } else {
                "there is no private key in PEM, such as a block `PRIVATE KEY`".to_owned()
            })
        })?;
        Ok(Self { id: key_id.into(), key: Arc::new(Key::read(&der)?) })
    }

    /// Reads a private key from a PEM file, as [`from_pem`](Self::from_pem) does.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem), and a file that can't be read. The path is not repeated: what is given
    /// in its place by mistake may be the key itself.
    pub fn from_pem_file(path: impl AsRef<Path>, key_id: impl Into<String>) -> Result<Self, KeyError> {
        let unread = |error: std::io::Error| {
            KeyError(format!("the file can't be read ({error}); give the path of a PEM file"))
        };
        let pem = Zeroizing::new(std::fs::read(path).map_err(unread)?);
        Self::from_pem(&*pem, key_id)
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The name of the algorithm: RFC 7518, section 3.1.
    pub(super) fn algorithm(&self) -> &'static str {
        match *self.key {
            Key::Rsa(_) => "RS384",
            Key::P384(_) => "ES384",
        }
    }

    pub(super) fn sign(&self, text: &[u8]) -> Result<Vec<u8>, KeyError> {
        let failed = |_| KeyError(format!("the private key {} does not sign", self.id));
        let random = SystemRandom::new();
        match &*self.key {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA384, &random, text, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Key::P384(key) => Ok(key.sign(&random, text).map_err(failed)?.as_ref().to_vec()),
        }
    }
}

impl Key {
    fn read(der: &PrivateKeyDer<'_>) -> Result<Self, KeyError> {
        let bytes = der.secret_der();
        let rsa = match der {
            PrivateKeyDer::Pkcs8(_) => RsaKeyPair::from_pkcs8(bytes).ok(),
            PrivateKeyDer::Pkcs1(_) => RsaKeyPair::from_der(bytes).ok(),
            _ => None,
        };
        // aws-lc-rs reads none below 2048 bits.
        if let Some(key) = rsa {
            return Ok(Self::Rsa(key));
        }
        let algorithm = &ECDSA_P384_SHA384_FIXED_SIGNING;
        let p384 = match der {
            PrivateKeyDer::Pkcs8(_) => EcdsaKeyPair::from_pkcs8(algorithm, bytes).ok(),
            PrivateKeyDer::Sec1(_) => EcdsaKeyPair::from_private_key_der(algorithm, bytes).ok(),
            _ => None,
        };
        let needed = "the private key is damaged or of a kind that the service does not take; \
                      it takes RSA from 2048 bits and the elliptic curve P-384";
        p384.map(Self::P384).ok_or_else(|| KeyError(needed.to_owned()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

/// A private key that can't be used, and why. It holds nothing of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyError(String);

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KeyError {}
