//! Chance; the only file that names `rand`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::{Builder, Uuid};

/// A UUID that no other has. The system is asked for chance now and then, and not for each.
pub(crate) fn fresh_id() -> Uuid {
    Builder::from_random_bytes(rand::thread_rng().r#gen()).into_uuid()
}

/// Draws times. Clones draw from the same source.
#[derive(Clone)]
pub(crate) struct Jitter(Arc<Mutex<StdRng>>);

impl Jitter {
    /// Draws the same times in the same order for the same seed; without one, others each time.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(Arc::new(Mutex::new(seed.map_or_else(StdRng::from_entropy, StdRng::seed_from_u64))))
    }

    /// A time from between the `floor`th part of `longest`, and `longest`.
    pub(crate) fn sample(&self, longest: Duration, floor: f64) -> Duration {
        let drawn: f64 = self.0.lock().unwrap_or_else(PoisonError::into_inner).r#gen();
        longest.mul_f64(floor + (1.0 - floor) * drawn)
    }
}
