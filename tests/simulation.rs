//! A binary of its own, because it is a long simulation with its own command in `tests/figures.md`.
//!
//! Runs the unmodified client under every fault schedule in simulated time. A transport plays the
//! service and records the messages that it accepted. `support/simulation.rs` and
//! `support/fault_schedule.rs` define the parameters that a seed determines.
//!
//! `PUSHSLOTS_SIMULATION_SEEDS=100000` runs 100,000 seeds. `PUSHSLOTS_SIMULATION_SEED=7` runs only
//! seed 7.

use pushslots::Attempt;
use support::seeds::{chosen, must_hold, run_all};
use support::simulation::{Findings, INVARIANTS, run};

const SEED: &str = "PUSHSLOTS_SIMULATION_SEED";

/// The default number of seeds. A debug build runs them within a minute on two slow cores.
const SEEDS: u64 = 10_000;

#[test]
fn reported_outcomes_are_true_under_every_fault_schedule() {
    let seeds = chosen(SEED, SEEDS);
    let count = seeds.end - seeds.start;
    let (all, broken_seeds) = run_all(seeds, |seed, all: &mut Findings| {
        let found = run(seed).0;
        all.add(&found);
        found.broken == [0; INVARIANTS.len()]
    });
    let mut found = Findings::default();
    all.iter().for_each(|each| found.add(each));
    let Findings {
        sends, receipts, errors, dropped, requests, accepted, duplicates, retries, ..
    } = found;
    println!("seeds: {count}, sends: {sends}, requests: {requests} ({retries} retries)");
    println!("receipts: {receipts}, errors: {errors}, dropped: {dropped}");
    println!("messages accepted by the service: {accepted}, duplicates: {duplicates}");
    for (invariant, broken) in INVARIANTS.iter().zip(found.broken) {
        println!("{invariant}: {broken}");
    }
    if let (1, [seed]) = (count, &*broken_seeds) {
        run(*seed).1.iter().for_each(|attempt| println!("{attempt:?}"));
    }
    must_hold(&broken_seeds, SEED, "simulation");
    assert!(
        count < 100 || (receipts > 0 && errors > 0 && dropped > 0 && duplicates > 0 && retries > 0)
    );
}

#[test]
fn a_seed_always_gives_the_same_attempts() {
    let attempts = |seed| run(seed).1.iter().map(without_wall_clock).collect::<Vec<_>>();
    for seed in 0..50 {
        assert_eq!(attempts(seed), attempts(seed), "seed {seed}");
    }
}

/// Returns the attempt without its start time, because the wall clock isn't simulated.
fn without_wall_clock(attempt: &Attempt) -> String {
    let mut attempt = attempt.clone();
    attempt.started = Default::default();
    // The seconds until a date depend on the wall clock too.
    attempt.retry_after =
        attempt.retry_after.map(|wait| wait.min(std::time::Duration::from_secs(1_000)));
    attempt.error = None;
    format!("{attempt:?}")
}
