//! Which private keys are taken, in which form, and what is said of those that are not.

mod support;

use std::collections::BTreeMap;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA384, UnparsedPublicKey,
    VerificationAlgorithm,
};
use num_bigint::BigUint;
use pushslots::{Credentials, Signer, SigningAlgorithm, SigningKey};
use serde_json::{Value, json};
use support::examples::Folder;
use support::keys::{self, TestKey};

/// Whether what `signing` signs is verified by the public half of `key`.
async fn assert_signs(signing: &SigningKey, key: &TestKey) {
    let algorithm: &dyn VerificationAlgorithm = match signing.algorithm() {
        SigningAlgorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
        _ => &ECDSA_P384_SHA384_FIXED,
    };
    let signature = signing.sign(b"text").await.unwrap();
    UnparsedPublicKey::new(algorithm, &key.public).verify(b"text", &signature).unwrap();
}

#[tokio::test]
async fn a_key_signs_whatever_form_it_comes_in() {
    let folder = Folder::new();
    for (key, algorithm) in [
        (keys::p384(), SigningAlgorithm::Es384),
        (keys::p384_sec1(), SigningAlgorithm::Es384),
        (keys::rsa(), SigningAlgorithm::Rs384),
        (keys::rsa_pkcs1(), SigningAlgorithm::Rs384),
    ] {
        let mut jwk = key.jwk("key-7");
        jwk["alg"] = algorithm.to_string().into();
        jwk["use"] = "sig".into();
        jwk["key_ops"] = json!(["sign", "verify"]);
        jwk["x5t"] = "of no matter here".into();
        // Some write more escapes than they need. The parts of the key are left alone: they hold any three letters.
        let jwk =
            format!("\u{feff}{jwk}").replace("\"sig\"", "\"\\u0073ig\"").replace("key-7", "key\\u002d7");
        for signing in [
            SigningKey::from_pem(&key.pem, "key-7"),
            SigningKey::from_pem_file(folder.file("key.pem", &key.pem), "key-7"),
            SigningKey::from_jwk(key.jwk("key-7").to_string()),
            SigningKey::from_jwk_file(folder.file("key.json", jwk)),
        ] {
            let signing = signing.unwrap();
            assert_eq!((signing.key_id(), signing.algorithm()), ("key-7", algorithm));
            let shown = format!("{signing:?}");
            assert!(shown.contains("key-7") && shown.contains(&format!("{algorithm:?}")), "{shown}");
            assert_signs(&signing, &key).await;
        }
    }
}

