//! The delay before a retry; the only file that names `backoff`.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// The first delay is at most this long.
const FIRST: Duration = Duration::from_millis(250);

/// No delay is longer.
const LONGEST: Duration = Duration::from_secs(20);

/// Delays that grow exponentially, with full jitter: each is drawn from zero up to a ceiling, and the
/// ceiling doubles from 250 ms to 20 s.
pub(crate) struct Backoff(ExponentialBackoff);

impl Backoff {
    pub(crate) fn new() -> Self {
        // A delay is drawn from `interval ± factor * interval`. A factor of 1 around half the ceiling
        // gives all from zero to the ceiling.
        Self(ExponentialBackoff {
            current_interval: FIRST / 2,
            initial_interval: FIRST / 2,
            max_interval: LONGEST / 2,
            randomization_factor: 1.0,
            multiplier: 2.0,
            // The deadline of the send ends it, not the time since this was made.
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        })
    }

    pub(crate) fn next_delay(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(LONGEST).min(LONGEST)
    }
}
