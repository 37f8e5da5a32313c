//! The token requests that the mock grants, and the reasons for rejecting others.

use std::time::Duration;

use http::StatusCode;
use pushslots::chrono::Utc;
use pushslots::mock::MockService;
use pushslots::{Client, Credentials, SigningKey};
use serde_json::{Value, json};
use support::any::{Any, FORM, assertion_by, form, good_assertion, its_key, token};
use support::examples::Folder;
use support::keys::{self, TestKey};
use support::relay::sign_again;
use support::{DESTINATION, MESSAGE, message};

#[tokio::test]
async fn invalid_assertion_is_rejected_with_its_reason() {
    let service = MockService::start().unwrap();
    let any = Any::of(&service);
    let key = its_key(&service);
    let now = Utc::now().timestamp();
    let good = good_assertion(&service).await;
    let other = SigningKey::from_pem(keys::p384().pem, service.key_id()).unwrap();
    let unknown = SigningKey::from_pem(service.private_key_pem(), "another-key").unwrap();
    let audience = format!("{}/v2/auth/token", service.url());
    let with = |alter: &dyn Fn(&mut Value)| sign_again(&good, &key, alter);
    let claim = |name: &'static str, value: Value| with(&|claims| claims[name] = value.clone());
    let cases = [
        (claim("aud", "https://elsewhere/v2/auth/token".into()), "Unexpected aud claim value"),
        (claim("aud", json!([audience])), "Unexpected aud claim value"),
        (claim("exp", (now - 1).into()), "The client assertion is expired"),
        (claim("exp", Value::Null), "Unexpected exp claim value"),
        (claim("iat", (now + 30).into()), "Unexpected iat claim value"),
        (claim("iat", (now - 330).into()), "Unexpected iat claim value"),
        (claim("sub", "another".into()), "Unexpected sub claim value"),
        (claim("jti", "".into()), "Unexpected jti claim value"),
        (
            with(&|claims| {
                claims["iss"] = "another".into();
                claims["sub"] = "another".into();
            }),
            "Public key not found",
        ),
        (assertion_by(&unknown, service.client_id(), &audience).await, "Public key not found"),
        (sign_again(&good, &other, |_| ()), "Signature verification failed"),
        (format!("{good}AA"), "Signature verification failed"),
        ("no.jwt".to_owned(), "Malformed client assertion"),
        ("x".to_owned(), "Malformed client assertion"),
    ];
    for (assertion, reason) in &cases {
        let (status, response) = any.request_token(assertion).await;
        let description = response["error_description"].as_str().unwrap_or_default();
        assert!(
            status == 400 && description.starts_with(reason),
            "{status} {description} instead of {reason}"
        );
        assert_eq!(response["error"], "invalid_request");
        let seen = service.requests().last().unwrap().clone();
        assert!(seen.reason().unwrap().starts_with(description), "{seen:?}");
        assert_eq!(seen.status(), Some(StatusCode::BAD_REQUEST));
        if description.contains("aud") {
            assert!(
                seen.reason().unwrap().contains(&audience),
                "the recorded reason names the expected audience"
            );
        }
    }
    // A time may have a fraction (RFC 7519, section 2).
    let fractions = with(&|claims| {
        claims["iat"] = (now as f64 - 10.5).into();
        claims["exp"] = (now as f64 + 200.5).into();
        claims["jti"] = "fractions".into();
    });
    assert_eq!(any.request_token(&fractions).await.0, 200);
    // A rejected assertion may still be used, but only once.
    assert_eq!(any.request_token(&good).await.0, 200);
    let (status, response) = any.request_token(&good).await;
    assert_eq!(status, 400);
    assert!(response["error_description"].as_str().unwrap().contains("used before"), "{response}");
    assert_eq!(service.counts().token_requests, cases.len() + 3);
}

#[tokio::test]
async fn jti_is_single_use_per_client_and_the_audience_must_be_known() {
    let own = keys::p384();
    let builder =
        MockService::builder().public_jwk("another", own.public_jwk("own-key").to_string());
    let service = builder.audience("https://api.example.com/v2/auth/token").start().unwrap();
    let any = Any::of(&service);
    let own = SigningKey::from_pem(own.pem, "own-key").unwrap();
    let set_jti = |claims: &mut Value| claims["jti"] = "1".into();
    let audience = "https://api.example.com/v2/auth/token";
    let key = its_key(&service);
    let one = assertion_by(&key, service.client_id(), audience).await;
    let other =
        assertion_by(&own, "another", &service.url().replace("127.0.0.1", "localhost")).await;
    assert_eq!(any.request_token(&sign_again(&one, &key, set_jti)).await.0, 200);
    assert_eq!(any.request_token(&sign_again(&one, &key, set_jti)).await.0, 400);
    // `aud` may contain the host name that the client used instead of the address, but no other.
    let set_jti_and_audience = |claims: &mut Value| {
        set_jti(claims);
        claims["aud"] =
            format!("{}/v2/auth/token", service.url().replace("127.0.0.1", "localhost")).into();
    };
    let other = sign_again(&other, &own, set_jti_and_audience);
    assert_eq!(any.request_token(&other).await.0, 400);
    let here = service.url().replace("127.0.0.1", "localhost");
    let host = here.strip_prefix("http://").unwrap();
    let form = form(&other);
    let headers = [("content-type", FORM), ("host", host)];
    assert_eq!(any.post("/v2/auth/token", &headers, form).await.0, 200);
}

