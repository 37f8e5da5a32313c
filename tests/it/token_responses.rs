//! All known forms of token responses, and the result of a send for each.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pushslots::http::StatusCode;
use pushslots::{Credentials, Delivery, Error, ErrorKind, Receipt};
use serde_json::Value;
use support::raw::{Act, RawServer, split};
use support::scripted::{Scripted, response};
use support::{client, fixtures, key, message};
use tokio::time::sleep;

const JSON: &str = "Content-Type: application/json\r\n";
const HTML: &str = "Content-Type: text/html\r\n";

/// Sends a message in one attempt, with this response of the token endpoint.
async fn send(response: Act) -> Result<Receipt, Error> {
    let (sent, requests) = send_with_tokens(vec![response]).await;
    assert_eq!(requests.len(), 1);
    sent
}

/// Sends a message in one attempt, with these responses of the token endpoint. Returns the token
/// requests too.
async fn send_with_tokens(responses: Vec<Act>) -> (Result<Receipt, Error>, Vec<Vec<u8>>) {
    let tokens = RawServer::start(responses).await;
    let service = fixtures::serve();
    let client =
        client(service.url(), "plain").token_url(format!("{}/token", tokens.url)).max_attempts(1);
    let sent = client.build().unwrap().send(&message()).await;
    (sent, tokens.finish().await)
}

/// Returns the `iat` of the assertion in a token request.
fn issued_at(request: &[u8]) -> i64 {
    let form: BTreeMap<_, _> =
        url::form_urlencoded::parse(split(request).1.unwrap()).into_owned().collect();
    let claims = form["client_assertion"].split('.').nth(1).unwrap();
    let claims: Value =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    claims["iat"].as_i64().unwrap()
}

/// Returns a `Date` that differs from this machine's clock by this number of seconds.
fn date(offset: i64) -> String {
    let distance = Duration::from_secs(offset.unsigned_abs());
    let now = SystemTime::now();
    httpdate::fmt_http_date(if offset < 0 { now - distance } else { now + distance })
}

