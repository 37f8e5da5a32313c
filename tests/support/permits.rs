//! An external rate limiter that is slow and sometimes fails.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pushslots::{Permit, PermitError, PermitRequest, PermitSource};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::sleep;

/// Counts of the permits that were issued and released.
#[derive(Clone, Copy, Default)]
pub struct Permits {
    pub given: usize,
    pub unused: usize,
    /// Permits of requests that may have left.
    pub used: usize,
}

/// A permit source that decides at random.
pub struct OddLimiter {
    rng: Mutex<StdRng>,
    permits: Arc<Mutex<Permits>>,
}

impl OddLimiter {
    pub fn new(seed: u64, permits: &Arc<Mutex<Permits>>) -> Self {
        Self { rng: Mutex::new(StdRng::seed_from_u64(seed)), permits: permits.clone() }
    }
}

impl PermitSource for OddLimiter {
    async fn permit(&self, request: &PermitRequest) -> Result<Permit, PermitError> {
        let (choice, delay) = {
            let mut rng = self.rng.lock().unwrap();
            (rng.gen_range(0..40), Duration::from_millis(rng.gen_range(0..2_000)))
        };
        match choice {
            // Without a timeout, the request would wait forever.
            0 if request.timeout.is_some() => pending().await,
            1 => return Err(PermitError::failed("the database can't be reached")),
            2 => return Err(PermitError::no_room(delay * 100)),
            3..13 => sleep(delay).await,
            _ => {}
        }
        self.permits.lock().unwrap().given += 1;
        let permits = self.permits.clone();
        Ok(Permit::new().on_release(move |may_have_left| {
            let mut permits = permits.lock().unwrap();
            match may_have_left {
                true => permits.used += 1,
                false => permits.unused += 1,
            }
        }))
    }
}
