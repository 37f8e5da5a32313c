//! Runs properties on many random cases, and prints the seed.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};

/// Checks `property` on 256 values of `strategy`, or on the number in `PROPTEST_CASES`. Set
/// `PUSHSLOTS_TEST_SEED` to repeat a seed.
pub fn holds<S: Strategy>(strategy: S, property: impl Fn(S::Value) -> TestCaseResult) {
    let given = std::env::var("PUSHSLOTS_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
    let seed: u64 = given.unwrap_or_else(|| pushslots::uuid::Uuid::new_v4().as_u64_pair().0);
    println!("PUSHSLOTS_TEST_SEED={seed}");
    let seed = [seed.to_le_bytes(); 4].concat();
    let config = Config { failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let result = TestRunner::new_with_rng(config, rng).run(&strategy, property);
    result.unwrap_or_else(|error| panic!("{error}"));
}
