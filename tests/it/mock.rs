//! The messages that the mock accepts and rejects from any client, and its inbox.

use std::time::Duration;

use pushslots::Delivery;
use pushslots::mock::{MockResponse, MockService};
use pushslots::uuid::Uuid;
use serde_json::Value;
use support::any::{Any, client, token};
use support::{DESTINATION, MESSAGE, message};
use tokio::time::timeout;

#[tokio::test]
async fn invalid_message_is_rejected_with_its_reason() {
    let builder =
        MockService::builder().max_bytes(100_000).token_lifetime(Duration::from_secs(300));
    let service = builder.start().unwrap();
    let any = Any::of(&service);
    let token = token(&service, &any).await;
    let with = |from: &str, to: &str| MESSAGE.replace(from, to);
    let destinations = r#""Destinations":[{"ID":"af394f14-b34a-464f-8d24-895f370af4c9"}]"#;
    for (message, status, reason) in [
        (with(destinations, r#""Destinations":[]"#), 403, "Meta.Destinations: empty"),
        (with(&format!(",{destinations}"), ""), 403, "Meta.Destinations: empty"),
        (
            MESSAGE.split_once(",\"Slots\"").unwrap().0.to_owned() + r#","Slots":[]}"#,
            400,
            "Slots: empty",
        ),
        (
            with(r#""Duration":15"#, r#""Duration":"15""#),
            400,
            "Slots[0].Duration: a string, but the model expects a number",
        ),
        (with(r#""Duration":30"#, r#""Duration":0"#), 400, "Slots[1].Duration: not above 0"),
        (with("T09:00:00Z", ""), 400, "Slots[0].DateTime"),
        (with(r#""DataModel":"Scheduling","#, ""), 400, "Meta.DataModel: missing"),
        (with(r#""EventType":"PushSlots","#, ""), 400, "Meta.EventType: missing"),
        (with("PushSlots", "Query"), 400, "Meta.EventType"),
        (
            with(r#""IDType":"NPI""#, r#""IDType":1"#),
            400,
            "Slots[0].Provider.IDType: a number, but the model expects a string",
        ),
        ("{".to_owned(), 400, "the input ends before the JSON does"),
        (with("Pat", &"x".repeat(100_000)), 413, "over the size limit of 100000 bytes"),
    ] {
        let (found, body) = any.push(&token, message).await;
        let seen = service.requests().last().unwrap().clone();
        assert_eq!(found, status, "{reason}: {body}");
        assert!(seen.reason().unwrap().contains(reason), "{:?} instead of {reason}", seen.reason());
        if status != 413 {
            // The error has the form that the service uses.
            let body: Value = serde_json::from_str(&body).unwrap();
            let error = &body["Meta"]["Errors"][0];
            assert!(error["Text"].as_str().unwrap().contains(reason), "{error}");
            assert_eq!((error["Type"].as_str(), error["ID"].is_number()), (Some("message"), true));
        }
    }
    for (headers, reason) in [
        (vec![], "the request has no access token"),
        (vec![("authorization", "Bearer made-up")], "the token is unknown"),
        (vec![("authorization", "Basic made-up")], "the token isn't a bearer token"),
    ] {
        assert_eq!(any.post("/endpoint", &headers, MESSAGE).await.0, 401);
        assert_eq!(service.requests().last().unwrap().reason(), Some(reason));
    }
    let bearer = format!("Bearer {token}");
    assert_eq!(
        any.post("/endpoint", &[("authorization", &bearer)], MESSAGE).await.0,
        400,
        "the content type is missing"
    );
    assert!(service.received().is_empty());

    assert_eq!(any.push(&token, MESSAGE).await.0, 200);
    service.revoke_tokens();
    assert_eq!(any.push(&token, MESSAGE).await.0, 401);
    assert_eq!(service.requests().last().unwrap().reason(), Some("the token was revoked"));
    let counts = service.counts();
    assert_eq!((counts.accepted, counts.slots, counts.without_response), (1, 2, 0));
    assert_eq!(counts.rejected, counts.message_requests - 1);
}

#[tokio::test]
async fn message_that_the_schema_allows_is_accepted_unchanged() {
    let service = MockService::start().unwrap();
    let any = Any::of(&service);
    let token = token(&service, &any).await;
    // The schema allows nulls, empty objects, unknown keys, and a space in a time.
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
    assert_eq!(service.slots()[0].duration, Some(15.5.into()));
}

#[tokio::test]
async fn response_and_inbox_have_the_same_log_for_each_destination() {
    let service = MockService::start().unwrap();
    let client = client(&service).destination(DESTINATION).build().unwrap();
    let receipt = client.send(&message()).await.unwrap();
    let [received] = &service.received()[..] else { panic!("expected one message") };
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
async fn batch_is_found_by_its_id_and_in_order() {
    let service = MockService::start().unwrap();
    let client = client(&service).build().unwrap();
    let slots: Vec<_> = message().slots().iter().cycle().take(7).cloned().collect();
    client.publish(&slots).slots_per_message(3).batch_id("tuesday").await.unwrap();
    client.send(&message()).await.unwrap();
    let batch = service.batch("tuesday");
    let numbers: Vec<_> =
        batch.iter().map(|message| message.meta().current_batch.unwrap()).collect();
    assert_eq!((numbers, service.received().len()), (vec![1, 2, 3], 4));
    assert!(service.batch("wednesday").is_empty());
    assert_eq!(service.slots().len(), 9);
}

#[tokio::test]
async fn repeated_message_is_deduplicated_only_if_enabled() {
    for deduplicates in [false, true] {
        let builder = MockService::builder();
        let builder = if deduplicates { builder.deduplicate() } else { builder };
        let service = builder.start().unwrap();
        let client = client(&service).build().unwrap();
        service.respond_next(MockResponse::closed_after_read().after_accepting());
        let receipt = client.send(&message()).await.unwrap();
        let deliveries: Vec<_> =
            receipt.attempts().iter().map(|attempt| attempt.delivery).collect();
        assert_eq!(deliveries, [Delivery::Unknown, Delivery::Accepted]);
        let received = service.received();
        assert_eq!(received.len(), if deduplicates { 1 } else { 2 });
        assert_eq!(received.last().unwrap().logs(), receipt.logs());
        assert_eq!(service.counts().duplicates, usize::from(deduplicates));
        // A message without an idempotency key can't be deduplicated.
        let any = Any::of(&service);
        let token = token(&service, &any).await;
        assert_eq!(
            [any.push(&token, MESSAGE).await.0, any.push(&token, MESSAGE).await.0],
            [200, 200]
        );
        assert_eq!(service.received().len(), received.len() + 2);
    }
}

#[tokio::test]
async fn idempotency_key_of_any_text_deduplicates() {
    let service = MockService::builder().deduplicate().start().unwrap();
    let any = Any::of(&service);
    let bearer = format!("Bearer {}", token(&service, &any).await);
    let push = async |key: &str| {
        let headers = [
            ("authorization", &*bearer),
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        any.post("/endpoint", &headers, MESSAGE).await
    };
    // The draft of the header standard quotes the key, but most clients omit the quotes.
    let [first, again, other] =
        [push("\"order-1\"").await, push("order-1").await, push("order-2").await];
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert_eq!((service.received().len(), service.counts().duplicates), (2, 1));
    assert_eq!(service.received()[0].message_id(), None, "the key isn't a UUID");
}

#[test]
fn mock_works_under_any_runtime_and_reports_a_taken_port() {
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
async fn wait_for_returns_messages_sent_in_the_background() {
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
async fn no_message_of_64_connections_is_lost() {
    let service = MockService::builder().without_rate_limit().start().unwrap();
    let message = std::sync::Arc::new(message().encode().unwrap());
    let sends = (0..64).map(|_| {
        // Each client has its own connection.
        let client = client(&service).without_rate_limit().build().unwrap();
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
    let mut ids: Vec<_> =
        service.received().iter().map(|message| message.message_id().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(
        (ids.len(), service.counts().accepted, service.slots().len()),
        (3_200, 3_200, 6_400)
    );
}

#[tokio::test]
async fn message_of_40_mb_is_accepted_and_one_byte_more_is_rejected() {
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
