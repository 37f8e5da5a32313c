//! Runs many seeds in parallel.

use std::env;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Returns the number in a variable, if it is set.
pub fn setting(name: &str) -> Option<u64> {
    env::var(name)
        .ok()
        .map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

/// Returns the seeds to run: only the seed in the variable `name` if it is set, otherwise the
/// number of seeds in `name` with an `S` appended, or `default` seeds.
pub fn chosen(name: &str, default: u64) -> Range<u64> {
    match setting(name) {
        Some(seed) => seed..seed + 1,
        None => 0..setting(&format!("{name}S")).unwrap_or(default),
    }
}

/// Runs the seeds in parallel. `run` adds to the findings of its thread, and returns whether all
/// invariants hold.
///
/// Returns the findings of each thread, and the seeds that broke an invariant or panicked.
pub fn run_all<F: Default + Send>(
    seeds: Range<u64>,
    run: impl Fn(u64, &mut F) -> bool + Sync,
) -> (Vec<F>, Vec<u64>) {
    let next = AtomicU64::new(seeds.start);
    let work = || {
        let mut findings = F::default();
        let mut broken = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return (findings, broken);
            }
            if !catch_unwind(AssertUnwindSafe(|| run(seed, &mut findings))).unwrap_or(false) {
                broken.push(seed);
            }
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter().map(|worker| worker.join().unwrap());
        let (findings, broken): (Vec<_>, Vec<_>) = ended.unzip();
        let mut broken = broken.concat();
        broken.sort_unstable();
        (findings, broken)
    })
}

/// Panics if a seed broke an invariant. The message has the command that repeats the first one.
pub fn must_hold(broken: &[u64], variable: &str, test: &str) {
    if let Some(seed) = broken.first() {
        let number = broken.len();
        panic!(
            "{number} seeds broke an invariant; repeat the first with: \
             {variable}={seed} cargo test --test {test} -- --nocapture"
        );
    }
}
