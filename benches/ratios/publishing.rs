//! Compares a publication with several messages in flight with handwritten requests, and measures
//! the cost of a checkpoint.
//!
//! * `publish_latency_vs_handwritten` is the time for 200 messages of 50 slots, 16 in flight, to a
//!   service that responds after 50 ms. It is in ratio to reqwest with `buffer_unordered(16)`. Both
//!   times are medians of rounds that measure both sides.
//! * `checkpoint_extra_ms` is the time in milliseconds that a checkpoint adds to each of 200
//!   messages, one in flight. Writing, syncing and renaming a file and syncing its folder are
//!   subtracted. All times are medians of the same rounds.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use pushslots::{Client, Slot};
use tokio::runtime::Builder;

use super::sending::{ByHand, DESTINATION, client, median};
use super::{owned, service, slots};
use crate::print;

const MESSAGES: usize = 200;
const SLOTS_PER_MESSAGE: usize = 50;
const PEOPLE: usize = 100;
const IN_FLIGHT: usize = 16;
const DELAY: Duration = Duration::from_millis(50);
const ROUNDS: usize = 7;

pub fn run() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let slow = service::start(DELAY);
    let fast = service::start(Duration::ZERO);
    runtime.block_on(latency(&client(slow), &ByHand::new(slow)));
    runtime.block_on(checkpoint(&client(fast)));
}

async fn latency(client: &Client, by_hand: &ByHand) {
    let built: Vec<Slot> =
        slots::Records::new(PEOPLE).slots(0..MESSAGES * SLOTS_PER_MESSAGE).collect();
    let records = owned::Records::new(PEOPLE);
    let message = |first| records.message(first, SLOTS_PER_MESSAGE, &[DESTINATION]);
    let theirs: Vec<_> =
        (0..MESSAGES * SLOTS_PER_MESSAGE).step_by(SLOTS_PER_MESSAGE).map(message).collect();
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let publication =
            client.publish(&built).slots_per_message(SLOTS_PER_MESSAGE).concurrency(IN_FLIGHT);
        assert_eq!(publication.await.unwrap().receipts().len(), MESSAGES);
        times[0].push(began.elapsed().as_secs_f64());
        let began = Instant::now();
        let sending = stream::iter(&theirs).map(|message| by_hand.send(message));
        sending.buffer_unordered(IN_FLIGHT).collect::<()>().await;
        times[1].push(began.elapsed().as_secs_f64());
    }
    let [publish, handwritten] = times.map(median);
    print("publish_latency_vs_handwritten", publish / handwritten);
}

async fn checkpoint(client: &Client) {
    let folder = std::env::temp_dir().join(format!("pushslots-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("checkpoint");
    let built: Vec<Slot> = slots::Records::new(PEOPLE).slots(0..MESSAGES).collect();
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let began = Instant::now();
        client.publish(&built).slots_per_message(1).checkpoint(&path).await.unwrap();
        times[0].push(began.elapsed().as_secs_f64());
        let began = Instant::now();
        client.publish(&built).slots_per_message(1).await.unwrap();
        times[1].push(began.elapsed().as_secs_f64());
        let began = Instant::now();
        (0..MESSAGES).for_each(|_| replace(&folder, &folder.join("alone")));
        times[2].push(began.elapsed().as_secs_f64());
    }
    fs::remove_dir_all(&folder).unwrap();
    let [with, without, syncs] = times.map(median);
    print("checkpoint_extra_ms", (with - without - syncs) * 1_000.0 / MESSAGES as f64);
}

/// Replaces a file durably.
fn replace(folder: &Path, path: &Path) {
    let temporary = folder.join("new");
    let mut file = File::create(&temporary).unwrap();
    file.write_all(&[b'x'; 400]).unwrap();
    file.sync_all().unwrap();
    fs::rename(temporary, path).unwrap();
    File::open(folder).unwrap().sync_all().unwrap();
}
