//! The time for which entries are kept.

use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The times for which final entries are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    /// For accepted, superseded and cancelled entries.
    pub(crate) settled: Duration,
    pub(crate) dead: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { settled: DAY * 30, dead: DAY * 90 }
    }
}
