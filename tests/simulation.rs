//! The send loop in every weather: the client as it is, over a transport that plays a service which knows what it accepted,
//! under time that is wound on. What a seed settles is told in `support/simulation.rs` and `support/weather.rs`.
//!
//! `PUSHSLOTS_SIMULATION_SEEDS=100000` runs that many seeds, `PUSHSLOTS_SIMULATION_SEED=7` the seed 7 alone.

mod support;

use std::env;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use pushslots::Attempt;
use support::simulation::{Findings, INVARIANTS, run};

/// As many as end within a minute, built for debugging, on two slow cores.
const SEEDS: u64 = 10_000;

fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// Runs the seeds side by side.
fn run_all(seeds: std::ops::Range<u64>) -> Findings {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let mut findings = Findings::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return findings;
            }
            match catch_unwind(|| run(seed).0) {
                Ok(found) => findings.add(&found),
                Err(_) => findings.broken_seeds.push(seed),
            }
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut all = Findings::default();
        workers.into_iter().for_each(|worker| all.add(&worker.join().unwrap()));
        all
    })
}

#[test]
fn what_is_told_is_true_in_every_weather() {
    let seeds = match setting("PUSHSLOTS_SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..setting("PUSHSLOTS_SIMULATION_SEEDS").unwrap_or(SEEDS),
    };
    let count = seeds.end - seeds.start;
    let mut found = run_all(seeds);
    let Findings { sends, receipts, errors, dropped, requests, accepted, duplicates, retries, .. } = found;
    println!("seeds: {count}, sends: {sends}, requests: {requests}, of them retries: {retries}");
    println!("receipts: {receipts}, errors: {errors}, dropped: {dropped}");
    println!("messages that the service accepted: {accepted}, further copies of them: {duplicates}");
    for (invariant, broken) in INVARIANTS.iter().zip(found.broken) {
        println!("{invariant}: {broken}");
    }
    if count == 1 && !found.broken_seeds.is_empty() {
        run(found.broken_seeds[0]).1.iter().for_each(|attempt| println!("{attempt:?}"));
    }
    found.broken_seeds.sort_unstable();
    if let Some(seed) = found.broken_seeds.first() {
        let number = found.broken_seeds.len();
        panic!(
            "{number} seeds broke something; the first again: \
             PUSHSLOTS_SIMULATION_SEED={seed} cargo test --test simulation -- --nocapture"
        );
    }
    assert!(count < 100 || (receipts > 0 && errors > 0 && dropped > 0 && duplicates > 0 && retries > 0));
}

#[test]
fn a_seed_gives_the_same_attempts_again() {
    let shown = |seed| run(seed).1.iter().map(without_wall_clock).collect::<Vec<_>>();
    for seed in 0..50 {
        assert_eq!(shown(seed), shown(seed), "seed {seed}");
    }
}

/// The attempt but for when it started by this machine's clock, which nobody winds on.
fn without_wall_clock(attempt: &Attempt) -> String {
    let mut attempt = attempt.clone();
    attempt.started = Default::default();
    // Nor are the seconds until a date the same a moment later.
    attempt.retry_after = attempt.retry_after.map(|wait| wait.min(std::time::Duration::from_secs(1_000)));
    attempt.error = None;
    format!("{attempt:?}")
}
