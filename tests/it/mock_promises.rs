//! Guarantees of the mock: it rejects the requests of incorrect clients, and it returns its records
//! completely and in order.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pushslots::chrono::{DateTime, TimeDelta, Utc};
use pushslots::http::{HeaderName, HeaderValue};
use pushslots::mock::{MockResponse, MockService};
use pushslots::{Client, Meta, PushSlots, Signer, SigningInput};
use serde_json::{Value, json};

use support::any::{Any, good_assertion, its_key, token};
use support::relay::sign_again;
use support::{DESTINATION, MESSAGE, SOURCE, any_http, message};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

async fn post(any: &Any, path: &str, body: &Value) -> (u16, Value) {
    let (status, body) = any.post(path, &JSON, body.to_string()).await;
    (status, serde_json::from_str(&body).unwrap_or_default())
}

#[tokio::test]
async fn algorithm_of_an_assertion_must_be_that_of_the_key() {
    let service = MockService::start().unwrap();
    let any = Any::of(&service);
    let key = its_key(&service);
    let good = good_assertion(&service).await;
    let claims = good.split('.').nth(1).unwrap();
    for (algorithm, is_accepted) in [("RS384", false), ("none", false), ("ES384", true)] {
        let header = json!({ "alg": algorithm, "kid": service.key_id(), "typ": "JWT" }).to_string();
        let signed = format!("{}.{claims}", BASE64_URL_SAFE_NO_PAD.encode(header));
        let signature = key.sign(SigningInput::new(signed.as_bytes())).await.unwrap();
        let assertion = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
        let (status, response) = any.request_token(&assertion).await;
        assert_eq!(status == 200, is_accepted, "{algorithm}: {response}");
    }
}

#[tokio::test]
async fn clock_of_an_assertion_may_be_ten_seconds_ahead() {
    let service = MockService::start().unwrap();
    let any = Any::of(&service);
    let key = its_key(&service);
    let good = good_assertion(&service).await;
    for (ahead, is_accepted) in [(25, false), (15, false), (5, true)] {
        let now = Utc::now().timestamp();
        let assertion = sign_again(&good, &key, |claims| {
            claims["iat"] = (now + ahead).into();
            claims["jti"] = ahead.to_string().into();
        });
        assert_eq!(any.request_token(&assertion).await.0 == 200, is_accepted, "{ahead}");
    }
}

#[tokio::test]
async fn token_responses_report_the_lifetime_of_the_token() {
    let builder =
        MockService::builder().token_lifetime(Duration::from_secs(77)).api_key("ours", "secret");
    let service = builder.start().unwrap();
    let any = Any::of(&service);
    let (_, response) = any.request_token(&good_assertion(&service).await).await;
    assert_eq!(response["expires_in"], 77);
    let before = Utc::now();
    let (_, response) =
        post(&any, "/auth/authenticate", &json!({ "apiKey": "ours", "secret": "secret" })).await;
    let expires: DateTime<Utc> = response["expires"].as_str().unwrap().parse().unwrap();
    let lifetime = expires - before;
    assert!((TimeDelta::hours(24) - lifetime).abs() < TimeDelta::minutes(2), "{lifetime}");
}

#[tokio::test]
async fn refresh_token_is_bound_to_its_api_key_and_can_be_revoked() {
    let builder = MockService::builder().api_key("ours", "secret").api_key("theirs", "secret");
    let service = builder.start().unwrap();
    let any = Any::of(&service);
    let refresh = |key: &str, response: &Value| {
        let refresh_token = &response["refreshToken"];
        json!({ "apiKey": key, "refreshToken": refresh_token })
    };
    let authenticate = json!({ "apiKey": "ours", "secret": "secret" });
    let (_, response) = post(&any, "/auth/authenticate", &authenticate).await;
    assert_eq!(post(&any, "/auth/refreshToken", &refresh("theirs", &response)).await.0, 401);
    let (status, response) = post(&any, "/auth/refreshToken", &refresh("ours", &response)).await;
    assert_eq!(status, 200);
    service.revoke_tokens();
    assert_eq!(post(&any, "/auth/refreshToken", &refresh("ours", &response)).await.0, 401);
}

