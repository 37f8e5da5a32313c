//! Public keys, as clients register them.

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

/// Reads a `PUBLIC KEY`: RFC 7468, section 13.
pub(super) fn from_pem(pem: &[u8]) -> Result<PublicKey, &'static str> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem);
    let der = der.map_err(|_| "there is no public key in PEM, a block `PUBLIC KEY`")?;
    PublicKey::from_spki(&der).ok_or("the public key is neither of P-384 nor of RSA from 2048 bits")
}

/// Reads a JWK, and its key id.
pub(super) fn from_jwk(jwk: &str) -> Result<(String, PublicKey), &'static str> {
    let jwk: Jwk = serde_json::from_str(jwk).map_err(|_| "the public key is no JWK")?;
    let part = |text: Option<String>| BASE64_URL_SAFE_NO_PAD.decode(text?).ok();
    if jwk.d.is_some() {
        return Err("this JWK is a private key; register its public half");
    }
    let key = match (jwk.kty.as_str(), part(jwk.x), part(jwk.y), part(jwk.n), part(jwk.e)) {
        ("EC", Some(x), Some(y), ..) if jwk.crv.as_deref() == Some("P-384") => {
            PublicKey::from_p384_parts(&x, &y)
        }
        // From 2048 bits, as the service takes them.
        ("RSA", _, _, Some(n), Some(e)) if n.len() >= 256 => Some(PublicKey::RsaParts { n, e }),
        _ => None,
    };
    let key = key.ok_or("the JWK is no public key of P-384 or of RSA from 2048 bits")?;
    Ok((jwk.kid.ok_or("the JWK lacks `kid`, by which assertions name it")?, key))
}
