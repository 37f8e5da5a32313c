//! Requests for access tokens, and the result of a send without a token.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA384, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pushslots::bytes::Bytes;
use pushslots::chrono::Utc;
use pushslots::http::{HeaderMap, Request, StatusCode};
use pushslots::mock::MockService;
use pushslots::uuid::Uuid;
use pushslots::{
    Client, Credentials, Delivery, ErrorKind, Response, SigningKey, Transport, TransportContext,
    TransportError,
};
use serde_json::Value;
use support::keys::{self, TestKey};
use support::raw::{Act, RawServer};
use support::{DESTINATION, client, fixtures, key, message};
use tokio::task::JoinSet;
use url::form_urlencoded;

/// Returns every form that the token endpoint received.
async fn forms(server: &MockService) -> Vec<BTreeMap<String, String>> {
    let requests = server.requests();
    let tokens = requests.into_iter().filter(|request| request.path() == "/v2/auth/token");
    tokens.map(|request| form_urlencoded::parse(request.body()).into_owned().collect()).collect()
}

/// Verifies the signature of an assertion. Returns its header and claims.
fn verified(
    assertion: &str,
    algorithm: &'static dyn VerificationAlgorithm,
    public: &[u8],
) -> (Value, Value) {
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(algorithm, public).verify(signed.as_bytes(), &signature).unwrap();
    let decode =
        |text: &str| serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    (decode(header), decode(claims))
}

fn with_key(server: &MockService, key: &TestKey) -> Client {
    let key = SigningKey::from_pem(&key.pem, "key-7").unwrap();
    Client::builder()
        .base_url(server.url())
        .credentials(Credentials::signed_jwt("client-9", key).scope("fhir:development"))
        .destination(DESTINATION)
        .build()
        .unwrap()
}

#[tokio::test]
async fn assertion_has_the_required_form_with_every_kind_of_key() {
    for (key, name, algorithm) in [
        (keys::p384(), "ES384", &ECDSA_P384_SHA384_FIXED as &dyn VerificationAlgorithm),
        (keys::p384_sec1(), "ES384", &ECDSA_P384_SHA384_FIXED),
        (keys::rsa(), "RS384", &RSA_PKCS1_2048_8192_SHA384),
        (keys::rsa_pkcs1(), "RS384", &RSA_PKCS1_2048_8192_SHA384),
    ] {
        let server = fixtures::serve();
        let before = Utc::now().timestamp();
        with_key(&server, &key).send(&message()).await.unwrap();
        let now = Utc::now().timestamp();

        let form = forms(&server).await.pop().unwrap();
        assert_eq!(form["grant_type"], "client_credentials");
        assert_eq!(
            form["client_assertion_type"],
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        );
        assert_eq!(form["scope"], "fhir:development");
        let (header, claims) = verified(&form["client_assertion"], algorithm, &key.public);
        assert_eq!(header, serde_json::json!({"alg": name, "typ": "JWT", "kid": "key-7"}));
        assert_eq!((&claims["iss"], &claims["sub"]), (&"client-9".into(), &"client-9".into()));
        assert_eq!(claims["aud"], format!("{}/v2/auth/token", server.url()));
        Uuid::try_parse(claims["jti"].as_str().unwrap()).unwrap();
        let iat = claims["iat"].as_i64().unwrap();
        let exp = claims["exp"].as_i64().unwrap();
        assert!((before - 10..=now - 10).contains(&iat), "10 s in the past: {iat} at {now}");
        assert_eq!(exp, iat + 300);
        assert_eq!(claims.as_object().unwrap().len(), 6);
    }
}

/// A transport that responds to every request with a token and an acceptance in one. It records the
/// URL and `aud` of token requests.
#[derive(Clone, Default)]
struct TokenRequests(Arc<Mutex<Vec<(String, String)>>>);