#[tokio::test]
async fn outage_includes_the_token_endpoints() {
    let service = MockService::builder().api_key("ours", "secret").start().unwrap();
    let any = Any::of(&service);
    let good = good_assertion(&service).await;
    let token = token(&service, &any).await;
    service.fail_for(Duration::MAX);
    assert_eq!(any.push(&token, MESSAGE).await.0, 503);
    assert_eq!(any.post("/v2/auth/token", &[], support::any::form(&good)).await.0, 503);
    let authenticate = json!({ "apiKey": "ours", "secret": "secret" });
    for path in ["/auth/authenticate", "/auth/refreshToken"] {
        assert_eq!(post(&any, path, &authenticate).await.0, 503, "{path}");
    }
}

#[tokio::test]
async fn usual_response_has_the_added_headers() {
    let service = MockService::start().unwrap();
    let any = Any::of(&service);
    let token = token(&service, &any).await;
    let name = HeaderName::from_static("x-request-id");
    service.respond_next(MockResponse::usual().header(name, HeaderValue::from_static("17")));
    let request = any_http().post(format!("{}/endpoint", service.url())).bearer_auth(token);
    let response =
        request.header("content-type", "application/json").body(MESSAGE).send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"], "17");
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(service.received().len(), 1);
}

#[tokio::test]
async fn only_a_post_is_a_message() {
    let service = MockService::start().unwrap();
    let token = token(&service, &Any::of(&service)).await;
    for method in ["GET", "PUT", "HEAD", "DELETE"] {
        let request =
            any_http().request(method.parse().unwrap(), format!("{}/endpoint", service.url()));
        let request =
            request.bearer_auth(&token).header("content-type", "application/json").body(MESSAGE);
        assert_eq!(request.send().await.unwrap().status().as_u16(), 404, "{method}");
    }
    assert!(service.received().is_empty());
}

#[tokio::test]
async fn response_names_source_and_destinations_of_the_message() {
    let service = MockService::start().unwrap();
    let any = Any::of(&service);
    let token = token(&service, &any).await;
    let named = format!(r#""Source":{{"ID":"{SOURCE}","Name":"North"}}"#);
    let (status, body) = any
        .push(&token, MESSAGE.replace(&format!(r#""Source":{{"ID":"{SOURCE}"}}"#), &named))
        .await;
    let response: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &response["Meta"]["Source"]),
        (200, &json!({ "ID": SOURCE, "Name": "North" }))
    );
    assert_eq!(response["Meta"]["Destinations"], json!([{ "ID": DESTINATION }]));
}

#[tokio::test]
async fn batch_is_ordered_by_number_and_not_by_arrival() {
    let service = MockService::start().unwrap();
    let client = Client::builder().mock(&service).build().unwrap();
    for number in [3, 1, 2] {
        let meta = Meta::new().batch_id("tuesday").current_batch(number).total_batches(3);
        let slots = message().into_slots();
        client.send(&PushSlots::builder().meta(meta).slots(slots).build().unwrap()).await.unwrap();
    }
    let batch = service.batch("tuesday");
    let numbers: Vec<_> =
        batch.iter().map(|message| message.meta().current_batch.unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[tokio::test]
async fn request_with_another_host_changes_nothing() {
    let service = MockService::start().unwrap();
    let client = Client::builder().mock(&service).build().unwrap();
    client.send(&message()).await.unwrap();
    service.respond_next(MockResponse::throttled());
    for (path, body) in [
        ("/page/clear", r#"{"queue":true,"inbox":true}"#),
        ("/page/next", r#"{"response":"stall"}"#),
        ("/page/destinations", r#"{"known":[]}"#),
        ("/page/outage", r#"{"seconds":60}"#),
    ] {
        let request =
            any_http().post(format!("{}{path}", service.url())).header("host", "attacker.example");
        let request = request.header("content-type", "application/json").body(body);
        assert_eq!(request.send().await.unwrap().status().as_u16(), 403, "{path}");
    }
    assert_eq!((service.received().len(), service.pending_responses()), (1, 1));
}