#[tokio::test]
async fn success_without_a_token_is_reported_with_its_reason() {
    for (headers, body, expected) in [
        (JSON, "", "the endpoint's response is empty"),
        (HTML, " \r\n", "the endpoint's response is empty"),
        (HTML, "<html><body>canary</body></html>", "the endpoint's response isn't a JSON object"),
        (HTML, "canary", "the endpoint's response isn't a JSON object"),
        (JSON, r#"["canary"]"#, "the endpoint's response isn't a JSON object"),
        (JSON, r#"{"access_token":"canary""#, "the endpoint's response isn't a JSON object"),
        (JSON, "{}", "the endpoint's response contains no access_token"),
        (JSON, r#"{"message":"canary"}"#, "the endpoint's response contains no access_token"),
        (
            JSON,
            r#"{"access_token":null,"error":null}"#,
            "the endpoint's response contains no access_token",
        ),
        (
            JSON,
            r#"{"access_token":["canary"]}"#,
            "the endpoint's response contains no access_token",
        ),
        (JSON, r#"{"access_token":""}"#, "the access token is empty"),
        (JSON, r#"{"access_token":"canary\nbreak"}"#, "the access token can't be a header value"),
        (JSON, r#"{"access_token":"canary","token_type":"mac"}"#, "has a type other than Bearer"),
        (
            "Content-Encoding: gzip\r\n",
            "\u{1f}canary",
            "response can't be read: its content coding is gzip",
        ),
        ("Content-Encoding: identity, canary\r\n", "canary", "its content coding is unknown"),
    ] {
        let error = send(Act::response("200 OK", headers, body)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.delivery()),
            (ErrorKind::Unavailable, Delivery::NotSent),
            "{body}"
        );
        assert!(error.is_retryable());
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(expected) && !shown.contains("canary"), "{body}: {shown}");
        assert_eq!(error.service_text(), None);
    }
}

#[tokio::test]
async fn token_is_accepted_with_any_other_members() {
    for body in [
        r#"{"access_token":"fresh"}"#,
        r#"{"access_token":"fresh","token_type":"bearer","expires_in":300,"scope":""}"#,
        r#"{"access_token":"fresh","token_type":"BEARER","expires_in":"300","scope":["a","b"]}"#,
        r#"{"access_token":"fresh","token_type":null,"expires_in":null,"scope":null,"refresh_token":7}"#,
        r#"{"access_token":"fresh","expires_in":-1,"id_token":{}}"#,
        r#"{"access_token":"fresh","expires_in":1e300}"#,
        r#"{"access_token":"fresh","expires_in":"NaN"}"#,
        r#"{"access_token":"fresh","expires_in":299.5,"error":""}"#,
        r#"{"access_token":"fresh","expires_in":1e400,"owner":"\ud800"}"#,
        r#"{"access_token":7,"access\u005ftoken":"fresh"}"#,
        "\u{feff}{\"access_token\":\"fresh\"}\r\n",
        "\u{feff}\u{feff} {\"access_token\":\"fresh\"}",
    ] {
        send(Act::response("200 OK", HTML, body)).await.unwrap();
    }
    let latin1 =
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"owner\":\"M\xfcller\",\"access_token\":\"fresh\"}";
    send(Act::Bytes(latin1.to_vec())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn lifetime_with_a_fraction_or_in_a_string_is_respected() {
    for (expires_in, milliseconds) in [
        ("3.0", 3_000),
        ("\"3.0\"", 3_000),
        ("\" 3 \"", 3_000),
        ("3.9", 3_900),
        ("0.2", 1_000),
        ("3.99999999999999999999999", 4_000),
        // These are missing or impossible lifetimes, or have an exponent. They count as missing.
        ("30e-1", 300_000),
        ("0", 300_000),
        ("0.00", 300_000),
        ("\".5\"", 300_000),
        ("-3", 300_000),
        ("\"3.x\"", 300_000),
        ("\"soon\"", 300_000),
    ] {
        let body = format!(r#"{{"access_token":"token","expires_in":{expires_in}}}"#);
        let service = Scripted::new(move || response(StatusCode::OK, &[], &body));
        let client = service.client();
        client.send(&message()).await.unwrap();
        // A short lifetime is used for its first third, a longer one except its last 20 s.
        let lifetime = Duration::from_millis(milliseconds);
        let margin = Duration::from_secs(20);
        let usable = lifetime - margin.min(lifetime * 2 / 3);
        // The token is renewed after 80 % to 90 % of that time.
        sleep(usable * 7 / 10).await;
        client.send(&message()).await.unwrap();
        assert_eq!(service.token_requests(), 1, "{expires_in}: still used");
        sleep(usable * 4 / 10).await;
        client.send(&message()).await.unwrap();
        assert_eq!(service.token_requests(), 2, "{expires_in}: no longer used after {usable:?}");
    }
}

#[tokio::test]
async fn rejection_reports_the_endpoint_the_client_and_the_settings_to_check() {
    let page = "https://service.example/docs";
    let environment = "the client id, the key id, and that the dashboard has the public key in the environment of the client id";
    let long = format!("invalid_client: {}", "x".repeat(600));
    for (status, headers, body, rejection, shown, check) in [
        (
            "400 Bad Request",
            JSON,
            format!(
                r#"{{"error":"invalid_request","error_description":"Public key not found, check kid","error_uri":"{page}"}}"#
            ),
            Some(("invalid_request", Some("Public key not found, check kid"), Some(page))),
            ": invalid_request: Public key not found, check kid",
            environment,
        ),
        (
            "401 Unauthorized",
            HTML,
            r#"{"error":"invalid_client","error_description":"","error_uri":null}"#.to_owned(),
            Some(("invalid_client", None, None)),
            ": invalid_client",
            environment,
        ),
        // An error object with status 200 is still an error.
        (
            "200 OK",
            JSON,
            r#"{"error":"invalid_client","error_description":"the key is not known"}"#.to_owned(),
            Some(("invalid_client", Some("the key is not known"), None)),
            ": invalid_client: the key is not known",
            environment,
        ),
        (
            "400 Bad Request",
            JSON,
            r#"{"error":"invalid_request","error_description":"Unexpected aud claim value"}"#.to_owned(),
            Some(("invalid_request", Some("Unexpected aud claim value"), None)),
            ": invalid_request: Unexpected aud claim value",
            "the token URL, which is the audience of the assertion",
        ),
        (
            "400 Bad Request",
            JSON,
            r#"{"error":"invalid_client","error_description":"JWT expired"}"#.to_owned(),
            Some(("invalid_client", Some("JWT expired"), None)),
            ": invalid_client: JWT expired",
            "the clock of this machine",
        ),
        (
            "400 Bad Request",
            JSON,
            r#"{"error":"invalid_scope"}"#.to_owned(),
            Some(("invalid_scope", None, None)),
            ": invalid_scope",
            "the scope",
        ),
        (
            "403 Forbidden",
            JSON,
            r#"{"error":"unauthorized_client"}"#.to_owned(),
            Some(("unauthorized_client", None, None)),
            ": unauthorized_client",
            "that the OAuth client may use client credentials with a signed JWT",
        ),
        // Echoed assertions are masked, and terminal control characters are escaped.
        (
            "400 Bad Request",
            JSON,
            r#"{"error":"of_their_own","error_description":"\u001b[2Jno: eyJhbGciOi.eyJpc3MiOi.c2ln"}"#
                .to_owned(),
            Some(("of_their_own", Some("\\u{1b}[2Jno: [token]"), None)),
            ": of_their_own: \\u{1b}[2Jno: [token]",
            environment,
        ),
        (
            "400 Bad Request",
            JSON,
            format!(r#"{{"error":"invalid_client","error_description":"{}"}}"#, "x".repeat(600)),
            Some(("invalid_client", Some(&*format!("{}…", "x".repeat(500))), None)),
            &*format!(": {}…", &long[..516]),
            environment,
        ),
        // Text that isn't an OAuth error response is available only through an accessor.
        (
            "400 Bad Request",
            JSON,
            r#"{"errorDetail":"canary"}"#.to_owned(),
            None,
            "",
            "the client id, the key id, the private key, and gateways on the way",
        ),
        (
            "401 Unauthorized",
            HTML,
            "canary".to_owned(),
            None,
            "",
            "the client id, the key id, the private key, and gateways on the way",
        ),
        (
            "404 Not Found",
            HTML,
            "<html><h1>canary</h1></html>".to_owned(),
            None,
            "",
            "the base and token URL",
        ),
        (
            "302 Found",
            "Location: https://canary.example/\r\n",
            String::new(),
            None,
            "",
            "the base and token URL",
        ),
    ] {
        let error = send(Act::response(status, headers, &body)).await.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Credentials, Delivery::NotSent), "{body}");
        assert!(!error.is_retryable());
        let reported = error
            .oauth_error()
            .map(|error| {
                let description = error.error_description.as_deref();
                (error.error.as_str(), description, error.error_uri.as_deref())
            });
        assert_eq!(reported, rejection, "{body}");
        let status = &status[..3];
        let expected = match rejection {
            Some(_) => format!(
                "/token rejected the client id \"plain\" with status {status}{shown}; check {check}; not"
            ),
            None => format!(
                "/token responded with status {status} to the client id \"plain\"; check {check}; not"
            ),
        };
        let text = error.to_string();
        assert!(text.contains("no access token: http://127.0.0.1:") && text.contains(&expected), "{text}");
        assert!(!format!("{error} {error:?}").contains("canary"));
        assert_eq!(error.service_text().is_some(), !body.is_empty() && !body.starts_with('<'), "{body}");
        let json = serde_json::to_value(&error).unwrap();
        assert_eq!(json["oauth_error"]["error"].as_str(), rejection.map(|(error, ..)| error));
    }
}

#[tokio::test]
async fn retryable_status_of_the_token_endpoint_is_retried() {
    for status in [
        "408 Request Timeout",
        "421 Misdirected Request",
        "425 Too Early",
        "429 Busy",
        "500 Broken",
    ] {
        let acts = [
            Act::response(status, "", ""),
            Act::response("200 OK", JSON, r#"{"access_token":"fresh"}"#),
        ];
        let tokens = RawServer::start(acts).await;
        let service = fixtures::serve();
        let client = client(service.url(), "plain")
            .token_url(format!("{}/token", tokens.url))
            .build()
            .unwrap();
        let receipt = client.send(&message()).await.unwrap();
        assert_eq!(receipt.attempts()[0].delivery, Delivery::NotSent);
        let expected = format!("the endpoint responded with {}", &status[..3]);
        assert!(receipt.attempts()[0].error.as_deref().unwrap().contains(&expected));
        assert_eq!(tokens.finish().await.len(), 2);

        let error = send(Act::response(status, "", "")).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.is_retryable()),
            (ErrorKind::Unavailable, true),
            "{status}"
        );
    }
}

#[tokio::test]
async fn wrong_clock_is_reported_with_the_rejection() {
    let rejection = |date: &str| {
        Act::response("401 Unauthorized", &format!("Date: {date}\r\n"), "Invalid request")
    };
    for (offset, side) in
        [(-3_600, "ahead of"), (-40, "ahead of"), (40, "behind"), (86_400, "behind")]
    {
        let acts = vec![rejection(&date(offset)), rejection(&date(offset))];
        let (sent, requests) = send_with_tokens(acts).await;
        assert_eq!(requests.len(), 2, "one request with each clock");
        let error = sent.unwrap_err().to_string();
        let (before, after) = error.split_once("; this machine's clock is ").expect(&error);
        assert!(before.contains("with status 401 to the client id"), "{error}");
        let (seconds, rest) = after.split_once(" s ").unwrap();
        let off = offset.unsigned_abs().abs_diff(seconds.parse().unwrap());
        assert!(off <= 9, "{error}");
        let expected = format!("{side} the endpoint's; correct it (an assertion with");
        assert!(rest.starts_with(&expected), "{error}");
    }
    for offset in [-9, -3, 0, 3, 9] {
        let error = send(rejection(&date(offset))).await.unwrap_err().to_string();
        assert!(!error.contains("clock"), "{offset}: {error}");
    }
    // Without a date, nothing is known about the clocks, and the request isn't repeated.
    let error = send(rejection("yesterday")).await.unwrap_err().to_string();
    assert!(!error.contains("clock"), "{error}");
}

#[tokio::test]
async fn wrong_clock_is_corrected_by_the_date_of_the_endpoint() {
    let body = r#"{"error":"invalid_client","error_description":"Assertion expired"}"#;
    let reject = |offset| {
        Act::response("400 Bad Request", &format!("{JSON}Date: {}\r\n", date(offset)), body)
    };
    let accept = || Act::response("200 OK", JSON, r#"{"access_token":"plain"}"#);
    // The clock is an hour behind at first, and is corrected later.
    let acts = [reject(3_600), accept(), accept(), reject(0), accept(), accept()];
    let tokens = RawServer::start(acts).await;
    let service = fixtures::serve();
    let builder =
        client(service.url(), "plain").token_url(format!("{}/token", tokens.url)).max_attempts(1);
    // Each client requests its own token, and all share the clock difference.
    let credentials = Credentials::signed_jwt("plain", key());
    for _ in 0..4 {
        let client = builder.clone().credentials(credentials.clone()).build().unwrap();
        let receipt = client.send(&message()).await.unwrap();
        assert_eq!(receipt.attempts().len(), 1, "the correction is part of one token request");
    }
    let now = pushslots::chrono::Utc::now().timestamp();
    let offsets: Vec<_> =
        tokens.finish().await.iter().map(|request| issued_at(request) - now).collect();
    let is_ahead: Vec<_> = offsets.iter().map(|offset| (offset + 30) / 3_600 == 1).collect();
    assert_eq!(is_ahead, [false, true, true, true, false, false], "{offsets:?}");
}

#[tokio::test]
async fn wrong_clock_is_ignored_while_tokens_are_issued() {
    let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH);
    let token = r#"{"access_token":"fresh"}"#;
    send(Act::response("200 OK", &format!("Date: {date}\r\n"), token)).await.unwrap();
}
