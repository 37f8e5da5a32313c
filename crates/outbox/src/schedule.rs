//! The delays between the sends of an entry.

use std::time::Duration;

/// The delays after the first failures. Later ones have the last delay.
const DELAYS: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
];

/// The delay between probes of a service that is down.
pub(crate) const PROBE_DELAY: Duration = Duration::from_secs(30);

/// The time after the first failure at which an entry is abandoned.
pub(crate) const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The minimum number of failures of an abandoned entry.
pub(crate) const MIN_FAILURES: u32 = 10;

/// The share by which a delay varies in each direction.
const JITTER: f64 = 0.1;

/// Returns the delay after a number of failures, at least 1. `random` is at least 0 and below 1.
pub(crate) fn delay(failures: u32, random: f64) -> Duration {
    let index = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    let [.., last] = DELAYS;
    let delay = DELAYS.get(index).copied().unwrap_or(last);
    delay.mul_f64(1.0 + JITTER * (2.0 * random.clamp(0.0, 1.0) - 1.0))
}
