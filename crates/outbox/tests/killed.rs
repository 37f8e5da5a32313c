//! A process that enqueues and delivers is killed, at random moments and at each of its steps, and
//! started again. The mock keeps the truth: acknowledged messages arrive, and a copy belongs to an
//! attempt that the entry records as unknown.
//!
//! `PUSHSLOTS_KILLS` is the number of kills, and `PUSHSLOTS_SEED` the seed of their moments.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pushslots::chrono::{TimeDelta, Utc};
use pushslots::mock::MockService;
use pushslots::uuid::Uuid;
use pushslots::{Client, Delivery, PushSlots, Slot};
use pushslots_outbox::{DeadReason, EntryAttempt, EntryState, Outbox};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().unwrap())
}

/// A folder that is removed at the end.
struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Starts the child with the outbox at `path`. It enqueues `messages` messages, and aborts when it
/// reads its clock for the `abort_at`th time, if that is above 0.
fn start(path: &Path, service: &MockService, messages: u64, abort_at: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child", "--nocapture", "--test-threads=1"])
        .env("PUSHSLOTS_OUTBOX", path)
        .env("PUSHSLOTS_MESSAGES", messages.to_string())
        .env("PUSHSLOTS_ABORT_AT", abort_at.to_string())
        .env("PUSHSLOTS_BASE_URL", service.url())
        .env("PUSHSLOTS_CLIENT_ID", service.client_id())
        .env("PUSHSLOTS_KEY_ID", service.key_id())
        .env("PUSHSLOTS_PRIVATE_KEY", service.private_key_pem())
        .env("PUSHSLOTS_DESTINATION_IDS", service.destination().to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Returns the message ids that the child acknowledged before it ended.
fn acknowledged(child: &mut Child) -> Vec<Uuid> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let lines = lines.map_while(Result::ok);
    lines.filter_map(|line| line.strip_prefix("enqueued ").and_then(|id| id.parse().ok())).collect()
}

#[test]
fn acknowledged_messages_arrive_whenever_the_process_is_killed() {
    let kills = setting("PUSHSLOTS_KILLS", 200);
    let seed = setting("PUSHSLOTS_SEED", 1);
    let mut random = StdRng::seed_from_u64(seed);
    let result = survive(kills, |path, service, _| {
        let mut child = start(path, service, 1_000_000, 0);
        // The moment itself is random, so the time isn't a condition of the test.
        std::thread::sleep(Duration::from_millis(random.gen_range(5..200)));
        child.kill().unwrap();
        child
    });
    println!("seed {seed}: {result}");
}

/// The clock is read before an entry is stored, leased, begun and settled, and at each renewal. The
/// process aborts at each of these points, up to the number in `PUSHSLOTS_POINTS`.
#[test]
fn acknowledged_messages_arrive_at_whatever_step_the_process_dies() {
    let points = setting("PUSHSLOTS_POINTS", 60);
    let result = survive(points, |path, service, round| start(path, service, 5, round + 1));
    println!("{result}");
}

/// Lets processes die, and checks the promises of all of them. Returns a description.
fn survive(rounds: u64, mut die: impl FnMut(&Path, &MockService, u64) -> Child) -> String {
    let folder = Folder(std::env::temp_dir().join(format!("pushslots-outbox-{}", Uuid::new_v4())));
    std::fs::create_dir(&folder.0).unwrap();
    let path = folder.0.join("outbox.redb");
    let day = Duration::from_secs(86_400);
    let service = MockService::builder().without_rate_limit().token_lifetime(day).start().unwrap();

    let mut promised = HashSet::new();
    let mut died = 0;
    for round in 0..rounds {
        let mut child = die(&path, &service, round);
        promised.extend(acknowledged(&mut child));
        died += u64::from(!child.wait().unwrap().success());
    }
    // The last run only delivers, including the entries that lost five workers.
    let mut child = start(&path, &service, 0, 0);
    assert!(child.wait().unwrap().success());

    let mut copies = HashMap::<Uuid, usize>::new();
    for message in service.received() {
        *copies.entry(message.message_id().unwrap()).or_default() += 1;
    }
    let lost = promised.iter().filter(|id| !copies.contains_key(id)).count();
    let (unexplained, repeated) = explain(&path, &copies);
    let result = format!(
        "{died} processes died, {} messages acknowledged, {} arrived, {lost} lost, {repeated} \
         arrived more than once, {unexplained} of them unexplained",
        promised.len(),
        copies.len(),
    );
    assert!(!promised.is_empty() && died > rounds / 2, "{result}");
    assert_eq!((lost, unexplained), (0, 0), "{result}");
    result
}

/// Returns the number of messages with copies that no attempt explains, and of all with copies.
#[tokio::main(flavor = "current_thread")]
async fn explain(path: &Path, copies: &HashMap<Uuid, usize>) -> (usize, usize) {
    let outbox = Outbox::builder().open(path).await.unwrap();
    let (mut unexplained, mut repeated) = (0, 0);
    for (id, copies) in copies {
        let details = outbox.entry(*id).await.unwrap().unwrap();
        assert_eq!(details.entry().state(), EntryState::Accepted, "{id}");
        let is_unknown = |attempt: &&EntryAttempt| match attempt {
            EntryAttempt::Sent(attempt) => attempt.delivery == Delivery::Unknown,
            _ => true,
        };
        let unknown = details.attempts().iter().filter(is_unknown).count();
        repeated += usize::from(*copies > 1);
        unexplained += usize::from(*copies > unknown + 1);
    }
    (unexplained, repeated)
}

#[test]
#[ignore = "the other test runs it in its own process"]
fn child() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(enqueue_and_deliver());
}

async fn enqueue_and_deliver() {
    let path = std::env::var("PUSHSLOTS_OUTBOX").unwrap();
    let destination = std::env::var("PUSHSLOTS_DESTINATION_IDS").unwrap().parse().unwrap();
    let abort_at = setting("PUSHSLOTS_ABORT_AT", 0);
    let reads = AtomicU64::new(0);
    let clock = move || {
        if reads.fetch_add(1, Ordering::Relaxed) + 1 == abort_at {
            // Nothing is cleaned up, as after a kill.
            std::process::abort();
        }
        Utc::now()
    };
    let builder = Outbox::builder().destination(destination).clock(clock);
    let outbox = builder.open(path).await.unwrap();
    let client = Client::from_env().unwrap();
    let worker = outbox.worker(&client).start().unwrap();
    let tomorrow = Utc::now() + TimeDelta::days(1);
    for number in 0..setting("PUSHSLOTS_MESSAGES", 0) {
        let message = PushSlots::builder().slot(Slot::new(tomorrow, 15)).build().unwrap();
        let lane = format!("lane {}", number % 16);
        let entry = outbox.enqueue(&message).lane(lane).await.unwrap();
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "enqueued {}", entry.message_id()).unwrap();
        stdout.flush().unwrap();
    }
    let poison = outbox.entries().dead_because(DeadReason::Poison).page(1_000).await.unwrap();
    for entry in poison.entries {
        outbox.replay(entry.message_id()).await.unwrap();
    }
    loop {
        let stats = outbox.stats().await.unwrap();
        if stats.waiting + stats.sending == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    worker.shutdown(Duration::from_secs(10)).await;
}
