//! Names of persons in files and logs.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pushslots::chrono::TimeDelta;
use pushslots::uuid::Uuid;
use pushslots::{Provider, PushSlots, Slot};
use pushslots_outbox::{BodyKeys, DeadReason, EntryState, Outbox, OutboxError};
use tracing_subscriber::filter::LevelFilter;

use crate::folder::Folder;
use crate::service::{Reply, Service, start};

const FIRST_NAME: &str = "Zebulon";
const LAST_NAME: &str = "Quarterstaff";

/// The log of all threads of this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn slots() -> Vec<Slot> {
    let provider = Provider::new().id("4356789876", "NPI").name(FIRST_NAME, LAST_NAME);
    let slot = |number: i64| {
        let start = start() + TimeDelta::days(7) + TimeDelta::minutes(15 * number);
        Slot::new(start, 15).provider(provider.clone())
    };
    (0..40).map(slot).collect()
}

/// Returns the number of places at which the bytes have one of the names.
fn names_in(bytes: &[u8]) -> usize {
    let is_name = |name: &str, place: usize| bytes[place..].starts_with(name.as_bytes());
    (0..bytes.len())
        .filter(|place| is_name(FIRST_NAME, *place) || is_name(LAST_NAME, *place))
        .count()
}

fn files(folder: &Folder) -> Vec<u8> {
    let entries = std::fs::read_dir(folder.path()).unwrap();
    entries.flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}

/// Delivers a batch, and leaves a dead letter and a waiting entry. Returns the dead letter's id.
async fn live(service: &Service, outbox: &Outbox) -> Uuid {
    let worker = outbox.worker(&service.client()).start().unwrap();
    for entry in outbox.publish(slots()).slots_per_message(10).await.unwrap() {
        outbox.wait_for(entry.message_id()).await.unwrap();
    }
    let message = PushSlots::builder().slots(slots()).build().unwrap();
    let rejected = outbox.enqueue(&message).lane("rejected");
    let id = Uuid::new_v4();
    service.reply_to(id, [Reply::Echo(503), Reply::Echo(400)]);
    rejected.message_id(id).await.unwrap();
    let OutboxError::NotAccepted(details) = outbox.wait_for(id).await.unwrap_err() else {
        panic!("it was rejected")
    };
    assert_eq!(details.entry().state(), EntryState::Dead(DeadReason::Rejected));
    tracing::info!(?details, ?message, "a caller logs what it has");
    let later = start() + TimeDelta::days(1);
    outbox.enqueue(&message).not_before(later).await.unwrap();
    worker.shutdown(Duration::from_secs(10)).await;
    id
}

#[tokio::test]
async fn files_and_logs_contain_no_names() {
    let buffer = Log::default();
    let writer = buffer.clone();
    // For all threads, because the storage has its own.
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let (service, folder) = (Service::new(), Folder::new());
    // With the key, the bodies can be read. Without it, no byte of a name is left.
    let keys = BodyKeys::new("2026-11-30", [1; 32]).unwrap();
    let outbox = service.builder().body_keys(keys).open(folder.outbox()).await.unwrap();
    let id = live(&service, &outbox).await;
    drop(outbox);
    let (files, log) = (files(&folder), std::mem::take(&mut *buffer.0.lock().unwrap()));
    println!("{} names in {} bytes of files", names_in(&files), files.len());
    println!("{} names in {} bytes of the log", names_in(&log), log.len());
    assert_eq!((names_in(&files), names_in(&log)), (0, 0));
    // The message id joins the spans of a message.
    let log = String::from_utf8(log).unwrap();
    for span in ["enqueue", "deliver", "send"] {
        assert!(log.contains(&format!("{span}{{pushslots.message_id={id}")), "{span}");
    }

    // The search finds the names in bodies that are only compressed.
    let folder = Folder::new();
    let outbox = service.builder().open(folder.outbox()).await.unwrap();
    live(&service, &outbox).await;
    drop(outbox);
    assert!(names_in(&self::files(&folder)) > 0);
    let log = std::mem::take(&mut *buffer.0.lock().unwrap());
    assert_eq!(names_in(&log), 0);
}
