//! The time in which requests gather between two rounds.

use std::time::Duration;

use tokio::time::Instant;

/// The maximum time in which requests gather between two rounds.
const MAX_REST: Duration = Duration::from_millis(500);

/// The number of other processes next to which a process rests for as long as a round lost. Next to
/// more, it rests longer. Measured with a database on two cores.
const OTHERS: u32 = 4;

/// The time after which the processes are counted again.
const COUNT_INTERVAL: Duration = Duration::from_secs(2);

/// The speed of the rounds of this process, and the number of processes that compete with it.
#[derive(Default)]
pub(super) struct Rounds {
    /// The duration of the fastest round of each kind, by whether it has steps and whether it has
    /// claims.
    fastest: [[Option<Duration>; 2]; 2],
    /// The number of processes with leases.
    holders: u32,
    counted: Option<Instant>,
}

impl Rounds {
    /// Returns whether the processes with leases should be counted.
    pub(super) fn is_count_due(&self) -> bool {
        self.counted.is_none_or(|at| at.elapsed() >= COUNT_INTERVAL)
    }

    /// Sets the number of processes with leases. `None` keeps the last one.
    pub(super) fn set_holders(&mut self, count: Option<i64>) {
        self.counted = Some(Instant::now());
        if let Some(count) = count {
            self.holders = u32::try_from(count).unwrap_or(u32::MAX);
        }
    }

    /// Returns the time in which requests gather after a round that took this long.
    ///
    /// It is in proportion to the time that the round took longer than the fastest of its kind, and
    /// to the number of other processes. Without others, a slow round has another cause, and a rest
    /// wouldn't help.
    pub(super) fn rest_after(
        &mut self,
        (has_steps, has_claims): (bool, bool),
        took: Duration,
    ) -> Duration {
        let fastest = &mut self.fastest[usize::from(has_steps)][usize::from(has_claims)];
        // It rises slowly, so that one lucky round doesn't count for ever.
        let known = fastest.map_or(took, |known| known.saturating_add(known / 4_096).min(took));
        *fastest = Some(known);
        let others = self.holders.saturating_sub(1);
        let lost = took.saturating_sub(known);
        (lost.saturating_mul(others) / OTHERS).min(MAX_REST)
    }
}
