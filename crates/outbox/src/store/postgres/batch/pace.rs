//! How long requests gather between two rounds.

use std::time::Duration;

use tokio::time::Instant;

/// The maximum time in which requests gather between two rounds.
const MAX_REST: Duration = Duration::from_millis(500);

/// The number of processes whose rounds the database can run at once without a loss.
const AT_ONCE: u32 = 4;

/// The time after which the processes are counted again.
const COUNT_INTERVAL: Duration = Duration::from_secs(2);

/// What a process knows about its rounds and those of others.
#[derive(Default)]
pub(super) struct Pace {
    /// The duration of the fastest round of each kind, by whether it has steps and whether it has
    /// claims.
    fastest: [[Option<Duration>; 2]; 2],
    /// The number of processes with leases, and when they were counted.
    holders: Option<(u32, Instant)>,
}

impl Pace {
    /// Returns whether the processes with leases should be counted.
    pub(super) fn is_count_due(&self) -> bool {
        self.holders.is_none_or(|(_, at)| at.elapsed() >= COUNT_INTERVAL)
    }

    pub(super) fn set_holders(&mut self, count: i64) {
        self.holders = Some((u32::try_from(count).unwrap_or(u32::MAX), Instant::now()));
    }

    /// Returns the time in which requests gather after a round that took this long. The rounds of
    /// other processes make a round slower than the fastest of its kind, and each process makes fewer
    /// rounds the more processes there are. Alone, it doesn't rest, because something else is slow.
    pub(super) fn rest(
        &mut self,
        (has_steps, has_claims): (bool, bool),
        took: Duration,
    ) -> Duration {
        let fastest = &mut self.fastest[usize::from(has_steps)][usize::from(has_claims)];
        // It rises slowly, so that one lucky round doesn't count for ever.
        let known = fastest.map_or(took, |known| known.saturating_add(known / 4_096).min(took));
        *fastest = Some(known);
        let others = self.holders.map_or(0, |(count, _)| count.saturating_sub(1));
        let lost = took.saturating_sub(known);
        (lost.saturating_mul(others) / AT_ONCE).min(MAX_REST)
    }
}
