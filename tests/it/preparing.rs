//! Messages that are prepared, stored, and sent later. They keep their bytes, message ids and batch
//! numbers in any process.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use pushslots::bytes::Bytes;
use pushslots::mock::{MockResponse, MockService};
use pushslots::uuid::Uuid;
use pushslots::{
    Client, ErrorKind, Meta, PreparedMessage, PublishError, PushSlots, RestoreError, Slot,
};
use support::batch::{arrived, serve, slots};
use support::examples::{Folder, program};
use support::message;
use support::model::ok;
use support::seeds::setting;

const MESSAGES: usize = 1_000;

/// Returns the file name of a stored message. The names sort in the order of the batch.
fn file_name(number: usize) -> String {
    format!("{number:04}.prepared")
}

/// Runs in a separate process. Sends the messages that the first process prepared, from a client
/// with other settings.
#[tokio::test]
#[ignore = "runs in a separate process, which a test below starts"]
async fn sends_stored_messages() {
    let folder = std::env::var("PREPARED_FOLDER").unwrap();
    let client = Client::from_env().unwrap();
    for number in 0..MESSAGES {
        let stored = std::fs::read(Path::new(&folder).join(file_name(number))).unwrap();
        let message = PreparedMessage::from_bytes(&stored).unwrap();
        let receipt = client.send(&message).await.unwrap();
        assert_eq!(
            (receipt.message_id(), receipt.slots()),
            (message.message_id(), message.slots())
        );
    }
}

async fn send_stored_messages(service: &MockService, folder: &Folder) {
    let key = folder.file("key.pem", service.private_key_pem());
    let mut process = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "preparing::sends_stored_messages", "--ignored"])
        .envs([("PUSHSLOTS_BASE_URL", service.url()), ("PUSHSLOTS_CLIENT_ID", service.client_id())])
        .env("PUSHSLOTS_KEY_ID", service.key_id())
        .env("PUSHSLOTS_PRIVATE_KEY_FILE", key)
        // The messages keep their own destinations.
        .env("PUSHSLOTS_DESTINATION_IDS", Uuid::from_u128(99).to_string())
        .env("PREPARED_FOLDER", folder.path())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let status = tokio::time::timeout(Duration::from_secs(120), process.wait()).await;
    assert!(status.expect("the process timed out").unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stored_messages_are_sent_byte_for_byte_by_another_process() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let at_service = seen.clone();
    let builder = MockService::builder().deduplicate().rate_limit(100_000, Duration::from_secs(60));
    let service = builder
        .respond_with(move |request| {
            if request.path() == "/endpoint" {
                let id: Uuid =
                    request.headers()["idempotency-key"].to_str().unwrap().parse().unwrap();
                at_service.lock().unwrap().push((id, request.body().clone()));
            }
            None
        })
        .start()
        .unwrap();
    let client = Client::builder().mock(&service).build().unwrap();
    let slots = slots(0..2 * MESSAGES);
    let publication = client.publish(&slots).batch_id("batch").slots_per_message(2);
    let prepared: Vec<_> = publication.prepare().try_collect().await.unwrap();
    assert!(service.requests().is_empty(), "nothing is sent, not even a token request");
    let folder = Folder::create();
    for (number, message) in prepared.iter().enumerate() {
        folder.file(&file_name(number), message.to_bytes());
    }

    send_stored_messages(&service, &folder).await;
    let expected: Vec<(Uuid, Bytes)> =
        prepared.iter().map(|message| (message.message_id(), message.body().clone())).collect();
    assert!(*seen.lock().unwrap() == expected, "other bytes or ids arrived");
    let after_first: Vec<Slot> = service.slots();
    assert_eq!(after_first, slots);

    send_stored_messages(&service, &folder).await;
    assert_eq!(seen.lock().unwrap().len(), 2 * MESSAGES);
    assert!(seen.lock().unwrap()[MESSAGES..] == expected, "the second run sent something else");
    assert_eq!(
        service.slots(),
        after_first,
        "a service that deduplicates by message id has the slots once"
    );
    let numbers: Vec<_> =
        service.batch("batch").iter().map(|message| message.meta().current_batch).collect();
    assert_eq!(numbers, (1..=MESSAGES as u64).map(Some).collect::<Vec<_>>());
    println!(
        "{MESSAGES} messages prepared, stored, restored in another process and sent, twice: \
         0 differ"
    );
}

