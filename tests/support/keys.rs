//! Private keys that are generated for each run.

use aws_lc_rs::encoding::{
    AsBigEndian, AsDer, EcPrivateKeyBin, EcPrivateKeyRfc5915Der, Pkcs8V1Der,
};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// A private key in PEM and as a JWK, and the public key that verifies its signatures.
pub struct TestKey {
    pub pem: String,
    pub public: Vec<u8>,
    /// The JWK without a key id.
    pub jwk: Value,
}

impl TestKey {
    /// Returns the private key as a JWK with this key id.
    pub fn jwk(&self, key_id: &str) -> Value {
        let mut jwk = self.jwk.clone();
        jwk["kid"] = key_id.into();
        jwk
    }

    /// Returns the public key as a JWK, in the form that the service receives.
    pub fn public_jwk(&self, key_id: &str) -> Value {
        let mut jwk = self.jwk(key_id);
        let members = jwk.as_object_mut().unwrap();
        members.retain(|name, _| !["d", "p", "q", "dp", "dq", "qi"].contains(&name.as_str()));
        jwk
    }
}

pub fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Generates a P-384 key in PKCS#8.
pub fn p384() -> TestKey {
    elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING)
}

/// Generates a P-384 key in SEC 1.
pub fn p384_sec1() -> TestKey {
    let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let der: EcPrivateKeyRfc5915Der = key.private_key().as_der().unwrap();
    TestKey { pem: pem("EC PRIVATE KEY", der.as_ref()), ..of_curve(&key) }
}

/// Generates a key of any curve in PKCS#8.
pub fn elliptic(algorithm: &'static EcdsaSigningAlgorithm) -> TestKey {
    of_curve(&EcdsaKeyPair::generate(algorithm).unwrap())
}

fn of_curve(key: &EcdsaKeyPair) -> TestKey {
    let public = key.public_key().as_ref().to_vec();
    let private: EcPrivateKeyBin = key.private_key().as_be_bytes().unwrap();
    // SEC 1, section 2.3.3: a tag byte, x and y.
    let (x, y) = public[1..].split_at(public.len() / 2);
    let crv = format!("P-{}", x.len() * 8);
    TestKey {
        pem: pem("PRIVATE KEY", key.to_pkcs8v1().unwrap().as_ref()),
        jwk: json!({
            "kty": "EC", "crv": crv,
            "x": base64(x), "y": base64(y), "d": base64(private.as_ref())
        }),
        public,
    }
}

/// Generates a 2048-bit RSA key in PKCS#8.
pub fn rsa() -> TestKey {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der = key.as_der().unwrap();
    let public = key.public_key().as_ref().to_vec();
    TestKey {
        pem: pem("PRIVATE KEY", der.as_ref()),
        public,
        jwk: rsa_jwk(&integers(pkcs1(der.as_ref()))),
    }
}

/// Generates a 2048-bit RSA key in PKCS#1.
pub fn rsa_pkcs1() -> TestKey {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der = key.as_der().unwrap();
    let der = pkcs1(der.as_ref());
    let public = key.public_key().as_ref().to_vec();
    TestKey { pem: pem("RSA PRIVATE KEY", der), public, jwk: rsa_jwk(&integers(der)) }
}

/// Builds a private RSA key as a JWK from n, e, d, p, q, dp, dq and qi.
pub fn rsa_jwk(parts: &[Vec<u8>]) -> Value {
    let mut jwk = json!({ "kty": "RSA" });
    for (name, part) in ["n", "e", "d", "p", "q", "dp", "dq", "qi"].into_iter().zip(parts) {
        jwk[name] = base64(part).into();
    }
    jwk
}

pub fn base64(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns the PKCS#1 key inside a 2048-bit PKCS#8 key. It is the content of the last field, an
/// octet string (RFC 5208, section 5), and begins after 26 bytes.
fn pkcs1(pkcs8: &[u8]) -> &[u8] {
    &pkcs8[26..]
}

/// Returns the integers of a PKCS#1 key after its version (RFC 8017, section A.1.2).
fn integers(der: &[u8]) -> Vec<Vec<u8>> {
    let (mut rest, _) = element(der);
    let mut integers = Vec::new();
    while !rest.is_empty() {
        let (content, after) = element(rest);
        let zeros = content.iter().take_while(|byte| **byte == 0).count();
        integers.push(content[zeros..].to_vec());
        rest = after;
    }
    integers.remove(0);
    integers
}

/// Returns the content of the first element, and the bytes after it.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, head) = match der[1] {
        short @ ..=0x7f => (usize::from(short), 2),
        0x81 => (usize::from(der[2]), 3),
        _ => (usize::from(der[2]) << 8 | usize::from(der[3]), 4),
    };
    der[head..].split_at(length)
}

/// Encodes a DER element with this tag.
pub fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let head = match content.len().to_be_bytes()[6..] {
        [0, short @ ..=0x7f] => vec![tag, short],
        [0, length] => vec![tag, 0x81, length],
        ref length => [&[tag, 0x82], length].concat(),
    };
    [head, content.to_vec()].concat()
}

/// Encodes a PKCS#1 key from n, e, d, p, q, dp, dq and qi.
pub fn pkcs1_of(parts: &[Vec<u8>]) -> Vec<u8> {
    let integer = |bytes: &Vec<u8>| {
        // A leading zero keeps the number positive.
        let sign: &[u8] = if bytes[0] >= 0x80 { &[0] } else { &[] };
        der(2, &[sign, bytes].concat())
    };
    der(0x30, &[vec![2, 1, 0], parts.iter().flat_map(integer).collect()].concat())
}

/// Encodes a PKCS#8 key around a PKCS#1 key.
pub fn pkcs8_of(pkcs1: &[u8]) -> Vec<u8> {
    const RSA_ENCRYPTION: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
    der(0x30, &[vec![2, 1, 0], der(0x30, RSA_ENCRYPTION), der(4, pkcs1)].concat())
}
