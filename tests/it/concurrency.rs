//! Publications with several messages in flight.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::time::Duration;

use futures_util::stream;
use pushslots::{Delivery, ResumePoint, Slot};
use support::batch::{accepted, arrived, serve, slots};
use support::model::{Model, Reply, ScriptedOutcome, TokenOutcome, client_of, ok, responds};
use tokio::time::{Instant, timeout};

const SECOND: Duration = Duration::from_secs(1);

fn slow(seconds: u64) -> ScriptedOutcome {
    ScriptedOutcome::Response(Reply { after: Duration::from_secs(seconds), ..Reply::accepted() })
}

#[tokio::test(start_paused = true)]
async fn configured_number_of_messages_is_in_flight() {
    for (concurrency, seconds) in [(1, 40), (4, 10), (16, 3), (100, 1)] {
        let (model, client) = serve([slow(1)]);
        let slots = slots(0..400);
        for is_stream in [false, true] {
            let publication = match is_stream {
                true => client.publish_stream(stream::iter(slots.clone())),
                false => client.publish(&slots),
            };
            let began = Instant::now();
            let report = publication.slots_per_message(10).concurrency(concurrency).await.unwrap();
            assert_eq!(began.elapsed().as_secs(), seconds, "{concurrency} in flight");
            assert_eq!((report.run().accepted_slots, report.receipts().len()), (400, 40));
            assert_eq!((report.batch().slots, report.batch().messages), (Some(400), Some(40)));
        }
        let mut sent = accepted(&model);
        sent.sort_unstable();
        assert_eq!(sent, (0..400).flat_map(|slot| [slot, slot]).collect::<Vec<_>>());
    }
    let (_, client) = serve([ok()]);
    let error = client.publish(slots(0..1)).concurrency(0).await.unwrap_err();
    assert_eq!(error.error().problems()[0].to_string(), "concurrency: must be at least 1");
}

#[tokio::test(start_paused = true)]
async fn messages_after_a_gap_are_remembered_and_not_sent_again() {
    // Message 2 hangs, and the messages after it are accepted.
    let (model, client) = serve([ok(), ScriptedOutcome::Hangs { accepted: true }, ok()]);
    let slots = slots(0..1_000);
    let publish = || client.publish(&slots).slots_per_message(10).batch_id("b");
    let publication = publish().concurrency(2);
    let handle = publication.handle();
    assert!(timeout(100 * SECOND, publication.into_future()).await.is_err());
    // At most 8 × concurrency messages are sent, counted from the first that isn't accepted.
    assert_eq!(model.calls().len(), 1 + 8 * 2);
    let report = handle.report();
    let point: ResumePoint = report.resume_point().unwrap().to_string().parse().unwrap();
    assert_eq!((point.number(), point.slots_before()), (2, Some(10)));
    assert_eq!((report.batch().accepted_messages, report.batch().accepted_slots), (16, 160));

    for concurrency in [1, 5] {
        let (resumed, client) = serve([ok()]);
        let publication =
            client.publish(&slots).slots_per_message(30).batch_id("b").resume_from(&point);
        let report = publication.concurrency(concurrency).await.unwrap();
        assert_eq!((report.run().accepted_slots, report.batch().accepted_slots), (840, 1_000));
        let sent = arrived(&resumed);
        assert_eq!(
            (sent[0].message_id, &sent[0].body),
            (model.calls()[1].message_id, &model.calls()[1].body)
        );
        let mut slots: Vec<_> = accepted(&resumed).into_iter().chain(accepted(&model)).collect();
        slots.sort_unstable();
        slots.dedup();
        assert_eq!(slots, (0..1_000).collect::<Vec<_>>());
        assert_eq!(accepted(&resumed).len(), 840);
    }
}