#[tokio::test(start_paused = true)]
async fn prepared_messages_equal_those_of_a_publication() {
    let (model, client) = serve([ok()]);
    let slots = slots(0..50);
    for (per_message, bytes) in [(7, 1_000_000), (1_000, 4_000), (1_000, 1_000_000)] {
        let publication = || {
            let publication = client.publish(&slots).batch_id("batch").meta(Meta::new().test(true));
            publication.slots_per_message(per_message).bytes_per_message(bytes)
        };
        let before = arrived(&model).len();
        let report = publication().await.unwrap();
        let sent = &arrived(&model)[before..];
        let prepared: Vec<_> = publication().prepare().try_collect().await.unwrap();
        assert_eq!(prepared.len(), sent.len());
        for (index, (message, sent)) in prepared.iter().zip(sent).enumerate() {
            assert_eq!((message.message_id(), message.body()), (sent.message_id, &sent.body));
            assert_eq!(message.slots(), report.receipts()[index].slots());
            assert_eq!(message.slots(), sent.slots[0]..sent.slots.last().unwrap() + 1);
            assert_eq!((message.slot_count(), message.destination_count()), (sent.slots.len(), 1));
            let batch = message.batch().unwrap();
            assert_eq!((batch.id.as_str(), batch.number), ("batch", index as u64 + 1));
            assert_eq!(batch.total, Some(prepared.len() as u64));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn stream_is_read_at_most_one_message_ahead() {
    let (model, client) = serve([ok()]);
    let slots = slots(0..10);
    let pulled = Arc::new(Mutex::new(0));
    let count = pulled.clone();
    let stream = stream::iter(slots.clone()).map(move |slot| {
        *count.lock().unwrap() += 1;
        slot
    });
    let mut messages =
        client.publish_stream(stream).batch_id("batch").slots_per_message(2).prepare();
    let first = messages.next().await.unwrap().unwrap();
    assert!(*pulled.lock().unwrap() <= 4, "at most the next message is read ahead");
    assert_eq!((first.slots(), first.batch().unwrap().total), (0..2, None));
    let rest: Vec<_> = messages.try_collect().await.unwrap();
    assert_eq!(
        rest.iter().map(PreparedMessage::slots).collect::<Vec<_>>(),
        [2..4, 4..6, 6..8, 8..10]
    );
    for message in std::iter::once(&first).chain(&rest) {
        client.send(message).await.unwrap();
    }
    client
        .publish_stream(stream::iter(slots))
        .batch_id("batch")
        .slots_per_message(2)
        .await
        .unwrap();
    let ids: Vec<_> = arrived(&model).iter().map(|arrived| arrived.message_id).collect();
    assert_eq!(ids[..5], ids[5..]);
}

#[tokio::test(start_paused = true)]
async fn skipped_slots_and_resume_points_count_as_in_a_publication() {
    let (_, client) = serve([ok()]);
    let mut slots = slots(0..9);
    slots[4] = Slot::new(pushslots::chrono::Utc::now(), -5);
    let mut skipped = Vec::new();
    let publication = client.publish(&slots).batch_id("batch").slots_per_message(2);
    let messages: Vec<_> = publication
        .skip_invalid(|index, _| skipped.push(index))
        .prepare()
        .try_collect()
        .await
        .unwrap();
    let ranges: Vec<_> = messages.iter().map(PreparedMessage::slots).collect();
    assert_eq!((ranges.as_slice(), messages[2].slot_count()), (&[0..2, 2..4, 4..7, 7..9][..], 2));
    assert_eq!(skipped, [4]);
    let third =
        client.publish(&slots).batch_id("batch").slots_per_message(2).skip_invalid(|_, _| ());
    let third = third.resume_from(3).prepare().next().await.unwrap().unwrap();
    assert_eq!(third, messages[2]);
}

#[tokio::test(start_paused = true)]
async fn invalid_options_or_slots_yield_a_single_error() {
    let (model, client) = serve([ok()]);
    let valid = slots(0..2);
    let invalid = [Slot::new(pushslots::chrono::Utc::now(), -5)];
    let folder = Folder::create();
    let cases = [
        (client.publish(&valid).slots_per_message(0), ErrorKind::Configuration),
        (
            client.publish(&valid).checkpoint(folder.path().join("checkpoint")),
            ErrorKind::Configuration,
        ),
        (client.publish(&invalid), ErrorKind::InvalidMessage),
        (client.publish(&valid[..0]), ErrorKind::InvalidMessage),
    ];
    for (publication, kind) in cases {
        let mut messages = publication.prepare();
        let error: PublishError = messages.next().await.unwrap().unwrap_err();
        assert_eq!(error.error().kind(), kind, "{error}");
        assert!(messages.next().await.is_none());
    }
    assert_eq!((model.calls().len(), model.token_requests()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn single_message_is_prepared_with_its_id() {
    let (model, client) = serve([ok()]);
    let id = Uuid::from_u128(5);
    let prepared = client.send(&message()).message_id(id).prepare().unwrap();
    assert_eq!((prepared.message_id(), prepared.batch()), (id, None));
    assert_eq!(model.token_requests(), 0);
    let other = client.with_destinations([Uuid::from_u128(2)]);
    let receipt = other.send(&prepared).await.unwrap();
    assert_eq!((receipt.message_id(), receipt.slots()), (id, 0..message().slots().len()));
    assert_eq!(
        model.calls()[0].body,
        prepared.body(),
        "the destinations stay those of the first client"
    );
    let error = client.send(&prepared).message_id(Uuid::from_u128(6)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.problems()[0].path()),
        (ErrorKind::Configuration, "message_id")
    );
    let error = client
        .send(&PushSlots::builder().slots(slots(0..1)).build().unwrap())
        .max_attempts(0)
        .prepare();
    assert_eq!(error.unwrap_err().problems()[0].path(), "max_attempts");
    let mut meta = Meta::new();
    meta.batch_id = Some("own".to_owned());
    meta.current_batch = Some(3);
    let own = PushSlots::builder().meta(meta).slots(slots(0..1)).build().unwrap();
    let own = client.send(&own).prepare().unwrap();
    assert_eq!(own.batch().map(|batch| (batch.id.as_str(), batch.number)), Some(("own", 3)));
}

#[tokio::test(start_paused = true)]
async fn stored_messages_that_are_damaged_newer_or_foreign_are_rejected() {
    let (_, client) = serve([ok()]);
    let prepared = client.send(&message()).prepare().unwrap();
    let stored = prepared.to_bytes();
    assert_eq!(PreparedMessage::from_bytes(&stored), Ok(prepared.clone()));
    let text = String::from_utf8(stored.clone()).unwrap();
    let newer = text.replacen("message 1 ", "message 2 ", 1);
    let error = PreparedMessage::from_bytes(newer.as_bytes()).unwrap_err();
    assert!(matches!(error, RestoreError::Newer { version: 2, .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("has format 2, but this version of pushslots reads only format 1")
    );
    for foreign in [&b""[..], b"{}", b"{}\n", &[0xff; 100], b"pushslots checkpoint 1\n\n"] {
        assert_eq!(PreparedMessage::from_bytes(foreign), Err(RestoreError::Unrecognized));
    }
    // Changes one byte at each position, and truncates the bytes at each position.
    let step = setting("PUSHSLOTS_DAMAGED_STEP").unwrap_or(1) as usize;
    for at in (0..stored.len()).step_by(step) {
        let mut damaged = stored.clone();
        damaged[at] ^= 1;
        let error = PreparedMessage::from_bytes(&damaged).unwrap_err();
        assert!(!error.to_string().contains("Granite"), "{error}");
        PreparedMessage::from_bytes(&stored[..at]).unwrap_err();
    }
    PreparedMessage::from_bytes(&[&stored[..], b" "].concat()).unwrap_err();
    // The stored bytes contain names, but `Debug` doesn't show them.
    let names = BTreeMap::from([
        ("stored", text.contains("Granite")),
        ("debug", format!("{prepared:?}").contains("Granite")),
    ]);
    assert_eq!(names, BTreeMap::from([("stored", true), ("debug", false)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn example_prepares_messages_and_sends_the_remaining_ones() {
    let service = MockService::start().unwrap();
    let folder = Folder::create();
    let key = folder.file("key.pem", service.private_key_pem());
    let outgoing = folder.path().join("outgoing");
    let run = async |verb: &str| {
        let mut command = tokio::process::Command::new(program("prepare_and_send_later"));
        let command = command.arg(verb).arg(&outgoing).kill_on_drop(true);
        command.envs([
            ("PUSHSLOTS_BASE_URL", service.url()),
            ("PUSHSLOTS_CLIENT_ID", service.client_id()),
        ]);
        command.env("PUSHSLOTS_KEY_ID", service.key_id()).env("PUSHSLOTS_PRIVATE_KEY_FILE", &key);
        command.env("PUSHSLOTS_DESTINATION_IDS", service.destination().to_string());
        let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await;
        output.expect("the process timed out").unwrap()
    };
    assert!(run("prepare").await.status.success());
    assert_eq!(service.requests().len(), 0);
    service.respond_next(MockResponse::rejected("No subscriptions").times(1));
    assert!(!run("send").await.status.success(), "the service rejects the first message");
    assert_eq!(std::fs::read_dir(&outgoing).unwrap().count(), 4);
    assert!(run("send").await.status.success());
    assert_eq!((service.slots().len(), std::fs::read_dir(&outgoing).unwrap().count()), (32, 0));
    assert_eq!(service.batch("slots-2026-12-01").len(), 4);
    std::fs::write(outgoing.join("0001.prepared"), "damaged").unwrap();
    let damaged = run("send").await;
    let text = String::from_utf8(damaged.stderr).unwrap();
    assert!(
        !damaged.status.success()
            && text.contains("0001.prepared")
            && text.contains("the stored bytes"),
        "{text}"
    );
}
