//! Publications with invalid slots, and streams that fail.

use futures_util::{StreamExt, stream};
use pushslots::uuid::Uuid;
use pushslots::{
    Client, Delivery, ErrorKind, Meta, PublishError, PushSlots, ResumePoint, Slot, SlotReader,
};
use support::batch::{accepted, arrived, serve, slots};
use support::model::{ok, responds};

fn paths(error: &PublishError) -> Vec<&str> {
    error.error().problems().iter().map(|problem| problem.path()).collect()
}

#[tokio::test(start_paused = true)]
async fn problems_of_all_slots_are_reported_before_anything_is_sent() {
    let (model, client) = serve([ok()]);
    let mut wrong = slots(0..3_000);
    wrong[1].duration = Some(0.into());
    wrong[2_999].date_time = None;
    wrong[2_000] = slots(7..8).remove(0).reason("x".repeat(2_000));
    let error = client.publish(&wrong).bytes_per_message(2_000).await.unwrap_err();
    assert_eq!(paths(&error), ["Slots[1].Duration", "Slots[2000]", "Slots[2999].DateTime"]);
    assert_eq!(
        (error.error().kind(), error.delivery()),
        (ErrorKind::InvalidMessage, Delivery::NotSent)
    );
    assert!(error.to_string().contains("Slots[2000]: takes 2"), "{error}");
    assert_eq!((error.failed_message(), error.report().receipts().len()), (None, 0));

    for publication in
        [client.publish(Vec::<Slot>::new()), client.publish_stream(stream::empty::<Slot>())]
    {
        assert_eq!(paths(&publication.await.unwrap_err()), ["Slots"]);
    }
    let meta = Meta::new().batch_id("");
    let error = client
        .publish(slots(0..1))
        .meta(meta)
        .slots_per_message(0)
        .bytes_per_message(0)
        .resume_from(0)
        .await
        .unwrap_err();
    assert_eq!(
        paths(&error),
        ["slots_per_message", "bytes_per_message", "batch_id", "resume_from"]
    );
    let error = client.publish(slots(0..1)).bytes_per_message(100).await.unwrap_err();
    assert_eq!(
        (error.error().kind(), paths(&error)),
        (ErrorKind::Configuration, vec!["bytes_per_message"])
    );
    let error = client.publish(slots(0..1)).resume_from(2).await.unwrap_err();
    assert_eq!(paths(&error), ["batch_id"]);
    for point in ["3", "3@7"] {
        let point: ResumePoint = point.parse().unwrap();
        let list = client.publish(slots(0..6)).batch_id("one").resume_from(&point);
        assert_eq!(paths(&list.await.unwrap_err()), ["resume_from"]);
        let stream =
            client.publish_stream(stream::iter(slots(0..6))).batch_id("one").resume_from(&point);
        assert_eq!(paths(&stream.await.unwrap_err()), ["resume_from"]);
    }
    let meta = Meta::new().destination(pushslots::Destination::new(Uuid::nil()).name("EMR"));
    let mut nameless = meta.clone();
    nameless.destinations[0].id = None;
    let error = client.publish(slots(0..1)).meta(nameless).await.unwrap_err();
    assert_eq!(paths(&error), ["Meta.Destinations[0].ID"]);
    let without_destination = Client::builder()
        .transport(model.clone())
        .credentials(support::credentials())
        .build()
        .unwrap();
    assert_eq!(
        paths(&without_destination.publish(slots(0..1)).await.unwrap_err()),
        ["Meta.Destinations"]
    );
    assert!(model.calls().is_empty() && model.token_requests() == 0);
}

#[tokio::test(start_paused = true)]
async fn slot_may_use_all_the_space_of_a_message() {
    let (model, client) = serve([ok()]);
    let long = || slots(0..1).remove(0).reason("x".repeat(2_000));
    let error = client.publish([long()]).bytes_per_message(2_000).await.unwrap_err();
    // Slots[0]: takes 2180 bytes, but a message has room for only 1700; …
    let text = error.error().problems()[0].text();
    let numbers: Vec<usize> =
        text.split(' ').filter_map(|word| word.trim_end_matches(';').parse().ok()).collect();
    let [takes, room] = numbers[..] else { panic!("{text}") };
    for (bytes, fits) in [(2_000 + takes - room, true), (2_000 + takes - room - 1, false)] {
        assert_eq!(
            client.publish([long()]).bytes_per_message(bytes).await.is_ok(),
            fits,
            "{bytes}: {text}"
        );
    }
    assert_eq!(accepted(&model), [0]);
}

