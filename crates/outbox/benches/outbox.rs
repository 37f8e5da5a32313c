//! The speed of an outbox against its alternatives, as ratios of medians in one run.
//!
//! ```text
//! cargo bench -p pushslots-outbox
//! ```
//!
//! The rate limit is lifted, and the messages are in 1,000 lanes. `-- enqueue` prints only the first
//! figure.

use std::alloc::System;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cap::Cap;
use futures_util::future::join_all;
use pushslots::chrono::{TimeDelta, Utc};
use pushslots::mock::MockService;
use pushslots::uuid::Uuid;
use pushslots::{Client, Provider, PushSlots, Slot};
use pushslots_outbox::Outbox;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Counts the memory of this process, with the outbox and the mock.
#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

const LANES: usize = 1_000;

/// The number of runs, of which the median counts.
const RUNS: usize = 5;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        // Next to the build, because a temporary folder may be in memory.
        let target = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        let folder = target.join(format!("outbox-bench-{}", Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn message(number: usize) -> PushSlots {
    let provider = Provider::new().id("4356789876", "NPI").name("Pat", "Granite");
    let start = Utc::now() + TimeDelta::days(1) + TimeDelta::minutes(number as i64);
    PushSlots::builder().slot(Slot::new(start, 15).provider(provider)).build().unwrap()
}

async fn open(folder: &Folder) -> Outbox {
    let path = folder.0.join("outbox.redb");
    Outbox::builder().destination(Uuid::from_u128(1)).open(path).await.unwrap()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Returns the times per enqueue and per append with a sync, one after the other.
async fn one_producer() -> (f64, f64) {
    const ENTRIES: usize = 300;
    let folder = Folder::new();
    let outbox = open(&folder).await;
    let mut file = File::create(folder.0.join("appended")).unwrap();
    let body = message(0).to_json();
    let (mut enqueued, mut appended) = (Vec::new(), Vec::new());
    for number in 0..ENTRIES {
        let message = message(number);
        let begin = Instant::now();
        outbox.enqueue(&message).lane(format!("lane {}", number % LANES)).await.unwrap();
        enqueued.push(begin.elapsed().as_secs_f64());
        let begin = Instant::now();
        file.write_all(&body).unwrap();
        file.sync_data().unwrap();
        appended.push(begin.elapsed().as_secs_f64());
    }
    (median(enqueued), median(appended))
}

/// The number of commits, each of which syncs once.
static COMMITS: AtomicUsize = AtomicUsize::new(0);

/// Counts the events of commits.
struct CommitCounter;

impl<S: Subscriber> Layer<S> for CommitCounter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target().ends_with("redb::writer") {
            COMMITS.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Returns the numbers of entries per commit and per second with 64 producers.
async fn many_producers() -> (f64, f64) {
    const ENTRIES: usize = 200;
    let folder = Folder::new();
    let outbox = open(&folder).await;
    let before = COMMITS.load(Ordering::Relaxed);
    let begin = Instant::now();
    join_all((0..64).map(|producer| {
        let outbox = outbox.clone();
        tokio::spawn(async move {
            for number in 0..ENTRIES {
                let message = message(number);
                let lane = format!("lane {}", (producer * ENTRIES + number) % LANES);
                outbox.enqueue(&message).lane(lane).await.unwrap();
            }
        })
    }))
    .await;
    let entries = (64 * ENTRIES) as f64;
    let commits = COMMITS.load(Ordering::Relaxed) - before;
    (entries / commits as f64, entries / begin.elapsed().as_secs_f64())
}

/// Returns the times from the call of `enqueue` until the message is at the mock, and the times of
/// an append with a sync, in milliseconds at the 99th percentile.
async fn to_wire() -> (f64, f64) {
    const MESSAGES: usize = 1_000;
    let folder = Folder::new();
    let outbox = open(&folder).await;
    let (service, client) = service().await;
    let worker = outbox.worker(&client).start().unwrap();
    let mut file = File::create(folder.0.join("appended")).unwrap();
    let body = message(0).to_json();
    let (mut sent, mut synced) = (Vec::new(), Vec::new());
    for number in 0..MESSAGES {
        let message = message(number);
        let begin = Instant::now();
        outbox.enqueue(&message).lane(format!("lane {}", number % LANES)).await.unwrap();
        service.wait_for(number + 1).await;
        sent.push(begin.elapsed().as_secs_f64() * 1e3);
        let begin = Instant::now();
        file.write_all(&body).unwrap();
        file.sync_data().unwrap();
        synced.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    worker.shutdown(Duration::from_secs(10)).await;
    let p99 = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() * 99 / 100]
    };
    (p99(sent), p99(synced))
}

/// Returns a mock and its client without rate limits, and with a token.
async fn service() -> (MockService, Client) {
    let day = Duration::from_secs(86_400);
    let service = MockService::builder().without_rate_limit().token_lifetime(day).start().unwrap();
    let client = Client::builder().mock(&service).without_rate_limit().build().unwrap();
    client.check().await.unwrap();
    (service, client)
}

/// Returns the messages a second from the outbox through the mock, next to `waiting` entries that
/// aren't due yet, and the heap of these in MiB.
async fn drain(messages: usize, waiting: usize) -> (f64, f64) {
    let before = HEAP.allocated();
    let folder = Folder::new();
    let outbox = open(&folder).await;
    let (service, client) = service().await;
    let later = Utc::now() + TimeDelta::hours(20);
    let others = (0..64).map(|producer| {
        let outbox = outbox.clone();
        tokio::spawn(async move {
            for number in (producer..waiting).step_by(64) {
                let message = message(number);
                let enqueue = outbox.enqueue(&message).not_before(later);
                enqueue.lane(format!("later {}", number % LANES)).await.unwrap();
            }
        })
    });
    join_all(others).await;
    let heap = HEAP.allocated().saturating_sub(before) as f64 / f64::from(1 << 20);
    let lanes = (0..64).map(|producer| {
        let outbox = outbox.clone();
        tokio::spawn(async move {
            for number in (producer..messages).step_by(64) {
                let message = message(number);
                outbox.enqueue(&message).lane(format!("lane {}", number % LANES)).await.unwrap();
            }
        })
    });
    join_all(lanes).await;
    let begin = Instant::now();
    let worker = outbox.worker(&client).concurrency(64).start().unwrap();
    service.wait_for(messages).await;
    let time = begin.elapsed().as_secs_f64();
    worker.shutdown(Duration::from_secs(10)).await;
    (messages as f64 / time, heap)
}

#[tokio::main]
async fn main() {
    let counter = CommitCounter.with_filter(LevelFilter::TRACE);
    tracing_subscriber::registry().with(counter).init();
    let mut ratios = Vec::new();
    for _ in 0..RUNS {
        let (enqueued, appended) = one_producer().await;
        println!("  {:.0} us an enqueue, {:.0} us an append", enqueued * 1e6, appended * 1e6);
        ratios.push(appended / enqueued);
    }
    println!(
        "enqueue_vs_append: {:.2} of the speed of appending and syncing the same bytes",
        median(ratios)
    );
    if std::env::args().any(|argument| argument == "enqueue") {
        return;
    }
    let mut grouped = Vec::new();
    for _ in 0..RUNS {
        let (per_commit, per_second) = many_producers().await;
        println!("  {per_second:.0} entries a second");
        grouped.push(per_commit);
    }
    println!("entries_per_sync: {:.0} entries of 64 producers in a commit", median(grouped));
    let (mut sent, mut synced) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (to_wire, sync) = to_wire().await;
        sent.push(to_wire);
        synced.push(sync);
    }
    println!(
        "enqueue_to_wire: {:.2} ms at the 99th percentile, {:.2} times that of a sync",
        median(sent.clone()),
        median(sent) / median(synced)
    );
    // With both sides in turn. 1,000,000 entries take minutes, so they are an option.
    let waiting = std::env::var("PUSHSLOTS_WAITING").map_or(100_000, |text| text.parse().unwrap());
    let (mut alone, mut ratios, mut heaps) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        let (without, _) = drain(20_000, 0).await;
        let (with, heap) = drain(20_000, waiting).await;
        heaps.push(heap);
        println!("  {without:.0} messages a second, {with:.0} next to {waiting} entries");
        alone.push(without);
        ratios.push(with / without);
    }
    println!("drain: {:.0} messages a second through the mock", median(alone));
    println!("drain_vs_waiting: {:.2} of that with {waiting} entries that wait", median(ratios));
    println!("heap: {:.1} MiB with {waiting} entries that wait", median(heaps));
}
