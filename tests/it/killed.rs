//! Publications in a process that is killed at a random moment. The next process resumes them from
//! their checkpoint.
//!
//! `PUSHSLOTS_KILLS=1000` kills this number of processes. `PUSHSLOTS_KILL_SEED=7` repeats the
//! moments of a seed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pushslots::Client;
use pushslots::mock::MockService;
use pushslots::uuid::Uuid;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use support::batch::slots;
use support::examples::Folder;
use support::seeds::setting;

const SLOTS: usize = 120;
const SLOTS_PER_MESSAGE: usize = 2;

/// The default number of kills. It takes a few seconds.
const KILLS: u64 = 50;

/// Runs in the process that is killed. Publishes with the checkpoint and the concurrency from its
/// environment.
#[tokio::test]
#[ignore = "runs in a separate process, which the test below starts"]
async fn publishes_with_a_checkpoint() {
    let variable = |name| std::env::var(name).unwrap();
    let concurrency = variable("CONCURRENCY").parse().unwrap();
    let slots = slots(0..SLOTS);
    let client = Client::from_env().unwrap();
    let publication =
        client.publish(&slots).slots_per_message(SLOTS_PER_MESSAGE).concurrency(concurrency);
    publication.checkpoint(variable("CHECKPOINT")).await.unwrap();
}

struct Service {
    mock: MockService,
    arrivals: Receiver<Arrived>,
}

/// A message that arrived.
struct Arrived {
    /// The access token. Each process has its own.
    token: String,
    id: Uuid,
    body: Vec<u8>,
}

impl Service {
    fn start() -> Self {
        let (sender, arrivals) = channel();
        let builder = MockService::builder().respond_with(move |request| {
            if request.path() == "/endpoint" {
                let header = |name| request.headers()[name].to_str().unwrap().to_owned();
                let token = header("authorization");
                let id = header("idempotency-key").parse().unwrap();
                let _ = sender.send(Arrived { token, id, body: request.body().to_vec() });
            }
            None
        });
        Self { mock: builder.start().unwrap(), arrivals }
    }

    fn publish(&self, folder: &Folder, checkpoint: &Path, concurrency: usize) -> Child {
        let key = folder.file("key.pem", self.mock.private_key_pem());
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::publishes_with_a_checkpoint", "--ignored"])
            .envs([
                ("PUSHSLOTS_BASE_URL", self.mock.url()),
                ("PUSHSLOTS_CLIENT_ID", self.mock.client_id()),
            ])
            .env("PUSHSLOTS_KEY_ID", self.mock.key_id())
            .env("PUSHSLOTS_PRIVATE_KEY_FILE", key)
            .env("PUSHSLOTS_DESTINATION_IDS", self.mock.destination().to_string())
            .env("CONCURRENCY", concurrency.to_string())
            .env("CHECKPOINT", checkpoint)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }
}

/// The totals of all batches.
#[derive(Default)]
struct Totals {
    batches: usize,
    /// Messages sent again by another process.
    repeated: usize,
    lost_slots: usize,
    slots_under_two_ids: usize,
    /// Processes that repeated more messages than can have been in flight.
    excess_repeats: usize,
}

#[test]
fn no_slot_is_lost_when_the_process_is_killed() {
    let kills = setting("PUSHSLOTS_KILLS").unwrap_or(KILLS);
    let seed = setting("PUSHSLOTS_KILL_SEED").unwrap_or_else(|| rand::thread_rng().r#gen());
    println!("PUSHSLOTS_KILL_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut totals = Totals::default();
    let mut killed = 0;
    while killed < kills {
        let concurrency = if rng.gen_bool(0.5) { 1 } else { rng.gen_range(2..6) };
        killed += batch(&mut rng, concurrency, kills - killed, &mut totals);
    }
    let Totals { batches, repeated, lost_slots, slots_under_two_ids, excess_repeats } = totals;
    println!("processes killed: {killed}, batches: {batches}, messages sent again: {repeated}");
    println!("slots lost: {lost_slots}");
    println!("slots sent under two message ids: {slots_under_two_ids}");
    println!("processes that sent more messages again than were in flight: {excess_repeats}");
    assert_eq!((lost_slots, slots_under_two_ids, excess_repeats), (0, 0, 0));
}

/// Publishes one batch, and kills processes until it is complete. Returns the number of killed
/// processes.
fn batch(rng: &mut StdRng, concurrency: usize, max_kills: u64, totals: &mut Totals) -> u64 {
    let service = Service::start();
    let folder = Folder::create();
    let checkpoint = folder.path().join("slots.checkpoint");
    let mut arrived = Vec::new();
    let mut killed = 0;
    loop {
        let mut child = service.publish(&folder, &checkpoint, concurrency);
        // Kills the process after a random number of messages and a random delay.
        let messages = rng.gen_range(0..6);
        let after = Duration::from_micros(rng.gen_range(0..4_000));
        let limit = Instant::now() + Duration::from_secs(60);
        let mut seen = 0;
        while killed < max_kills && seen < messages && child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < limit, "the process sends nothing");
            if let Ok(message) = service.arrivals.recv_timeout(Duration::from_millis(20)) {
                arrived.push(message);
                seen += 1;
            }
        }
        if killed < max_kills {
            sleep(after);
        } else {
            while child.try_wait().unwrap().is_none() {
                assert!(Instant::now() < limit, "the process doesn't end");
                service
                    .arrivals
                    .recv_timeout(Duration::from_millis(20))
                    .into_iter()
                    .for_each(|message| arrived.push(message));
            }
        }
        let exited = child.try_wait().unwrap();
        if exited.is_none() {
            child.kill().unwrap();
            killed += 1;
        }
        let status = child.wait().unwrap();
        // The process may be killed after it completed the batch.
        if status.success() || (!checkpoint.exists() && !arrived.is_empty()) {
            break;
        }
        assert!(exited.is_none(), "the process failed before it was killed: {status}");
    }
    // Requests sent before a kill may still arrive.
    while let Ok(message) = service.arrivals.recv_timeout(Duration::from_millis(50)) {
        arrived.push(message);
    }
    count(&arrived, concurrency, totals);
    killed
}

fn count(arrived: &[Arrived], concurrency: usize, totals: &mut Totals) {
    let mut first_arrivals = BTreeMap::<Uuid, &Arrived>::new();
    // The number of messages that each process sent again, by its token.
    let mut repeats = BTreeMap::<&str, usize>::new();
    for message in arrived {
        let first = first_arrivals.entry(message.id).or_insert(message);
        assert_eq!(first.body, message.body, "messages with the same id have the same bytes");
        if first.token != message.token {
            *repeats.entry(&message.token).or_default() += 1;
        }
    }
    // The number of message ids under which each slot was sent.
    let mut ids = BTreeMap::<String, usize>::new();
    for first in first_arrivals.values() {
        let message: serde_json::Value = serde_json::from_slice(&first.body).unwrap();
        for slot in message["Slots"].as_array().unwrap() {
            *ids.entry(slot["ID"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    totals.batches += 1;
    totals.repeated += repeats.values().sum::<usize>();
    totals.excess_repeats += repeats.values().filter(|repeats| **repeats > concurrency).count();
    totals.lost_slots += SLOTS - ids.len();
    totals.slots_under_two_ids += ids.values().filter(|ids| **ids > 1).count();
}
