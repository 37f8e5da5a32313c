//! What the mock of the service promises to those who test against it, whatever client they use.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use http::StatusCode;
use pushslots::chrono::Utc;
use pushslots::mock::{Answer, MockService};
use pushslots::uuid::Uuid;
use pushslots::{Client, ClientBuilder, Credentials, Delivery, ErrorKind, SigningKey};
use serde_json::{Value, json};
use support::examples::Folder;
use support::keys::{self, TestKey};
use support::raw::{RawServer, split};
use support::relay::sign_again;
use support::{DESTINATION, MESSAGE, message};
use tokio::time::timeout;

const FORM: &str = "application/x-www-form-urlencoded";

/// What any client is: one that asks and gets an answer.
struct Any {
    http: reqwest::Client,
    url: String,
}

impl Any {
    fn of(service: &MockService) -> Self {
        Self { http: reqwest::Client::builder().no_proxy().build().unwrap(), url: service.url().to_owned() }
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> (u16, String) {
        let mut request = self.http.post(format!("{}{path}", self.url)).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap())
    }

    async fn buy(&self, assertion: &str) -> (u16, Value) {
        let (status, body) = self.post("/v2/auth/token", &[("content-type", FORM)], form(assertion)).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    async fn push(&self, token: &str, message: impl Into<Vec<u8>>) -> (u16, String) {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        self.post("/endpoint", &headers, message).await
    }
}

fn form(assertion: &str) -> String {
    let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    format!("grant_type=client_credentials&client_assertion_type={kind}&client_assertion={assertion}")
}

/// An assertion as the client under test would make it, for a key and an audience.
async fn assertion_by(key: &SigningKey, client_id: &str, audience: &str) -> String {
    let service = RawServer::start([support::raw::Act::CloseAfterReading]).await;
    let client = Client::builder()
        .base_url(&service.url)
        .destination(DESTINATION)
        .max_attempts(1)
        .credentials(Credentials::signed_jwt(client_id, key.clone()));
    client.build().unwrap().send(&message()).await.unwrap_err();
    let requests = service.finish().await;
    let (_, body) = split(&requests[0]);
    let form = url::form_urlencoded::parse(body.unwrap());
    let assertion = form.into_owned().find(|(name, _)| name == "client_assertion").unwrap().1;
    sign_again(&assertion, key, |claims| claims["aud"] = audience.into())
}

fn its_key(service: &MockService) -> SigningKey {
    SigningKey::from_pem(service.private_key_pem(), service.key_id()).unwrap()
}

async fn good_assertion(service: &MockService) -> String {
    let audience = format!("{}/v2/auth/token", service.url());
    assertion_by(&its_key(service), service.client_id(), &audience).await
}

fn client(service: &MockService) -> ClientBuilder {
    Client::builder().mock(service)
}

async fn token(service: &MockService, any: &Any) -> String {
    let (status, answer) = any.buy(&good_assertion(service).await).await;
    assert_eq!(status, 200, "{answer}");
    answer["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_assertion_is_refused_for_what_is_wrong_with_it() {
    let service = MockService::start().unwrap();
    let (any, key, now) = (Any::of(&service), its_key(&service), Utc::now().timestamp());
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
        let (status, answer) = any.buy(assertion).await;
        let told = answer["error_description"].as_str().unwrap_or_default();
        assert!(status == 400 && told.starts_with(reason), "{status} {told} in place of {reason}");
        assert_eq!(answer["error"], "invalid_request");
        let seen = service.requests().last().unwrap().clone();
        assert!(seen.reason().unwrap().starts_with(told), "{seen:?}");
        assert_eq!(seen.status(), Some(StatusCode::BAD_REQUEST));
        if told.contains("aud") {
            assert!(seen.reason().unwrap().contains(&audience), "what was expected is told to the test");
        }
    }
    // What was refused may be used still, and only once.
    assert_eq!(any.buy(&good).await.0, 200);
    let (status, answer) = any.buy(&good).await;
    assert_eq!(status, 400);
    assert!(answer["error_description"].as_str().unwrap().contains("used before"), "{answer}");
    assert_eq!(service.counts().token_requests, cases.len() + 2);
}

#[tokio::test]
async fn a_token_request_must_have_all_its_parts() {
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
        (&form, whole.replace("grant_type=client_credentials&", ""), "Missing grant_type parameter"),
        (&form, whole.replace("client_credentials", "password"), "Unexpected grant_type parameter"),
        (&form, whole.replace(&kind, ""), "Missing or unexpected client_assertion_type parameter"),
        (&form, format!("grant_type=client_credentials&{kind}"), "Missing client assertion"),
        (
            &form,
            format!("{whole}&client_id=another"),
            "The client_id parameter differs from the assertion's iss",
        ),
    ] {
        let (status, answer) = any.post("/v2/auth/token", headers, body).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((status, answer["error_description"].as_str()), (400, Some(expected)));
    }
}

