//! The behavior of a client for every response and fault of the service. One suite runs on the
//! mock, on the fixtures in this process, and on the fixtures on the real WireMock.

use std::time::Duration;

use pushslots::{Attempt, Delivery, Error, ErrorKind, Receipt};
use serde_json::{Value, json};
use support::fixtures::Stubs;
use support::services::{self, Seen, Service, WireMock};
use support::{DESTINATION, MESSAGE, any_http, message};

use Delivery::{Accepted, NotSent, Rejected, Unknown};

/// The status and the delivery of each attempt of a send.
type Attempts = &'static [(Option<u16>, Delivery)];

const TOKEN: &str = "/v2/auth/token";
const ENDPOINT: &str = "/endpoint";
const ONCE: Attempts = &[(Some(200), Accepted)];

/// Accepted messages: the client id, the attempts, and the requests that the service receives.
const ACCEPTED: &[(&str, Attempts, &[&str])] = &[
    ("plain", ONCE, &[TOKEN, ENDPOINT]),
    ("throttled", &[(Some(429), Rejected), (Some(200), Accepted)], &[TOKEN, ENDPOINT, ENDPOINT]),
    ("rate-limited", &[(Some(429), Rejected), (Some(200), Accepted)], &[TOKEN, ENDPOINT, ENDPOINT]),
    ("server-error", &[(Some(500), Unknown), (Some(200), Accepted)], &[TOKEN, ENDPOINT, ENDPOINT]),
    ("bad-gateway", &[(Some(502), Unknown), (Some(200), Accepted)], &[TOKEN, ENDPOINT, ENDPOINT]),
    ("unavailable", &[(Some(503), Unknown), (Some(200), Accepted)], &[TOKEN, ENDPOINT, ENDPOINT]),
    (
        "gateway-timeout",
        &[(Some(504), Unknown), (Some(200), Accepted)],
        &[TOKEN, ENDPOINT, ENDPOINT],
    ),
    ("numeric-logs", ONCE, &[TOKEN, ENDPOINT]),
    ("no-logs", ONCE, &[TOKEN, ENDPOINT]),
    ("empty-body", ONCE, &[TOKEN, ENDPOINT]),
    ("connection-reset", &[(None, Unknown), (Some(200), Accepted)], &[TOKEN, ENDPOINT, ENDPOINT]),
    ("empty-response", &[(None, Unknown), (Some(200), Accepted)], &[TOKEN, ENDPOINT, ENDPOINT]),
    // The status 200 proves that the service accepted the message, even if the body is malformed.
    ("malformed-chunk", ONCE, &[TOKEN, ENDPOINT]),
    ("random-data", &[(None, Unknown), (Some(200), Accepted)], &[TOKEN, ENDPOINT, ENDPOINT]),
    ("slow", ONCE, &[TOKEN, ENDPOINT]),
    (
        "token-connection-reset",
        &[(None, NotSent), (Some(200), Accepted)],
        &[TOKEN, TOKEN, ENDPOINT],
    ),
    ("token-throttled", &[(None, NotSent), (Some(200), Accepted)], &[TOKEN, TOKEN, ENDPOINT]),
    ("token-server-error", &[(None, NotSent), (Some(200), Accepted)], &[TOKEN, TOKEN, ENDPOINT]),
    ("token-unavailable", &[(None, NotSent), (Some(200), Accepted)], &[TOKEN, TOKEN, ENDPOINT]),
    ("token-no-expiry", ONCE, &[TOKEN, ENDPOINT]),
    ("block-page", &[(Some(200), Unknown), (Some(200), Accepted)], &[TOKEN, ENDPOINT, ENDPOINT]),
    ("compressed", &[(Some(200), Unknown), (Some(200), Accepted)], &[TOKEN, ENDPOINT, ENDPOINT]),
    (
        "unavailable-for-1s",
        &[(Some(503), Rejected), (Some(200), Accepted)],
        &[TOKEN, ENDPOINT, ENDPOINT],
    ),
    (
        "throttled-for-a-fraction",
        &[(Some(429), Rejected), (Some(200), Accepted)],
        &[TOKEN, ENDPOINT, ENDPOINT],
    ),
    (
        "request-timeout",
        &[(Some(408), Rejected), (Some(200), Accepted)],
        &[TOKEN, ENDPOINT, ENDPOINT],
    ),
    ("misdirected", &[(Some(421), Rejected), (Some(200), Accepted)], &[TOKEN, ENDPOINT, ENDPOINT]),
    ("too-early", &[(Some(425), Rejected), (Some(200), Accepted)], &[TOKEN, ENDPOINT, ENDPOINT]),
    ("many-headers", ONCE, &[TOKEN, ENDPOINT]),
    ("token-request-timeout", &[(None, NotSent), (Some(200), Accepted)], &[TOKEN, TOKEN, ENDPOINT]),
    ("token-odd-json", ONCE, &[TOKEN, ENDPOINT]),
    (
        "revoked",
        &[(Some(401), Rejected), (Some(200), Accepted)],
        &[TOKEN, ENDPOINT, TOKEN, ENDPOINT],
    ),
];

