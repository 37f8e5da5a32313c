//! Delays that are drawn; the only file that names `backoff`.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// Delays that grow exponentially. Each is drawn from between a part of a ceiling and the ceiling, which
/// doubles from one delay to the next.
#[derive(Debug)]
pub(crate) struct Backoff {
    delays: ExponentialBackoff,
    longest: Duration,
}

impl Backoff {
    /// Between two attempts of a send: with full jitter, from zero up to a ceiling from 250 ms to 20 s.
    pub(crate) fn of_attempts() -> Self {
        Self::new(Duration::from_millis(250), Duration::from_secs(20), 0.0)
    }

    /// Between two requests for a token, whichever send needs it: from half a ceiling from 500 ms to 30 s.
    pub(crate) fn of_token_requests() -> Self {
        Self::new(Duration::from_millis(500), Duration::from_secs(30), 0.5)
    }

    /// The ceiling doubles from `first` to `longest`; `floor` is the part of it that every delay has at least.
    fn new(first: Duration, longest: Duration, floor: f64) -> Self {
        // A delay is drawn from `interval ± factor * interval`.
        let (middle, factor) = ((1.0 + floor) / 2.0, (1.0 - floor) / (1.0 + floor));
        let delays = ExponentialBackoff {
            current_interval: first.mul_f64(middle),
            initial_interval: first.mul_f64(middle),
            max_interval: longest.mul_f64(middle),
            randomization_factor: factor,
            multiplier: 2.0,
            // What the delays are for ends by a deadline of its own, not by the time since this was made.
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        Self { delays, longest }
    }

    pub(crate) fn next_delay(&mut self) -> Duration {
        self.delays.next_backoff().unwrap_or(self.longest).min(self.longest)
    }

    /// Begins again with the first delay.
    pub(crate) fn reset(&mut self) {
        self.delays.reset();
    }
}

/// A time drawn from between a part of `longest` and `longest`.
pub(crate) fn jittered(longest: Duration, floor: f64) -> Duration {
    Backoff::new(longest, longest, floor).next_delay()
}
