//! What the token endpoint may answer, in every shape that has been seen, and what a send makes of it.

mod support;

use std::time::SystemTime;

use pushslots::{Delivery, Error, ErrorKind, Receipt};
use support::raw::{Act, RawServer};
use support::{client, fixtures, message};

const JSON: &str = "Content-Type: application/json\r\n";
const HTML: &str = "Content-Type: text/html\r\n";

/// Sends a message with one attempt, with a token from an endpoint that answers this.
async fn send(answer: Act) -> Result<Receipt, Error> {
    let (tokens, service) = (RawServer::start([answer]).await, fixtures::serve());
    let client = client(service.url(), "plain").token_url(format!("{}/token", tokens.url)).max_attempts(1);
    let sent = client.build().unwrap().send(&message()).await;
    assert_eq!(tokens.finish().await.len(), 1);
    sent
}

#[tokio::test]
async fn a_yes_that_is_no_token_is_told_by_what_it_lacks() {
    for (headers, body, expected) in [
        (JSON, "", "the endpoint's answer is empty"),
        (HTML, " \r\n", "the endpoint's answer is empty"),
        (HTML, "<html><body>canary</body></html>", "the endpoint's answer is no JSON object"),
        (HTML, "canary", "the endpoint's answer is no JSON object"),
        (JSON, r#"["canary"]"#, "the endpoint's answer is no JSON object"),
        (JSON, r#"{"access_token":"canary""#, "the endpoint's answer is no JSON object"),
        (JSON, "{}", "the endpoint's answer holds no access_token"),
        (JSON, r#"{"error":"canary"}"#, "the endpoint's answer holds no access_token"),
        (JSON, r#"{"errorDetail":"canary"}"#, "the endpoint's answer holds no access_token"),
        (JSON, r#"{"access_token":null}"#, "the endpoint's answer holds no access_token"),
        (JSON, r#"{"access_token":["canary"]}"#, "the endpoint's answer holds no access_token"),
        (JSON, r#"{"access_token":""}"#, "the access token is empty"),
        (JSON, r#"{"access_token":"canary\nbreak"}"#, "the access token is no text for a header"),
        (JSON, r#"{"access_token":"canary","token_type":"mac"}"#, "is of a type other than Bearer"),
    ] {
        let error = send(Act::answer("200 OK", headers, body)).await.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::NotSent), "{body}");
        assert!(error.is_retryable());
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(expected) && !shown.contains("canary"), "{body}: {shown}");
    }
}

#[tokio::test]
async fn a_token_is_taken_whatever_stands_beside_it() {
    for body in [
        r#"{"access_token":"fresh"}"#,
        r#"{"access_token":"fresh","token_type":"bearer","expires_in":300,"scope":""}"#,
        r#"{"access_token":"fresh","token_type":"BEARER","expires_in":"300","scope":["a","b"]}"#,
        r#"{"access_token":"fresh","token_type":null,"expires_in":null,"scope":null,"refresh_token":7}"#,
        r#"{"access_token":"fresh","expires_in":-1,"id_token":{}}"#,
        r#"{"access_token":"fresh","expires_in":299.5,"error":""}"#,
    ] {
        send(Act::answer("200 OK", HTML, body)).await.unwrap();
    }
}

#[tokio::test]
async fn a_refusal_carries_what_the_endpoint_said() {
    let page = "https://service.example/docs";
    let description = "Public key not found, check client_id, kid and environment";
    for (status, headers, body, refusal, text, code) in [
        (
            "400 Bad Request",
            JSON,
            &format!(
                r#"{{"error":"invalid_request","error_description":"{description}","error_uri":"{page}"}}"#
            ),
            Some(("invalid_request", Some(description), Some(page))),
            Some("invalid_request: Public key not found, check client_id, kid and environment"),
            " (invalid_request)",
        ),
        (
            "401 Unauthorized",
            HTML,
            &r#"{"error":"invalid_client","error_description":"","error_uri":null}"#.to_owned(),
            Some(("invalid_client", None, None)),
            Some("invalid_client"),
            " (invalid_client)",
        ),
        (
            "403 Forbidden",
            JSON,
            &r#"{"error":"of_their_own"}"#.to_owned(),
            Some(("of_their_own", None, None)),
            Some("of_their_own"),
            "",
        ),
        ("400 Bad Request", JSON, &r#"{"errorDetail":"canary"}"#.to_owned(), None, Some("canary"), ""),
        ("401 Unauthorized", HTML, &"Invalid request".to_owned(), None, Some("Invalid request"), ""),
        (
            "404 Not Found",
            HTML,
            &"<html><h1>canary</h1></html>".to_owned(),
            None,
            None,
            " (check the base and token URL)",
        ),
        (
            "302 Found",
            "Location: https://elsewhere.example/\r\n",
            &String::new(),
            None,
            None,
            " (check the base and token URL)",
        ),
    ] {
        let error = send(Act::answer(status, headers, body)).await.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Credentials, Delivery::NotSent), "{body}");
        assert!(!error.is_retryable());
        let told = error
            .token_refusal()
            .map(|told| (told.error.as_str(), told.error_description.as_deref(), told.error_uri.as_deref()));
        assert_eq!((told, error.service_text()), (refusal, text), "{body}");
        let status = &status[..3];
        let shown = error.to_string();
        let expected =
            format!("no access token: the endpoint refused with status {status}{code}; not tried again");
        assert!(shown.contains(&expected), "{shown}");
        let shown = format!("{shown} {error:?} {:?}", error.token_refusal());
        for said in ["Public key", page, "of_their_own", "canary", "Invalid request", "elsewhere"] {
            assert!(!shown.contains(said), "{shown}");
        }
        let json = serde_json::to_value(&error).unwrap();
        assert_eq!(json["token_refusal"]["error"].as_str(), refusal.map(|(error, ..)| error));
    }
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_with_the_refusal() {
    let refuse = |offset: i64, form: fn(SystemTime) -> String| {
        let now = SystemTime::now();
        let distance = std::time::Duration::from_secs(offset.unsigned_abs());
        let date = form(if offset < 0 { now - distance } else { now + distance });
        send(Act::answer("401 Unauthorized", &format!("Date: {date}\r\n"), "Invalid request"))
    };
    for (offset, side) in [(-3_600, "ahead of"), (-40, "ahead of"), (40, "behind"), (86_400, "behind")] {
        let error = refuse(offset, httpdate::fmt_http_date).await.unwrap_err().to_string();
        let (before, after) = error.split_once("; this machine's clock is ").expect(&error);
        assert!(before.contains("refused with status 401"), "{error}");
        let (seconds, rest) = after.split_once(" s ").unwrap();
        let off = offset.unsigned_abs().abs_diff(seconds.parse().unwrap());
        assert!(off <= 9, "{error}");
        let expected = format!("{side} the endpoint's, which may be why: set it");
        assert!(rest.starts_with(&expected), "{error}");
    }
    for offset in [-9, -3, 0, 3, 9] {
        let error = refuse(offset, httpdate::fmt_http_date).await.unwrap_err().to_string();
        assert!(!error.contains("clock"), "{offset}: {error}");
    }
    let error = refuse(-3_600, |_| "yesterday".to_owned()).await.unwrap_err().to_string();
    assert!(!error.contains("clock"), "{error}");
}

#[tokio::test]
async fn a_clock_that_is_off_is_no_matter_while_tokens_are_given() {
    let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH);
    let token = r#"{"access_token":"fresh"}"#;
    send(Act::answer("200 OK", &format!("Date: {date}\r\n"), token)).await.unwrap();
}
