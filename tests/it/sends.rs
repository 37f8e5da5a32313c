//! The result of one send for each kind of response, over real sockets and with the fixtures.

use pushslots::mock::MockService;
use pushslots::uuid::{Uuid, uuid};
use pushslots::{Delivery, ErrorKind, Log, Meta, Receipt};
use serde_json::json;
use support::{MESSAGE, SOURCE, client, fixtures, message};

async fn bodies(server: &MockService) -> Vec<String> {
    let requests = server.requests();
    let messages = requests.into_iter().filter(|request| request.path() == "/endpoint");
    messages.map(|request| String::from_utf8(request.body().to_vec()).unwrap()).collect()
}

fn deliveries(receipt: &Receipt) -> Vec<(Option<u16>, Delivery)> {
    let attempts = receipt.attempts().iter();
    attempts.map(|attempt| (attempt.status.map(u16::from), attempt.delivery)).collect()
}

fn ids(logs: &[Log]) -> Vec<(Option<&str>, Option<&str>)> {
    logs.iter().map(|log| (log.id.as_deref(), log.attempt_id.as_deref())).collect()
}

#[tokio::test]
async fn an_accepted_message_gives_a_receipt() {
    let server = fixtures::serve();
    let client = client(server.url(), "plain").build().unwrap();
    let id = uuid!("0b5c6b0e-3c59-4b57-8a3e-0d7a8d0f2f61");
    let receipt = client.send(&message()).message_id(id).await.unwrap();

    assert_eq!(receipt.message_id(), id);
    let [(Some(log), Some(attempt))] = ids(receipt.logs())[..] else {
        panic!("expected one log for one destination")
    };
    assert!([log, attempt].iter().all(|id| Uuid::try_parse(id).is_ok()), "{log} {attempt}");
    assert_eq!(deliveries(&receipt), [(Some(200), Delivery::Accepted)]);
    assert_eq!(receipt.attempts()[0].error, None);
    assert_eq!(receipt.attempts()[0].delay, None);
    assert_eq!(bodies(&server).await, [MESSAGE]);

    let requests = server.requests();
    let headers = requests.last().unwrap().headers().clone();
    assert_eq!(headers["authorization"], "Bearer plain");
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["idempotency-key"], id.to_string());
}

#[tokio::test]
async fn encoded_message_gets_the_defaults_of_each_client() {
    let server = fixtures::serve();
    let [here, there] = [Uuid::from_u128(1), Uuid::from_u128(2)].map(|source| {
        client(server.url(), "plain")
            .source(source)
            .destination(Uuid::from_u128(3))
            .build()
            .unwrap()
    });
    let mut encoded = message().encode().unwrap();
    assert_eq!(encoded.slot_count(), 2);
    assert_eq!(encoded.meta(), message().meta());
    assert_eq!(encoded.to_json(), message().to_json());
    here.send(&encoded).await.unwrap();
    there.send(&std::sync::Arc::new(message())).await.unwrap();
    *encoded.meta_mut() = Meta::new().test(true).destination(SOURCE);
    there.send(&Box::new(encoded.clone())).await.unwrap();

    let [first, second, third] = <[String; 3]>::try_from(bodies(&server).await).unwrap();
    assert_eq!(
        first.replace(&Uuid::from_u128(1).to_string(), &Uuid::from_u128(2).to_string()),
        second
    );
    assert_eq!(
        MESSAGE.split_once(",\"Slots\"").unwrap().1,
        first.split_once(",\"Slots\"").unwrap().1
    );
    let meta = format!(
        r#"{{"Meta":{{"DataModel":"Scheduling","EventType":"PushSlots","Test":true,"Source":{{"ID":"{}"}},"Destinations":[{{"ID":"{SOURCE}"}}]}}"#,
        Uuid::from_u128(2)
    );
    assert_eq!(third, meta + ",\"Slots\"" + MESSAGE.split_once(",\"Slots\"").unwrap().1);

    encoded.meta_mut().current_batch = Some(1);
    let error = here.send(&encoded).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidMessage);
    assert!(error.to_string().contains("Meta.BatchID"), "{error}");
    assert_eq!(bodies(&server).await.len(), 3, "nothing was sent");
}

#[tokio::test]
async fn throttled_message_waits_for_retry_after_and_is_sent_again() {
    let server = fixtures::serve();
    let client = client(server.url(), "throttled").build().unwrap();
    let receipt = client.send(&message()).await.unwrap();

    assert_eq!(
        deliveries(&receipt),
        [(Some(429), Delivery::Rejected), (Some(200), Delivery::Accepted)]
    );
    let first = &receipt.attempts()[0];
    assert_eq!(first.error.as_deref(), Some("the service responded with 429"));
    let delay = first.delay.unwrap().as_millis();
    assert!(
        (1_000..=2_000).contains(&delay),
        "Retry-After is 1 s, and jitter only adds to it: {delay} ms"
    );
    let waited = receipt.attempts()[1].started - first.started;
    assert!(waited.num_milliseconds() >= i64::try_from(delay).unwrap() - 5, "{waited}");
    assert_eq!(bodies(&server).await, [MESSAGE, MESSAGE]);
}

#[tokio::test]
async fn unavailable_service_is_retried() {
    let server = fixtures::serve();
    let client = client(server.url(), "unavailable").build().unwrap();
    let receipt = client.send(&message()).await.unwrap();
    assert_eq!(
        deliveries(&receipt),
        [(Some(503), Delivery::Unknown), (Some(200), Delivery::Accepted)]
    );
    assert!(receipt.attempts()[0].delay.unwrap().as_millis() <= 250);
}