impl Transport for TokenRequests {
    async fn send(
        &self,
        request: Request<Bytes>,
        _: TransportContext,
    ) -> Result<Response, TransportError> {
        let form: BTreeMap<_, _> = form_urlencoded::parse(request.body()).into_owned().collect();
        if let Some(assertion) = form.get("client_assertion") {
            let claims =
                BASE64_URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1).unwrap()).unwrap();
            let claims: Value = serde_json::from_slice(&claims).unwrap();
            let audience = claims["aud"].as_str().unwrap().to_owned();
            self.0.lock().unwrap().push((request.uri().to_string(), audience));
        }
        let body = r#"{"access_token":"fresh","Meta":{"Logs":[{"ID":"1"}]}}"#;
        Ok(Response::new(StatusCode::OK, HeaderMap::new(), Ok(body.into())))
    }
}

#[tokio::test]
async fn audience_is_the_token_url_exactly_as_configured() {
    let base_url = |base: &str| (base.to_owned(), None);
    let token_url = |url: &str| ("https://api.example.org".to_owned(), Some(url.to_owned()));
    for ((base, configured), url, audience) in [
        (
            token_url("https://auth.example.org"),
            "https://auth.example.org/",
            "https://auth.example.org",
        ),
        (
            token_url("https://auth.example.org/"),
            "https://auth.example.org/",
            "https://auth.example.org/",
        ),
        (
            token_url("https://AUTH.example.org/T"),
            "https://auth.example.org/T",
            "https://AUTH.example.org/T",
        ),
        (
            token_url("HTTPS://auth.example.org:443/token"),
            "https://auth.example.org/token",
            "HTTPS://auth.example.org:443/token",
        ),
        (
            token_url("\u{feff}https://auth.example.org/a/../token\r\n"),
            "https://auth.example.org/token",
            "https://auth.example.org/a/../token",
        ),
        (
            base_url("https://API.example.org:443/base//"),
            "https://api.example.org/base/v2/auth/token",
            "https://API.example.org:443/base/v2/auth/token",
        ),
        (
            base_url(" https://api.example.org\n"),
            "https://api.example.org/v2/auth/token",
            "https://api.example.org/v2/auth/token",
        ),
    ] {
        let requests = TokenRequests::default();
        let mut builder = client(&base, "plain").transport(requests.clone());
        if let Some(configured) = configured {
            builder = builder.token_url(configured);
        }
        builder.build().unwrap().send(&message()).await.unwrap();
        assert_eq!(*requests.0.lock().unwrap(), [(url.to_owned(), audience.to_owned())]);
    }
}

#[tokio::test]
async fn configured_audience_is_used_only_in_the_assertion() {
    let audiences =
        ["https://api.redoxengine.com/v2/auth/token", "urn:example:Token", "\u{feff}api://x\n"];
    for audience in audiences {
        let requests = TokenRequests::default();
        let credentials = || Credentials::signed_jwt("client", key()).audience(audience);
        let builder =
            client("https://gw.internal", "plain").token_url("https://gw.internal/v2/auth/token");
        let client =
            builder.transport(requests.clone()).credentials(credentials()).build().unwrap();
        client.send(&message()).await.unwrap();
        client.rotate_credentials(credentials()).await.unwrap();
        let url = "https://gw.internal/v2/auth/token".to_owned();
        let expected = (url, audience.trim_start_matches('\u{feff}').trim().to_owned());
        assert_eq!(*requests.0.lock().unwrap(), [expected.clone(), expected]);
    }
}

#[tokio::test]
async fn tokens_can_come_from_another_host() {
    let server = fixtures::serve();
    let url = format!("{}/v2/auth/token", server.url());
    let other_host = RawServer::start([Act::response("200 OK", "", "")]).await;
    client(&other_host.url, "plain")
        .token_url(&url)
        .build()
        .unwrap()
        .send(&message())
        .await
        .unwrap();
    let assertion = forms(&server).await.pop().unwrap().remove("client_assertion").unwrap();
    let claims = BASE64_URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["aud"], url);
    other_host.finish().await;
}

#[tokio::test]
async fn every_token_request_has_its_own_assertion() {
    let server = fixtures::serve();
    let rejected = RawServer::start(vec![Act::response("401 Unauthorized", "", ""); 3]).await;
    let client =
        client(&rejected.url, "plain").token_url(format!("{}/v2/auth/token", server.url()));
    client.build().unwrap().send(&message()).await.unwrap_err();
    let forms = forms(&server).await;
    assert_eq!(forms.len(), 2);
    assert_ne!(forms[0]["client_assertion"], forms[1]["client_assertion"]);
    rejected.finish().await;
}

