//! Publications that end early, and their resume points.

use std::future::IntoFuture;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use pushslots::uuid::Uuid;
use pushslots::{Delivery, ErrorKind, Meta, Progress, ResumePoint, Slot};
use serde_json::json;
use support::batch::{accepted, arrived, serve, slots};
use support::model::{Reply, ScriptedOutcome, ok, responds};
use tokio::time::{sleep, timeout};

#[tokio::test(start_paused = true)]
async fn resume_point_is_valid_under_any_limits() {
    let (model, client) = serve([ok(), ok(), responds(400), ok()]);
    let slots = slots(0..500);
    let error = client.publish(&slots).slots_per_message(100).batch_id("b").await.unwrap_err();
    let point: ResumePoint = error.report().resume_point().unwrap().to_string().parse().unwrap();
    let report = client
        .publish(&slots)
        .slots_per_message(70)
        .batch_id("b")
        .resume_from(point)
        .await
        .unwrap();
    assert_eq!(accepted(&model), (0..500).collect::<Vec<_>>());
    assert_eq!((report.run().accepted_slots, report.batch().messages.unwrap()), (300, 7));
    for far in ["18446744073709551615@0", "18446744073709551615"] {
        let far: ResumePoint = far.parse().unwrap();
        let _ = client.publish(&slots).batch_id("far").resume_from(far).await;
    }
}

#[tokio::test(start_paused = true)]
async fn batch_id_and_resume_point_from_a_file_are_trimmed() {
    let mut ids = Vec::new();
    for (id, point) in
        [("batch 7", "2@2"), ("\u{feff}batch 7\r\n", "\u{feff}2@2\r\n"), (" batch 7\n", "2\n")]
    {
        let (model, client) = serve([ok(), ok()]);
        let slots = slots(0..6);
        let point: ResumePoint = point.parse().unwrap();
        let publication =
            client.publish(&slots).slots_per_message(2).batch_id(id).resume_from(point);
        assert_eq!(publication.await.unwrap().batch_id(), "batch 7");
        ids.push(arrived(&model).iter().map(|message| message.message_id).collect::<Vec<_>>());
    }
    assert_eq!((ids[0].len(), &ids[0], &ids[0]), (2, &ids[1], &ids[2]));

    let (model, client) = serve([ok(), ok(), ok()]);
    let meta = Meta::new().batch_id("batch 7\n");
    client.publish(slots(0..6)).slots_per_message(2).meta(meta).await.unwrap();
    assert_eq!(
        arrived(&model)[1..].iter().map(|message| message.message_id).collect::<Vec<_>>(),
        ids[0]
    );

    let error = client.publish(slots(0..1)).batch_id("\u{feff}\r\n").await.unwrap_err();
    assert_eq!(
        error.error().problems()[0].to_string(),
        "batch_id: empty; remove it to use a fresh UUID"
    );
}