/// Failed messages: the client id, the kind of the error, the attempts, and a part of the service's
/// error text.
const FAILED: &[(&str, ErrorKind, Attempts, &str)] = &[
    ("rejected", ErrorKind::Rejected, &[(Some(400), Rejected)], "No subscriptions."),
    ("rejected-oauth", ErrorKind::Rejected, &[(Some(400), Rejected)], "Meta.Source.ID is required"),
    (
        "rejected-detail",
        ErrorKind::Rejected,
        &[(Some(400), Rejected)],
        "Slots[0].Duration must be a number",
    ),
    ("rejected-text", ErrorKind::Rejected, &[(Some(400), Rejected)], "Meta.DataModel is missing"),
    (
        "unauthorized",
        ErrorKind::Credentials,
        &[(Some(401), Rejected); 3],
        "The access token is invalid",
    ),
    (
        "forbidden",
        ErrorKind::Rejected,
        &[(Some(403), Rejected)],
        "The source may not send PushSlots",
    ),
    ("not-found", ErrorKind::Rejected, &[(Some(404), Rejected)], "Not Found"),
    ("content-too-large", ErrorKind::Rejected, &[(Some(413), Rejected)], ""),
    (
        "unprocessable",
        ErrorKind::Rejected,
        &[(Some(422), Rejected)],
        "Slots[0].DateTime is no date",
    ),
    (
        "accepted-with-errors",
        ErrorKind::Rejected,
        &[(Some(200), Unknown)],
        "The transmission to the destination failed",
    ),
    ("error-in-success", ErrorKind::Rejected, &[(Some(200), Rejected)], "The message was not read"),
    (
        "problem-details",
        ErrorKind::Rejected,
        &[(Some(403), Rejected)],
        "Forbidden: The gateway lets no PushSlots pass",
    ),
    (
        "token-error-in-success",
        ErrorKind::Credentials,
        &[(None, NotSent)],
        "The client is not known",
    ),
    ("down", ErrorKind::Unavailable, &[(Some(503), Unknown); 4], ""),
    ("token-rejected", ErrorKind::Credentials, &[(None, NotSent)], "Public key not found"),
    (
        "token-no-kid",
        ErrorKind::Credentials,
        &[(None, NotSent)],
        "JWT header kid property is required",
    ),
    (
        "token-wrong-audience",
        ErrorKind::Credentials,
        &[(None, NotSent)],
        "Unexpected aud claim value",
    ),
    ("token-no-description", ErrorKind::Credentials, &[(None, NotSent)], "invalid_request"),
];

fn summary(attempts: &[Attempt]) -> Vec<(Option<u16>, Delivery)> {
    attempts.iter().map(|attempt| (attempt.status.map(u16::from), attempt.delivery)).collect()
}

async fn sent(client: pushslots::ClientBuilder) -> Result<Receipt, Error> {
    client.build().unwrap().send(&message()).await
}

fn paths(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|seen| &*seen.path).collect()
}

/// Checks that every attempt has the same bytes and the same id.
fn check_messages(seen: &[Seen], message_id: &str, context: &str) {
    for seen in seen.iter().filter(|seen| seen.path == ENDPOINT) {
        assert_eq!(seen.body, MESSAGE, "{context}");
        assert_eq!(seen.message_id.as_deref(), Some(message_id), "{context}");
    }
}