#[tokio::test(start_paused = true)]
async fn failure_ends_the_publication_after_the_messages_in_flight() {
    let (model, client) = serve([slow(1), responds(400), slow(20), slow(30)]);
    let slots = slots(0..100);
    let began = Instant::now();
    let error = client.publish(&slots).slots_per_message(10).concurrency(4).await.unwrap_err();
    assert_eq!((error.failed_message(), error.delivery()), (Some(2), Delivery::Rejected));
    assert_eq!((model.calls().len(), began.elapsed().as_secs()), (4, 30));
    let report = error.report();
    assert_eq!((report.receipts().len(), report.resume_point().unwrap().number()), (3, 2));
    assert_eq!(error.never_sent(), Some(5..11));
    client
        .publish(&slots)
        .batch_id(report.batch_id())
        .resume_from(report.resume_point().unwrap())
        .await
        .unwrap();
    let mut sent = accepted(&model);
    sent.sort_unstable();
    assert_eq!(sent, (0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn parts_of_a_split_message_have_separate_numbers() {
    for (concurrency, is_stream) in [(4, false), (4, true), (16, false)] {
        let model = Model::new(0, |_, _| ok(), |_, _| TokenOutcome::Issued(300 * SECOND));
        model.limit_bytes(40_000);
        let client = client_of(&model).build().unwrap();
        let slots = slots(0..3_000);
        let publication = match is_stream {
            true => client.publish_stream(stream::iter(slots.clone())),
            false => client.publish(&slots),
        };
        let report = publication.slots_per_message(400).concurrency(concurrency).await.unwrap();
        let sent: Vec<_> = arrived(&model).into_iter().filter(|message| message.accepted).collect();
        let mut by_number = BTreeMap::new();
        for message in &sent {
            let number: u64 = message.current.as_ref().unwrap().parse().unwrap();
            assert!(
                by_number.insert(number, message).is_none(),
                "two messages have number {number}"
            );
        }
        assert!(by_number.keys().copied().eq(1..=sent.len() as u64));
        assert_eq!(report.batch().messages, Some(sent.len() as u64));
        let mut slots: Vec<_> = sent.iter().flat_map(|message| message.slots.clone()).collect();
        slots.sort_unstable();
        assert_eq!(slots, (0..3_000).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn rate_limit_and_a_429_apply_to_all_messages() {
    let model =
        Model::scripted([ok(), ScriptedOutcome::Response(Reply::new(429).retry_after("50")), ok()]);
    let client = client_of(&model).rate_limit(10, 10 * SECOND).build().unwrap();
    let began = Instant::now();
    let slots = slots(0..100);
    client.publish(&slots).slots_per_message(1).concurrency(8).await.unwrap();
    let times: Vec<_> = model.calls().iter().map(|call| call.began - began).collect();
    let per_window = times.iter().map(|time| {
        times.iter().filter(|other| **other >= *time && **other < *time + 10 * SECOND).count()
    });
    assert!(per_window.max().unwrap() <= 10);
    let during_delay =
        times.iter().filter(|time| (2 * SECOND..50 * SECOND).contains(*time)).count();
    assert_eq!(during_delay, 0, "nothing is sent during the delay of Retry-After: {times:?}");
}

#[tokio::test(start_paused = true)]
async fn slots_accepted_after_a_gap_must_be_unchanged() {
    let (_, client) = serve([responds(400), ok()]);
    let all = slots(0..100);
    let error = client.publish(&all).slots_per_message(10).concurrency(4).await.unwrap_err();
    let point = error.report().resume_point().unwrap();
    assert_eq!((point.number(), point.slots_before()), (1, Some(0)));
    let (model, client) = serve([ok()]);
    // An additional slot at the front moves all others.
    let moved: Vec<_> = slots(500..501).into_iter().chain(all.clone()).collect();
    let publish = |slots: &[Slot]| client.publish(slots.to_vec()).batch_id("b").resume_from(point);
    let error = publish(&moved).await.unwrap_err();
    assert_eq!(error.error().problems()[0].path(), "resume_from");
    assert!(model.calls().is_empty());
    publish(&all).await.unwrap();
    assert_eq!(accepted(&model).len(), 70);
}

#[tokio::test(start_paused = true)]
async fn message_whose_slots_are_now_skipped_does_not_affect_others() {
    let (_, client) = serve([ok(), ScriptedOutcome::Hangs { accepted: false }]);
    let mut all = slots(0..40);
    let publication = client.publish(&all).slots_per_message(1).batch_id("b");
    let handle = publication.handle();
    assert!(timeout(60 * SECOND, publication.into_future()).await.is_err());
    let report = handle.report();
    all[1].duration = None;
    let (model, client) = serve([ok()]);
    let publication =
        client.publish(&all).batch_id("b").resume_from(report.resume_point().unwrap());
    publication.skip_invalid(|_, _| {}).await.unwrap();
    assert_eq!(accepted(&model), (2..40).collect::<Vec<_>>());
}
