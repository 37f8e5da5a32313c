//! Publications that keep their state in a checkpoint.

use std::fs;
use std::future::IntoFuture;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream;
use pushslots::uuid::Uuid;
use pushslots::{
    Checkpoint, CheckpointError, Client, ErrorKind, Meta, PublishError, PushSlots, Slot,
};
use serde_json::Value;
use support::batch::{accepted, arrived, serve, slots};
use support::examples::Folder;
use support::model::{Reply, ScriptedOutcome, ok};
use tokio::time::{sleep, timeout};

fn slow(seconds: u64) -> ScriptedOutcome {
    ScriptedOutcome::Response(Reply { after: Duration::from_secs(seconds), ..Reply::accepted() })
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn assert_checkpoint_error(error: &PublishError, part: &str) {
    assert_eq!(error.error().kind(), ErrorKind::Checkpoint, "{error}");
    assert!(error.to_string().contains(part), "{error}");
}

/// Drops a publication while its third message is in flight.
async fn interrupt_publication(client: &Client, slots: &[Slot], path: &Path, is_stream: bool) {
    let publication = match is_stream {
        true => client.publish_stream(stream::iter(slots.to_vec())),
        false => client.publish(slots),
    };
    // Keys with escapes must have the same bytes after the restart.
    let meta: Meta = serde_json::from_str(
        r#"{"Test":true,"gr\u00f6\u00dfe":1,"Extensions":{"a\/b":{"c\/d":1}}}"#,
    )
    .unwrap();
    let publication = publication.slots_per_message(10).checkpoint(path).meta(meta);
    let handle = publication.handle();
    let third_in_flight = async {
        while handle.report().run().accepted_messages < 2
            || read(path)["resume_point"].as_str().unwrap() < "3"
        {
            sleep(Duration::from_millis(100)).await;
        }
        sleep(Duration::from_millis(500)).await;
    };
    tokio::select! {
        result = publication.into_future() => panic!("{result:?}"),
        () = third_in_flight => {}
    }
}

#[tokio::test]
async fn batch_resumes_from_its_file_with_the_same_bytes() {
    for is_stream in [false, true] {
        let folder = Folder::create();
        let path = folder.path().join("slots.checkpoint");
        let (model, client) = serve([ok(), ok(), slow(60), ok()]);
        let slots = slots(0..100);
        interrupt_publication(&client, &slots, &path, is_stream).await;
        let saved = read(&path);
        assert_eq!(
            (&saved["pushslots_checkpoint"], &saved["slots_per_message"]),
            (&1.into(), &10.into())
        );
        assert_eq!(saved["meta"]["Test"], true);
        // The saved settings take precedence over those of the next run.
        let publication = match is_stream {
            true => client.publish_stream(stream::iter(slots.clone())),
            false => client.publish(&slots),
        };
        let report = publication.slots_per_message(33).checkpoint(&path).await.unwrap();
        assert_eq!(saved["batch_id"], report.batch_id());
        assert_eq!((report.run().accepted_slots, report.batch().accepted_slots), (80, 100));
        let sent = arrived(&model);
        assert_eq!((sent[2].message_id, &sent[2].body), (sent[3].message_id, &sent[3].body));
        assert_eq!(
            accepted(&model),
            [0..20, 20..30, 20..100].into_iter().flatten().collect::<Vec<_>>()
        );
        assert!(!path.exists(), "a complete batch removes its checkpoint");
        // The next publication starts a new batch.
        let next = client.publish(&slots).checkpoint(&path).await.unwrap();
        assert_ne!(next.batch_id(), report.batch_id());
        let names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["slots.checkpoint.lock"]);
    }
}

