//! The private keys that the client accepts, their forms, and the errors for other keys.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA384,
    UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use num_bigint::BigUint;
use pushslots::{Credentials, Signer, SigningAlgorithm, SigningInput, SigningKey};
use serde_json::{Value, json};
use support::examples::Folder;
use support::keys::{self, TestKey};

/// Asserts that the public half of `key` verifies a signature of `signing`.
async fn assert_signs(signing: &SigningKey, key: &TestKey) {
    let algorithm: &dyn VerificationAlgorithm = match signing.algorithm() {
        SigningAlgorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
        _ => &ECDSA_P384_SHA384_FIXED,
    };
    let signature = signing.sign(SigningInput::new(b"text")).await.unwrap();
    UnparsedPublicKey::new(algorithm, &key.public).verify(b"text", &signature).unwrap();
}

#[tokio::test]
async fn key_signs_in_every_supported_form() {
    let folder = Folder::create();
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
        // Some programs write unnecessary escapes. The parts of the key stay unchanged, because
        // they may contain the same letters.
        let jwk = format!("\u{feff}{jwk}")
            .replace("\"sig\"", "\"\\u0073ig\"")
            .replace("key-7", "key\\u002d7");
        for signing in [
            SigningKey::from_pem(&key.pem, "key-7"),
            SigningKey::from_pem_file(folder.file("key.pem", &key.pem), "key-7"),
            SigningKey::from_jwk(key.jwk("key-7").to_string()),
            SigningKey::from_jwk_file(folder.file("key.json", jwk)),
        ] {
            let signing = signing.unwrap();
            assert_eq!((signing.key_id(), signing.algorithm()), ("key-7", algorithm));
            let shown = format!("{signing:?}");
            assert!(
                shown.contains("key-7") && shown.contains(&format!("{algorithm:?}")),
                "{shown}"
            );
            assert_signs(&signing, &key).await;
        }
    }
}

/// Converts PKCS#8 from version 1 to version 2 (RFC 5958), with empty attributes and the public
/// key.
fn version_2(pem: &str, public: &[u8]) -> String {
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let version_1 = BASE64_STANDARD.decode(base64).unwrap();
    let fields = version_1.windows(3).position(|field| field == [2, 1, 0]).unwrap() + 3;
    let public = keys::der(0x81, &[&[0], public].concat());
    let parts = [&[2, 1, 1], &version_1[fields..], &[0xa0, 0], &public].concat();
    keys::pem("PRIVATE KEY", &keys::der(0x30, &parts))
}

#[tokio::test]
async fn pem_is_read_with_any_line_format() {
    let folder = Folder::create();
    for (key, form) in [
        (keys::p384(), "PRIVATE KEY"),
        (keys::p384_sec1(), "EC PRIVATE KEY"),
        (keys::rsa(), "PRIVATE KEY"),
        (keys::rsa_pkcs1(), "RSA PRIVATE KEY"),
    ] {
        let pem = &key.pem;
        assert!(pem.starts_with(&format!("-----BEGIN {form}-----\n")));
        let mut forms = vec![
            pem.replace('\n', "\r\n"),
            pem.replace('\n', "\r"),
            format!("\u{feff}{pem}"),
            format!("\u{feff}{}", pem.replace('\n', "\r\n")),
            pem.lines().map(|line| format!("    {line}\n")).collect(),
            pem.lines().map(|line| format!("\t{line} \r\n")).collect(),
            pem.trim_end().to_owned(),
            pem.replacen('\n', "\n\n", 2),
            format!("friendlyName: a\nKey Attributes: <No Attributes>\n{pem}"),
            format!("{}{pem}", keys::pem("EC PARAMETERS", b"\x06\x05\x2b\x81\x04\0\x22")),
            format!("{}{pem}{}", keys::pem("CERTIFICATE", b"any"), keys::p384().pem),
            format!("{}{pem}", keys::pem("ENCRYPTED PRIVATE KEY", b"any")),
        ];
        if form == "PRIVATE KEY" {
            forms.push(version_2(pem, &key.public));
        }
        for form in forms {
            let key_file = folder.file("key.pem", &form);
            for signing in
                [SigningKey::from_pem(&form, "id"), SigningKey::from_pem_file(key_file, "id")]
            {
                assert_signs(&signing.unwrap_or_else(|error| panic!("{error}: {form:?}")), &key)
                    .await;
            }
        }
        let comment = [b"friendlyName: M\xfcller\n", pem.as_bytes()].concat();
        assert_signs(&SigningKey::from_pem(comment, "id").unwrap(), &key).await;
    }
}