#[tokio::test(start_paused = true)]
async fn failed_message_ends_the_publication_with_a_resume_point() {
    let (model, client) =
        serve([ok(), ok(), responds(503), responds(503), responds(503), responds(503), ok()]);
    let slots = slots(0..450);
    let publication = client.publish(&slots).slots_per_message(100).patience(Duration::ZERO);
    let error = publication.await.unwrap_err();
    assert_eq!((error.failed_message(), error.never_sent()), (Some(3), Some(4..6)));
    assert_eq!(
        (error.error().kind(), error.delivery()),
        (ErrorKind::Unavailable, Delivery::Unknown)
    );
    assert_eq!(error.error().attempts().len(), 4);
    let report = error.report();
    assert_eq!(
        (
            report.receipts().len(),
            report.run().accepted_slots,
            report.batch().messages.unwrap(),
            report.run().requests
        ),
        (2, 200, 5, 6)
    );
    let text = error.to_string();
    let batch = report.batch_id();
    assert!(
        text.starts_with(&format!(
            "message 3 of batch {batch}: attempt 4: the service responded with 503; "
        )),
        "{text}"
    );
    assert!(text.ends_with("; accepted so far: 2 messages with 200 slots of the batch"), "{text}");

    let point = report.resume_point().unwrap().clone();
    assert_eq!((point.number(), point.slots_before()), (3, Some(200)));
    let text = point.to_string();
    assert!(text.starts_with("3@200.") && text.contains("+100of5.") && text.len() < 100, "{text}");
    let again = client.publish(&slots).slots_per_message(100).batch_id(batch).resume_from(point);
    let again = again
        .on_progress(|progress| {
            assert_eq!((progress.batch.messages, progress.batch.slots), (Some(5), Some(450)))
        })
        .await
        .unwrap();
    assert_eq!(
        (again.receipts().len(), again.run().accepted_slots, again.batch().messages.unwrap()),
        (3, 250, 5)
    );
    assert_eq!(accepted(&model), (0..450).collect::<Vec<_>>());
    let sent = arrived(&model);
    assert!(
        sent[2..7]
            .iter()
            .all(|each| (each.message_id, &each.body) == (sent[2].message_id, &sent[2].body))
    );
    assert_eq!(sent[8].place(), (Some("5"), Some("5")));

    for (outcomes, before) in [
        (vec![responds(400)], ""),
        (vec![ok(), responds(400)], "; accepted so far: 1 message with 100 slots of the batch"),
    ] {
        let failed = outcomes.len();
        let (_, client) = serve(outcomes);
        let error = client.publish(&slots).slots_per_message(100).batch_id("b").await.unwrap_err();
        let expected = format!("message {failed} of batch b: {}{before}", error.error());
        assert_eq!(error.to_string(), expected);
    }

    // Resumes a list and a stream from a message number.
    for number in [1, 4, 5, 6] {
        let (model, client) = serve([ok()]);
        let list =
            client.publish(&slots).slots_per_message(100).batch_id(batch).resume_from(number);
        let report = list.await.unwrap();
        let stream = client
            .publish_stream(stream::iter(slots.clone()))
            .slots_per_message(100)
            .batch_id(batch);
        let streamed = stream.resume_from(number).await.unwrap();
        let from = (number as usize - 1) * 100;
        let expected: Vec<_> = (from.min(450)..450).chain(from.min(450)..450).collect();
        assert_eq!(accepted(&model), expected, "from {number}");
        assert_eq!(report.receipts().len(), 6 - number as usize);
        // The messages of a stream don't contain the total, so their ids differ.
        let (list, stream): (Vec<_>, Vec<_>) =
            arrived(&model).into_iter().partition(|each| each.total.is_some());
        assert_eq!(
            (list.len(), stream.len()),
            (report.receipts().len(), streamed.receipts().len())
        );
        assert!(
            list.iter().all(|each| sent.iter().any(|before| before.message_id == each.message_id))
        );
        assert!(
            stream
                .iter()
                .all(|each| sent.iter().all(|before| before.message_id != each.message_id))
        );
        assert_eq!(report.resume_point(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn resume_point_after_a_split_records_the_slots_before_it() {
    let (model, client) = serve([ok(), responds(413), ok(), responds(400), ok()]);
    let slots = slots(0..400);
    let error = client.publish(&slots).slots_per_message(100).batch_id("b").await.unwrap_err();
    let point = error.report().resume_point().unwrap().clone();
    let text = point.to_string();
    assert!(text.starts_with("3@1"), "{text}");
    assert_eq!(serde_json::to_value(&error).unwrap()["resume_point"], json!(text));
    let read: ResumePoint = text.parse().unwrap();
    assert_eq!(read, point);
    client.publish(&slots).slots_per_message(100).batch_id("b").resume_from(read).await.unwrap();
    assert_eq!(accepted(&model), (0..400).collect::<Vec<_>>());
    let sent = arrived(&model);
    let again = &sent[4];
    assert_eq!(
        (again.message_id, &again.body),
        (sent[3].message_id, &sent[3].body),
        "the same message is sent again"
    );
    for wrong in ["", "0", "-1", "3@", "3@-1", "0@1/2", "3@1/", "@", "1/2", "3@1/2/3"] {
        let error = wrong.parse::<ResumePoint>().unwrap_err().to_string();
        assert!(error.contains("such as 7@6000"), "{wrong}: {error}");
    }
    assert_eq!("7".parse(), Ok(ResumePoint::from(7)));
}

#[tokio::test(start_paused = true)]
async fn publication_can_be_stopped_after_a_message_and_dropped_at_any_time() {
    let (model, client) = serve([ok()]);
    let slots = slots(0..500);
    let publication = client.publish(&slots).slots_per_message(100);
    let handle = publication.handle();
    let stop = handle.clone();
    let progress = move |progress: &Progress| {
        if progress.run.accepted_messages == 2 {
            stop.stop();
        }
    };
    let stopped = publication.on_progress(progress).await.unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Stopped);
    assert_eq!(
        stopped.to_string(),
        format!(
            "batch {}: the publication was stopped; accepted so far: 2 messages with 200 slots of the batch",
            stopped.report().batch_id()
        )
    );
    let report = stopped.report();
    assert_eq!(
        (report.run().accepted_slots, report.resume_point().map(ResumePoint::number)),
        (200, Some(3))
    );
    assert_eq!(handle.report(), *report);
    assert_eq!(model.calls().len(), 2);

    let stalls = ScriptedOutcome::Hangs { accepted: true };
    let (model, client) = serve([ok(), stalls, ok()]);
    let publication = client.publish(&slots).slots_per_message(100);
    let handle = publication.handle();
    assert!(timeout(Duration::from_secs(5), publication).await.is_err());
    let report = handle.report();
    assert_eq!((report.run().accepted_slots, report.receipts().len()), (100, 1));
    let point = report.resume_point().unwrap().clone();
    assert_eq!(point.number(), 2);
    let publication = client.publish(&slots).slots_per_message(100).batch_id(report.batch_id());
    publication.resume_from(point).await.unwrap();
    let sent = arrived(&model);
    assert_eq!((sent[1].message_id, &sent[1].body), (sent[2].message_id, &sent[2].body));
    assert_eq!(model.calls().len(), 6);

    // A stream that has no slot ready doesn't delay the stop.
    let (_, client) = serve([ok()]);
    let publication = client.publish_stream(stream::pending::<Slot>());
    let handle = publication.handle();
    handle.stop();
    assert_eq!(publication.await.unwrap_err().report().run().accepted_slots, 0);
    let (_, client) = serve([ok()]);
    let waiting = stream::iter(slots[..150].to_vec()).chain(stream::pending());
    let publication = client.publish_stream(waiting).slots_per_message(100);
    let handle = publication.handle();
    // A publication can be moved to a task.
    let client = client.clone();
    drop(tokio::spawn(async move { client.publish(support::batch::slots(0..1)).await.map(drop) }));
    let stop = async {
        sleep(Duration::from_secs(60)).await;
        assert_eq!(handle.report().run().accepted_slots, 100, "reported while the stream waits");
        handle.stop();
    };
    let stopped = tokio::join!(publication.into_future(), stop).0.unwrap_err();
    let report = stopped.report();
    assert_eq!(
        (report.run().accepted_slots, report.resume_point().map(ResumePoint::number)),
        (100, Some(2))
    );
}

#[tokio::test(start_paused = true)]
async fn stop_after_the_last_message_is_not_an_error() {
    let slow =
        ScriptedOutcome::Response(Reply { after: Duration::from_secs(10), ..Reply::accepted() });
    for stops_after in [1, 15] {
        let (model, client) = serve([slow.clone()]);
        let slots = slots(0..4);
        // The publication is stopped while its last message is in flight.
        let publication = client.publish(&slots).slots_per_message(2).concurrency(2);
        let handle = publication.handle();
        let stop = async {
            sleep(Duration::from_secs(stops_after)).await;
            handle.stop();
        };
        let report = tokio::join!(publication.into_future(), stop).0.unwrap();
        assert_eq!((report.batch().accepted_slots, report.resume_point()), (4, None));
        assert_eq!(model.calls().len(), 2);
    }
    let (_, client) = serve([ok()]);
    let slots = slots(0..4);
    let publication = client.publish(&slots).slots_per_message(2);
    let handle = publication.handle();
    let last = publication.on_progress(move |progress: &Progress| {
        if progress.batch.accepted_slots == 4 {
            handle.stop();
        }
    });
    assert_eq!(last.await.unwrap().resume_point(), None);
}

#[tokio::test(start_paused = true)]
async fn unknown_message_keeps_its_slots_under_other_limits() {
    let slots = slots(0..12);
    for (first, second) in [(2, 4), (4, 2), (3, 12), (12, 1)] {
        for is_stream in [false, true] {
            let (model, client) = serve([ok(), ScriptedOutcome::Cut { accepted: true }, ok()]);
            let publish = |count| match is_stream {
                true => client.publish_stream(stream::iter(slots.clone())).slots_per_message(count),
                false => client.publish(&slots).slots_per_message(count),
            };
            let lost = publish(first).batch_id("b").patience(Duration::ZERO);
            // Twelve slots would fit into one message, but the test needs a second one.
            let lost = if first == 12 { lost.bytes_per_message(700) } else { lost };
            let handle = lost.handle();
            // The client sends each message up to four times, so the publication is dropped when
            // the first response is lost.
            let lost = timeout(Duration::from_millis(61), lost.into_future()).await;
            assert!(lost.is_err(), "{lost:?}");
            let point = handle.report().resume_point().unwrap().to_string();
            let point: ResumePoint = point.parse().unwrap();
            let report = publish(second).batch_id("b").resume_from(&point).await.unwrap();
            let sent = arrived(&model);
            assert_eq!((sent[1].message_id, &sent[1].body), (sent[2].message_id, &sent[2].body));
            // The service recognizes the second copy by its id.
            let mut once: Vec<_> =
                sent.iter().map(|each| (each.message_id, each.slots.clone())).collect();
            once.dedup();
            let arrived: Vec<_> = once.into_iter().flat_map(|(_, slots)| slots).collect();
            assert_eq!(
                arrived,
                (0..12).collect::<Vec<_>>(),
                "{first} slots per message, then {second}"
            );
            assert_eq!(
                (report.batch().accepted_slots, report.run().possibly_repeated_slots),
                (12, 0)
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_message_without_a_batch_id_keeps_its_bytes() {
    let outcomes = [responds(500), responds(500), responds(500), responds(500), ok()];
    let (model, client) = serve(outcomes);
    let error = client.publish(slots(0..3)).patience(Duration::ZERO).await.unwrap_err();
    let report = error.report();
    let again = client.publish(slots(0..3)).batch_id(report.batch_id());
    again.resume_from(report.resume_point().unwrap()).await.unwrap();
    let sent = arrived(&model);
    assert!(
        sent.iter()
            .all(|each| (each.message_id, &each.body) == (sent[0].message_id, &sent[0].body))
    );
}

#[tokio::test(start_paused = true)]
async fn message_id_depends_on_batch_number_destinations_and_content() {
    let send = async |batch: &str, destination: u128, first: usize| {
        let (model, client) = serve([ok()]);
        let meta = Meta::new().destination(Uuid::from_u128(destination));
        let slots = slots(first..first + 4);
        client.publish(&slots).slots_per_message(2).batch_id(batch).meta(meta).await.unwrap();
        arrived(&model).iter().map(|message| message.message_id).collect::<Vec<_>>()
    };
    let ids = send("b", 1, 0).await;
    assert_eq!(ids, send("b", 1, 0).await);
    for other in [send("b", 2, 0).await, send("c", 1, 0).await, send("b", 1, 1).await] {
        assert!(ids.iter().all(|id| !other.contains(id)));
    }
}

/// A batch that another version of the crate began is resumed with the same ids.
#[tokio::test(start_paused = true)]
async fn message_ids_and_digests_are_the_same_in_every_version() {
    let (model, client) = serve([ok(), responds(400)]);
    let publication = client.publish(slots(0..4)).slots_per_message(2).batch_id("b");
    let error = publication.await.unwrap_err();
    let ids =
        arrived(&model).iter().map(|message| message.message_id.to_string()).collect::<Vec<_>>();
    assert_eq!(
        ids,
        ["ef19f20c-e2b6-565b-a90d-2c0994158a3e", "0a0c375b-d004-5087-b8b9-45fd98f6b26a"]
    );
    assert_eq!(error.report().resume_point().unwrap().to_string(), "2@2.99fd99b1a2c0f5ab");
}

#[tokio::test(start_paused = true)]
async fn changed_meta_changes_the_message_id_and_possible_repeats_are_counted() {
    let cut = || ScriptedOutcome::Cut { accepted: true };
    let (model, client) = serve([ok(), cut(), cut(), cut(), cut(), ok()]);
    let slots = slots(0..6);
    let publish =
        || client.publish(&slots).slots_per_message(2).batch_id("b").patience(Duration::ZERO);
    let error = publish().await.unwrap_err();
    let point = error.report().resume_point().unwrap();
    let report = publish().meta(Meta::new().test(true)).resume_from(point).await.unwrap();
    assert_eq!((report.run().possibly_repeated_slots, report.run().accepted_slots), (2, 4));
    let sent = arrived(&model);
    assert_ne!(sent[5].message_id, sent[4].message_id);
    assert_eq!(sent[5].slots, sent[4].slots);
}

#[test]
fn text_that_is_not_a_resume_point_is_an_error() {
    let digest = "0123456789abcdef";
    for right in [
        "7".to_owned(),
        "7@6000".to_owned(),
        format!("7@6000/99.{digest}"),
        format!("7@6000.{digest}+1000of12.{digest}"),
        format!("7@6000.{digest}+1000.{digest}"),
        format!("7@6000.{digest}+1000of0.{digest},300.{digest}-5:9+4of12.{digest}:11-6_20"),
    ] {
        let point: ResumePoint = right.parse().unwrap();
        assert_eq!(point.to_string(), right);
    }
    for wrong in [
        "7@",
        "7@x",
        "+7",
        "7@+6",
        "7@6000.0123",
        "7@6000,5",
        "7@6000-5_3",
        "7@6000-5:9",
        "7@6000-0",
        "7@6000_",
        "7@6000__8",
        "7@6000_8_9",
        "7@6000+5",
        "7@6000+5of.0123456789abcdef",
        "7@6000_6",
        "7@6000-5-5:99",
        "7@6000.0123456789ABCDEF",
        "99999999999999999999",
        "7@99999999999999999999",
        "7@6000-5,5:3",
        "7@6000-5,5",
    ] {
        assert!(wrong.parse::<ResumePoint>().is_err(), "{wrong}");
    }
}