#[tokio::test]
async fn unusable_checkpoint_is_an_error_and_is_kept() {
    let folder = Folder::create();
    let path = folder.path().join("slots.checkpoint");
    let (_, client) = serve([ok(), ok(), slow(60)]);
    let all = slots(0..100);
    interrupt_publication(&client, &all, &path, false).await;
    let good = fs::read_to_string(&path).unwrap();
    let other_slots = slots(50..150);
    let destination = Meta::new().destination(Uuid::from_u128(9));
    let (model, client) = serve([ok()]);
    let publish = |slots: &[Slot]| client.publish(slots.to_vec()).checkpoint(&path);
    for (content, part) in [
        ("", "isn't a pushslots checkpoint"),
        ("{\"resume_point\":\"1\"}", "isn't a pushslots checkpoint"),
        ("\u{0}\u{1}", "isn't a pushslots checkpoint"),
        (&good[..good.find("\"meta\"").unwrap()], "isn't a pushslots checkpoint"),
        (&good.replace("checkpoint\":1", "checkpoint\":2"), "its version is 2"),
        (&good.replace("\"slots_per_message\":10", "\"slots_per_message\":0"), "damaged"),
        (&good.replace("\"resume_point\":\"3", "\"resume_point\":\"x"), "damaged: resume_point"),
        (&good.replace("\"batch_id_is_given\":false", "\"batch_id_is_given\":7"), "damaged"),
        (&"x".repeat(2 << 20), "larger than 1 MiB"),
    ] {
        fs::write(&path, content).unwrap();
        assert_checkpoint_error(&publish(&all).restart_if_changed().await.unwrap_err(), part);
        assert_eq!(fs::read_to_string(&path).unwrap(), content, "the file is kept");
    }
    fs::write(&path, &good).unwrap();
    assert_checkpoint_error(
        &publish(&all).batch_id("other").await.unwrap_err(),
        "another batch id",
    );
    assert_checkpoint_error(
        &publish(&all).meta(destination).await.unwrap_err(),
        "other destinations",
    );
    assert_checkpoint_error(&publish(&all).resume_from(2).await.unwrap_err(), "another point");
    assert_checkpoint_error(
        &publish(&other_slots).await.unwrap_err(),
        "which has other slots or destinations",
    );
    let stream = client.publish_stream(stream::iter(other_slots)).checkpoint(&path);
    assert_checkpoint_error(&stream.await.unwrap_err(), "which has other slots or destinations");
    let error = client.publish(&all).restart_if_changed().await.unwrap_err();
    assert_eq!(error.error().problems()[0].to_string(), "restart_if_changed: needs a checkpoint");
    assert_eq!(fs::read_to_string(&path).unwrap(), good, "the file is kept");

    let missing = folder.path().join("missing").join("slots.checkpoint");
    assert_checkpoint_error(
        &client.publish(&all).checkpoint(&missing).await.unwrap_err(),
        "missing",
    );
    fs::write(folder.path().join("file"), "").unwrap();
    let below = folder.path().join("file").join("slots.checkpoint");
    assert_checkpoint_error(&client.publish(&all).checkpoint(below).await.unwrap_err(), "file");
    assert!(model.calls().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn restart_if_changed_starts_a_new_batch_and_keeps_the_old_file() {
    let folder = Folder::create();
    let path = folder.path().join("slots.checkpoint");
    let (_, client) = serve([ok(), ok(), slow(60)]);
    let yesterday = slots(0..100);
    interrupt_publication(&client, &yesterday, &path, false).await;
    let good = fs::read_to_string(&path).unwrap();
    let today = slots(30..130);
    for (round, is_stream) in [(1, false), (2, true)] {
        fs::write(&path, &good).unwrap();
        let (model, client) = serve([ok()]);
        let publish = || match is_stream {
            true => client
                .publish_stream(stream::iter(today.clone()))
                .checkpoint(&path)
                .restart_if_changed(),
            false => client.publish(&today).checkpoint(&path).restart_if_changed(),
        };
        let report = match publish().await {
            Ok(report) => report,
            Err(error) => {
                assert!(is_stream && model.calls().is_empty());
                assert_checkpoint_error(&error, "publish the stream again");
                publish().await.unwrap()
            }
        };
        assert_eq!((accepted(&model).len(), report.batch().accepted_slots), (100, 100));
        let kept = folder.path().join(format!("slots.checkpoint.replaced-{round}"));
        assert_eq!(fs::read_to_string(kept).unwrap(), good);
        assert!(!path.exists());
    }
    // Another batch id starts another batch.
    fs::write(&path, &good).unwrap();
    let (model, client) = serve([ok()]);
    client
        .publish(&yesterday)
        .checkpoint(&path)
        .batch_id("today")
        .restart_if_changed()
        .await
        .unwrap();
    assert_eq!(arrived(&model)[0].batch_id.as_deref(), Some("today"));
}

#[tokio::test]
async fn second_publication_with_the_same_checkpoint_fails() {
    let folder = Folder::create();
    let path = folder.path().join("slots.checkpoint");
    let (model, client) = serve([slow(2)]);
    let slots = slots(0..10);
    let first = client.publish(&slots).checkpoint(&path);
    let second = client.publish(&slots).checkpoint(&path);
    let second = async {
        while model.calls().is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
        second.await
    };
    let (first, second) = tokio::join!(first.into_future(), second);
    assert_checkpoint_error(&second.unwrap_err(), "another publication is using it");
    assert_eq!(first.unwrap().run().accepted_slots, 10);
    client.publish(&slots).checkpoint(&path).await.unwrap();
}

/// A checkpoint in memory that records its writes, delays each of them, and may run out of space.
#[derive(Clone, Default)]
struct MemoryCheckpoint {
    text: Arc<Mutex<Option<String>>>,
    saves: Arc<Mutex<Vec<String>>>,
    /// The number of writes that succeed, or `None` if all do.
    max_saves: Option<usize>,
}

impl Checkpoint for MemoryCheckpoint {
    async fn load(&self) -> Result<Option<String>, CheckpointError> {
        Ok(self.text.lock().unwrap().clone())
    }

    async fn save(&self, text: &str) -> Result<(), CheckpointError> {
        sleep(Duration::from_millis(100)).await;
        if self.max_saves.is_some_and(|max| self.saves.lock().unwrap().len() >= max) {
            return Err("the disk is full".into());
        }
        self.saves.lock().unwrap().push(text.to_owned());
        *self.text.lock().unwrap() = Some(text.to_owned());
        Ok(())
    }

    async fn remove(&self) -> Result<(), CheckpointError> {
        *self.text.lock().unwrap() = None;
        Ok(())
    }

    async fn archive(&self) -> Result<String, CheckpointError> {
        Err("archiving isn't supported".into())
    }
}

#[tokio::test(start_paused = true)]
async fn message_is_in_flight_until_it_is_saved() {
    for concurrency in [1, 4] {
        let (model, client) = serve([ok()]);
        let slots = slots(0..200);
        let checkpoint = MemoryCheckpoint::default();
        let saved = checkpoint.saves.clone();
        let publication = client.publish(&slots).slots_per_message(10).concurrency(concurrency);
        let calls = model.clone();
        let publication =
            publication.checkpoint_in(checkpoint.clone()).on_progress(move |progress| {
                let saves = saved.lock().unwrap();
                let accepted = progress.run.accepted_messages as usize;
                let started = calls.calls().len();
                assert!(
                    started == 0 || !saves.is_empty(),
                    "the checkpoint is saved before the first send"
                );
                assert!(started == 0 || started - accepted < concurrency);
            });
        publication.await.unwrap();
        assert_eq!(accepted(&model).len(), 200);
        let saves = checkpoint.saves.lock().unwrap().len();
        match concurrency {
            1 => assert_eq!(saves, 20, "the last acceptance removes the checkpoint instead"),
            _ => assert!(saves < 12, "{saves} writes for 20 messages"),
        }
        assert_eq!(*checkpoint.text.lock().unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn publication_can_be_resumed_after_the_disk_was_full() {
    for (max_saves, concurrency) in [(0, 1), (1, 1), (5, 1), (3, 4)] {
        let (model, client) = serve([ok()]);
        let slots = slots(0..200);
        let checkpoint =
            MemoryCheckpoint { max_saves: Some(max_saves), ..MemoryCheckpoint::default() };
        let publish = |checkpoint| {
            let publication = client.publish(&slots).slots_per_message(10).concurrency(concurrency);
            publication.checkpoint_in(checkpoint)
        };
        let error = publish(checkpoint.clone()).await.unwrap_err();
        assert_checkpoint_error(&error, "the disk is full");
        assert!(std::error::Error::source(&error).is_some());
        let report = error.report();
        assert_eq!(
            report.run().accepted_slots,
            accepted(&model).len(),
            "messages in flight are completed"
        );
        assert_eq!(model.calls().is_empty(), max_saves == 0);
        let point = report.resume_point().unwrap();
        assert_eq!(point.slots_before(), Some(accepted(&model).len()));

        // Once there is space again, the saved state is enough to resume. Repeated messages keep
        // their ids.
        publish(MemoryCheckpoint { max_saves: None, ..checkpoint }).await.unwrap();
        let mut messages = arrived(&model);
        let requests = messages.len();
        messages.sort_by_key(|message| message.message_id);
        messages.dedup_by_key(|message| message.message_id);
        assert!(requests - messages.len() <= concurrency, "{requests}");
        let mut slots: Vec<_> = messages.into_iter().flat_map(|message| message.slots).collect();
        slots.sort_unstable();
        assert_eq!(slots, (0..200).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn checkpoint_is_saved_after_a_failure_and_a_stop() {
    let (model, client) = serve([ok(), ScriptedOutcome::Cut { accepted: true }]);
    let slots = slots(0..40);
    let checkpoint = MemoryCheckpoint::default();
    let publish = || client.publish(&slots).slots_per_message(10).checkpoint_in(checkpoint.clone());
    let error = publish().patience(Duration::ZERO).await.unwrap_err();
    let saved: Value =
        serde_json::from_str(checkpoint.text.lock().unwrap().as_deref().unwrap()).unwrap();
    assert_eq!(saved["resume_point"], error.report().resume_point().unwrap().to_string());

    let publication = publish().patience(Duration::from_secs(600));
    let handle = publication.handle();
    assert!(timeout(Duration::from_secs(60), publication.into_future()).await.is_err());
    let publication = publish();
    publication.handle().stop();
    let stopped = publication.await.unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Stopped);
    assert_eq!(stopped.report().resume_point(), handle.report().resume_point());
    assert!(model.calls().len() > 8);
}

#[tokio::test(start_paused = true)]
async fn unreadable_members_of_meta_are_saved_unchanged() {
    let read = r#"{"Meta":{"EventDateTime":"2026-12-01T00:00:00Z","x":[1,{"y":"é"}]},"Slots":[]}"#;
    let meta = PushSlots::from_json(read.as_bytes()).unwrap().meta().clone();
    let (model, client) = serve([ok(), ScriptedOutcome::Hangs { accepted: true }, ok()]);
    let slots = slots(0..40);
    let checkpoint = MemoryCheckpoint::default();
    let publish = || client.publish(&slots).slots_per_message(10).checkpoint_in(checkpoint.clone());
    assert!(timeout(Duration::from_secs(60), publish().meta(meta).into_future()).await.is_err());
    publish().await.unwrap();
    let sent = arrived(&model);
    assert_eq!((sent[1].message_id, &sent[1].body), (sent[2].message_id, &sent[2].body));
    assert!(String::from_utf8_lossy(&sent[3].body).contains(r#""x":[1,{"y":"é"}]"#));
}

#[tokio::test(start_paused = true)]
async fn shorter_list_counts_as_another_batch() {
    let (_, client) = serve([ok(), ok(), ScriptedOutcome::Hangs { accepted: false }]);
    let yesterday = slots(0..100);
    let text = Arc::new(Mutex::new(None));
    let checkpoint = || ArchivingCheckpoint(text.clone());
    let publication = client.publish(&yesterday).slots_per_message(10).checkpoint_in(checkpoint());
    assert!(timeout(Duration::from_secs(60), publication.into_future()).await.is_err());
    let (model, client) = serve([ok()]);
    let error = client.publish(&yesterday[..15]).checkpoint_in(checkpoint()).await.unwrap_err();
    assert_checkpoint_error(&error, "which has other slots or destinations");
    client
        .publish(&yesterday[..15])
        .checkpoint_in(checkpoint())
        .restart_if_changed()
        .await
        .unwrap();
    assert_eq!(accepted(&model), (0..15).collect::<Vec<_>>());
}

/// A checkpoint in memory that supports archiving.
struct ArchivingCheckpoint(Arc<Mutex<Option<String>>>);

impl Checkpoint for ArchivingCheckpoint {
    async fn load(&self) -> Result<Option<String>, CheckpointError> {
        Ok(self.0.lock().unwrap().clone())
    }

    async fn save(&self, text: &str) -> Result<(), CheckpointError> {
        *self.0.lock().unwrap() = Some(text.to_owned());
        Ok(())
    }

    async fn remove(&self) -> Result<(), CheckpointError> {
        *self.0.lock().unwrap() = None;
        Ok(())
    }

    async fn archive(&self) -> Result<String, CheckpointError> {
        self.0.lock().unwrap().take().ok_or("empty")?;
        Ok("nowhere".to_owned())
    }
}

#[tokio::test(start_paused = true)]
async fn messages_accepted_before_an_invalid_slot_are_saved() {
    for concurrency in [1, 3] {
        let (model, client) = serve([slow(2)]);
        let mut slots = slots(0..45);
        slots[35].duration = None;
        let checkpoint = MemoryCheckpoint::default();
        let publish = |slots: &[Slot]| {
            let stream = client.publish_stream(stream::iter(slots.to_vec())).slots_per_message(10);
            stream.concurrency(concurrency).checkpoint_in(checkpoint.clone())
        };
        let error = publish(&slots).await.unwrap_err();
        assert_eq!(error.error().kind(), ErrorKind::InvalidMessage);
        let saved: Value =
            serde_json::from_str(checkpoint.text.lock().unwrap().as_deref().unwrap()).unwrap();
        assert_eq!(saved["resume_point"], error.report().resume_point().unwrap().to_string());
        slots[35].duration = Some(15.into());
        publish(&slots).await.unwrap();
        let mut sent = accepted(&model);
        sent.sort_unstable();
        assert_eq!(sent, (0..45).collect::<Vec<_>>(), "nothing is sent again");
        assert_eq!(arrived(&model).len(), 5);
    }
}

#[tokio::test(start_paused = true)]
async fn publication_without_slots_leaves_no_checkpoint() {
    let (_, client) = serve([ok()]);
    let checkpoint = MemoryCheckpoint::default();
    client.publish(Vec::<Slot>::new()).checkpoint_in(checkpoint.clone()).await.unwrap_err();
    assert_eq!(*checkpoint.text.lock().unwrap(), None);
    let point: pushslots::ResumePoint = "7@60".parse().unwrap();
    let error = client
        .publish(slots(0..90))
        .checkpoint_in(checkpoint)
        .resume_from(point)
        .await
        .unwrap_err();
    assert_eq!(error.error().problems()[0].path(), "batch_id");
}

#[tokio::test(start_paused = true)]
async fn new_batch_ignores_the_resume_point_of_the_old_one() {
    let (_, client) = serve([ok(), ok(), ScriptedOutcome::Hangs { accepted: false }]);
    let slots = slots(0..100);
    let text = Arc::new(Mutex::new(None));
    let publication = client
        .publish(&slots)
        .slots_per_message(10)
        .checkpoint_in(ArchivingCheckpoint(text.clone()));
    let handle = publication.handle();
    assert!(timeout(Duration::from_secs(60), publication.into_future()).await.is_err());
    let saved: Value = serde_json::from_str(text.lock().unwrap().as_deref().unwrap()).unwrap();
    let point: pushslots::ResumePoint = saved["resume_point"].as_str().unwrap().parse().unwrap();
    assert_eq!(point.number(), handle.report().resume_point().unwrap().number());
    let (model, client) = serve([ok()]);
    let publication =
        client.publish(&slots).checkpoint_in(ArchivingCheckpoint(text)).resume_from(point);
    publication.batch_id("another").restart_if_changed().await.unwrap();
    assert_eq!(accepted(&model), (0..100).collect::<Vec<_>>());
}
