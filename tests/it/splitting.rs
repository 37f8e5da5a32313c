//! Splitting slots into the messages of a batch, and the order of these messages.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::time::Duration;

use futures_util::stream;
use pushslots::uuid::Uuid;
use pushslots::{Delivery, Meta, OnUnknown, PushSlots, ResumePoint};
use serde_json::{Value, json};
use support::batch::{Arrived, accepted, arrived, serve, slots};
use support::model::{Model, ScriptedOutcome, client_of, ok, responds};
use tokio::time::timeout;

#[tokio::test(start_paused = true)]
async fn slots_are_split_by_number_and_sent_in_order() {
    let (model, client) = serve([ok()]);
    let slots = slots(0..2_500);
    let report = client.publish(&slots).await.unwrap();

    let messages = arrived(&model);
    let places: Vec<_> = messages.iter().map(|message| message.place()).collect();
    assert_eq!(places, [(Some("1"), Some("3")), (Some("2"), Some("3")), (Some("3"), Some("3"))]);
    assert!(messages.iter().all(|message| message.batch_id.as_deref() == Some(report.batch_id())));
    assert!(Uuid::try_parse(report.batch_id()).is_ok());
    let lengths: Vec<_> = messages.iter().map(|message| message.slots.len()).collect();
    assert_eq!(lengths, [1_000, 1_000, 500]);
    assert_eq!(accepted(&model), (0..2_500).collect::<Vec<_>>());

    let ids: Vec<_> = report.receipts().iter().map(|receipt| receipt.message_id()).collect();
    assert_eq!(ids, messages.iter().map(|message| message.message_id).collect::<Vec<_>>());
    assert!(ids.iter().all(|id| id.get_version_num() == 5), "{ids:?}");
    assert_eq!(
        (
            report.batch().messages.unwrap(),
            report.run().accepted_slots,
            report.run().skipped_slots,
            report.run().requests
        ),
        (3, 2_500, 0, 3)
    );
    assert_eq!(report.resume_point(), None);
    // A response takes 20 ms, and the token took 30.
    assert!(report.elapsed() >= Duration::from_millis(90), "{:?}", report.elapsed());
}

#[tokio::test(start_paused = true)]
async fn limits_of_a_publication_override_those_of_the_client() {
    let lengths = |model: &Model| {
        let messages = arrived(model).into_iter();
        messages.map(|message| (message.slots.len(), message.body.len())).collect::<Vec<_>>()
    };
    let slots = slots(0..100);
    for (by_slots, by_bytes) in [(40, 100_000), (1_000, 5_000)] {
        let model = Model::scripted([ok()]);
        let client = client_of(&model)
            .slots_per_message(by_slots)
            .bytes_per_message(by_bytes)
            .build()
            .unwrap();
        client.publish(&slots).await.unwrap();
        let sent = lengths(&model);
        let full = |(slots, bytes): &(usize, usize)| *slots == by_slots || *bytes > by_bytes - 400;
        assert!(sent.len() > 2 && sent[..sent.len() - 1].iter().all(full), "{sent:?}");
        assert!(
            sent.iter().all(|(slots, bytes)| *slots <= by_slots && *bytes <= by_bytes),
            "{sent:?}"
        );

        client.publish(&slots).slots_per_message(60).bytes_per_message(100_000).await.unwrap();
        let own = &lengths(&model)[sent.len()..];
        assert_eq!(own.iter().map(|(slots, _)| *slots).collect::<Vec<_>>(), [60, 40]);
    }
}

#[tokio::test(start_paused = true)]
async fn single_message_has_no_batch_id_unless_one_is_given() {
    let (model, client) = serve([ok()]);
    client.publish(slots(0..3)).await.unwrap();
    client.publish_stream(stream::iter(slots(0..3))).await.unwrap();
    let message = PushSlots::builder().slots(slots(0..3)).build().unwrap();
    client.send(&message).await.unwrap();
    let sent = arrived(&model);
    assert!(sent.iter().all(|each| each.body == sent[2].body), "like a message of `send`");

    let report = client.publish(slots(0..3)).batch_id("tuesday").await.unwrap();
    let meta =
        Meta::new().batch_id("wednesday").test(true).facility_code("RES").destination(Uuid::max());
    client.publish_stream(stream::iter(slots(0..3))).meta(meta).await.unwrap();
    let sent = arrived(&model);
    assert_eq!((report.batch_id(), sent[3].batch_id.as_deref()), ("tuesday", Some("tuesday")));
    assert_eq!(sent[3].place(), (Some("1"), Some("1")));
    assert_eq!(
        (sent[4].batch_id.as_deref(), sent[4].place()),
        (Some("wednesday"), (Some("1"), None))
    );
    let meta: Value = serde_json::from_slice(&sent[4].body).unwrap();
    assert_eq!(
        meta["Meta"],
        json!({
            "DataModel": "Scheduling", "EventType": "PushSlots", "Test": true,
            "Destinations": [{"ID": Uuid::max()}], "FacilityCode": "RES", "BatchID": "wednesday", "CurrentBatch": "1"
        })
    );
}

