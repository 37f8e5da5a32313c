//! Figures of the store in a file, for release builds.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::RedbStore;
use super::tests::{CACHE_BYTES, Folder, NOW, accepted, minute_after, new_entry};
use crate::state::EntryState;
use crate::store::{Leased, NewEntry, Store};

/// Prints the time of each operation with few and with many waiting entries.
#[tokio::test]
#[ignore = "takes a minute, and is meant for release builds"]
async fn depth_costs_nothing() {
    let folder = Folder::new();
    let store = RedbStore::open(&folder.outbox(), CACHE_BYTES).unwrap();
    let mut number = 0;
    let mut entries = |count: u32| {
        let first = number;
        number += count;
        let entry = |number: u32| NewEntry {
            key: Some(format!("key-{number}")),
            body: vec![1; 200],
            ..new_entry(number, &format!("lane-{}", number % 20_000))
        };
        (first..number).map(entry).collect::<Vec<_>>()
    };
    for depth in [1_000, 1_000_000] {
        while store.summary().await.unwrap().counts.waiting < depth {
            store.enqueue(entries(1_000)).await.unwrap();
        }
        let rounds = 200;
        let start = Instant::now();
        for entry in entries(rounds) {
            store.enqueue(vec![entry]).await.unwrap();
        }
        let enqueue = start.elapsed() / rounds;
        let (mut lease_time, mut begin_time, mut settle_time) = Default::default();
        let timed = |total: &mut Duration, start: Instant| *total += start.elapsed() / rounds;
        for _ in 0..rounds {
            let start = Instant::now();
            let leased = store.lease(NOW.into(), minute_after(NOW), None).await.unwrap();
            timed(&mut lease_time, start);
            let Leased::Entry { lease, entry, .. } = leased else { panic!("nothing is due") };
            let start = Instant::now();
            assert!(store.begin(lease.clone(), entry.message_id, NOW).await.unwrap());
            timed(&mut begin_time, start);
            let start = Instant::now();
            let settled = store.settle(accepted(lease, entry.message_id), NOW).await.unwrap();
            timed(&mut settle_time, start);
            assert_eq!(settled.unwrap().state, EntryState::Accepted);
        }
        let start = Instant::now();
        store.summary().await.unwrap();
        println!(
            "{depth} waiting: enqueue {enqueue:?}, lease {lease_time:?}, begin {begin_time:?}, \
             settle {settle_time:?}, summary {:?}, {} MiB",
            start.elapsed(),
            fs::metadata(folder.outbox()).unwrap().len() >> 20,
        );
    }
}

/// Prints the rate of enqueueing with one and with many producers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it is meant for release builds"]
async fn producers_share_commits() {
    let folder = Folder::new();
    let store = Arc::new(RedbStore::open(&folder.outbox(), CACHE_BYTES).unwrap());
    for producers in [1, 64] {
        let rounds = 20_000 / (producers + 20);
        let start = Instant::now();
        let tasks = (0..producers).map(|producer| {
            let store = store.clone();
            tokio::spawn(async move {
                for round in 0..rounds {
                    let number = (producers * 1_000 + producer) * 10_000 + round;
                    let entry = new_entry(number, &format!("lane-{producer}"));
                    store.enqueue(vec![entry]).await.unwrap();
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        let rate = f64::from(producers * rounds) / start.elapsed().as_secs_f64();
        println!("{producers} producers: {rate:.0} entries of 2 KB a second");
    }
}