#[tokio::test]
async fn rejected_message_is_sent_once_and_its_reason_needs_an_accessor() {
    let server = fixtures::serve();
    let client = client(server.url(), "rejected").build().unwrap();
    let error = client.send(&message()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(error.delivery(), Delivery::Rejected);
    assert!(!error.is_retryable());
    assert_eq!(error.attempts().len(), 1);
    assert_eq!(ids(error.logs()), [(Some("1234567890"), Some("987654321"))]);
    let text = error.service_text().unwrap();
    assert!(text.starts_with("No subscriptions."), "{text}");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("subscriptions"), "{shown}");
    assert!(shown.contains("attempt 1: the service responded with 400"), "{shown}");
    assert_eq!(bodies(&server).await, [MESSAGE]);
}

#[tokio::test]
async fn source_and_destinations_of_a_message_are_not_overwritten() {
    let server = fixtures::serve();
    let client = client(server.url(), "plain").build().unwrap();
    let json = r#"{"Meta":{"DataModel":"Scheduling","EventType":"PushSlots","Source":{"ID":"11111111-1111-4111-8111-111111111111","Name":"Ours"},"Destinations":[{"ID":"22222222-2222-4222-8222-222222222222"}],"x":1},"Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":15}],"y":2}"#;
    let message = pushslots::PushSlots::from_json(json).unwrap();
    client.send(&message).await.unwrap();
    assert_eq!(bodies(&server).await, [json]);
}

#[tokio::test]
async fn invalid_message_reports_all_problems_and_sends_nothing() {
    let server = fixtures::serve();
    let client = pushslots::Client::builder()
        .base_url(server.url())
        .credentials(pushslots::Credentials::signed_jwt("plain", support::key()))
        .build()
        .unwrap();
    let json = json!({"Slots": [{"DateTime": "2016-10-08", "Duration": 15}, {"DateTime": "2026-12-01T09:00:00Z"}]});
    let message = pushslots::PushSlots::from_json(json.to_string()).unwrap();
    let error = client.send(&message).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::InvalidMessage);
    assert_eq!(error.delivery(), Delivery::NotSent);
    let paths: Vec<_> = error.problems().iter().map(pushslots::Problem::path).collect();
    assert_eq!(paths, ["Slots[0].DateTime", "Slots[1].Duration", "Meta.Destinations"]);
    assert!(error.attempts().is_empty());
    assert!(server.requests().is_empty(), "no token was requested either");
}

#[tokio::test]
async fn receipts_and_errors_are_serialized_with_the_words_of_their_display() {
    let server = fixtures::serve();
    let id = uuid!("0b5c6b0e-3c59-4b57-8a3e-0d7a8d0f2f61");
    let accepting = client(server.url(), "plain").build().unwrap();
    let receipt = accepting.send(&message()).message_id(id).await.unwrap();
    let attempt = &receipt.attempts()[0];
    assert_eq!(
        serde_json::to_value(&receipt).unwrap(),
        json!({
            "message_id": id,
            "delivery": "accepted",
            "slots": { "start": 0, "end": message().slots().len() },
            "logs": [{ "id": receipt.logs()[0].id, "attempt_id": receipt.logs()[0].attempt_id }],
            "attempts": [{
                "number": 1,
                "message_id": id,
                "started": attempt.started,
                "elapsed_ms": u64::try_from(attempt.elapsed.as_millis()).unwrap(),
                "status": 200,
                "delivery": "accepted",
                "error": null,
                "logs": [{ "id": receipt.logs()[0].id, "attempt_id": receipt.logs()[0].attempt_id }],
                "token_age_ms": u64::try_from(attempt.token_age.unwrap().as_millis()).unwrap(),
                "retry_after_s": null,
                "delay_ms": null,
                "next_step": "done"
            }]
        })
    );

    let rejecting = client(server.url(), "rejected").build().unwrap();
    let error = rejecting.send(&message()).message_id(id).await.unwrap_err();
    let json = serde_json::to_value(&error).unwrap();
    assert_eq!(
        (&json["kind"], error.kind().to_string()),
        (&json!("rejected"), "rejected".to_owned())
    );
    assert_eq!(
        (&json["delivery"], error.delivery().to_string()),
        (&json!("rejected"), "rejected".to_owned())
    );
    assert_eq!(json["message_id"], id.to_string());
    assert_eq!(json["error"], error.to_string());
    assert_eq!(json["logs"], json!([{"id": "1234567890", "attempt_id": "987654321"}]));
    assert_eq!(json["attempts"][0]["status"], 400);
    assert_eq!(json["attempts"][0]["next_step"], "not_retryable");
    assert_eq!(json["retry_after_s"], json!(null));
    assert_eq!(json.get("service_text"), None, "it may repeat personal data");
    let with_text = serde_json::to_value(error.with_service_text()).unwrap();
    assert_eq!(with_text["service_text"], error.service_text().unwrap());
    assert_eq!(with_text["message_id"], json["message_id"]);
    assert_eq!(json["problems"], json!([]));
}

#[tokio::test]
async fn clones_of_a_client_share_one_token() {
    let server = fixtures::serve();
    let client = client(server.url(), "plain").build().unwrap();
    for _ in 0..3 {
        client.clone().send(&message()).await.unwrap();
    }
    let requests = server.requests();
    let tokens = requests.iter().filter(|request| request.path() == "/v2/auth/token");
    assert_eq!(tokens.count(), 1);
    assert_eq!(bodies(&server).await.len(), 3);
}