#[test]
fn pem_that_can_not_be_used_is_told_apart() {
    let pem = keys::p384().pem;
    let encrypted = pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let p256 = keys::elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING).pem;
    let damaged = keys::pem("PRIVATE KEY", b"no key at all");
    for (pem, expected) in [
        ("", "there is no private key in PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "there is no private key in PEM"),
        (&encrypted, "the private key is encrypted"),
        (&p256, "it takes RSA from 2048 bits and the elliptic curve P-384"),
        (&damaged, "damaged"),
    ] {
        let error = SigningKey::from_pem(pem, "id").unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_file_that_can_not_be_read_is_not_named() {
    // What is given in place of a path may be the key itself, in any form that people keep it in.
    let pem = keys::p384().pem;
    let line = pem.replace('\n', "\\n");
    let bare: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    for path in [pem.as_str(), &line, &format!("\"{line}\""), &bare, "no/such/key.pem"] {
        for error in
            [SigningKey::from_pem_file(path, "id").unwrap_err(), SigningKey::from_jwk_file(path).unwrap_err()]
        {
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("give the path of a key's file"), "{shown}");
            assert!(!shown.contains(path), "{shown}");
        }
    }
}

#[test]
fn a_jwk_that_can_not_be_used_is_told_apart() {
    let (p384, rsa) = (keys::p384().jwk("id"), keys::rsa().jwk("id"));
    let other = keys::p384().jwk("id");
    let with = |jwk: &Value, name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        jwk.to_string()
    };
    let without = |jwk: &Value, name: &str| {
        let mut jwk = jwk.clone();
        jwk.as_object_mut().unwrap().remove(name);
        jwk.to_string()
    };
    for (jwk, expected) in [
        (String::new(), "this is no JWK"),
        (keys::p384().pem, "this is no JWK"),
        (json!([p384]).to_string(), "this is no JWK"),
        (with(&p384, "d", json!(7)), "this is no JWK"),
        (without(&p384, "kty"), "it must be RSA or EC"),
        (with(&p384, "kid", json!(7)), "this is no JWK"),
        (json!({ "keys": [p384] }).to_string(), "this is a JWK Set; give one of its `keys`"),
        (without(&p384, "kid"), "the JWK lacks `kid`"),
        (with(&p384, "kid", json!("")), "the JWK lacks `kid`"),
        (with(&p384, "kty", json!("oct")), "it must be RSA or EC"),
        (keys::elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING).jwk("id").to_string(), "it must be P-384"),
        (with(&p384, "crv", json!("P-256")), "it must be P-384"),
        (with(&p384, "alg", json!("ES256")), "with P-384 it must be ES384"),
        (with(&p384, "alg", json!("RS384")), "with P-384 it must be ES384"),
        (with(&rsa, "alg", json!("RS256")), "with RSA it must be RS384"),
        (with(&rsa, "alg", json!("ES384")), "with RSA it must be RS384"),
        (with(&rsa, "use", json!("enc")), "is not for signing"),
        (with(&rsa, "key_ops", json!(["verify"])), "is not for signing"),
        (without(&p384, "d"), "the JWK lacks `d`; a private key is needed"),
        (without(&rsa, "d"), "the JWK lacks `d`; a private key is needed"),
        (without(&rsa, "qi"), "the JWK lacks `qi`"),
        (with(&p384, "x", json!("not+base64url/")), "`x` of the JWK is no base64url"),
        (with(&p384, "d", other["d"].clone()), "damaged"),
        (with(&p384, "d", json!("")), "damaged"),
        (with(&rsa, "dp", rsa["dq"].clone()), "damaged"),
    ] {
        let error = SigningKey::from_jwk(&jwk).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
        for secret in [&p384["d"], &rsa["d"], &rsa["qi"]] {
            assert!(!error.contains(secret.as_str().unwrap()), "{error}");
        }
    }
}

/// An RSA key of 1128 bits, of two primes that everyone knows.
fn short_rsa() -> BTreeMap<&'static str, BigUint> {
    let one = BigUint::from(1_u8);
    let mersenne = |bits: usize| -> BigUint { (&one << bits) - &one };
    let (p, q) = (mersenne(521), mersenne(607));
    let e = BigUint::from(65_537_u32);
    let (p1, q1) = (&p - &one, &q - &one);
    let d = e.modinv(&(&p1 * &q1)).unwrap();
    BTreeMap::from([
        ("n", &p * &q),
        ("dp", &d % &p1),
        ("dq", &d % &q1),
        ("qi", q.modinv(&p).unwrap()),
        ("e", e),
        ("d", d),
        ("p", p),
        ("q", q),
    ])
}

#[test]
fn an_rsa_key_below_2048_bits_is_refused_in_every_form() {
    let key = short_rsa();
    let parts = ["n", "e", "d", "p", "q", "dp", "dq", "qi"].map(|name| key[name].to_bytes_be());
    let mut jwk = keys::rsa_jwk(&parts);
    jwk["kid"] = "id".into();
    let pkcs1 = keys::pkcs1_of(&parts);
    for key in [
        SigningKey::from_jwk(jwk.to_string()),
        SigningKey::from_pem(keys::pem("RSA PRIVATE KEY", &pkcs1), "id"),
        SigningKey::from_pem(keys::pem("PRIVATE KEY", &keys::pkcs8_of(&pkcs1)), "id"),
    ] {
        let error = key.unwrap_err().to_string();
        assert_eq!(error, "the RSA key is too short; the service takes RSA from 2048 bits");
    }
}

#[test]
fn credentials_show_no_secret() {
    let key = keys::p384();
    let jwt = Credentials::signed_jwt("client-9", SigningKey::from_pem(&key.pem, "key-7").unwrap());
    let shown = format!("{jwt:?}");
    assert!(shown.contains("client-9") && shown.contains("key-7") && shown.contains("Es384"), "{shown}");
    let secret = key.pem.lines().nth(1).unwrap();
    assert!(!shown.contains(secret));
    let shown = format!("{:?}", Credentials::api_key("canary-key", "canary-secret"));
    assert!(!shown.contains("canary"), "{shown}");
}