#[tokio::test(start_paused = true)]
async fn invalid_slot_does_not_affect_its_neighbors() {
    let mut some = slots(0..1_000);
    some[0].duration = None;
    some[500].duration = Some((-1).into());
    some[999].date_time = None;
    let good: Vec<_> = (0..1_000).filter(|number| ![0, 500, 999].contains(number)).collect();

    for is_stream in [true, false] {
        let (model, client) = serve([ok()]);
        let mut skipped = Vec::new();
        let publication = match is_stream {
            true => client.publish_stream(stream::iter(some.clone())),
            false => client.publish(&some),
        };
        let record = |index, problems: &[pushslots::Problem]| {
            skipped.push((index, problems[0].path().to_owned()))
        };
        let report = publication.slots_per_message(300).skip_invalid(record).await.unwrap();
        let path = |index, key| (index, format!("Slots[{index}].{key}"));
        assert_eq!(skipped, [path(0, "Duration"), path(500, "Duration"), path(999, "DateTime")]);
        assert_eq!((report.run().skipped_slots, report.run().accepted_slots), (3, 997));
        assert_eq!(accepted(&model), good);
    }

    // Without `skip_invalid`, a stream ends at the invalid slot, and the report covers the slots
    // before it.
    let (model, client) = serve([ok()]);
    let error = client
        .publish_stream(stream::iter(some[1..].to_vec()))
        .slots_per_message(300)
        .await
        .unwrap_err();
    assert_eq!(paths(&error), ["Slots[499].Duration"]);
    let report = error.report();
    assert_eq!(
        (report.receipts().len(), report.run().accepted_slots, accepted(&model).len()),
        (1, 300, 300)
    );
    assert_eq!(report.resume_point().map(ResumePoint::number), Some(2));
    assert_eq!((error.failed_message(), error.never_sent()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn only_slots_after_the_resume_point_may_be_corrected() {
    for is_stream in [false, true] {
        let (model, client) = serve([ok(), responds(400), ok()]);
        let mut some = slots(0..50);
        let valid = some[5].clone();
        some[5].duration = Some(0.into());
        let publish = |slots: &[Slot]| {
            let publication = match is_stream {
                true => client.publish_stream(stream::iter(slots.to_vec())),
                false => client.publish(slots.to_vec()),
            };
            publication.slots_per_message(10).batch_id("b").skip_invalid(|_, _| {})
        };
        let error = publish(&some).await.unwrap_err();
        let point = error.report().resume_point().unwrap().clone();
        assert_eq!(point.slots_before(), Some(11));
        // A corrected slot before the resume point would never be sent.
        let mut corrected = some.clone();
        corrected[5] = valid;
        let error = publish(&corrected).resume_from(&point).await.unwrap_err();
        assert_eq!(
            (error.error().kind(), paths(&error)),
            (ErrorKind::Configuration, vec!["resume_from"])
        );
        assert_eq!(model.calls().len(), 2);
        // The rejected message may be corrected.
        some[12].duration = Some(30.into());
        let report = publish(&some).resume_from(&point).await.unwrap();
        assert_eq!((report.run().accepted_slots, report.run().skipped_slots), (39, 1));
        assert_eq!((report.batch().accepted_slots, report.batch().messages), (49, Some(5)));
        assert_eq!(accepted(&model), (0..50).filter(|number| *number != 5).collect::<Vec<_>>());
    }
    let (_, client) = serve([ok()]);
    let mut wrong = slots(0..2);
    wrong.iter_mut().for_each(|slot| slot.duration = None);
    let error = client.publish(&wrong).skip_invalid(|_, _| {}).await.unwrap_err();
    assert_eq!(
        error.error().problems()[0].to_string(),
        "Slots: no slots are left to publish: all 2 were skipped as invalid"
    );
    assert_eq!(error.report().run().skipped_slots, 2);
    let error = client.publish(slots(0..9)).bytes_per_message(100).await.unwrap_err();
    assert_eq!((paths(&error), error.report().batch_id()), (vec!["bytes_per_message"], ""));
}

#[tokio::test(start_paused = true)]
async fn failing_stream_is_reported_with_its_cause() {
    let (model, client) = serve([ok()]);
    let failing =
        stream::iter(slots(0..7).into_iter().map(Ok)).chain(stream::iter([Err(std::fmt::Error)]));
    let error = client.publish_stream(failing).slots_per_message(3).await.unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::Input);
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.is::<std::fmt::Error>());
    assert_eq!(accepted(&model), [0, 1, 2, 3, 4, 5]);
    assert_eq!(error.report().resume_point().map(ResumePoint::number), Some(3));
    let text = "the stream of slots failed before its end";
    let batch = error.report().batch_id();
    let expected =
        format!("batch {batch}: {text}; accepted so far: 2 messages with 6 slots of the batch");
    assert_eq!(error.to_string(), expected);
    let failing = stream::iter([Err::<Slot, _>(std::fmt::Error)]);
    assert_eq!(client.publish_stream(failing).await.unwrap_err().to_string(), text);

    let lines = r#"{"ID":"0","DateTime":"2026-12-01T09:00:00Z","Duration":15}
5
{"ID":"1","DateTime":"2026-12-01T09:15:00Z","Provider":{"ID":
{"ID":"2","DateTime":"2026-12-01T09:15:00Z","Duration":15}"#;
    let (model, client) = serve([ok()]);
    let mut skipped = Vec::new();
    let reader = stream::iter(SlotReader::new(lines.as_bytes()));
    let record =
        |index, problems: &[pushslots::Problem]| skipped.push((index, problems[0].to_string()));
    let report = client.publish_stream(reader).skip_invalid(record).await.unwrap();
    assert_eq!((report.run().skipped_slots, accepted(&model)), (2, vec![0, 2]));
    assert_eq!(skipped[0], (1, "Slots[1]: expected an object at line 2 column 1".to_owned()));
    let text = "Slots[2].Provider.ID: the line ends before the JSON does at line 3 column 62";
    assert_eq!(skipped[1], (2, text.to_owned()));
    // An error that ends the input can't be skipped.
    let cut = stream::iter(SlotReader::new(lines.replacen('{', "[{", 1).leak().as_bytes()));
    let error = client.publish_stream(cut).skip_invalid(|_, _| {}).await.unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::Input);
}

#[tokio::test(start_paused = true)]
async fn failure_of_a_stream_is_reported_even_if_a_message_is_split() {
    let failing = || {
        stream::iter(slots(0..15).into_iter().map(Ok)).chain(stream::iter([Err(std::fmt::Error)]))
    };
    let (model, client) = serve([responds(413), ok()]);
    let error = client.publish_stream(failing()).slots_per_message(10).await.unwrap_err();
    assert_eq!((error.error().kind(), error.failed_message()), (ErrorKind::Input, None));
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(accepted(&model), (0..15).take(accepted(&model).len()).collect::<Vec<_>>());
    assert_eq!(error.report().resume_point().unwrap().slots_before(), Some(accepted(&model).len()));

    let (model, client) = serve([responds(413), ok()]);
    let mut wrong = slots(0..15);
    wrong[12].duration = None;
    let error = client.publish_stream(stream::iter(wrong)).slots_per_message(10).await.unwrap_err();
    assert_eq!(paths(&error), ["Slots[12].Duration"]);
    assert!(accepted(&model).len() <= 12);
}

#[tokio::test(start_paused = true)]
async fn batch_with_only_skipped_slots_has_nothing_to_resume() {
    let mut wrong = slots(0..6);
    wrong.iter_mut().for_each(|slot| slot.duration = Some(0.into()));
    for point in ["1@0", "3@5", "3@6"] {
        let point: ResumePoint = point.parse().unwrap();
        let (model, client) = serve([ok()]);
        let stream = client.publish_stream(stream::iter(wrong.clone()));
        for publication in [client.publish(&wrong), stream] {
            let publication = publication.batch_id("b").resume_from(&point).skip_invalid(|_, _| {});
            let error = publication.await.unwrap_err();
            assert_eq!(
                (error.error().kind(), paths(&error)),
                (ErrorKind::InvalidMessage, vec!["Slots"])
            );
            assert!(error.to_string().contains("all 6 were skipped"), "{error}");
        }
        assert!(model.calls().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn batch_numbers_of_a_given_meta_are_replaced() {
    let read =
        r#"{"Meta":{"CurrentBatch":"three","TotalBatches":[],"FacilityCode":"RES"},"Slots":[]}"#;
    let unreadable = PushSlots::from_json(read.as_bytes()).unwrap().meta().clone();
    for meta in
        [Meta::new().current_batch(0), Meta::new().current_batch(5).total_batches(2), unreadable]
    {
        let (model, client) = serve([ok()]);
        client.publish(slots(0..3)).meta(meta.clone()).await.unwrap();
        client.publish(slots(0..3)).meta(meta).slots_per_message(2).batch_id("b").await.unwrap();
        let numbers: Vec<_> =
            arrived(&model).into_iter().map(|each| (each.current, each.total)).collect();
        let number = |current: &str| (Some(current.to_owned()), Some("2".to_owned()));
        assert_eq!(numbers, [(None, None), number("1"), number("2")]);
    }
}