#[tokio::test]
async fn token_request_must_have_all_parameters() {
    let service = MockService::start().unwrap();
    let any = Any::of(&service);
    let whole = form(&good_assertion(&service).await);
    let kind = whole.split('&').nth(1).unwrap().to_owned();
    let form = [("content-type", FORM)];
    for (headers, body, expected) in [
        (
            &[("content-type", "application/json")][..],
            whole.clone(),
            "x-www-form-urlencoded content-type required",
        ),
        (
            &form,
            whole.replace("grant_type=client_credentials&", ""),
            "Missing grant_type parameter",
        ),
        (&form, whole.replace("client_credentials", "password"), "Unexpected grant_type parameter"),
        (&form, whole.replace(&kind, ""), "Missing or unexpected client_assertion_type parameter"),
        (&form, format!("grant_type=client_credentials&{kind}"), "Missing client assertion"),
        (
            &form,
            format!("{whole}&client_id=another"),
            "The client_id parameter differs from the assertion's iss",
        ),
    ] {
        let (status, response) = any.post("/v2/auth/token", headers, body).await;
        let response: Value = serde_json::from_str(&response).unwrap();
        assert_eq!((status, response["error_description"].as_str()), (400, Some(expected)));
    }
}

#[tokio::test]
async fn token_expires_after_its_lifetime() {
    let service = MockService::builder().token_lifetime(Duration::ZERO).start().unwrap();
    let any = Any::of(&service);
    let token = token(&service, &any).await;
    assert_eq!(any.push(&token, MESSAGE).await.0, 401);
    assert_eq!(service.requests().last().unwrap().reason(), Some("the token is expired"));
}

#[tokio::test]
async fn own_public_keys_are_accepted_as_pem_and_jwk() {
    let folder = Folder::create();
    let elliptic = keys::p384();
    let rsa = keys::rsa();
    let jwk = |key: &TestKey, id: &str| key.public_jwk(id).to_string();
    let builder = MockService::builder()
        .public_jwk("one", jwk(&elliptic, "key-7"))
        .public_jwk("two", jwk(&rsa, "key-7"))
        .public_key_pem("three", "key-8", spki(&elliptic))
        .public_key_pem("three", "key-9", spki(&rsa));
    let service = builder.start().unwrap();
    for (client_id, key_id, key) in [
        ("one", "key-7", &elliptic),
        ("two", "key-7", &rsa),
        ("three", "key-8", &elliptic),
        ("three", "key-9", &rsa),
    ] {
        let file = folder.file("key.pem", &key.pem);
        let key = SigningKey::from_pem_file(file, key_id).unwrap();
        let client = Client::builder().base_url(service.url()).destination(DESTINATION);
        let client = client.credentials(Credentials::signed_jwt(client_id, key)).build().unwrap();
        client
            .send(&message())
            .await
            .unwrap_or_else(|error| panic!("{client_id} {key_id}: {error}"));
    }
    let start_error =
        |builder: pushslots::mock::MockServiceBuilder| builder.start().unwrap_err().to_string();
    let builder = MockService::builder;
    assert!(
        start_error(builder().public_jwk("x", elliptic.jwk("k").to_string()))
            .contains("private key")
    );
    assert!(start_error(builder().public_jwk("x", "{}")).contains("isn't a valid JWK"));
    assert!(
        start_error(builder().public_key_pem("x", "k", &elliptic.pem))
            .contains("no valid `PUBLIC KEY` block")
    );
    let p256 = keys::elliptic(&aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING);
    assert!(start_error(builder().public_jwk("x", jwk(&p256, "k"))).contains("P-384"));
}

/// Encodes the public key in PEM (RFC 5280, section 4.1.2.7, with the algorithms of RFC 5480 and
/// RFC 3279).
fn spki(key: &TestKey) -> String {
    let (algorithm, public): (&[u8], _) = match key.jwk["kty"].as_str().unwrap() {
        "EC" => (
            b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22",
            &key.public,
        ),
        _ => (b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00", &key.public),
    };
    let bits = keys::der(3, &[&[0], &public[..]].concat());
    keys::pem("PUBLIC KEY", &keys::der(0x30, &[algorithm, &bits].concat()))
}

#[tokio::test]
async fn legacy_keys_obtain_and_refresh_tokens_until_they_are_revoked() {
    let service = MockService::builder().api_key("ours", "secret").start().unwrap();
    let any = Any::of(&service);
    let json = [("content-type", "application/json")];
    let authenticate = r#"{"apiKey":"ours","secret":"secret"}"#;
    let (status, response) = any.post("/auth/authenticate", &json, authenticate).await;
    let response: Value = serde_json::from_str(&response).unwrap();
    assert_eq!(status, 200);
    assert!(
        response["expires"].as_str().unwrap().parse::<pushslots::chrono::DateTime<Utc>>().is_ok()
    );
    assert_eq!(any.push(response["accessToken"].as_str().unwrap(), MESSAGE).await.0, 200);
    let refresh = json!({ "apiKey": "ours", "refreshToken": response["refreshToken"] }).to_string();
    assert_eq!(any.post("/auth/refreshToken", &json, refresh.clone()).await.0, 200);
    for (path, body) in [
        ("/auth/refreshToken", &*refresh),
        ("/auth/authenticate", r#"{"apiKey":"ours","secret":"x"}"#),
        ("/auth/authenticate", r#"{"apiKey":"theirs","secret":"secret"}"#),
        ("/auth/authenticate", "{"),
    ] {
        assert_eq!(any.post(path, &json, body).await, (401, "Invalid request".to_owned()));
    }
    let (key, secret) = service.api_key();
    let client = Client::builder().base_url(service.url()).destination(DESTINATION);
    let client = client.credentials(Credentials::api_key(key, secret)).build().unwrap();
    client.send(&message()).await.unwrap();
    service.revoke_tokens();
    assert_eq!(client.send(&message()).await.unwrap().attempts().len(), 2);
}
