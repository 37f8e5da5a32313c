//! Growing delays; the only file that names `backoff`.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

use crate::random::Jitter;

/// Delays that grow exponentially. Each delay is random, between a fraction of a ceiling and the
/// ceiling. The ceiling doubles from one delay to the next.
pub(crate) struct Backoff {
    ceilings: ExponentialBackoff,
    longest: Duration,
    floor: f64,
    jitter: Jitter,
}

impl Backoff {
    /// Creates the delays between token requests, shared by all sends. Each is at least half of a
    /// ceiling that grows from 500 ms to 30 s. All sends share one token, so the endpoint gets few
    /// requests. Half of a ceiling is enough to keep clients apart.
    pub(crate) fn of_token_requests(jitter: &Jitter) -> Self {
        Self::new(Duration::from_millis(500), Duration::from_secs(30), 0.5, jitter)
    }

    /// Creates the delays between probes of a publication that waits out an outage. Each is at
    /// least 0.8 of a ceiling that grows from 5 s to 60 s. The attempts of a send have covered
    /// shorter failures. After an outage, the publication resumes within a minute.
    pub(crate) fn of_outages(jitter: &Jitter) -> Self {
        Self::new(Duration::from_secs(5), Duration::from_secs(60), 0.8, jitter)
    }

    /// Creates delays with a ceiling that doubles from `first` to `longest`. Each delay is at least
    /// the fraction `floor` of its ceiling.
    fn new(first: Duration, longest: Duration, floor: f64, jitter: &Jitter) -> Self {
        let ceilings = ExponentialBackoff {
            current_interval: first,
            initial_interval: first,
            max_interval: longest,
            // The jitter is applied in `next_delay`, from a source that can be seeded.
            randomization_factor: 0.0,
            multiplier: 2.0,
            // The caller has a deadline of its own.
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        Self { ceilings, longest, floor, jitter: jitter.clone() }
    }

    pub(crate) fn next_delay(&mut self) -> Duration {
        let ceiling = self.next_ceiling();
        self.jitter.sample(ceiling, self.floor)
    }

    /// Restarts with the first delay.
    pub(crate) fn reset(&mut self) {
        self.ceilings.reset();
    }

    fn next_ceiling(&mut self) -> Duration {
        self.ceilings.next_backoff().unwrap_or(self.longest).min(self.longest)
    }
}

/// The delays between the attempts of a send, with full jitter: each lies between zero and a
/// ceiling. The ceiling starts at 250 ms, or at 1 s after a throttled attempt. It doubles with
/// every attempt up to 20 s, so that a send still ends within its deadline.
pub(crate) struct AttemptDelays {
    jitter: Jitter,
    /// The usual ceilings, and those after a throttled attempt. They are created on the first
    /// retry, because most sends need none.
    ceilings: Option<[Backoff; 2]>,
}

impl AttemptDelays {
    pub(crate) fn new(jitter: &Jitter) -> Self {
        Self { jitter: jitter.clone(), ceilings: None }
    }

    pub(crate) fn next_delay(&mut self, is_throttled: bool) -> Duration {
        let from = |first| {
            Backoff::new(Duration::from_millis(first), Duration::from_secs(20), 0.0, &self.jitter)
        };
        let ceilings = self.ceilings.get_or_insert_with(|| [from(250), from(1_000)]);
        // Both grow with every attempt.
        let [usual, throttled] = ceilings.each_mut().map(Backoff::next_ceiling);
        self.jitter.sample(if is_throttled { throttled } else { usual }, 0.0)
    }
}
