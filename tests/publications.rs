//! A binary of its own, because it is a long simulation with its own command in `tests/figures.md`.
//!
//! Interrupts and resumes publications under every fault schedule. No slot is lost, and none is
//! accepted under two message ids.
//!
//! `PUSHSLOTS_PUBLICATION_SEEDS=10000` runs 10,000 seeds. `PUSHSLOTS_PUBLICATION_SEED=7` runs only
//! seed 7.

use support::publications::{Findings, INVARIANTS, run};
use support::seeds::{chosen, must_hold, run_all};

const SEED: &str = "PUSHSLOTS_PUBLICATION_SEED";

/// The default number of seeds. A debug build runs them within seconds.
const SEEDS: u64 = 1_000;

#[test]
fn no_slot_is_lost_or_accepted_under_two_message_ids() {
    let seeds = chosen(SEED, SEEDS);
    let count = seeds.end - seeds.start;
    let (all, broken_seeds) = run_all(seeds, |seed, all: &mut Findings| {
        let found = run(seed).0;
        all.add(&found);
        found.broken == [0; INVARIANTS.len()]
    });
    let mut found = Findings::default();
    all.iter().for_each(|each| found.add(each));
    let Findings { publications, runs, dropped, stopped, failed, requests, too_large, .. } = found;
    let Findings { split_again, repeated, copies, .. } = found;
    println!(
        "publications: {publications}, runs: {runs} ({dropped} dropped, {stopped} stopped, \
         {failed} failed)"
    );
    println!(
        "messages received: {requests}, duplicates: {copies}, too large: {too_large}; accepted \
         again after an unknown attempt: {split_again} in parts, {repeated} with another Meta"
    );
    for (invariant, broken) in INVARIANTS.iter().zip(found.broken) {
        println!("{invariant}: {broken}");
    }
    if let (1, [seed]) = (count, &*broken_seeds) {
        run(*seed).1.iter().for_each(|message| println!("{message:?}"));
    }
    must_hold(&broken_seeds, SEED, "publications");
    let counts = [dropped, stopped, failed, too_large, split_again, repeated, copies];
    assert!(count < 100 || counts.iter().all(|count| *count > 0), "{counts:?}");
}
