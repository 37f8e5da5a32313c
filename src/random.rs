//! Randomness; the only file that names `rand`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::{Builder, Uuid};

/// Creates a random UUID. The system only reseeds its generator now and then, so this is fast.
pub(crate) fn fresh_id() -> Uuid {
    let random: u128 = rand::thread_rng().r#gen();
    Builder::from_random_bytes(random.to_ne_bytes()).into_uuid()
}

/// A source of random durations. Clones share it.
#[derive(Clone)]
pub(crate) struct Jitter(Arc<Mutex<StdRng>>);

impl Jitter {
    /// Creates a source that returns the same durations in the same order for the same seed.
    /// Without a seed they differ each time.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(Arc::new(Mutex::new(seed.map_or_else(StdRng::from_entropy, StdRng::seed_from_u64))))
    }

    /// Returns a random duration between the fraction `floor` of `longest` and `longest`.
    pub(crate) fn sample(&self, longest: Duration, floor: f64) -> Duration {
        let drawn: f64 = self.0.lock().unwrap_or_else(PoisonError::into_inner).r#gen();
        longest.mul_f64(floor + (1.0 - floor) * drawn)
    }
}
