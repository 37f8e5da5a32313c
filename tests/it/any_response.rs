//! No response from either endpoint makes a send panic, wait beyond its deadline, or report a
//! `Retry-After` of more than a day.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use pushslots::Response;
use pushslots::http::StatusCode;
use serde_json::Value;
use support::holds::holds;
use support::message;
use support::scripted::{Scripted, response};
use tokio::time::{Instant, sleep};

type Head = (StatusCode, Vec<(&'static str, Vec<u8>)>);

/// Generates a header value: arbitrary bytes, or text that resembles a form the client reads.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![
        any::<u64>().prop_map(|number| number.to_string()),
        Just(u64::MAX.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        "[0-9]{0,40}(\\.[0-9]{0,40})?",
        "-?[0-9]{1,3}",
    ];
    let date = prop_oneof![
        "(Sun|Mon|Fri), [0-3][0-9] (Jan|Feb|Dec) [0-9]{4} [0-2][0-9]:[0-6][0-9]:[0-6][0-9] GMT",
        "Sunday, [0-3][0-9]-Nov-[0-9]{2} [0-2][0-9]:[0-6][0-9]:[0-6][0-9] GMT",
        Just("Fri, 31 Dec 9999 23:59:59 GMT".to_owned()),
        Just("Thu, 01 Jan 1970 00:00:00 GMT".to_owned()),
    ];
    let coding = prop_oneof![Just("gzip".to_owned()), Just("identity, , br".to_owned())];
    let text = prop_oneof![number, date, coding, ".{0,20}"].prop_map(String::into_bytes);
    prop_oneof![4 => text, 1 => prop::collection::vec(any::<u8>(), 0..40)]
}

/// Generates a status and values of the headers that the client reads.
fn head() -> impl Strategy<Value = Head> {
    let names = ["retry-after", "date", "content-encoding", "content-type"];
    let status =
        prop_oneof![prop::sample::select(vec![200_u16, 401, 408, 429, 500, 503]), 100_u16..1_000,];
    let headers = prop::collection::vec((prop::sample::select(names.to_vec()), value()), 0..4);
    (status.prop_map(|status| StatusCode::from_u16(status).unwrap()), headers)
}

fn body() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(r#"{"access_token":"token","accessToken":"token"}"#.to_owned()),
        value().prop_map(|value| {
            let lifetime = String::from_utf8_lossy(&value).into_owned();
            let response = serde_json::json!({
                "access_token": "token",
                "expires_in": lifetime,
                "expires": lifetime
            });
            response.to_string()
        }),
        any::<f64>()
            .prop_map(|lifetime| format!(r#"{{"access_token":"token","expires_in":{lifetime}}}"#)),
        Just(r#"{"Meta":{"Logs":[{"ID":"1"}]}}"#.to_owned()),
        prop::sample::select(vec![
            r#"{"Meta":{"Errors":[{"Text":"no"}]}}"#,
            r#"{"Meta":{"Logs":[{"ID":"1"}],"errors":["no"]}}"#,
            r#"{"Meta":{},"errorDetail":"no"}"#,
            r#"{"errors":[{"message":"no"}]}"#,
        ])
        .prop_map(str::to_owned),
        Just(r#"{"error":"invalid_client","error_description":"eyJ.\u001b"}"#.to_owned()),
        ".{0,40}",
    ]
}

#[test]
fn no_response_makes_a_send_panic_or_wait_forever() {
    let responses = || prop::collection::vec((head(), body()), 1..4);
    holds((responses(), responses()), |(tokens, messages)| {
        let last = Arc::new(Mutex::new(None));
        let mut message_responses = in_turn(messages);
        let recorded = last.clone();
        let messages = move || recorded.lock().unwrap().insert(message_responses()).clone();
        let service = Scripted::with(in_turn(tokens), messages);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let client = service.client();
            let message = message();
            // The cooldown grows with each failed token request, so its maximum is reached only
            // after several sends.
            for _ in 0..6 {
                let began = Instant::now();
                match client.send(&message).await {
                    Ok(_) => {
                        prop_assert!(last.lock().unwrap().as_ref().is_some_and(can_be_accepted))
                    }
                    Err(error) => {
                        let wait = error.retry_after().unwrap_or_default();
                        prop_assert!(wait <= Duration::from_secs(24 * 60 * 60), "{:?}", wait);
                        prop_assert!(
                            serde_json::to_string(&error).is_ok() && !error.to_string().is_empty()
                        );
                    }
                }
                prop_assert!(began.elapsed() <= Duration::from_secs(301), "{:?}", began.elapsed());
                sleep(Duration::from_secs(125)).await;
            }
            Ok(())
        })
    });
}

/// Returns whether the response can be the service's own and reports no error.
fn can_be_accepted(response: &Response) -> bool {
    let body = response.body.as_ref().unwrap();
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let reports_errors = |json: &Value| {
        let members = json
            .as_object()
            .into_iter()
            .chain(json["Meta"].as_object())
            .flat_map(|object| object.keys());
        members.into_iter().any(|key| key.to_lowercase().starts_with("error"))
    };
    let is_own = json.is_some_and(|json| json["Meta"].is_object() && !reports_errors(&json));
    let codings = response.headers.get_all("content-encoding").iter();
    let mut codings = codings.flat_map(|coding| coding.as_bytes().split(|byte| *byte == b','));
    let is_plain = codings.all(|coding| {
        [&b""[..], b"identity"].contains(&&*coding.trim_ascii().to_ascii_lowercase())
    });
    let is_empty = body.trim_ascii().is_empty() || String::from_utf8_lossy(body).trim().is_empty();
    response.status.is_success() && (is_empty || is_own && is_plain)
}

/// Returns the responses in turn, over and over.
fn in_turn(mut responses: Vec<(Head, String)>) -> impl FnMut() -> Response + Send + 'static {
    move || {
        responses.rotate_left(1);
        let ((status, headers), body) = &responses[0];
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &value[..])).collect();
        response(*status, &headers, body)
    }
}
