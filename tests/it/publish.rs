//! Publications while they run, and the progress that they report.

use std::future::{IntoFuture, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use pushslots::uuid::Uuid;
use pushslots::{ErrorKind, Identifier, Location, Meta, ResumePoint, Slot};
use serde_json::json;
use support::batch::{accepted, arrived, serve, slots};
use support::model::{Reply, ScriptedOutcome, ok, responds};
use tokio::time::{sleep, timeout};

/// Returns a stream that counts in `read` how many slots were read.
fn watched(
    slots: Vec<Slot>,
    read: &Arc<Mutex<usize>>,
) -> impl stream::Stream<Item = Slot> + Send + use<> {
    let read = read.clone();
    stream::iter(slots).inspect(move |_| *read.lock().unwrap() += 1)
}

#[tokio::test(start_paused = true)]
async fn only_the_next_message_is_built_while_one_is_in_flight() {
    let slow =
        ScriptedOutcome::Response(Reply { after: Duration::from_secs(10), ..Reply::accepted() });
    let (model, client) = serve([slow]);
    let read = Arc::default();
    let mut publication = pin!(
        client.publish_stream(watched(slots(0..1_000), &read)).slots_per_message(100).into_future()
    );
    for message in 1..=8 {
        assert!(timeout(Duration::from_secs(9), publication.as_mut()).await.is_err());
        assert_eq!(model.calls().len(), message, "one at a time");
        // The next message counts as full only once the slot after it was read.
        let read = *read.lock().unwrap();
        assert!(
            (message + 1) * 100 == read,
            "{read} slots were read while message {message} is in flight"
        );
        sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn encoding_a_message_yields_to_other_tasks() {
    let (model, client) = serve([ok()]);
    let slots = slots(0..8_000);
    let mut publication = client.publish(&slots).slots_per_message(8_000).into_future();
    let mut polls = 0;
    poll_fn(|context| {
        polls += 1;
        publication.poll_unpin(context)
    })
    .await
    .unwrap();
    let encoded = arrived(&model)[0].body.len();
    assert!(
        encoded > 1 << 20 && polls >= encoded / (64 << 10),
        "{polls} polls while {encoded} bytes were encoded"
    );
}

#[tokio::test(start_paused = true)]
async fn slots_of_a_stream_are_released_once_they_are_sent() {
    let (_, client) = serve([ok()]);
    let shared_reason: Arc<str> = "Office Visit".into();
    for point in [ResumePoint::from(1), ResumePoint::from(31), "31@3000".parse().unwrap()] {
        // Each slot holds the reason, so its reference count shows the number of slots in memory.
        let reason = shared_reason.clone();
        let slots = stream::iter(slots(0..5_000)).map(move |slot| {
            assert!(
                Arc::strong_count(&reason) < 400,
                "{} slots are in memory",
                Arc::strong_count(&reason)
            );
            slot.reason(reason.clone())
        });
        client
            .publish_stream(slots)
            .slots_per_message(100)
            .batch_id("b")
            .resume_from(point)
            .await
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn progress_is_reported_after_each_message_and_each_second() {
    let slow = ScriptedOutcome::Response(Reply {
        after: Duration::from_millis(2_500),
        ..Reply::accepted()
    });
    let (_, client) = serve([slow]);
    let mut reports = Vec::new();
    let slots = slots(0..250);
    let publication = client.publish(&slots).slots_per_message(100);
    publication.on_progress(|progress| reports.push(progress.clone())).await.unwrap();
    let counts: Vec<_> = reports
        .iter()
        .map(|each| (each.run.accepted_messages, each.run.accepted_slots, each.elapsed.as_secs()))
        .collect();
    assert_eq!(
        counts,
        [
            (0, 0, 0),
            (0, 0, 1),
            (0, 0, 2),
            (1, 100, 2),
            (1, 100, 3),
            (1, 100, 4),
            (1, 100, 5),
            (2, 200, 5),
            (2, 200, 6),
            (2, 200, 7),
            (3, 250, 7)
        ]
    );
    assert!(
        reports.iter().all(|each| (each.batch.messages, each.batch.slots) == (Some(3), Some(250)))
    );
    assert!(reports.iter().all(|each| each.wait.is_none() && each.run.skipped_slots == 0));
}

#[tokio::test(start_paused = true)]
async fn error_is_serialized_with_the_report_and_the_failure() {
    let (_, client) = serve([ok(), responds(400)]);
    let error = client.publish(slots(0..2)).slots_per_message(1).batch_id("b").await.unwrap_err();
    let mut json = serde_json::to_value(&error).unwrap();
    assert!(json["elapsed_ms"].take().is_u64());
    let failure = json["failure"].take();
    assert_eq!(
        (&failure["kind"], &failure["attempts"][0]["status"]),
        (&json!("rejected"), &json!(400))
    );
    let receipts = json["receipts"].take();
    assert_eq!(receipts.as_array().unwrap().len(), 1);
    assert_eq!(receipts[0]["delivery"], "accepted");
    assert_eq!(
        json,
        json!({
            "error": error.to_string(), "failed_message": 2, "failure": null, "batch_id": "b",
            "batch": {"accepted_messages": 1, "accepted_slots": 1, "messages": 2, "slots": 2},
            "run": {
                "accepted_messages": 1, "accepted_slots": 1, "skipped_slots": 0, "possibly_repeated_slots": 0, "requests": 2
            },
            "elapsed_ms": null, "waited_ms": 0, "resume_point": error.report().resume_point(), "receipts": null
        })
    );
    assert_eq!(
        (error.kind(), error.is_retryable(), error.retry_after()),
        (ErrorKind::Rejected, false, None)
    );
    let with_text = serde_json::to_value(error.with_service_text()).unwrap();
    assert_eq!(
        with_text["failure"].get("service_text").and_then(|text| text.as_str()),
        error.service_text()
    );
    assert_eq!(error.into_error().kind(), ErrorKind::Rejected);
}

#[tokio::test(start_paused = true)]
async fn publications_to_different_destinations_run_concurrently() {
    let slow =
        ScriptedOutcome::Response(Reply { after: Duration::from_secs(1), ..Reply::accepted() });
    let (model, client) = serve([slow]);
    let north = slots(0..300);
    let south = slots(300..600);
    let to = |number| Meta::new().destination(Uuid::from_u128(number));
    let began = tokio::time::Instant::now();
    let (north, south) = tokio::join!(
        client.publish(&north).slots_per_message(100).meta(to(1)).into_future(),
        client.publish(&south).slots_per_message(100).meta(to(2)).into_future(),
    );
    assert!(north.is_ok() && south.is_ok());
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(accepted(&model).len(), 600);
}

#[tokio::test(start_paused = true)]
async fn borrowed_shared_and_owned_slots_can_be_published() {
    let (_, client) = serve([ok()]);
    let location =
        Location::new().facility_identifier(Identifier::new("RES", "Facility ID")).share();
    let slots: Vec<_> = slots(0..2).into_iter().map(|slot| slot.location(&location)).collect();
    let shared: Vec<_> = slots.iter().cloned().map(Arc::new).collect();
    drop((
        client.publish(&slots),
        client.publish(shared),
        client.publish(slots.clone()),
        client.publish([&slots[0]]),
    ));
    // Nothing is sent until the publication is awaited.
    assert!(client.publish(slots).into_future().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn stream_of_invalid_slots_yields_to_other_tasks_and_can_be_stopped() {
    let (_, client) = serve([ok()]);
    let mut wrong = slots(0..1).remove(0);
    wrong.duration = Some(0.into());
    let publication = client.publish_stream(stream::repeat(wrong)).skip_invalid(|_, _| {});
    let handle = publication.handle();
    let stop = async {
        tokio::task::yield_now().await;
        handle.stop();
    };
    let error = tokio::join!(publication.into_future(), stop).0.unwrap_err();
    assert_eq!((error.kind(), error.report().run().accepted_slots), (ErrorKind::Stopped, 0));
}

#[tokio::test(start_paused = true)]
async fn panic_of_a_callback_loses_no_message() {
    for panics_at in [0, 1, 3] {
        let slow = ScriptedOutcome::Response(Reply {
            after: Duration::from_millis(2_500),
            ..Reply::accepted()
        });
        let (model, client) = serve([slow]);
        let slots = slots(0..500);
        let publication = client.publish(&slots).slots_per_message(100).concurrency(2);
        let handle = publication.handle();
        let panics = publication.on_progress(move |progress| {
            assert!(progress.elapsed < Duration::from_secs(2 * panics_at + 1), "callback panic");
        });
        let panic = AssertUnwindSafe(panics.into_future()).catch_unwind().await.unwrap_err();
        assert!(panic.downcast_ref::<&str>().is_some_and(|text| *text == "callback panic"));
        let report = handle.report();
        assert_eq!(
            report.run().accepted_slots,
            accepted(&model).len(),
            "the messages in flight are completed"
        );
        let slots_before = report.resume_point().map(|point| point.slots_before().unwrap());
        let expected = Some(accepted(&model).len()).filter(|accepted| *accepted < 500);
        assert_eq!(slots_before, expected, "nothing is left to resume after the last slot");
    }
    let (model, client) = serve([ok()]);
    let mut slots = slots(0..10);
    slots[9].duration = None;
    let publication = client.publish_stream(stream::iter(slots)).slots_per_message(2);
    let publication = publication.skip_invalid(|_, _| panic!("callback panic"));
    assert!(AssertUnwindSafe(publication.into_future()).catch_unwind().await.is_err());
    assert!(!accepted(&model).is_empty());
}
