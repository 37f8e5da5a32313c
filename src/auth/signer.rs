//! Signing assertions with keys that may be outside this process.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::AuthError;
use crate::display::display_as_str;

/// A signer of assertions. Its private key can be outside this process.
///
/// [`SigningKey`](crate::SigningKey) holds a key in memory. Implement this trait for a key that
/// stays in a KMS, an HSM or an agent. The client requests one signature per access token, and one
/// more each time it has to repeat a token request.
///
/// ```
/// use pushslots::{AuthError, Credentials, Signer, SigningAlgorithm, SigningInput};
/// # struct Vault;
/// # impl Vault { async fn sign(&self, _: &str, _: &[u8]) -> Result<Vec<u8>, std::io::Error> { Ok(vec![0; 96]) } }
///
/// struct VaultKey(Vault);
///
/// impl Signer for VaultKey {
///     fn key_id(&self) -> &str {
///         "key-2026"
///     }
///
///     fn algorithm(&self) -> SigningAlgorithm {
///         SigningAlgorithm::Es384
///     }
///
///     async fn sign(&self, input: SigningInput<'_>) -> Result<Vec<u8>, AuthError> {
///         let signature = self.0.sign("pushslots", input.as_bytes()).await;
///         signature.map_err(|error| AuthError::temporary(format!("the vault: {}", error.kind())))
///     }
/// }
///
/// let credentials = Credentials::signed_jwt("client-id", VaultKey(Vault));
/// ```
pub trait Signer: Send + Sync + 'static {
    /// Returns the ID under which the service knows the public key: `kid` in RFC 7515, section
    /// 4.1.4.
    ///
    /// It must stay the same for the signer's whole life.
    fn key_id(&self) -> &str;

    /// Returns the algorithm of [`sign`](Self::sign).
    fn algorithm(&self) -> SigningAlgorithm;

    /// Signs `input`.
    ///
    /// The signature has the form of RFC 7518. For [`Es384`](SigningAlgorithm::Es384) that is the
    /// 96 bytes of R and S, one after the other. Most key services return DER instead, which has to
    /// be converted.
    ///
    /// # Errors
    ///
    /// Returns [`AuthError::temporary`] if the key may sign a moment later, and
    /// [`AuthError::permanent`] otherwise. A panic counts as temporary. So does a call that exceeds
    /// the [attempt timeout](crate::ClientBuilder::attempt_timeout) or 30 s. The future can be
    /// dropped at any point.
    fn sign(
        &self,
        input: SigningInput<'_>,
    ) -> impl Future<Output = Result<Vec<u8>, AuthError>> + Send;
}

impl<S: Signer> Signer for Arc<S> {
    fn key_id(&self) -> &str {
        (**self).key_id()
    }

    fn algorithm(&self) -> SigningAlgorithm {
        (**self).algorithm()
    }

    fn sign(
        &self,
        input: SigningInput<'_>,
    ) -> impl Future<Output = Result<Vec<u8>, AuthError>> + Send {
        (**self).sign(input)
    }
}

/// The bytes to sign: the JWS Signing Input of RFC 7515, section 5.1, before hashing. It holds no
/// secret.
#[derive(Clone, Copy, Debug)]
pub struct SigningInput<'a> {
    bytes: &'a [u8],
}

impl<'a> SigningInput<'a> {
    /// Creates an input, for example to test a [`Signer`].
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Returns the bytes, such as `eyJhbGciOiJFUzM4NCJ9.eyJpc3MiOiJjbGllbnQifQ`.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }
}

/// An algorithm that signs assertions. The service accepts these two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-384 and a key of at least 2048 bits (RFC 7518, section 3.3).
    Rs384,
    /// ECDSA on the curve P-384 with SHA-384 (RFC 7518, section 3.4).
    Es384,
}

impl SigningAlgorithm {
    /// Returns the algorithm's name in a JWT (RFC 7518, section 3.1).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs384 => "RS384",
            Self::Es384 => "ES384",
        }
    }

    /// Checks the length of a signature.
    pub(super) fn check(self, signature: &[u8]) -> Result<(), AuthError> {
        match (self, signature.len()) {
            (Self::Rs384, 256..) | (Self::Es384, 96) => Ok(()),
            (Self::Rs384, length) => Err(AuthError::permanent(format!(
                "the signer returned {length} bytes; an RS384 signature has at least 256 (for a \
                 key of 2048 bits)"
            ))),
            (Self::Es384, length) => Err(AuthError::permanent(format!(
                "the signer returned {length} bytes; an ES384 signature has 96 (R and S with 48 \
                 bytes each, not DER)"
            ))),
        }
    }
}

display_as_str!(SigningAlgorithm);

/// A [`Signer`] of any type.
pub(super) trait AnySigner: Send + Sync {
    fn key_id(&self) -> &str;
    fn algorithm(&self) -> SigningAlgorithm;
    fn sign<'a>(&'a self, input: SigningInput<'a>) -> Signing<'a>;
}

type Signing<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, AuthError>> + Send + 'a>>;

impl<S: Signer> AnySigner for S {
    fn key_id(&self) -> &str {
        Signer::key_id(self)
    }

    fn algorithm(&self) -> SigningAlgorithm {
        Signer::algorithm(self)
    }

    fn sign<'a>(&'a self, input: SigningInput<'a>) -> Signing<'a> {
        Box::pin(Signer::sign(self, input))
    }
}