#[tokio::test]
async fn rejected_credentials_are_final_and_nothing_is_sent() {
    let server = fixtures::serve();
    let client = client(server.url(), "token-rejected").build().unwrap();
    let error = client.send(&message()).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Credentials, Delivery::NotSent));
    assert!(!error.is_retryable());
    assert_eq!(
        error.service_text(),
        Some("invalid_request: Public key not found, check client_id, kid and environment")
    );
    let expected = "rejected the client id \"token-rejected\" with status 400: invalid_request: Public key not found";
    assert!(error.to_string().contains(expected), "{error}");
    assert_eq!(server.requests().len(), 1);
}

/// Sends a message to a service that accepts it, with a token endpoint that plays these acts.
async fn with_token_endpoint(
    acts: Vec<Act>,
) -> (Result<pushslots::Receipt, pushslots::Error>, usize) {
    let tokens = RawServer::start(acts).await;
    let service = fixtures::serve();
    let client =
        client(service.url(), "plain").token_url(format!("{}/token", tokens.url)).build().unwrap();
    let result = client.send(&message()).await;
    (result, tokens.finish().await.len())
}

fn token() -> Act {
    let json = r#"{"access_token":"fresh","token_type":"Bearer"}"#;
    Act::response("200 OK", "Content-Type: application/json\r\n", json)
}

#[tokio::test]
async fn failed_token_request_is_retried() {
    let html = "Content-Type: text/html\r\n";
    for act in [
        Act::response("500 Unknown", html, "<html></html>"),
        Act::response("503 Busy", "", ""),
        Act::response("429 Busy", "Retry-After: 0\r\n", ""),
        Act::response("200 OK", html, "<html></html>"),
        Act::response("200 OK", "", "{}"),
        Act::response("200 OK", "", ""),
        Act::response("200 OK", "", r#"{"access_token":"line\nbreak","token_type":"Bearer"}"#),
        Act::response("200 OK", "", r#"{"access_token":"","token_type":"Bearer"}"#),
        Act::ResetAfterReading,
        Act::ResetBeforeReading,
        Act::Response("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{".to_owned()),
    ] {
        let (result, _) = with_token_endpoint(vec![act, token()]).await;
        let receipt = result.unwrap();
        let deliveries: Vec<_> =
            receipt.attempts().iter().map(|attempt| attempt.delivery).collect();
        assert_eq!(deliveries, [Delivery::NotSent, Delivery::Accepted]);
        let error = receipt.attempts()[0].error.clone().unwrap();
        assert!(error.starts_with("no access token: "), "{error}");
    }
}

#[tokio::test]
async fn message_is_not_sent_while_the_token_endpoint_is_down() {
    let mut sends = JoinSet::new();
    for (act, kind) in [
        (Act::response("500 Unknown", "", ""), ErrorKind::Unavailable),
        (Act::response("200 OK", "", "{}"), ErrorKind::Unavailable),
        (Act::CloseAfterReading, ErrorKind::Connection),
    ] {
        sends.spawn(async move { (with_token_endpoint(vec![act; 9]).await, kind) });
    }
    for ((result, requests), kind) in sends.join_all().await {
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (kind, Delivery::NotSent));
        assert!(error.is_retryable());
        assert_eq!((error.attempts().len(), requests), (4, 4));
    }
}

#[tokio::test]
async fn retry_after_of_the_token_endpoint_is_reported() {
    let busy = Act::response("429 Busy", "Retry-After: 300\r\n", "");
    let (result, requests) = with_token_endpoint(vec![busy]).await;
    let error = result.unwrap_err();
    assert_eq!(error.retry_after().unwrap().as_secs(), 300);
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn token_is_accepted_with_any_content_type() {
    for headers in
        ["", "Content-Type: text/html\r\n", "Content-Type: application/json; charset=utf-8\r\n"]
    {
        let json = r#"{"access_token":"fresh","token_type":"Bearer"}"#;
        let (result, requests) =
            with_token_endpoint(vec![Act::response("200 OK", headers, json)]).await;
        assert_eq!((result.unwrap().attempts().len(), requests), (1, 1));
    }
}
