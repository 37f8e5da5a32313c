//! A private key in this process that signs assertions.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::jwk::Jwk;
use super::{AuthError, Signer, SigningAlgorithm, SigningInput};
use crate::display::debug_as_display;
use crate::private_key::{Pem, Wiped, read_file};
use crate::signature::{PrivateKey, Unusable};

/// A private key, and the ID under which the service knows its public key.
///
/// The key determines the algorithm. An RSA key of at least 2048 bits signs with RS384, and a P-384
/// key with ES384 (RFC 7518, sections 3.3 and 3.4). Cloning is cheap. The `Debug` output shows the
/// ID and the algorithm, but nothing of the key.
///
/// The crate wipes its own copies of the text and its parts once the key is read. The library
/// aws-lc keeps the key itself in memory, and wipes it when the last clone is dropped.
///
/// ```no_run
/// use pushslots::{Credentials, SigningKey};
///
/// let key = SigningKey::from_pem_file("key.pem", "key-id")?;
/// let same = SigningKey::from_jwk_file("key.json")?;
/// let credentials = Credentials::signed_jwt("client-id", key);
/// # Ok::<(), pushslots::KeyError>(())
/// ```
#[derive(Clone)]
pub struct SigningKey {
    id: String,
    key: Arc<PrivateKey>,
}

/// The error text for a damaged or unsupported key.
const NEEDED: &str = "the private key is damaged or of an unsupported kind; use RSA with at least \
                      2048 bits or the elliptic curve P-384";

impl SigningKey {
    /// Reads a private key in PEM: PKCS#8 (`PRIVATE KEY`), PKCS#1 (`RSA PRIVATE KEY`) or SEC1
    /// (`EC PRIVATE KEY`).
    ///
    /// It reads the first key that isn't encrypted. Lines may be indented, as in YAML, and end in
    /// LF or CR LF. `key_id` is the service's name for the public key, which becomes the header
    /// `kid` of assertions.
    ///
    /// # Errors
    ///
    /// Returns an error if:
    ///
    /// * The text holds no private key, or only an encrypted one.
    /// * Its line breaks are the two characters `\n`, as in JSON.
    /// * The key is damaged, or is neither RSA of at least 2048 bits nor P-384.
    ///
    /// The error never repeats a part of the text.
    pub fn from_pem(pem: impl AsRef<[u8]>, key_id: impl Into<String>) -> Result<Self, KeyError> {
        let pem = Pem::read(pem.as_ref()).map_err(KeyError::new)?;
        Ok(Self { id: key_id.into(), key: Arc::new(PrivateKey::from_der(&pem.der())?) })
    }

    /// Creates the signing key of the mock service.
    #[cfg(feature = "mock")]
    pub(crate) fn known(key_id: &str, key: Arc<PrivateKey>) -> Self {
        Self { id: key_id.to_owned(), key }
    }

    /// Reads a private key from a PEM file, as [`from_pem`](Self::from_pem) does.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`from_pem`](Self::from_pem), and an error if the file can't be read.
    /// No error repeats the path, because someone may have passed the key itself by mistake.
    pub fn from_pem_file(
        path: impl AsRef<Path>,
        key_id: impl Into<String>,
    ) -> Result<Self, KeyError> {
        Self::from_pem(&*read(path.as_ref())?, key_id)
    }

    /// Reads a private key in JSON: a JWK (RFC 7517, section 4) of type `RSA`, or of type `EC` with
    /// the curve P-384.
    ///
    /// RFC 7518 defines its members in sections 6.2.2 and 6.3.2. An RSA key needs `n`, `e`, `d`,
    /// `p`, `q`, `dp`, `dq` and `qi`. `kid` is the service's name for the public key. `alg`, `use`
    /// and `key_ops` are optional, but must allow signing with RS384 or ES384.
    ///
    /// # Errors
    ///
    /// Returns an error if:
    ///
    /// * The text isn't a JWK with a `kid`, or repeats a member that the key needs.
    /// * It holds only a public key, or its members exclude signing.
    /// * The key is damaged, or is neither RSA of at least 2048 bits nor P-384.
    ///
    /// The error never repeats a part of the key.
    pub fn from_jwk(jwk: impl AsRef<str>) -> Result<Self, KeyError> {
        let jwk = Jwk::read(jwk.as_ref())?;
        Ok(Self { id: jwk.key_id()?, key: Arc::new(jwk.private_key()?) })
    }

    /// Reads a private key from a file that holds a JWK, as [`from_jwk`](Self::from_jwk) does.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`from_jwk`](Self::from_jwk), and an error if the file can't be read.
    /// No error repeats the path.
    pub fn from_jwk_file(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let jwk = read(path.as_ref())?;
        Self::from_jwk(
            std::str::from_utf8(&jwk).map_err(|_| KeyError::new("the file isn't UTF-8"))?,
        )
    }
}

fn read(path: &Path) -> Result<Wiped, KeyError> {
    let unread =
        |error| KeyError(format!("can't read the file ({error}); pass the path of a key file"));
    read_file(path).map_err(unread)
}

/// Signs in this process.
impl Signer for SigningKey {
    fn key_id(&self) -> &str {
        &self.id
    }

    fn algorithm(&self) -> SigningAlgorithm {
        match *self.key {
            PrivateKey::Rsa(_) => SigningAlgorithm::Rs384,
            PrivateKey::P384(_) => SigningAlgorithm::Es384,
        }
    }

    async fn sign(&self, input: SigningInput<'_>) -> Result<Vec<u8>, AuthError> {
        let failed =
            |_| AuthError::permanent(format!("signing with the private key {} failed", self.id));
        self.key.sign(input.as_bytes()).map_err(failed)
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

/// An error from reading a private key.
///
/// It shows nothing of the key.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyError(pub(super) String);

impl KeyError {
    #[cold]
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

debug_as_display!(KeyError);

impl std::error::Error for KeyError {}

impl From<Unusable> for KeyError {
    fn from(unusable: Unusable) -> Self {
        Self::new(match unusable {
            Unusable::TooShort => "the RSA key is too short; use at least 2048 bits",
            Unusable::DamagedOrOfAnotherKind => NEEDED,
        })
    }
}
