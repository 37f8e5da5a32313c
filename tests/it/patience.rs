//! Publications that wait out temporary failures.

use std::future::IntoFuture;
use std::time::Duration;

use futures_util::stream;
use pushslots::{Delivery, ErrorKind, OnUnknown, PublishReport, WaitReason};
use support::batch::{accepted, arrived, serve, slots};
use support::model::{Model, Reply, ScriptedOutcome, TokenOutcome, client_of, ok, responds};
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// Returns a service that is down for this period.
fn service_with_outage(
    outcome: ScriptedOutcome,
    from: Duration,
    until: Duration,
) -> std::sync::Arc<Model> {
    let outcomes = move |_: &mut rand::rngs::StdRng, at: Duration| match at >= from && at < until {
        true => outcome.clone(),
        false => ok(),
    };
    Model::new(7, outcomes, |_, _| TokenOutcome::Issued(300 * MINUTE))
}

fn all_attempts(report: &PublishReport) -> usize {
    report.receipts().iter().map(|receipt| receipt.attempts().len()).sum()
}

#[tokio::test(start_paused = true)]
async fn every_temporary_failure_is_waited_out() {
    let early = Duration::from_millis(100);
    let outages = [
        responds(503),
        responds(500),
        responds(408),
        responds(429),
        ScriptedOutcome::Response(Reply::new(503).retry_after("7")),
        ScriptedOutcome::Response(Reply::new(429).retry_after("130")),
        ScriptedOutcome::NoConnection,
        ScriptedOutcome::NeverLeaves,
        ScriptedOutcome::Cut { accepted: false },
        ScriptedOutcome::Cut { accepted: true },
        ScriptedOutcome::Hangs { accepted: false },
    ];
    for outcome in outages {
        for concurrency in [1, 4] {
            let model = service_with_outage(outcome.clone(), early, 10 * MINUTE);
            let client = client_of(&model).build().unwrap();
            let slots = slots(0..400);
            let publication = client.publish(&slots).slots_per_message(10).concurrency(concurrency);
            let report = publication.await.unwrap_or_else(|error| panic!("{outcome:?}: {error}"));
            assert_eq!(
                (report.run().accepted_slots, report.resume_point()),
                (400, None),
                "{outcome:?}"
            );
            assert!(report.elapsed() >= 10 * MINUTE - early, "{outcome:?}: {:?}", report.elapsed());
            assert!(report.elapsed() < 14 * MINUTE, "{outcome:?}: {:?}", report.elapsed());
            let sent = arrived(&model);
            assert_eq!(report.run().requests, all_attempts(&report));
            for message in &sent {
                let first = sent.iter().find(|other| other.slots == message.slots).unwrap();
                assert_eq!((first.message_id, &first.body), (message.message_id, &message.body));
            }
            // At first up to four quick attempts per message, then about one a minute, or at the
            // times that `Retry-After` asks for.
            let count = sent.len();
            assert!(count < 40 + 4 * concurrency + 100, "{count} requests after {outcome:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn delay_between_probes_grows_from_5_to_60_seconds_and_each_is_one_attempt() {
    let model = service_with_outage(responds(503), Duration::ZERO, 10 * MINUTE);
    let client = client_of(&model).build().unwrap();
    let began = Instant::now();
    let report = client.publish(slots(0..1)).await.unwrap();
    let times: Vec<_> =
        model.calls().iter().map(|call| (call.began - began).as_secs_f64()).collect();
    let (first, probes) = times.split_at(4);
    assert!(first[3] < 5.0, "four quick attempts: {times:?}");
    let mut before = first[3];
    for (probe, ceiling) in probes.iter().zip([5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0, 60.0]) {
        let delay = probe - before;
        assert!(
            delay >= 0.8 * ceiling - 0.1 && delay <= ceiling + 0.1,
            "{delay} of {ceiling}: {times:?}"
        );
        before = *probe;
    }
    let attempts = report.receipts()[0].attempts();
    assert_eq!(attempts.len(), times.len());
    let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.number as usize).collect();
    assert_eq!(numbers, (1..=times.len()).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn patience_counts_from_the_last_accepted_message_and_ends() {
    // The service accepts one message every 14 minutes.
    let slow =
        || ScriptedOutcome::Response(Reply { after: Duration::from_secs(95), ..Reply::accepted() });
    let outcomes = move |_: &mut rand::rngs::StdRng, at: Duration| match at.as_secs() % 840 {
        0..90 => slow(),
        _ => responds(503),
    };
    let model = Model::new(7, outcomes, |_, _| TokenOutcome::Issued(300 * MINUTE));
    let client = client_of(&model).build().unwrap();
    let slots = slots(0..6);
    let report = client.publish(&slots).slots_per_message(1).patience(20 * MINUTE).await.unwrap();
    assert!(report.elapsed() > 60 * MINUTE);

    let (model, client) = serve([ok(), responds(503)]);
    let began = Instant::now();
    let error = client.publish(&slots).slots_per_message(1).patience(3 * MINUTE).await.unwrap_err();
    assert_eq!((error.failed_message(), error.error().kind()), (Some(2), ErrorKind::Unavailable));
    let took = began.elapsed();
    assert!(took >= 3 * MINUTE && took < 4 * MINUTE, "{took:?}");
    assert_eq!(error.error().attempts().len() + 1, model.calls().len());

    let (model, client) = serve([responds(503)]);
    client.publish(&slots).patience(Duration::ZERO).await.unwrap_err();
    assert_eq!(model.calls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn final_failures_and_gateway_responses_end_a_publication_at_once() {
    let outcomes = [
        (responds(400), Delivery::Rejected),
        (responds(401), Delivery::Rejected),
        (responds(403), Delivery::Rejected),
        (ScriptedOutcome::Response(Reply::block_page(true)), Delivery::Unknown),
    ];
    for (outcome, delivery) in outcomes {
        let (model, client) = serve([outcome.clone()]);
        let began = Instant::now();
        let error = client.publish(slots(0..2)).await.unwrap_err();
        assert_eq!(error.delivery(), delivery, "{outcome:?}");
        assert!(
            began.elapsed() < MINUTE && model.calls().len() <= 4,
            "{outcome:?}: {}",
            model.calls().len()
        );
    }
    // With `OnUnknown::Stop`, a message that may have been accepted isn't sent again.
    for concurrency in [1, 3] {
        let model = Model::scripted([ok(), responds(503)]);
        let client = client_of(&model).on_unknown(OnUnknown::Stop).build().unwrap();
        let slots = slots(0..9);
        let publication = client.publish(&slots).slots_per_message(1).concurrency(concurrency);
        let error = publication.await.unwrap_err();
        assert_eq!(error.delivery(), Delivery::Unknown);
        assert_eq!(model.calls().len(), 1 + concurrency.min(3));
    }
    // The service asks for a longer delay than the patience allows.
    let (model, client) =
        serve([ok(), ScriptedOutcome::Response(Reply::new(503).retry_after("1000"))]);
    let began = Instant::now();
    let error = client.publish(slots(0..2)).slots_per_message(1).await.unwrap_err();
    assert_eq!(error.error().retry_after(), Some(Duration::from_secs(1_000)));
    assert!(began.elapsed() < MINUTE && model.calls().len() == 2);
}

#[tokio::test(start_paused = true)]
async fn missing_tokens_and_an_empty_retry_budget_are_waited_out() {
    let tokens = |_: &mut rand::rngs::StdRng, at: Duration| match at < 5 * MINUTE {
        true => TokenOutcome::Response(503, None),
        false => TokenOutcome::Issued(300 * MINUTE),
    };
    let model = Model::new(7, |_, _| ok(), tokens);
    let client = client_of(&model).build().unwrap();
    let report = client.publish(slots(0..2)).slots_per_message(1).await.unwrap();
    assert_eq!((report.run().requests, model.calls().len()), (2, 2));

    let model = service_with_outage(responds(503), Duration::ZERO, 2 * MINUTE);
    let client = client_of(&model).retry_budget(1).build().unwrap();
    let report = client.publish(slots(0..2)).slots_per_message(1).await.unwrap();
    assert_eq!(report.run().accepted_slots, 2);
}

#[tokio::test(start_paused = true)]
async fn progress_reports_the_wait_and_its_reason() {
    let model = service_with_outage(responds(503), Duration::ZERO, 2 * MINUTE);
    let client = client_of(&model).build().unwrap();
    let mut waits = Vec::new();
    let publication =
        client.publish(slots(0..1)).on_progress(|progress| waits.extend(progress.wait));
    publication.await.unwrap();
    let reason = WaitReason::Failure(ErrorKind::Unavailable);
    assert!(waits.len() > 60 && waits.iter().all(|wait| wait.reason == reason), "{waits:?}");
    assert!(waits.iter().all(|wait| wait.remaining <= MINUTE));
}

#[tokio::test(start_paused = true)]
async fn wait_can_be_stopped_and_the_batch_resumed() {
    for is_stream in [false, true] {
        let model = service_with_outage(responds(503), Duration::from_millis(45), 60 * MINUTE);
        let client = client_of(&model).build().unwrap();
        let slots = slots(0..10);
        let publish = || match is_stream {
            true => client
                .publish_stream(stream::iter(slots.clone()))
                .slots_per_message(2)
                .batch_id("b"),
            false => client.publish(&slots).slots_per_message(2).batch_id("b"),
        };
        let publication = publish().patience(600 * MINUTE);
        let handle = publication.handle();
        let began = Instant::now();
        let stop = handle.clone();
        let stop = async move {
            tokio::time::sleep(20 * MINUTE).await;
            stop.stop();
        };
        let stopped = tokio::join!(publication.into_future(), stop).0.unwrap_err();
        assert_eq!((stopped.kind(), stopped.is_retryable()), (ErrorKind::Stopped, true));
        assert!(began.elapsed() < 21 * MINUTE);
        let report = stopped.report();
        let point = report.resume_point().unwrap();
        assert_eq!((point.number(), report.batch().accepted_slots), (2, 2));
        tokio::time::sleep(60 * MINUTE).await;
        publish().resume_from(point).await.unwrap();
        let sent = arrived(&model);
        let second: Vec<_> = sent.iter().filter(|message| message.slots == [2, 3]).collect();
        assert!(second.iter().all(|message| message.message_id == second[0].message_id));
        assert_eq!(accepted(&model), (0..10).collect::<Vec<_>>());
    }
}
