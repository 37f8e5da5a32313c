//! Private keys, made anew for each run.

use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// A private key in PEM, and what verifies its signatures.
pub struct TestKey {
    pub pem: String,
    pub public: Vec<u8>,
}

pub fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A P-384 key in PKCS#8.
pub fn p384() -> TestKey {
    elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING)
}

/// A key of any curve in PKCS#8.
pub fn elliptic(algorithm: &'static EcdsaSigningAlgorithm) -> TestKey {
    let der = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref()).unwrap();
    TestKey { pem: pem("PRIVATE KEY", der.as_ref()), public: key.public_key().as_ref().to_vec() }
}

/// A P-384 key in SEC1.
pub fn p384_sec1() -> TestKey {
    let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let der: EcPrivateKeyRfc5915Der = key.private_key().as_der().unwrap();
    TestKey { pem: pem("EC PRIVATE KEY", der.as_ref()), public: key.public_key().as_ref().to_vec() }
}

/// An RSA key of 2048 bits in PKCS#8.
pub fn rsa() -> TestKey {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der = key.as_der().unwrap();
    TestKey { pem: pem("PRIVATE KEY", der.as_ref()), public: key.public_key().as_ref().to_vec() }
}

/// An RSA key of 2048 bits in PKCS#1.
pub fn rsa_pkcs1() -> TestKey {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der = key.as_der().unwrap();
    // RFC 5208, section 5: the last field of PKCS#8 is an octet string around the PKCS#1 key, and in a key
    // of this size it begins after 26 bytes.
    TestKey { pem: pem("RSA PRIVATE KEY", &der.as_ref()[26..]), public: key.public_key().as_ref().to_vec() }
}