#[tokio::test(start_paused = true)]
async fn given_batch_id_replaces_one_that_could_not_be_read() {
    let (model, client) = serve([ok()]);
    let meta: Meta = serde_json::from_str(r#"{"BatchID":{"x":1},"CurrentBatch":[2]}"#).unwrap();
    let error = client.publish(slots(0..3)).meta(meta.clone()).await.unwrap_err();
    assert!(error.to_string().contains("Meta.BatchID: expected a string"), "{error}");
    client.publish(slots(0..3)).meta(meta).batch_id("tuesday").await.unwrap();
    let sent = arrived(&model);
    assert_eq!((sent.len(), sent[0].batch_id.as_deref()), (1, Some("tuesday")));
}

#[tokio::test(start_paused = true)]
async fn messages_are_filled_up_to_the_size_limit() {
    for limit in [700, 1_000, 1_001, 1_002, 5_000] {
        let (model, client) = serve([ok()]);
        let slots = slots(0..100);
        client.publish(&slots).bytes_per_message(limit).await.unwrap();
        let list = arrived(&model);
        assert_eq!(accepted(&model), (0..100).collect::<Vec<_>>());
        let (model, client) = serve([ok()]);
        client.publish_stream(stream::iter(slots.clone())).bytes_per_message(limit).await.unwrap();
        let stream = arrived(&model);
        assert_eq!(accepted(&model), (0..100).collect::<Vec<_>>());
        let split = |messages: &[Arrived]| {
            messages.iter().map(|message| message.slots.clone()).collect::<Vec<_>>()
        };
        assert_eq!(split(&list), split(&stream), "a list and a stream are split alike");

        assert!(list.len() > 1);
        for pair in list.windows(2) {
            assert!(pair[0].body.len() <= limit, "{} of {limit}", pair[0].body.len());
            let next = slots[pair[1].slots[0]].to_json().len();
            // The size limit reserves 20 digits for each batch number, and each has one or two.
            assert!(pair[0].body.len() + 38 + 1 + next > limit, "one more would have fit");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn too_large_message_and_those_after_it_are_split() {
    for is_stream in [false, true] {
        let limited = Model::new(
            0,
            |_, _| ok(),
            |_, _| support::model::TokenOutcome::Issued(Duration::from_secs(300)),
        );
        limited.limit_bytes(40_000);
        let client = client_of(&limited).build().unwrap();
        let slots = slots(0..1_000);
        let publication = match is_stream {
            true => client.publish_stream(stream::iter(slots.clone())),
            false => client.publish(&slots),
        };
        let report = publication.slots_per_message(400).await.unwrap();
        assert_eq!(accepted(&limited), (0..1_000).collect::<Vec<_>>());
        let sent = arrived(&limited);
        let rejected = sent.iter().take_while(|each| !each.accepted).count();
        assert_eq!((report.too_large().len(), report.run().requests), (rejected, sent.len()));
        assert!(
            rejected > 0
                && report
                    .too_large()
                    .iter()
                    .all(|attempt| attempt.status.map(u16::from) == Some(413))
        );
        assert!(
            sent[rejected..].iter().all(|each| each.accepted),
            "later messages are small enough"
        );
        let (_, full) = sent[rejected..].split_last().unwrap();
        assert!(
            full.iter().all(|each| each.body.len() > 20_000),
            "full messages are at least half as large as the limit"
        );
        let total = (!is_stream).then(|| (sent.len() - rejected).to_string());
        for (number, message) in sent[rejected..].iter().enumerate() {
            assert_eq!(message.place(), (Some(&*(number + 1).to_string()), total.as_deref()));
        }
        assert_eq!(report.batch().messages.unwrap() as usize, sent.len() - rejected);
    }
    // A message that can't be split is rejected.
    let (model, client) = serve([responds(413)]);
    let error = client.publish(slots(0..3)).await.unwrap_err();
    assert_eq!((error.failed_message(), error.delivery()), (Some(1), Delivery::Rejected));
    let lengths: Vec<_> = arrived(&model).iter().map(|message| message.slots.len()).collect();
    assert_eq!(lengths, [3, 1]);
}

#[tokio::test(start_paused = true)]
async fn parts_of_a_split_message_have_their_own_ids() {
    let limited = Model::new(
        0,
        |_, _| ok(),
        |_, _| support::model::TokenOutcome::Issued(Duration::from_secs(300)),
    );
    limited.limit_bytes(2_000);
    let report = client_of(&limited).build().unwrap().publish(slots(0..100)).await.unwrap();
    let sent = arrived(&limited);
    assert!(report.too_large().len() > 2 && report.batch().messages.unwrap() > 2);
    let mut bodies = BTreeMap::new();
    for message in &sent {
        let other = bodies.insert(message.message_id, message.body.clone());
        assert!(other.is_none_or(|other| other == message.body), "one id, one body");
    }
    assert_eq!(bodies.len(), sent.len(), "each was sent once");
    assert_eq!(accepted(&limited), (0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn interrupted_part_keeps_its_id() {
    let cut = || ScriptedOutcome::Cut { accepted: true };
    let (model, client) = serve([responds(413), ok(), cut(), cut(), cut(), cut(), ok()]);
    let error =
        client.publish(slots(0..8)).batch_id("monday").patience(Duration::ZERO).await.unwrap_err();
    assert_eq!((error.failed_message(), error.delivery()), (Some(2), Delivery::Unknown));
    let point = error.report().resume_point().unwrap().to_string();
    let point: ResumePoint = point.parse().unwrap();
    client.publish(slots(0..8)).batch_id("monday").resume_from(point).await.unwrap();
    let sent = arrived(&model);
    assert!(
        sent[2..7]
            .iter()
            .all(|each| (each.message_id, &each.body) == (sent[2].message_id, &sent[2].body))
    );
    assert_ne!(sent[0].message_id, sent[1].message_id);
}

#[tokio::test(start_paused = true)]
async fn parts_of_a_split_message_are_sent_before_a_later_unknown_message() {
    let hangs = |accepted| ScriptedOutcome::Hangs { accepted };
    for is_stream in [false, true] {
        let (model, client) = serve([hangs(false), hangs(true), responds(413), ok()]);
        let publish = || {
            let publication = match is_stream {
                true => client.publish_stream(stream::iter(slots(0..8))),
                false => client.publish(slots(0..8)),
            };
            publication.slots_per_message(4).batch_id("monday")
        };
        let publication = publish().concurrency(2);
        let handle = publication.handle();
        let in_flight = timeout(Duration::from_secs(1), publication.into_future()).await;
        assert!(in_flight.is_err() && model.calls().len() == 2);
        let report = handle.report();
        let point = report.resume_point().unwrap();

        let report = publish().resume_from(point).await.unwrap();
        assert_eq!(report.batch().accepted_slots, 8);
        let sent: Vec<_> = arrived(&model).into_iter().map(|message| message.slots).collect();
        let [first, second, too_large, parts @ .., last] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!((first, second), (too_large, last));
        assert_eq!(parts.concat(), [0, 1, 2, 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn message_with_a_413_after_an_unknown_attempt_is_split_unless_on_unknown_is_stop() {
    let unknown = [
        responds(500),
        responds(503),
        ScriptedOutcome::Cut { accepted: true },
        ScriptedOutcome::Hangs { accepted: false },
    ];
    for outcome in unknown {
        let (model, client) = serve([outcome.clone(), responds(413), ok()]);
        let report = client.publish(slots(0..4)).await.unwrap();
        assert!(report.batch().messages.unwrap() > 1 && report.too_large().len() == 2);
        let sent = arrived(&model);
        let lengths: Vec<_> = sent.iter().map(|message| message.slots.len()).collect();
        assert_eq!(lengths[..2], [4, 4]);
        assert_eq!(lengths[2..].iter().sum::<usize>(), 4);
        assert_ne!(sent[1].message_id, sent[2].message_id);

        let model = Model::scripted([outcome, responds(413), ok()]);
        let client = client_of(&model).on_unknown(OnUnknown::Stop).build().unwrap();
        let error = client.publish(slots(0..4)).await.unwrap_err();
        assert_eq!((error.delivery(), model.calls().len()), (Delivery::Unknown, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn message_may_have_exactly_the_size_limit() {
    let slots = slots(0..2);
    // The size limit reserves 20 digits for each batch number, and each has one.
    for (spare, messages) in [(38, 1), (37, 2)] {
        let (model, client) = serve([ok()]);
        client.publish(&slots).batch_id("b").await.unwrap();
        let limit = arrived(&model)[0].body.len() + spare;
        client.publish(&slots).batch_id("b").bytes_per_message(limit).await.unwrap();
        assert_eq!(arrived(&model).len(), 1 + messages);
    }
}