async fn check_all_behaviors(service: &Service) {
    for &(behavior, attempts, expected) in ACCEPTED {
        let context = format!("{behavior} on {}", service.name());
        let receipt = sent(service.client(behavior)).await;
        let receipt = receipt.unwrap_or_else(|error| panic!("{context}: {error}"));
        assert_eq!(summary(receipt.attempts()), attempts, "{context}");
        let seen = service.take_requests().await;
        assert_eq!(paths(&seen), expected, "{context}");
        check_messages(&seen, &receipt.message_id().to_string(), &context);
        let logs: Vec<_> =
            receipt.logs().iter().map(|log| log.id.as_deref().unwrap_or_default()).collect();
        match behavior {
            "numeric-logs" => assert_eq!(logs, ["1234567890"], "{context}"),
            "empty-body" | "malformed-chunk" => assert!(logs.is_empty(), "{context}: {logs:?}"),
            "no-logs" => assert_eq!(logs.len(), 1, "{context}: {logs:?}"),
            _ => assert!(logs.len() == 1 && logs[0].len() == 36, "{context}: {logs:?}"),
        }
        let first = &receipt.attempts()[0];
        match behavior {
            "throttled" | "unavailable-for-1s" => {
                assert!(first.delay.unwrap() >= Duration::from_secs(1), "{context}");
            }
            "throttled-for-a-fraction" => {
                assert_eq!(first.retry_after, Some(Duration::from_millis(500)), "{context}");
            }
            "slow" => assert!(first.elapsed >= Duration::from_millis(1_500), "{context}"),
            _ => {}
        }
    }
    for &(behavior, kind, attempts, text) in FAILED {
        let context = format!("{behavior} on {}", service.name());
        let error = sent(service.client(behavior)).await.expect_err(&context);
        assert_eq!(
            (error.kind(), summary(error.attempts())),
            (kind, attempts.to_vec()),
            "{context}"
        );
        let rejection =
            error.oauth_error().and_then(|rejection| rejection.error_description.as_deref());
        let reported = error.service_text().or(rejection).unwrap_or_default();
        // The page of a gateway isn't reported as error text.
        assert!(
            if text.is_empty() { reported.is_empty() } else { reported.contains(text) },
            "{context}: {reported}"
        );
        let seen = service.take_requests().await;
        check_messages(&seen, &error.message_id().unwrap().to_string(), &context);
        let messages = paths(&seen).iter().filter(|path| **path == ENDPOINT).count();
        let expected = attempts.iter().filter(|(status, _)| status.is_some()).count();
        assert_eq!(messages, expected, "{context}");
    }
    legacy_keys(service).await;
    println!("{} responses and faults: {}", ACCEPTED.len() + FAILED.len() + 4, service.name());
}

async fn legacy_keys(service: &Service) {
    const AUTHENTICATE: &str = "/auth/authenticate";
    const REFRESH: &str = "/auth/refreshToken";
    let cases: [(&str, &[&str]); 3] = [
        ("my-key", &[AUTHENTICATE, ENDPOINT]),
        ("api-key-revoked", &[AUTHENTICATE, ENDPOINT, REFRESH, ENDPOINT]),
        ("api-key-refresh-rejected", &[AUTHENTICATE, ENDPOINT, REFRESH, AUTHENTICATE, ENDPOINT]),
    ];
    for (api_key, expected) in cases {
        sent(service.legacy_client(api_key)).await.unwrap();
        let seen = service.take_requests().await;
        assert_eq!(paths(&seen), expected, "{api_key} on {}", service.name());
    }
    let error = sent(service.legacy_client("api-key-rejected")).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Credentials, NotSent));
    assert_eq!(error.service_text(), Some("Invalid request"));
    assert_eq!(paths(&service.take_requests().await), [AUTHENTICATE]);
}

#[tokio::test]
async fn mock_simulates_every_response_and_fault() {
    check_all_behaviors(&services::mock()).await;
}

#[tokio::test]
async fn fixtures_in_this_process_simulate_every_response_and_fault() {
    check_all_behaviors(&services::fixtures()).await;
}

#[tokio::test]
async fn fixtures_on_wiremock_simulate_every_response_and_fault() {
    if let Some(service) = WireMock::start().await {
        check_all_behaviors(&service).await;
    }
}

