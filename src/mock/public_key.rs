//! The public keys that clients register.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;

use crate::signature::PublicKey;

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<String>,
}

/// Reads a PEM with a `PUBLIC KEY` (RFC 7468, section 13).
pub(super) fn from_pem(pem: &[u8]) -> Result<PublicKey, &'static str> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem);
    let der = der.map_err(|_| "the PEM contains no valid `PUBLIC KEY` block")?;
    PublicKey::from_spki(&der).ok_or("the public key must be P-384, or RSA of at least 2048 bits")
}

/// Reads a JWK with its key id.
pub(super) fn from_jwk(jwk: &str) -> Result<(String, PublicKey), &'static str> {
    let jwk: Jwk = serde_json::from_str(jwk).map_err(|_| "the public key isn't a valid JWK")?;
    let part = |text: Option<String>| BASE64_URL_SAFE_NO_PAD.decode(text?).ok();
    if jwk.d.is_some() {
        return Err("this JWK is a private key; register its public half");
    }
    let key = match (jwk.kty.as_str(), part(jwk.x), part(jwk.y), part(jwk.n), part(jwk.e)) {
        ("EC", Some(x), Some(y), ..) if jwk.crv.as_deref() == Some("P-384") => {
            PublicKey::from_p384_parts(&x, &y)
        }
        // The service requires at least 2048 bits.
        ("RSA", _, _, Some(n), Some(e)) if n.len() >= 256 => Some(PublicKey::RsaParts { n, e }),
        _ => None,
    };
    let key = key.ok_or("the JWK must be a public key: P-384, or RSA of at least 2048 bits")?;
    Ok((jwk.kid.ok_or("the JWK has no `kid`, which assertions need to refer to it")?, key))
}