#[tokio::test]
async fn a_message_is_refused_for_what_is_wrong_with_it() {
    let builder = MockService::builder().max_bytes(100_000).token_lifetime(Duration::from_secs(300));
    let service = builder.start().unwrap();
    let any = Any::of(&service);
    let token = token(&service, &any).await;
    let with = |from: &str, to: &str| MESSAGE.replace(from, to);
    let destinations = r#""Destinations":[{"ID":"af394f14-b34a-464f-8d24-895f370af4c9"}]"#;
    for (message, status, reason) in [
        (with(destinations, r#""Destinations":[]"#), 403, "Meta.Destinations: empty"),
        (with(&format!(",{destinations}"), ""), 403, "Meta.Destinations: empty"),
        (MESSAGE.split_once(",\"Slots\"").unwrap().0.to_owned() + r#","Slots":[]}"#, 400, "Slots: empty"),
        (
            with(r#""Duration":15"#, r#""Duration":"15""#),
            400,
            "Slots[0].Duration: a text where the model has a number",
        ),
        (with(r#""Duration":30"#, r#""Duration":0"#), 400, "Slots[1].Duration: not above 0"),
        (with("T09:00:00Z", ""), 400, "Slots[0].DateTime"),
        (with(r#""DataModel":"Scheduling","#, ""), 400, "Meta.DataModel: missing"),
        (with("PushSlots", "Query"), 400, "Meta.EventType"),
        (
            with(r#""IDType":"NPI""#, r#""IDType":1"#),
            400,
            "Slots[0].Provider.IDType: a number where the model has a text",
        ),
        ("{".to_owned(), 400, "the input ends before the JSON does"),
        (with("Pat", &"x".repeat(100_000)), 413, "over the size limit of 100000 bytes"),
    ] {
        let (told, body) = any.push(&token, message).await;
        let seen = service.requests().last().unwrap().clone();
        assert_eq!(told, status, "{reason}: {body}");
        assert!(seen.reason().unwrap().contains(reason), "{:?} in place of {reason}", seen.reason());
        if status != 413 {
            // The service's own shape of an error.
            let body: Value = serde_json::from_str(&body).unwrap();
            let error = &body["Meta"]["Errors"][0];
            assert!(error["Text"].as_str().unwrap().contains(reason), "{error}");
            assert_eq!((error["Type"].as_str(), error["ID"].is_number()), (Some("message"), true));
        }
    }
    for (headers, reason) in [
        (vec![], "there is no token"),
        (vec![("authorization", "Bearer made-up")], "the token is not known"),
        (vec![("authorization", "Basic made-up")], "the token is no bearer token"),
    ] {
        assert_eq!(any.post("/endpoint", &headers, MESSAGE).await.0, 401);
        assert_eq!(service.requests().last().unwrap().reason(), Some(reason));
    }
    let bearer = format!("Bearer {token}");
    assert_eq!(any.post("/endpoint", &[("authorization", &bearer)], MESSAGE).await.0, 400, "no content type");
    assert!(service.received().is_empty());

    assert_eq!(any.push(&token, MESSAGE).await.0, 200);
    service.revoke_tokens();
    assert_eq!(any.push(&token, MESSAGE).await.0, 401);
    assert_eq!(service.requests().last().unwrap().reason(), Some("the token was revoked"));
    let counts = service.counts();
    assert_eq!((counts.accepted, counts.slots, counts.unanswered), (1, 2, 0));
    assert_eq!(counts.refused, counts.message_requests - 1);
}

#[tokio::test]
async fn a_token_ends_when_it_said() {
    let service = MockService::builder().token_lifetime(Duration::ZERO).start().unwrap();
    let any = Any::of(&service);
    let token = token(&service, &any).await;
    assert_eq!(any.push(&token, MESSAGE).await.0, 401);
    assert_eq!(service.requests().last().unwrap().reason(), Some("the token is expired"));
}

#[tokio::test]
async fn what_leaves_out_nothing_the_model_needs_is_taken_as_it_is() {
    let service = MockService::start().unwrap();
    let any = Any::of(&service);
    let token = token(&service, &any).await;
    // Nulls, empty objects and unknown keys are as the schema has them, and so is a space in a time.
    let message = MESSAGE
        .replace(r#""Slots":["#, r#""X":[1,{"y":null}],"Slots":["#)
        .replace(
            r#""Duration":15"#,
            r#""Duration":15.5,"Reason":null,"Location":{},"Extensions":{"a":{"b":1}}"#,
        )
        .replace("T09:00:00Z", " 09:00:00Z");
    let (status, body) = any.push(&token, message.clone()).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(service.received()[0].body(), message.as_bytes());
    assert_eq!(service.slots()[0].duration, Some(15.5));
}

#[tokio::test]
async fn an_answer_names_one_log_for_each_destination_and_the_inbox_the_same() {
    let service = MockService::start().unwrap();
    let client = client(&service).destination(DESTINATION).build().unwrap();
    let receipt = client.send(&message()).await.unwrap();
    let [received] = &service.received()[..] else { panic!("one message") };
    assert_eq!(received.logs(), receipt.logs());
    assert_eq!(received.logs().len(), 2);
    assert_eq!(received.message_id(), Some(receipt.message_id()));
    assert_eq!(received.slots(), message().slots());
    assert_eq!((received.number(), received.meta().destinations.len()), (1, 2));
    for (destination, count) in [(service.destination(), 1), (DESTINATION, 1), (Uuid::nil(), 0)] {
        assert_eq!(service.received_for(destination).len(), count);
        assert_eq!(service.slots_for(destination).len(), 2 * count);
    }
    let shown = format!("{service:?} {received:?} {:?}", service.requests());
    assert!(!shown.contains("Granite") && !shown.to_lowercase().contains("bearer"), "{shown}");
}

#[tokio::test]
async fn a_batch_is_found_by_its_id_in_the_order_of_its_messages() {
    let service = MockService::start().unwrap();
    let client = client(&service).build().unwrap();
    let slots: Vec<_> = message().slots().iter().cycle().take(7).cloned().collect();
    client.publish(&slots).slots_per_message(3).batch_id("tuesday").await.unwrap();
    client.send(&message()).await.unwrap();
    let batch = service.batch("tuesday");
    let places: Vec<_> = batch.iter().map(|message| message.meta().current_batch.unwrap()).collect();
    assert_eq!((places, service.received().len()), (vec![1, 2, 3], 4));
    assert!(service.batch("wednesday").is_empty());
    assert_eq!(service.slots().len(), 9);
}

#[tokio::test]
async fn a_repeated_message_is_known_again_only_where_that_is_asked_for() {
    for deduplicates in [false, true] {
        let builder = MockService::builder();
        let builder = if deduplicates { builder.deduplicate() } else { builder };
        let service = builder.start().unwrap();
        let client = client(&service).build().unwrap();
        service.next(Answer::closed_after_read().after_accepting());
        let receipt = client.send(&message()).await.unwrap();
        let deliveries: Vec<_> = receipt.attempts().iter().map(|attempt| attempt.delivery).collect();
        assert_eq!(deliveries, [Delivery::Unknown, Delivery::Accepted]);
        let received = service.received();
        assert_eq!(received.len(), if deduplicates { 1 } else { 2 });
        assert_eq!(received.last().unwrap().logs(), receipt.logs());
        assert_eq!(service.counts().duplicates, usize::from(deduplicates));
        // What does not say who it is can't be known again.
        let any = Any::of(&service);
        let token = token(&service, &any).await;
        assert_eq!([any.push(&token, MESSAGE).await.0, any.push(&token, MESSAGE).await.0], [200, 200]);
        assert_eq!(service.received().len(), received.len() + 2);
    }
}

#[tokio::test]
async fn more_than_the_rate_is_answered_429_until_the_window_has_passed() {
    let window = Duration::from_secs(1);
    let service = MockService::builder().rate_limit(3, window).start().unwrap();
    let any = Any::of(&service);
    let began = Instant::now();
    let token = token(&service, &any).await;
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(any.push(&token, MESSAGE).await.0);
    }
    if began.elapsed() < window {
        assert_eq!(answers, [200, 200, 429, 429]);
        assert_eq!(service.requests().last().unwrap().reason(), Some("over the rate limit"));
    }
    // What was refused does not count, so that it ends whatever comes meanwhile.
    let all_through = async { while any.push(&token, MESSAGE).await.0 != 200 {} };
    timeout(Duration::from_secs(30), all_through).await.unwrap();
    assert!(began.elapsed() >= window);
}

#[tokio::test]
async fn answers_are_given_in_the_order_in_which_they_were_asked_for() {
    let service = MockService::start().unwrap();
    let client = client(&service).max_attempts(10).build().unwrap();
    service.next(Answer::unavailable().times(2));
    service.next(Answer::usual().times(0));
    service.next(Answer::new(StatusCode::BAD_GATEWAY));
    service.next_token(Answer::unavailable());
    assert_eq!(service.pending(), 4);
    let receipt = client.send(&message()).await.unwrap();
    assert_eq!(service.pending(), 0);
    let statuses: Vec<_> = receipt.attempts().iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [None, Some(503), Some(503), Some(502), Some(200)]);
    // A refusal comes before an answer that takes the message.
    service.next(Answer::reset_after_read().after_accepting());
    service.revoke_tokens();
    let receipt = client.send(&message()).await.unwrap();
    assert_eq!(receipt.attempts()[0].status, Some(401));

    service.next(Answer::refused("Try elsewhere"));
    let error = client.send(&message()).await.unwrap_err();
    assert_eq!((error.kind(), error.service_text()), (ErrorKind::Refused, Some("Try elsewhere")));
    service.next(Answer::unavailable());
    service.clear_script();
    assert_eq!(client.send(&message()).await.unwrap().attempts().len(), 1);
}

#[tokio::test]
async fn an_outage_ends_when_its_time_is_over() {
    let service = MockService::start().unwrap();
    let outage = Duration::from_millis(600);
    let began = Instant::now();
    service.fail_for(outage);
    let receipt = client(&service).max_attempts(100).build().unwrap().send(&message()).await.unwrap();
    assert!(began.elapsed() >= outage && receipt.attempts().len() > 1);
    assert_eq!(service.received().len(), 1);
    service.fail_for(Duration::MAX);
    let client = client(&service).max_attempts(1).build().unwrap();
    assert_eq!(client.send(&message()).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn answers_that_break_http_break_it_on_the_wire() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let service = MockService::builder().without_rate_limit().start().unwrap();
    let token = token(&service, &Any::of(&service)).await;
    let request = format!(
        "POST /endpoint HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{MESSAGE}",
        MESSAGE.len()
    );
    let address = service.url().strip_prefix("http://").unwrap();
    let soon = Duration::from_secs(30);
    let ends = |answer: Answer, patience: Duration| {
        service.next(answer);
        let (address, request) = (address, &request);
        async move {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut bytes = Vec::new();
            let ended = timeout(patience, stream.read_to_end(&mut bytes)).await;
            (ended.map(|read| read.map_err(|error| error.kind())), String::from_utf8(bytes).unwrap())
        }
    };
    let (ended, bytes) = ends(Answer::reset_after_read(), soon).await;
    assert_eq!((ended.unwrap(), &*bytes), (Err(std::io::ErrorKind::ConnectionReset), ""));
    let (ended, bytes) = ends(Answer::closed_after_read(), soon).await;
    assert_eq!((ended.unwrap(), &*bytes), (Ok(0), ""));
    let (ended, bytes) = ends(Answer::stall(), Duration::from_millis(300)).await;
    assert!(ended.is_err() && bytes.is_empty());
    let (ended, bytes) = ends(Answer::truncated(), soon).await;
    assert!(ended.unwrap().is_ok() && bytes.starts_with("HTTP/1.1 200 OK\r\n"), "{bytes}");
    let (head, body) = bytes.split_once("\r\n\r\n").unwrap();
    let length: usize = support::raw::header(head, "content-length").unwrap().parse().unwrap();
    assert!(body.starts_with(r#"{"Meta":"#) && body.len() < length, "{length}: {body}");
    let (ended, bytes) = ends(Answer::malformed_chunk(), soon).await;
    assert!(ended.unwrap().is_ok() && bytes.starts_with("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"));
    let (ended, bytes) = ends(Answer::garbage(), soon).await;
    assert!(ended.unwrap().is_ok() && !bytes.is_empty() && !bytes.starts_with("HTTP"), "{bytes}");
    // The one that was cut off in its answer was accepted, and no other.
    assert_eq!((service.received().len(), service.counts().unanswered), (1, 6));
}

#[tokio::test]
async fn public_keys_of_ones_own_are_known_in_pem_and_as_jwk() {
    let folder = Folder::new();
    let (elliptic, rsa) = (keys::p384(), keys::rsa());
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
        client.send(&message()).await.unwrap_or_else(|error| panic!("{client_id} {key_id}: {error}"));
    }
    let wrong = |builder: pushslots::mock::MockServiceBuilder| builder.start().unwrap_err().to_string();
    let builder = MockService::builder;
    assert!(wrong(builder().public_jwk("x", elliptic.jwk("k").to_string())).contains("private key"));
    assert!(wrong(builder().public_jwk("x", "{}")).contains("no JWK"));
    assert!(wrong(builder().public_key_pem("x", "k", &elliptic.pem)).contains("no public key"));
    let p256 = keys::elliptic(&aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING);
    assert!(wrong(builder().public_jwk("x", jwk(&p256, "k"))).contains("P-384"));
}

/// The public half in PEM: RFC 5280, section 4.1.2.7, with the algorithms of RFC 5480 and RFC 3279.
fn spki(key: &TestKey) -> String {
    let (algorithm, public): (&[u8], _) = match key.jwk["kty"].as_str().unwrap() {
        "EC" => (b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22", &key.public),
        _ => (b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00", &key.public),
    };
    let bits = keys::der(3, &[&[0], &public[..]].concat());
    keys::pem("PUBLIC KEY", &keys::der(0x30, &[algorithm, &bits].concat()))
}

#[tokio::test]
async fn legacy_keys_buy_and_refresh_tokens_that_end_when_they_are_revoked() {
    let service = MockService::builder().api_key("ours", "secret").start().unwrap();
    let any = Any::of(&service);
    let json = [("content-type", "application/json")];
    let authenticate = r#"{"apiKey":"ours","secret":"secret"}"#;
    let (status, answer) = any.post("/auth/authenticate", &json, authenticate).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(status, 200);
    assert!(answer["expires"].as_str().unwrap().parse::<pushslots::chrono::DateTime<Utc>>().is_ok());
    assert_eq!(any.push(answer["accessToken"].as_str().unwrap(), MESSAGE).await.0, 200);
    let refresh = json!({ "apiKey": "ours", "refreshToken": answer["refreshToken"] }).to_string();
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

#[test]
fn a_panic_in_it_fails_the_test_that_holds_it() {
    let fails = |answer: fn(&pushslots::mock::ReceivedRequest) -> Option<Answer>| {
        let service = MockService::builder().answer_with(answer).start().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = client(&service).max_attempts(1).build().unwrap();
        let sent = runtime.block_on(async { client.send(&message()).await });
        (sent.is_ok(), catch_unwind(AssertUnwindSafe(|| drop(service))))
    };
    let (_, dropped) = fails(|request| {
        assert_ne!(request.path(), "/endpoint", "no message was expected");
        None
    });
    let panic = dropped.unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("no message was expected"), "{text}");
    let (is_ok, dropped) = fails(|_| None);
    assert!(is_ok && dropped.is_ok());
}

#[test]
fn it_works_under_any_runtime_and_says_when_its_port_is_taken() {
    let service = MockService::start().unwrap();
    let port: u16 = service.url().rsplit_once(':').unwrap().1.parse().unwrap();
    let error = MockService::builder().port(port).start().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    for workers in [0, 2] {
        let mut runtime = match workers {
            0 => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        let runtime = runtime.enable_all().build().unwrap();
        let client = client(&service).build().unwrap();
        runtime.block_on(async { client.send(&message()).await }).unwrap();
    }
}

#[tokio::test]
async fn what_sends_in_the_background_can_be_waited_for() {
    let service = MockService::start().unwrap();
    let client = client(&service).build().unwrap();
    let sending = tokio::spawn(async move {
        for _ in 0..3 {
            client.send(&message()).await.unwrap();
        }
    });
    let received = timeout(Duration::from_secs(30), service.wait_for(3)).await.unwrap();
    assert_eq!(received.len(), 3);
    sending.await.unwrap();
    service.clear_inbox();
    assert!(service.received().is_empty() && service.requests().is_empty());
    assert_eq!(service.counts(), Default::default());
    assert!(timeout(Duration::from_millis(1), service.wait_for(1)).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_gets_lost_that_64_connections_send() {
    let service = MockService::builder().without_rate_limit().start().unwrap();
    let message = std::sync::Arc::new(message().encode().unwrap());
    let sends = (0..64).map(|_| {
        // A client of its own, and with that a connection.
        let client = client(&service).without_pace().build().unwrap();
        let message = message.clone();
        tokio::spawn(async move {
            for _ in 0..50 {
                let receipt = client.send(&message).await.unwrap();
                assert_eq!(receipt.attempts().len(), 1);
            }
        })
    });
    for send in sends.collect::<Vec<_>>() {
        send.await.unwrap();
    }
    let mut ids: Vec<_> = service.received().iter().map(|message| message.message_id().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), service.counts().accepted, service.slots().len()), (3_200, 3_200, 6_400));
}

#[tokio::test]
async fn a_message_of_40_mb_is_taken_and_one_byte_more_is_not() {
    let service = MockService::start().unwrap();
    let any = Any::of(&service);
    let token = token(&service, &any).await;
    let (start, end) = MESSAGE.rsplit_once(']').unwrap();
    let slot = r#",{"DateTime":"2026-12-01T10:00:00Z","Duration":30,"Reason":"Office Visit"}"#;
    let mut message = start.to_owned();
    while message.len() + slot.len() + 100 < 40_000_000 {
        message.push_str(slot);
    }
    let filled = |length: usize| {
        let spaces = length - message.len() - end.len() - 1;
        format!("{message}{}]{end}", " ".repeat(spaces))
    };
    assert_eq!(any.push(&token, filled(40_000_000)).await.0, 200);
    assert_eq!(any.push(&token, filled(40_000_001)).await.0, 413);
    let received = service.received();
    assert_eq!((received.len(), received[0].body().len()), (1, 40_000_000));
    assert!(received[0].slots().len() > 500_000);
}