/// Asserts that the service accepts equivalent requests: forms with other escapes and orders, and
/// JSON with white space and other orders.
async fn assert_accepts_any_spelling(service: &Service) {
    let http = any_http();
    let post = async |path: &str, content_type: &str, authorization: Option<&str>, body: String| {
        let mut request = http
            .post(format!("{}{path}", service.url()))
            .header("content-type", content_type)
            .body(body);
        if let Some(token) = authorization {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, String::from_utf8(response.bytes().await.unwrap().to_vec()).unwrap())
    };
    let form = "application/x-www-form-urlencoded";
    let assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    for form_body in [
        format!(
            "grant_type=client_credentials&client_assertion_type={}&client_assertion=ey.a&client_id=rejected",
            assertion_type.replace(':', "%3A")
        ),
        format!(
            "client_id=rejected&client_assertion=ey.a&client_assertion_type={}&grant_type=client_credentials",
            assertion_type.replace(':', "%3a")
        ),
        format!(
            "grant_type=client%5Fcredentials&client_assertion=ey.a&client_id=rejected&client_assertion_type={assertion_type}"
        ),
        format!(
            "client%5Fid=reje%63ted&grant_type=client_credentials&client_assertion=%65y.a&client_assertion_type={assertion_type}"
        ),
    ] {
        let (status, body) = post("/v2/auth/token", form, None, form_body.clone()).await;
        assert_eq!(status, 200, "{}: {form_body}: {body}", service.name());
        assert!(body.contains(r#""rejected""#), "{form_body}: {body}");
    }
    for (form_body, missing) in [
        (
            format!("client_assertion_type={assertion_type}&client_assertion=ey.a"),
            "Missing grant_type parameter",
        ),
        (
            format!(
                "grant_type=password&client_assertion_type={assertion_type}&client_assertion=ey.a"
            ),
            "Missing grant_type parameter",
        ),
        (
            "grant_type=client_credentials&client_assertion=ey.a".to_owned(),
            "Missing client assertion",
        ),
        (
            "grant_type=client_credentials&client_assertion_type=x&client_assertion=ey.a"
                .to_owned(),
            "Missing client assertion",
        ),
        (
            format!("grant_type=client_credentials&client_assertion_type={assertion_type}"),
            "Missing client assertion",
        ),
        (
            format!(
                "grant_type=client_credentials&client_assertion_type={assertion_type}&client_assertion=x"
            ),
            "Missing client assertion",
        ),
    ] {
        let (status, body) = post("/v2/auth/token", form, None, form_body.clone()).await;
        assert_eq!(
            (status, body.contains(missing)),
            (400, true),
            "{}: {form_body}: {body}",
            service.name()
        );
    }

    let mut message: Value = serde_json::from_slice(&message().to_json()).unwrap();
    message["Meta"]["Destinations"] = json!([{ "ID": DESTINATION }]);
    let meta = &message["Meta"];
    let slots = &message["Slots"];
    for body in [
        message.to_string(),
        message.to_string().replace(':', ": ").replace(',', ", ").replace("00: 00", "00:00"),
        serde_json::to_string_pretty(&message).unwrap(),
        format!(
            "{{\n  \"Slots\" : {slots},\r\n\t\"Meta\" :{{\"EventType\" : \"Push\\u0053lots\" , \"Destinations\":{}}} }}",
            json!([{"ID": DESTINATION}])
        ),
        format!("{{\"Meta\":{meta:#},\"Slots\":{slots:#}}}"),
    ] {
        let (status, response) =
            post("/endpoint", "application/json", Some("plain"), body.clone()).await;
        assert_eq!(status, 200, "{}: {body}: {response}", service.name());
        assert!(response.contains("AttemptID"), "{response}");
    }
    let wrong = message.to_string().replace("PushSlots", "Query");
    assert_eq!(post("/endpoint", "application/json", Some("plain"), wrong).await.0, 404);

    for body in [
        r#"{ "secret" : "s", "apiKey" : "my-key" }"#,
        "{\n  \"apiKey\": \"my-key\",\n  \"secret\": \"s\"\n}",
    ] {
        let (status, response) =
            post("/auth/authenticate", "application/json", None, body.to_owned()).await;
        assert_eq!(
            (status, response.contains("accessToken")),
            (200, true),
            "{}: {response}",
            service.name()
        );
    }
    let refresh = r#"{ "refreshToken" : "refresh", "apiKey" : "my-key" }"#;
    assert_eq!(
        post("/auth/refreshToken", "application/json", None, refresh.to_owned()).await.0,
        200
    );
    service.take_requests().await;
}

#[tokio::test]
async fn fixtures_in_this_process_accept_any_spelling_of_a_request() {
    assert_accepts_any_spelling(&services::fixtures()).await;
}

#[tokio::test]
async fn fixtures_on_wiremock_accept_any_spelling_of_a_request() {
    if let Some(service) = WireMock::start().await {
        assert_accepts_any_spelling(&service).await;
    }
}

#[test]
fn unsupported_mapping_key_is_an_error() {
    let with = |part: &str| {
        format!(
            r#"{{"mappings":[{{"name":"x","request":{{"method":"POST","urlPath":"/endpoint"}},"response":{{"status":200}}{part}}}]}}"#
        )
    };
    assert!(Stubs::from_json(&with("")).is_ok());
    for (part, key) in [
        (r#","persistent":true"#, "persistent"),
        (r#","response":{"bodyFileName":"x"}"#, "bodyFileName"),
        (r#","request":{"method":"GET","urlPath":"/","queryParameters":{}}"#, "queryParameters"),
        (
            r#","request":{"method":"GET","urlPath":"/","bodyPatterns":[{"equalToXml":"x"}]}"#,
            "equalToXml",
        ),
        (
            r#","request":{"method":"GET","urlPath":"/","formParameters":{"a":{"before":"x"}}}"#,
            "before",
        ),
        (r#","response":{"fault":"OTHER"}"#, "OTHER"),
        (r#","response":{"transformers":["other"]}"#, "other"),
    ] {
        let wrong = with("").replace(r#","response":{"status":200}"#, "");
        let wrong = wrong.replace(r#""name":"x""#, &format!(r#""name":"x"{part}"#));
        let error = Stubs::from_json(&wrong).err().unwrap();
        assert!(error.contains(key), "{key}: {error}");
    }
}
