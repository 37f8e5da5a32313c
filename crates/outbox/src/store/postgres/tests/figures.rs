//! Figures of the store: `cargo test --release -p pushslots-outbox --features postgres --lib
//! postgres::tests::figures -- --ignored --nocapture`. `PUSHSLOTS_MINUTES` sets the time.

use std::sync::Arc;
use std::time::Duration;

use pushslots::Delivery;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};
use uuid::Uuid;

use super::{Through, control, database, let_time_pass};
use crate::state::{Outcome, Verdict};
use crate::store::postgres::{PostgresConfig, PostgresStore};
use crate::store::{Leased, NewEntry, Settlement, Store};
use crate::time::{Now, Timestamp};

/// The delay between two messages, for 33 a second.
const DELAY: Duration = Duration::from_millis(30);

#[tokio::test]
#[ignore = "it prints a figure, and runs for minutes"]
async fn operations_under_a_pinned_snapshot() {
    let Some(database) = database(Through::Server).await else { return };
    let minutes = super::setting("PUSHSLOTS_MINUTES").unwrap_or(1);
    let pinning = control(&database).await;
    let_time_pass(&pinning).await;
    pinning
        .batch_execute(
            "begin isolation level repeatable read; select count(*) from pushslots.entry",
        )
        .await
        .unwrap();
    let store = PostgresStore::open(&PostgresConfig::new(&database.url).unwrap()).await.unwrap();
    let store = Arc::new(store);
    let mut ticks = interval(DELAY);
    let start = Instant::now();
    let mut sends = JoinSet::new();
    for number in 0_u64.. {
        if start.elapsed() >= Duration::from_secs(minutes * 60) {
            break;
        }
        ticks.tick().await;
        sends.spawn(send(store.clone(), format!("lane {}", number % 1_000)));
    }
    // In the order of the messages, because tasks end in another.
    let mut times = sends.join_all().await;
    times.sort();
    let times: Vec<_> = times.into_iter().map(|(_, time)| time).collect();
    let tenth = (times.len() / 10).max(1);
    let median = |times: &[Duration]| {
        let mut times = times.to_vec();
        times.sort();
        times[times.len() / 2]
    };
    println!(
        "lease + begin + settle under a snapshot of {minutes} min: {} messages, median {:?} in the \
         first tenth, {:?} in the last; {:.1} messages a second",
        times.len(),
        median(&times[..tenth]),
        median(&times[times.len() - tenth..]),
        times.len() as f64 / start.elapsed().as_secs_f64(),
    );
}

/// Adds a message, and sends it or another. Returns the start and the time of lease, begin and settle.
pub(super) async fn send(store: Arc<PostgresStore>, lane: String) -> (Instant, Duration) {
    let entry = NewEntry { body: vec![7; 2_000], ..NewEntry::of(Uuid::new_v4(), &lane) };
    store.enqueue(vec![entry]).await.unwrap();
    let start = Instant::now();
    let now = Now::from(Timestamp(0));
    let (lease, entry) = loop {
        match store.lease(now, Timestamp(60_000), None).await.unwrap() {
            Leased::Entry { lease, entry, .. } => break (lease, entry),
            // The lane is leased, after a delay longer than a turn through all lanes.
            Leased::Nothing { .. } => sleep(DELAY).await,
        }
    };
    assert!(store.begin(lease.clone(), entry.message_id, Timestamp(0)).await.unwrap());
    let settlement = Settlement {
        lease,
        message_id: entry.message_id,
        outcome: Outcome { delivery: Delivery::Accepted, verdict: Verdict::Accepted, attempts: 1 },
        attempts: vec!["{}".to_owned()],
        requests: 1,
        receipt: Some("{}".to_owned()),
        random: 0.5,
    };
    store.settle(settlement, Timestamp(0)).await.unwrap();
    (start, start.elapsed())
}