#[tokio::test]
async fn jwk_is_read_with_byte_order_marks_around_it() {
    let folder = Folder::create();
    let key = keys::p384();
    let jwk = format!("\u{feff}\r\n {} \r\n\u{feff}", key.jwk("id"));
    for signing in
        [SigningKey::from_jwk(&jwk), SigningKey::from_jwk_file(folder.file("key.json", &jwk))]
    {
        assert_signs(&signing.unwrap(), &key).await;
    }
}

#[test]
fn error_for_pem_with_escaped_line_breaks_names_the_fix() {
    for pem in [keys::p384().pem, keys::rsa_pkcs1().pem] {
        let secret = &pem.lines().nth(1).unwrap()[..32];
        let escaped = pem.replace('\n', "\\n");
        for form in [
            escaped.clone(),
            pem.trim_end().replace('\n', "\\n"),
            pem.replace('\n', "\\r\\n"),
            format!("\"{escaped}\"\n"),
            format!("KEY={escaped}"),
        ] {
            let error = SigningKey::from_pem(&form, "id").unwrap_err();
            let expected = "the line breaks of the PEM are the two characters `\\n`; \
                            replace each by a line break";
            assert!(error.to_string().contains(expected), "{error}");
            assert!(!format!("{error} {error:?}").contains(secret), "{error}");
        }
        #[cfg(unix)]
        {
            let printf = std::process::Command::new("sh")
                .args(["-c", "printf '%b' \"$0\"", &escaped])
                .output();
            SigningKey::from_pem(printf.unwrap().stdout, "id").unwrap();
        }
    }
}

#[test]
fn damaged_pkcs8_of_version_2_is_an_error() {
    let p256 = keys::elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING);
    let p384 = keys::p384();
    let whole = version_2(&p384.pem, &p384.public);
    let base64: String = whole.lines().filter(|line| !line.starts_with('-')).collect();
    let der = BASE64_STANDARD.decode(base64).unwrap();
    for end in 0..der.len() {
        SigningKey::from_pem(keys::pem("PRIVATE KEY", &der[..end]), "id").unwrap_err();
    }
    let error = SigningKey::from_pem(version_2(&p256.pem, &p256.public), "id").unwrap_err();
    assert!(error.to_string().contains("use RSA with at least 2048 bits"), "{error}");
}

#[test]
fn too_long_key_file_is_not_read_to_its_end() {
    let folder = Folder::create();
    let long = folder.file("key.pem", vec![b'\n'; 300 * 1024]);
    for error in [
        SigningKey::from_pem_file(&long, "id").unwrap_err(),
        SigningKey::from_jwk_file(&long).unwrap_err(),
    ] {
        assert!(error.to_string().contains("a key file must be smaller than 256 KiB"), "{error}");
    }
}

#[test]
fn unusable_pem_is_reported_with_its_cause() {
    let pem = keys::p384().pem;
    let encrypted = pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let p256 = keys::elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING).pem;
    let damaged = keys::pem("PRIVATE KEY", b"no key at all");
    let cut = &pem[..pem.len() / 2];
    let not_base64 = pem.replace("KEY-----\n", "KEY-----\n?");
    // RFC 1421, section 4.6.1.1.
    let header = "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n";
    let with_password = keys::p384_sec1().pem.replacen("KEY-----\n", header, 1);
    for (pem, expected) in [
        ("", "the text contains no private key in PEM"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "the text contains no private key in PEM",
        ),
        (&encrypted, "the private key is encrypted"),
        (&p256, "use RSA with at least 2048 bits or the elliptic curve P-384"),
        (&damaged, "damaged"),
        (cut, "the PEM ends within the private key"),
        (&not_base64, "damaged: it isn't base64"),
        (&with_password, "the private key is encrypted"),
    ] {
        let error = SigningKey::from_pem(pem, "id").unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn error_for_an_unreadable_file_does_not_show_its_path() {
    // A user may pass the key itself instead of a path, in any form.
    let pem = keys::p384().pem;
    let line = pem.replace('\n', "\\n");
    let bare: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    for path in [pem.as_str(), &line, &format!("\"{line}\""), &bare, "no/such/key.pem"] {
        for error in [
            SigningKey::from_pem_file(path, "id").unwrap_err(),
            SigningKey::from_jwk_file(path).unwrap_err(),
        ] {
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("pass the path of a key file"), "{shown}");
            assert!(!shown.contains(path), "{shown}");
        }
    }
}

