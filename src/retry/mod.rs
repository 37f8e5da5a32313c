//! Whether and when to try again. Pure: it knows classes of outcome, numbers and durations, and has no
//! clock of its own.

mod classify;
mod delay;
mod retry_after;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use classify::{Class, classify_failure, classify_status};
pub(crate) use delay::{Backoff, jittered};
pub(crate) use retry_after::retry_after;

/// The longest that `Retry-After` is waited for. Who asks for more is better served by a caller that
/// comes back later than by one that hangs.
pub(crate) const LONGEST_HINT: Duration = Duration::from_secs(120);

/// A retry with less time than this would most likely end without an answer, and make a known outcome an unknown
/// one. Of a short deadline a tenth is enough.
const SHORTEST_RETRY: Duration = Duration::from_secs(1);

/// How often and how long a send tries.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// Attempts in all, the first one included.
    pub(crate) max_attempts: u32,
    /// Longest time for one attempt.
    pub(crate) attempt_timeout: Duration,
    /// Longest time for the whole send, waiting included.
    pub(crate) deadline: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { max_attempts: 4, attempt_timeout: Duration::from_secs(30), deadline: Duration::from_secs(120) }
    }
}

/// How the attempt ended that [`Policy::after`] is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// Its number, from 1.
    pub(crate) number: u32,
    /// What came of it.
    pub(crate) class: Class,
    /// How long the service asked to wait.
    pub(crate) hint: Option<Duration>,
    /// What is left until the deadline.
    pub(crate) time_left: Duration,
    /// Whether an access token was replaced before, since the service refused it.
    pub(crate) token_replaced: bool,
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Try again after this delay.
    Again(Duration),
    /// Give up.
    Stop(Reason),
}

/// Why a send is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Another attempt would end the same way.
    Final,
    /// There were as many attempts as may be.
    AttemptsUsedUp,
    /// The deadline leaves no time for another attempt.
    Deadline,
    /// The service asked for a longer wait than a send should take.
    HintTooLong,
}

impl Policy {
    /// Whether there is time for a wait before the next attempt, and for that.
    pub(crate) fn has_room(&self, wait: Duration, time_left: Duration) -> bool {
        let room = self.room(time_left);
        wait <= room.min(LONGEST_HINT) && !room.is_zero()
    }

    /// What may be spent on waiting so that the next attempt has time to end.
    fn room(&self, time_left: Duration) -> Duration {
        time_left.saturating_sub(SHORTEST_RETRY.min(self.attempt_timeout).min(self.deadline / 10))
    }

    /// Decides what follows an attempt that was not accepted.
    pub(crate) fn after(&self, ended: Ended, backoff: &mut Backoff) -> Decision {
        let is_replay = match ended.class {
            Class::Accepted | Class::Refused | Class::NoToken => return Decision::Stop(Reason::Final),
            Class::Unauthorized if ended.token_replaced => return Decision::Stop(Reason::Final),
            Class::Unauthorized => true,
            Class::Throttled | Class::Unavailable | Class::Failed | Class::Lost | Class::NotSent => false,
        };
        let hint = ended.hint.filter(|_| !is_replay);
        if hint.is_some_and(|hint| hint > LONGEST_HINT) {
            return Decision::Stop(Reason::HintTooLong);
        }
        if ended.number >= self.max_attempts {
            return Decision::Stop(Reason::AttemptsUsedUp);
        }
        let room = self.room(ended.time_left);
        let delay = match hint {
            _ if is_replay => Duration::ZERO,
            // The hint is a floor. Jitter on top, where there is room for it, keeps those who were told the same
            // from coming back at once.
            Some(hint) => hint + backoff.next_delay().min(room.saturating_sub(hint) / 2),
            None => backoff.next_delay(),
        };
        if delay > room || room.is_zero() {
            return Decision::Stop(Reason::Deadline);
        }
        Decision::Again(delay)
    }
}
