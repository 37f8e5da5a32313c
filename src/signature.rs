//! Key pairs and their signatures; the only file that names aws-lc-rs.

use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA384};
use rustls_pki_types::PrivateKeyDer;

/// Returns the uncompressed point of a P-384 key (SEC 1, section 2.3.3).
fn point(x: &[u8], y: &[u8]) -> Vec<u8> {
    [&[4][..], x, y].concat()
}

/// A private key for RS384 or ES384 (RFC 7518, sections 3.3 and 3.4).
pub(crate) enum PrivateKey {
    Rsa(RsaKeyPair),
    P384(EcdsaKeyPair),
}

/// A reason why a key can't be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    TooShort,
    DamagedOrOfAnotherKind,
}

impl From<KeyRejected> for Unusable {
    fn from(rejected: KeyRejected) -> Self {
        match rejected.to_string().as_str() {
            "TooSmall" => Self::TooShort,
            _ => Self::DamagedOrOfAnotherKind,
        }
    }
}

/// The integers of an RSA key in big-endian order (RFC 8017, section 3.2).
pub(crate) struct RsaParts<'a> {
    pub(crate) n: &'a [u8],
    pub(crate) e: &'a [u8],
    pub(crate) d: &'a [u8],
    pub(crate) p: &'a [u8],
    pub(crate) q: &'a [u8],
    pub(crate) dp: &'a [u8],
    pub(crate) dq: &'a [u8],
    pub(crate) qi: &'a [u8],
}

impl PrivateKey {
    pub(crate) fn from_der(der: &PrivateKeyDer<'_>) -> Result<Self, Unusable> {
        let bytes = der.secret_der();
        let algorithm = &ECDSA_P384_SHA384_FIXED_SIGNING;
        Ok(match der {
            PrivateKeyDer::Pkcs1(_) => Self::Rsa(RsaKeyPair::from_der(bytes)?),
            PrivateKeyDer::Sec1(_) => {
                Self::P384(EcdsaKeyPair::from_private_key_der(algorithm, bytes)?)
            }
            _ => match EcdsaKeyPair::from_pkcs8(algorithm, bytes) {
                Ok(key) => Self::P384(key),
                Err(_) => Self::Rsa(RsaKeyPair::from_pkcs8(bytes)?),
            },
        })
    }

    pub(crate) fn from_rsa_parts(parts: &RsaParts<'_>) -> Result<Self, Unusable> {
        let &RsaParts { n, e, d, p, q, dp, dq, qi } = parts;
        let public_key = PublicKeyComponents { n, e };
        let components = KeyPairComponents { public_key, d, p, q, dP: dp, dQ: dq, qInv: qi };
        Ok(Self::Rsa(RsaKeyPair::from_components(&components)?))
    }

    pub(crate) fn from_p384_parts(x: &[u8], y: &[u8], d: &[u8]) -> Result<Self, Unusable> {
        let algorithm = &ECDSA_P384_SHA384_FIXED_SIGNING;
        Ok(Self::P384(EcdsaKeyPair::from_private_key_and_public_key(algorithm, d, &point(x, y))?))
    }

    /// Returns the signature of `text` in the form of RFC 7518.
    pub(crate) fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA384, &random, text, &mut signature)?;
                Ok(signature)
            }
            Self::P384(key) => Ok(key.sign(&random, text)?.as_ref().to_vec()),
        }
    }
}

#[cfg(feature = "mock")]
pub(crate) use verification::PublicKey;

/// Verification of signatures, which only the mock service needs.
#[cfg(feature = "mock")]
mod verification {
    use aws_lc_rs::signature::{
        ECDSA_P384_SHA384_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
        ParsedPublicKey, RSA_PKCS1_2048_8192_SHA384, RsaPublicKeyComponents,
    };

    use super::{PrivateKey, Unspecified, point};

    impl PrivateKey {
        /// Generates a P-384 key. Returns it with its PKCS#8 form and its public key.
        pub(crate) fn generate() -> Result<(Self, Vec<u8>, PublicKey), Unspecified> {
            let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING)?;
            let public = ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key.public_key().as_ref());
            let public = PublicKey::P384(public.map_err(|_| Unspecified)?);
            let pkcs8 = key.to_pkcs8v1()?.as_ref().to_vec();
            Ok((Self::P384(key), pkcs8, public))
        }
    }

    /// A public key that verifies signatures.
    pub(crate) enum PublicKey {
        Rsa(ParsedPublicKey),
        RsaParts { n: Vec<u8>, e: Vec<u8> },
        P384(ParsedPublicKey),
    }

    impl PublicKey {
        /// Reads a `SubjectPublicKeyInfo`: RFC 5280, section 4.1.2.7.
        pub(crate) fn from_spki(der: &[u8]) -> Option<Self> {
            let p384 = || ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, der).map(Self::P384);
            let rsa = || ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA384, der).map(Self::Rsa);
            p384().or_else(|_| rsa()).ok()
        }

        pub(crate) fn from_p384_parts(x: &[u8], y: &[u8]) -> Option<Self> {
            ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point(x, y)).map(Self::P384).ok()
        }

        /// Returns the algorithm of the key's signatures (RFC 7518, section 3.1).
        pub(crate) fn algorithm(&self) -> &'static str {
            match self {
                Self::Rsa(_) | Self::RsaParts { .. } => "RS384",
                Self::P384(_) => "ES384",
            }
        }

        /// Returns whether `signature` is a signature of `text` in the form of RFC 7518.
        pub(crate) fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
            match self {
                Self::Rsa(key) | Self::P384(key) => key.verify_sig(text, signature).is_ok(),
                Self::RsaParts { n, e } => {
                    let key = RsaPublicKeyComponents { n, e };
                    key.verify(&RSA_PKCS1_2048_8192_SHA384, text, signature).is_ok()
                }
            }
        }
    }
}