#[test]
fn unusable_jwk_is_reported_with_its_cause() {
    let p384 = keys::p384().jwk("id");
    let rsa = keys::rsa().jwk("id");
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
        (String::new(), "this isn't a JWK"),
        (keys::p384().pem, "this isn't a JWK"),
        (json!([p384]).to_string(), "this isn't a JWK"),
        (json!(p384["d"]).to_string(), "this isn't a JWK"),
        (with(&p384, "d", json!(7)), "`d` of the JWK isn't base64url"),
        (with(&p384, "d", json!(null)), "the JWK lacks `d`; pass a private key"),
        (p384.to_string().replace("\"d\":\"", "\"d\":\"\\u002d"), "`d` of the JWK isn't base64url"),
        (
            p384.to_string().replacen('{', "{\"d\":null,", 1),
            "the JWK repeats `d`; keep one of its values",
        ),
        (p384.to_string().replacen('{', "{\"k\\u0069d\":7,", 1), "the JWK repeats `kid`"),
        (without(&p384, "kty"), "it must be RSA or EC"),
        (with(&p384, "kid", json!(7)), "this isn't a JWK"),
        (json!({ "keys": [p384] }).to_string(), "this is a JWK Set; pass one of its `keys`"),
        (without(&p384, "kid"), "the JWK lacks `kid`"),
        (with(&p384, "kid", json!("")), "the JWK lacks `kid`"),
        (with(&p384, "kty", json!("oct")), "it must be RSA or EC"),
        (
            keys::elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING).jwk("id").to_string(),
            "it must be P-384",
        ),
        (with(&p384, "crv", json!("P-256")), "it must be P-384"),
        (with(&p384, "alg", json!("ES256")), "for P-384 it must be ES384"),
        (with(&p384, "alg", json!("RS384")), "for P-384 it must be ES384"),
        (with(&rsa, "alg", json!("RS256")), "for RSA it must be RS384"),
        (with(&rsa, "alg", json!("ES384")), "for RSA it must be RS384"),
        (with(&rsa, "use", json!("enc")), "isn't for signing"),
        (with(&rsa, "key_ops", json!(["verify"])), "isn't for signing"),
        (with(&rsa, "key_ops", json!("sign")), "this isn't a JWK"),
        (with(&p384, "x", json!(7)), "`x` of the JWK isn't base64url"),
        (without(&p384, "d"), "the JWK lacks `d`; pass a private key"),
        (without(&rsa, "d"), "the JWK lacks `d`; pass a private key"),
        (without(&rsa, "qi"), "the JWK lacks `qi`"),
        (with(&p384, "x", json!("not+base64url/")), "`x` of the JWK isn't base64url"),
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

/// Builds an RSA key of 1128 bits from two well-known primes.
fn short_rsa() -> BTreeMap<&'static str, BigUint> {
    let one = BigUint::from(1_u8);
    let mersenne = |bits: usize| -> BigUint { (&one << bits) - &one };
    let p = mersenne(521);
    let q = mersenne(607);
    let e = BigUint::from(65_537_u32);
    let p1 = &p - &one;
    let q1 = &q - &one;
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
fn rsa_key_below_2048_bits_is_rejected_in_every_form() {
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
        assert_eq!(error, "the RSA key is too short; use at least 2048 bits");
    }
}

#[test]
fn credentials_show_no_secret() {
    let key = keys::p384();
    let jwt = Credentials::signed_jwt("client-9", SigningKey::from_pem(&key.pem, "key-7").unwrap());
    let shown = format!("{jwt:?}");
    assert!(
        shown.contains("client-9") && shown.contains("key-7") && shown.contains("Es384"),
        "{shown}"
    );
    let secret = key.pem.lines().nth(1).unwrap();
    assert!(!shown.contains(secret));
    let shown = format!("{:?}", Credentials::api_key("canary-key", "canary-secret"));
    assert!(!shown.contains("canary"), "{shown}");
}
