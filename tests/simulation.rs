//! A binary of its own, because it is a long simulation with its own command in `tests/figures.md`.
//!
//! Runs the unmodified client under every fault schedule and in simulated time, over a transport
//! that plays a service and records what it accepted. `support/simulation.rs` and
//! `support/fault_schedule.rs` describe what a seed determines.
//!
//! `PUSHSLOTS_SIMULATION_SEEDS=100000` runs this number of seeds, `PUSHSLOTS_SIMULATION_SEED=7`
//! only seed 7.

use pushslots::Attempt;
use support::seeds::{chosen, must_hold, run_all};
use support::simulation::{Findings, INVARIANTS, run};

const SEED: &str = "PUSHSLOTS_SIMULATION_SEED";

/// Ends within a minute in a debug build on two slow cores.
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
    println!("seeds: {count}, sends: {sends}, requests: {requests}, of them retries: {retries}");
    println!("receipts: {receipts}, errors: {errors}, dropped: {dropped}");
    println!(
        "messages that the service accepted: {accepted}, further copies of them: {duplicates}"
    );
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
fn a_seed_gives_the_same_attempts_again() {
    let shown = |seed| run(seed).1.iter().map(without_wall_clock).collect::<Vec<_>>();
    for seed in 0..50 {
        assert_eq!(shown(seed), shown(seed), "seed {seed}");
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
