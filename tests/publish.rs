//! Many slots as a batch: how they are split, in what order they go, and what is told of them.

mod support;

use std::future::IntoFuture;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use pushslots::uuid::Uuid;
use pushslots::{
    Client, Delivery, ErrorKind, Identifier, Location, Meta, Progress, PublishError, PushSlots, ResumePoint,
    Slot, SlotReader,
};
use serde_json::{Value, json};
use support::batch::{accepted, arrived, slots};
use support::model::{Fate, Model, Reply, client_of};
use tokio::time::{sleep, timeout};

fn ok() -> Fate {
    Fate::Answered(Reply::accepted())
}

fn answers(status: u16) -> Fate {
    Fate::Answered(Reply::new(status))
}

/// A service that plays these fates, and a client of it.
fn serve(fates: impl IntoIterator<Item = Fate>) -> (Arc<Model>, Client) {
    let model = Model::scripted(fates);
    let client = client_of(&model).build().unwrap();
    (model, client)
}

fn paths(error: &PublishError) -> Vec<&str> {
    error.error().problems().iter().map(|problem| problem.path()).collect()
}

#[tokio::test(start_paused = true)]
async fn slots_are_split_by_number_and_go_out_in_order() {
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
    assert_eq!((report.messages(), report.slots(), report.skipped(), report.requests()), (3, 2_500, 0, 3));
    assert_eq!(report.resume_point(), None);
    // An answer takes 20 ms, and the token took 30.
    assert!(report.elapsed() >= Duration::from_millis(90), "{:?}", report.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_single_message_names_no_batch_unless_it_is_given_one() {
    let (model, client) = serve([ok()]);
    client.publish(slots(0..3)).await.unwrap();
    client.publish_stream(stream::iter(slots(0..3))).await.unwrap();
    let message = PushSlots::builder().slots(slots(0..3)).build().unwrap();
    client.send(&message).await.unwrap();
    let sent = arrived(&model);
    assert!(sent.iter().all(|each| each.body == sent[2].body), "as a message of its own");

    let report = client.publish(slots(0..3)).batch_id("tuesday").await.unwrap();
    let meta = Meta::new().batch_id("wednesday").test(true).facility_code("RES").destination(Uuid::max());
    client.publish_stream(stream::iter(slots(0..3))).meta(meta).await.unwrap();
    let sent = arrived(&model);
    assert_eq!((report.batch_id(), sent[3].batch_id.as_deref()), ("tuesday", Some("tuesday")));
    assert_eq!(sent[3].place(), (Some("1"), Some("1")));
    assert_eq!((sent[4].batch_id.as_deref(), sent[4].place()), (Some("wednesday"), (Some("1"), None)));
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
async fn slots_are_split_by_size_as_late_as_they_can_be() {
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
        let split = |messages: &[support::batch::Arrived]| {
            messages.iter().map(|message| message.slots.clone()).collect::<Vec<_>>()
        };
        assert_eq!(split(&list), split(&stream), "both split alike");

        assert!(list.len() > 1);
        for pair in list.windows(2) {
            assert!(pair[0].body.len() <= limit, "{} of {limit}", pair[0].body.len());
            let next = slots[pair[1].slots[0]].to_json().len();
            // Room is kept for batch numbers of 20 digits, of which each has one or two.
            assert!(pair[0].body.len() + 38 + 1 + next > limit, "one more would have fit");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_any_slot_is_told_before_anything_goes_out() {
    let (model, client) = serve([ok()]);
    let mut wrong = slots(0..3_000);
    wrong[1].duration = Some(0.0);
    wrong[2_999].date_time = None;
    wrong[2_000] = slots(7..8).remove(0).reason("x".repeat(2_000));
    let error = client.publish(&wrong).bytes_per_message(2_000).await.unwrap_err();
    assert_eq!(paths(&error), ["Slots[1].Duration", "Slots[2000]", "Slots[2999].DateTime"]);
    assert_eq!((error.error().kind(), error.delivery()), (ErrorKind::InvalidMessage, Delivery::NotSent));
    assert!(error.to_string().contains("Slots[2000]: takes 2"), "{error}");
    assert_eq!((error.failed_message(), error.report().receipts().len()), (None, 0));

    for nothing in [client.publish(Vec::<Slot>::new()), client.publish_stream(stream::empty::<Slot>())] {
        assert_eq!(paths(&nothing.await.unwrap_err()), ["Slots"]);
    }
    let phone = Meta::new().batch_id("");
    let error = client
        .publish(slots(0..1))
        .meta(phone)
        .slots_per_message(0)
        .bytes_per_message(0)
        .resume_from(0)
        .await
        .unwrap_err();
    assert_eq!(paths(&error), ["slots_per_message", "bytes_per_message", "batch_id", "resume_from"]);
    let error = client.publish(slots(0..1)).resume_from(2).await.unwrap_err();
    assert_eq!(paths(&error), ["batch_id"]);
    let error = client.publish(slots(0..1)).batch_id("one").resume_from(3).await.unwrap_err();
    assert_eq!(paths(&error), ["resume_from"]);
    let meta = Meta::new().destination(pushslots::Destination::new(Uuid::nil()).name("EMR"));
    let mut nameless = meta.clone();
    nameless.destinations[0].id = None;
    let error = client.publish(slots(0..1)).meta(nameless).await.unwrap_err();
    assert_eq!(paths(&error), ["Meta.Destinations[0].ID"]);
    let alone =
        Client::builder().transport(model.clone()).credentials(support::credentials()).build().unwrap();
    assert_eq!(paths(&alone.publish(slots(0..1)).await.unwrap_err()), ["Meta.Destinations"]);
    assert!(model.calls().is_empty() && model.token_requests() == 0);
}

#[tokio::test(start_paused = true)]
async fn one_bad_slot_does_not_cost_its_neighbours() {
    let mut some = slots(0..1_000);
    some[0].duration = None;
    some[500].duration = Some(-1.0);
    some[999].date_time = None;
    let good: Vec<_> = (0..1_000).filter(|number| ![0, 500, 999].contains(number)).collect();

    for is_stream in [true, false] {
        let (model, client) = serve([ok()]);
        let mut told = Vec::new();
        let publication = match is_stream {
            true => client.publish_stream(stream::iter(some.clone())),
            false => client.publish(&some),
        };
        let tell = |index, problems: &[pushslots::Problem]| told.push((index, problems[0].path().to_owned()));
        let report = publication.slots_per_message(300).skip_invalid(tell).await.unwrap();
        let path = |index, key| (index, format!("Slots[{index}].{key}"));
        assert_eq!(told, [path(0, "Duration"), path(500, "Duration"), path(999, "DateTime")]);
        assert_eq!((report.skipped(), report.slots()), (3, 997));
        assert_eq!(accepted(&model), good);
    }

    // Without that, a stream ends there, and what came before is told.
    let (model, client) = serve([ok()]);
    let error =
        client.publish_stream(stream::iter(some[1..].to_vec())).slots_per_message(300).await.unwrap_err();
    assert_eq!(paths(&error), ["Slots[499].Duration"]);
    let report = error.report();
    assert_eq!((report.receipts().len(), report.slots(), accepted(&model).len()), (1, 300, 300));
    assert_eq!(report.resume_point().map(ResumePoint::number), Some(2));
    assert_eq!((error.failed_message(), error.never_sent()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn what_is_corrected_before_the_point_moves_no_other() {
    for is_stream in [false, true] {
        let (model, client) = serve([ok(), answers(400), ok()]);
        let mut some = slots(0..50);
        let right = some[5].clone();
        some[5].duration = Some(0.0);
        let publish = |slots: &[Slot]| {
            let publication = match is_stream {
                true => client.publish_stream(stream::iter(slots.to_vec())),
                false => client.publish(slots.to_vec()),
            };
            publication.slots_per_message(10).batch_id("b").skip_invalid(|_, _| {})
        };
        let error = publish(&some).await.unwrap_err();
        let point = error.report().resume_point().unwrap();
        assert_eq!((point.slots_before(), point.to_string()), (Some(11), "2@11".to_owned()));
        some[5] = right;
        // The message that was refused may be corrected, too.
        some[12].duration = Some(30.0);
        let report = publish(&some).resume_from(point).await.unwrap();
        assert_eq!((report.slots(), report.skipped()), (39, 0));
        assert_eq!(accepted(&model), (0..50).filter(|number| *number != 5).collect::<Vec<_>>());
    }
    let (_, client) = serve([ok()]);
    let mut wrong = slots(0..2);
    wrong.iter_mut().for_each(|slot| slot.duration = None);
    let error = client.publish(&wrong).skip_invalid(|_, _| {}).await.unwrap_err();
    assert_eq!(
        error.error().problems()[0].to_string(),
        "Slots: none is left to publish: all 2 were set aside"
    );
    assert_eq!(error.report().skipped(), 2);
    let error = client.publish(slots(0..9)).bytes_per_message(100).await.unwrap_err();
    assert_eq!((paths(&error), error.report().batch_id()), (vec!["bytes_per_message"], ""));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_is_told_with_its_cause() {
    let (model, client) = serve([ok()]);
    let failing = stream::iter(slots(0..7).into_iter().map(Ok)).chain(stream::iter([Err(std::fmt::Error)]));
    let error = client.publish_stream(failing).slots_per_message(3).await.unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::Input);
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.is::<std::fmt::Error>());
    assert_eq!(accepted(&model), [0, 1, 2, 3, 4, 5]);
    assert_eq!(error.report().resume_point().map(ResumePoint::number), Some(3));

    let lines = r#"{"ID":"0","DateTime":"2026-12-01T09:00:00Z","Duration":15}
5
{"ID":"1","DateTime":"2026-12-01T09:15:00Z",
{"ID":"2","DateTime":"2026-12-01T09:15:00Z","Duration":15}"#;
    let (model, client) = serve([ok()]);
    let mut told = Vec::new();
    let reader = stream::iter(SlotReader::new(lines.as_bytes()));
    let tell = |index, problems: &[pushslots::Problem]| told.push((index, problems[0].to_string()));
    let report = client.publish_stream(reader).skip_invalid(tell).await.unwrap();
    assert_eq!((report.skipped(), accepted(&model)), (2, vec![0, 2]));
    assert_eq!(told[0], (1, "Slots[1]: expected an object at line 2 column 1".to_owned()));
    assert!(told[1].1.starts_with("Slots[2]"), "{told:?}");
    // What does not go on can't be passed over.
    let cut = stream::iter(SlotReader::new(lines.replacen('{', "[{", 1).leak().as_bytes()));
    let error = client.publish_stream(cut).skip_invalid(|_, _| {}).await.unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::Input);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_stream_is_not_forgotten_when_a_message_is_split() {
    let failing =
        || stream::iter(slots(0..15).into_iter().map(Ok)).chain(stream::iter([Err(std::fmt::Error)]));
    let (model, client) = serve([answers(413), ok()]);
    let error = client.publish_stream(failing()).slots_per_message(10).await.unwrap_err();
    assert_eq!((error.error().kind(), error.failed_message()), (ErrorKind::Input, None));
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(accepted(&model), (0..15).take(accepted(&model).len()).collect::<Vec<_>>());
    assert_eq!(error.report().resume_point().unwrap().slots_before(), Some(accepted(&model).len()));

    let (model, client) = serve([answers(413), ok()]);
    let mut wrong = slots(0..15);
    wrong[12].duration = None;
    let error = client.publish_stream(stream::iter(wrong)).slots_per_message(10).await.unwrap_err();
    assert_eq!(paths(&error), ["Slots[12].Duration"]);
    assert!(accepted(&model).len() <= 12);
}

#[tokio::test(start_paused = true)]
async fn a_point_holds_whatever_the_limits_are() {
    let (model, client) = serve([ok(), ok(), answers(400), ok()]);
    let slots = slots(0..500);
    let error = client.publish(&slots).slots_per_message(100).batch_id("b").await.unwrap_err();
    let point: ResumePoint = error.report().resume_point().unwrap().to_string().parse().unwrap();
    let report = client.publish(&slots).slots_per_message(70).batch_id("b").resume_from(point).await.unwrap();
    assert_eq!(accepted(&model), (0..500).collect::<Vec<_>>());
    assert_eq!((report.slots(), report.messages()), (300, 7));
    for far in ["18446744073709551615@0", "18446744073709551615"] {
        let far: ResumePoint = far.parse().unwrap();
        let _ = client.publish(&slots).batch_id("far").resume_from(far).await;
    }
}

/// Tells how far a stream was read.
fn watched(slots: Vec<Slot>, read: &Arc<Mutex<usize>>) -> impl stream::Stream<Item = Slot> + Send + use<> {
    let read = read.clone();
    stream::iter(slots).inspect(move |_| *read.lock().unwrap() += 1)
}

#[tokio::test(start_paused = true)]
async fn the_next_message_is_made_while_one_is_on_its_way_and_no_more() {
    let slow = Fate::Answered(Reply { after: Duration::from_secs(10), ..Reply::accepted() });
    let (model, client) = serve([slow]);
    let read = Arc::default();
    let mut publication =
        pin!(client.publish_stream(watched(slots(0..1_000), &read)).slots_per_message(100).into_future());
    for message in 1..=8 {
        assert!(timeout(Duration::from_secs(9), publication.as_mut()).await.is_err());
        assert_eq!(model.calls().len(), message, "one at a time");
        // The first of the message after tells that the next is full.
        let read = *read.lock().unwrap();
        assert!((message + 1) * 100 == read, "{read} slots are read while message {message} is on its way");
        sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_message_that_is_not_accepted_ends_it_and_it_goes_on_from_there() {
    let (model, client) = serve([ok(), ok(), answers(503), answers(503), answers(503), answers(503), ok()]);
    let slots = slots(0..450);
    let error = client.publish(&slots).slots_per_message(100).await.unwrap_err();
    assert_eq!((error.failed_message(), error.never_sent()), (Some(3), Some(4..6)));
    assert_eq!((error.error().kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::Refused));
    assert_eq!(error.error().attempts().len(), 4);
    let report = error.report();
    assert_eq!(
        (report.receipts().len(), report.slots(), report.messages(), report.requests()),
        (2, 200, 5, 6)
    );
    let text = error.to_string();
    let batch = report.batch_id();
    assert!(
        text.starts_with(&format!("message 3 of batch {batch}: attempt 4: the service answered 503; ")),
        "{text}"
    );
    assert!(text.ends_with("; 2 messages with 200 slots were accepted before"), "{text}");

    let point = report.resume_point().unwrap();
    assert_eq!((point.number(), point.slots_before(), point.to_string()), (3, Some(200), "3@200".to_owned()));
    let again =
        client.publish(&slots).slots_per_message(100).batch_id(batch).resume_from(point).await.unwrap();
    assert_eq!((again.receipts().len(), again.slots(), again.messages()), (3, 250, 5));
    assert_eq!(accepted(&model), (0..450).collect::<Vec<_>>());
    let sent = arrived(&model);
    assert!(
        sent[2..7].iter().all(|each| (each.message_id, &each.body) == (sent[2].message_id, &sent[2].body))
    );
    assert_eq!(sent[8].place(), (Some("5"), Some("5")));

    // By the number alone, of a list and of a stream.
    for number in [1, 4, 5, 6] {
        let (model, client) = serve([ok()]);
        let list = client.publish(&slots).slots_per_message(100).batch_id(batch).resume_from(number);
        let report = list.await.unwrap();
        let stream =
            client.publish_stream(stream::iter(slots.clone())).slots_per_message(100).batch_id(batch);
        let streamed = stream.resume_from(number).await.unwrap();
        let from = (number as usize - 1) * 100;
        let expected: Vec<_> = (from.min(450)..450).chain(from.min(450)..450).collect();
        assert_eq!(accepted(&model), expected, "from {number}");
        assert_eq!(report.receipts().len(), 6 - number as usize);
        let ids = |report: &pushslots::PublishReport| {
            report.receipts().iter().map(|receipt| receipt.message_id()).collect::<Vec<_>>()
        };
        assert_eq!(ids(&report), ids(&streamed));
        assert!(
            arrived(&model).iter().all(|each| sent.iter().any(|before| before.message_id == each.message_id))
        );
        assert_eq!(report.resume_point(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_large_is_split_and_so_is_what_follows() {
    for is_stream in [false, true] {
        let limited =
            Model::new(0, |_, _| ok(), |_, _| support::model::TokenFate::Issued(Duration::from_secs(300)));
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
        let refused = sent.iter().take_while(|each| !each.accepted).count();
        assert_eq!((report.too_large().len(), report.requests()), (refused, sent.len()));
        assert!(refused > 0 && report.too_large().iter().all(|attempt| attempt.status == Some(413)));
        assert!(sent[refused..].iter().all(|each| each.accepted), "it learns from the first");
        let total = (!is_stream).then(|| (sent.len() - refused).to_string());
        for (number, message) in sent[refused..].iter().enumerate() {
            assert_eq!(message.place(), (Some(&*(number + 1).to_string()), total.as_deref()));
        }
        assert_eq!(report.messages() as usize, sent.len() - refused);
    }
    // What can't be split is refused.
    let (model, client) = serve([answers(413)]);
    let error = client.publish(slots(0..3)).await.unwrap_err();
    assert_eq!((error.failed_message(), error.delivery()), (Some(1), Delivery::Refused));
    let lengths: Vec<_> = arrived(&model).iter().map(|message| message.slots.len()).collect();
    assert_eq!(lengths, [3, 1]);
    // Nor is what may have been accepted in larger messages.
    let (model, client) = serve([answers(500), answers(413)]);
    let error = client.publish(slots(0..3)).await.unwrap_err();
    assert_eq!((error.delivery(), model.calls().len()), (Delivery::Unknown, 2));
}

#[tokio::test(start_paused = true)]
async fn after_a_split_the_point_to_go_on_from_knows_how_far_the_batch_had_come() {
    let (model, client) = serve([ok(), answers(413), ok(), answers(400), ok()]);
    let slots = slots(0..400);
    let error = client.publish(&slots).slots_per_message(100).batch_id("b").await.unwrap_err();
    let point = error.report().resume_point().unwrap();
    let text = point.to_string();
    assert!(text.starts_with("3@1"), "{text}");
    assert_eq!(serde_json::to_value(&error).unwrap()["resume_from"], json!(text));
    let read: ResumePoint = text.parse().unwrap();
    assert_eq!(read, point);
    client.publish(&slots).slots_per_message(100).batch_id("b").resume_from(read).await.unwrap();
    assert_eq!(accepted(&model), (0..400).collect::<Vec<_>>());
    let sent = arrived(&model);
    let again = &sent[4];
    assert_eq!(
        (again.message_id, &again.body),
        (sent[3].message_id, &sent[3].body),
        "the same message again"
    );
    for wrong in ["", "0", "-1", "3@", "3@-1", "0@1/2", "3@1/", "@", "1/2", "3@1/2/3"] {
        assert!(wrong.parse::<ResumePoint>().is_err(), "{wrong}");
    }
    assert_eq!("7".parse(), Ok(ResumePoint::from(7)));
}

#[tokio::test(start_paused = true)]
async fn it_can_be_stopped_after_a_message_and_dropped_at_any_time() {
    let (model, client) = serve([ok()]);
    let slots = slots(0..500);
    let publication = client.publish(&slots).slots_per_message(100);
    let handle = publication.handle();
    let stop = handle.clone();
    let progress = move |progress: &Progress| {
        if progress.messages == 2 {
            stop.stop();
        }
    };
    let report = publication.on_progress(progress).await.unwrap();
    assert_eq!((report.slots(), report.resume_point().map(ResumePoint::number)), (200, Some(3)));
    assert_eq!(handle.report(), report);
    assert_eq!(model.calls().len(), 2);

    let stalls = Fate::Hangs { accepted: true };
    let (model, client) = serve([ok(), stalls, ok()]);
    let publication = client.publish(&slots).slots_per_message(100);
    let handle = publication.handle();
    assert!(timeout(Duration::from_secs(5), publication).await.is_err());
    let report = handle.report();
    assert_eq!((report.slots(), report.receipts().len()), (100, 1));
    let point = report.resume_point().unwrap();
    assert_eq!(point.number(), 2);
    let publication = client.publish(&slots).slots_per_message(100).batch_id(report.batch_id());
    publication.resume_from(point).await.unwrap();
    let sent = arrived(&model);
    assert_eq!((sent[1].message_id, &sent[1].body), (sent[2].message_id, &sent[2].body));
    assert_eq!(model.calls().len(), 6);

    // A stream that has nothing, or nothing more, for now does not keep it.
    let (_, client) = serve([ok()]);
    let publication = client.publish_stream(stream::pending::<Slot>());
    let handle = publication.handle();
    handle.stop();
    assert_eq!(publication.await.unwrap().slots(), 0);
    let (_, client) = serve([ok()]);
    let waiting = stream::iter(slots[..150].to_vec()).chain(stream::pending());
    let publication = client.publish_stream(waiting).slots_per_message(100);
    let handle = publication.handle();
    // It can be moved to a task.
    let client = client.clone();
    drop(tokio::spawn(async move { client.publish(support::batch::slots(0..1)).await.map(drop) }));
    let stop = async {
        sleep(Duration::from_secs(60)).await;
        assert_eq!(handle.report().slots(), 100, "told while the stream waits");
        handle.stop();
    };
    let report = tokio::join!(publication.into_future(), stop).0.unwrap();
    assert_eq!((report.slots(), report.resume_point().map(ResumePoint::number)), (100, Some(2)));
}

#[tokio::test(start_paused = true)]
async fn progress_is_told_after_each_message_and_each_second() {
    let slow = Fate::Answered(Reply { after: Duration::from_millis(2_500), ..Reply::accepted() });
    let (_, client) = serve([slow]);
    let mut told = Vec::new();
    let slots = slots(0..250);
    let publication = client.publish(&slots).slots_per_message(100);
    publication.on_progress(|progress| told.push(*progress)).await.unwrap();
    let seen: Vec<_> = told.iter().map(|told| (told.messages, told.slots, told.elapsed.as_secs())).collect();
    assert_eq!(
        seen,
        [
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
    assert!(told.iter().all(|told| (told.all_messages, told.all_slots) == (Some(3), Some(250))));
    assert!(told.iter().all(|told| told.waiting.is_zero() && told.skipped == 0));
}

#[tokio::test(start_paused = true)]
async fn reports_and_errors_are_serialized_in_the_same_words() {
    let (_, client) = serve([ok(), answers(400)]);
    let error = client.publish(slots(0..2)).slots_per_message(1).batch_id("b").await.unwrap_err();
    let mut json = serde_json::to_value(&error).unwrap();
    assert!(json["elapsed_ms"].take().is_u64());
    let failure = json["failure"].take();
    assert_eq!((&failure["kind"], &failure["attempts"][0]["status"]), (&json!("refused"), &json!(400)));
    let receipts = json["receipts"].take();
    assert_eq!(receipts.as_array().unwrap().len(), 1);
    assert_eq!(receipts[0]["delivery"], "accepted");
    assert_eq!(
        json,
        json!({
            "error": error.to_string(), "failed_message": 2, "failure": null, "batch_id": "b", "messages": 2, "accepted": 1, "slots": 1, "skipped": 0,
            "requests": 2, "elapsed_ms": null, "waited_ms": 0, "resume_from": "2@1", "receipts": null
        })
    );
    let kind = pushslots::Error::from(error).kind();
    assert_eq!(kind, ErrorKind::Refused);
}

#[tokio::test(start_paused = true)]
async fn publications_to_different_destinations_run_side_by_side() {
    let slow = Fate::Answered(Reply { after: Duration::from_secs(1), ..Reply::accepted() });
    let (model, client) = serve([slow]);
    let (north, south) = (slots(0..300), slots(300..600));
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
async fn what_is_borrowed_shared_or_owned_can_be_published() {
    let (_, client) = serve([ok()]);
    let location = Location::new().facility_identifier(Identifier::new("RES", "Facility ID")).share();
    let slots: Vec<_> = slots(0..2).into_iter().map(|slot| slot.location(&location)).collect();
    let shared: Vec<_> = slots.iter().cloned().map(Arc::new).collect();
    drop((
        client.publish(&slots),
        client.publish(shared),
        client.publish(slots.clone()),
        client.publish([&slots[0]]),
    ));
    // Nothing is sent until it is awaited.
    assert!(client.publish(slots).into_future().now_or_never().is_none());
}
