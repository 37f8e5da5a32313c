//! The decision after an attempt.

use std::time::Duration;

use super::budget::Cost;
use super::{AttemptDelays, Classification, NextStep, RetryBudget};

/// The longest `Retry-After` that a send waits for. If the service asks for more, it is better if
/// the caller returns later than if the send hangs.
pub(crate) const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(120);

/// The shortest time for a retry. With less, it would most likely end without a response and turn a
/// known outcome into an unknown one. If a tenth of the deadline is shorter, that is enough.
const SHORTEST_RETRY: Duration = Duration::from_secs(1);

/// The reaction to an attempt after which the service may have the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnUnknown {
    /// Sends the message again. The same slots sent twice mean the same.
    #[default]
    Retry,
    /// Ends the send, so that the service can't get a second copy from it.
    Stop,
}

/// The limits of a send.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// The maximum number of attempts, including the first.
    pub(crate) max_attempts: u32,
    /// The maximum time for one attempt.
    pub(crate) attempt_timeout: Duration,
    /// The maximum time for the whole send, including waiting.
    pub(crate) deadline: Duration,
    /// The reaction if the service may have the message.
    pub(crate) on_unknown: OnUnknown,
    /// Whether the deadline also covers waiting for the client's own limits.
    pub(crate) deadline_covers_limits: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            // Three retries outlast failures of about a second. Further ones mostly add load.
            max_attempts: 4,
            // The service ends a request after about 120 s. Giving up earlier would send a copy of
            // a message that it is still working on.
            attempt_timeout: Duration::from_secs(125),
            // Room for two attempts of maximum length, and the delay between them.
            deadline: Duration::from_secs(300),
            // The same slots sent twice mean the same.
            on_unknown: OnUnknown::Retry,
            // A caller waits for a send. A publication waits for the limits instead.
            deadline_covers_limits: true,
        }
    }
}

/// The end of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttemptResult {
    /// An exchange with this classification.
    Exchanged(Classification),
    /// No request, because there is no access token. If `is_temporary`, there may be one a moment
    /// later.
    TokenUnavailable { is_temporary: bool },
}

/// The time at which a token may be available to replace a rejected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// Now: the next attempt uses or requests another token.
    AtOnce,
    /// After this time, in which the new token may become valid.
    After(Duration),
}

/// The last attempt and the state of its send, as [`Policy::after`] needs them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryState {
    /// The number of the attempt within its send, starting at 1.
    pub(crate) number: u32,
    pub(crate) ending: AttemptResult,
    /// The delay that the service asked for, or the time in which no access token is requested.
    pub(crate) retry_after: Option<Duration>,
    /// The time left until the deadline.
    pub(crate) time_left: Duration,
    /// Whether this send replaced an access token before, because the service rejected it.
    pub(crate) token_replaced: bool,
    /// The time at which a token may be available for another attempt, if the service rejected this
    /// attempt's token.
    pub(crate) renewal: Option<Renewal>,
    /// Whether this send tried a new token again before, because the service rejected it.
    pub(crate) token_tried_again: bool,
    /// Whether the connection was closed before the service took the request.
    pub(crate) connection_was_closed: bool,
}

/// The decision after an attempt, and the reason for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Retry after this delay. The budget has already paid this cost.
    Again(Duration, NextStep, Cost),
    /// End the send.
    Stop(NextStep),
}

impl Policy {
    /// Returns whether there is time for `wait` and then for another attempt. A wait above
    /// [`LONGEST_RETRY_AFTER`] never fits.
    pub(crate) fn has_room(&self, wait: Duration, time_left: Duration) -> bool {
        let room = self.room(time_left);
        wait <= room.min(LONGEST_RETRY_AFTER) && !room.is_zero()
    }

    /// Returns the time that may be spent on waiting, so that the next attempt still has time to
    /// end.
    pub(crate) fn room(&self, time_left: Duration) -> Duration {
        time_left.saturating_sub(SHORTEST_RETRY.min(self.attempt_timeout).min(self.deadline / 10))
    }

    /// Returns the time that may be spent on waiting for other messages. The rest is enough for a
    /// whole attempt, or is half of a short deadline. Otherwise, in an overload, every send would
    /// get its turn too late.
    pub(crate) fn room_in_queue(&self, time_left: Duration) -> Duration {
        time_left.saturating_sub(self.attempt_timeout.min(self.deadline / 2))
    }

    /// Decides what follows an attempt. Takes the cost of a retry from `budget` if there is one.
    pub(crate) fn after(
        &self,
        ended: RetryState,
        delays: &mut AttemptDelays,
        budget: Option<&RetryBudget>,
    ) -> Decision {
        let (why, cost) = match ended.ending {
            AttemptResult::Exchanged(Classification::Accepted) => {
                return Decision::Stop(NextStep::Done);
            }
            AttemptResult::Exchanged(Classification::Rejected | Classification::Partial)
            | AttemptResult::TokenUnavailable { is_temporary: false } => {
                return Decision::Stop(NextStep::NotRetryable);
            }
            AttemptResult::Exchanged(Classification::Unknown)
                if self.on_unknown == OnUnknown::Stop =>
            {
                return Decision::Stop(NextStep::StoppedOnUnknown);
            }
            AttemptResult::Exchanged(Classification::Unauthorized) => match ended.renewal {
                // All sends meet this at once. The service is fine, and the cooldown limits the
                // load.
                Some(Renewal::After(_)) if !ended.token_tried_again => {
                    (NextStep::TokenCooldown, Cost::Free)
                }
                Some(Renewal::AtOnce) if !ended.token_replaced => (NextStep::NewToken, Cost::Free),
                _ => return Decision::Stop(NextStep::NotRetryable),
            },
            // The message endpoint saw nothing, and all sends share one token request.
            AttemptResult::TokenUnavailable { is_temporary: true } => {
                (NextStep::TokenCooldown, Cost::Free)
            }
            AttemptResult::Exchanged(Classification::Throttled) => {
                (NextStep::Backoff, Cost::Throttled)
            }
            // The service saw nothing, and closing an idle connection isn't a sign of trouble.
            AttemptResult::Exchanged(Classification::NotSent) if ended.connection_was_closed => {
                (NextStep::Backoff, Cost::Free)
            }
            AttemptResult::Exchanged(
                Classification::Transient | Classification::Unknown | Classification::NotSent,
            ) => (NextStep::Backoff, Cost::Usual),
        };
        let retry_after = match (ended.ending, ended.renewal) {
            (
                AttemptResult::Exchanged(Classification::Unauthorized),
                Some(Renewal::After(wait)),
            ) => Some(wait),
            _ => ended.retry_after.filter(|_| why != NextStep::NewToken),
        };
        if retry_after.is_some_and(|retry_after| retry_after > LONGEST_RETRY_AFTER) {
            return Decision::Stop(NextStep::RetryAfterTooLong);
        }
        if ended.number >= self.max_attempts {
            return Decision::Stop(NextStep::AttemptsExhausted);
        }
        let room = self.room(ended.time_left);
        let mut drawn = || {
            delays.next_delay(ended.ending == AttemptResult::Exchanged(Classification::Throttled))
        };
        let (delay, why) = match retry_after {
            _ if why == NextStep::NewToken => (Duration::ZERO, why),
            // All sends wait for the same cooldown, which has its own jitter.
            Some(pause) if why == NextStep::TokenCooldown => (pause, why),
            // `Retry-After` is a minimum. Jitter on top, if there is room for it, keeps clients
            // that got the same value from returning at once.
            Some(retry_after) => {
                let room = room.min(LONGEST_RETRY_AFTER).saturating_sub(retry_after);
                (retry_after + drawn().min(room / 2), NextStep::RetryAfter)
            }
            None => (drawn(), why),
        };
        if delay > room || room.is_zero() {
            return Decision::Stop(NextStep::Deadline);
        }
        if !budget.is_none_or(|budget| budget.spend(cost)) {
            return Decision::Stop(NextStep::RetryBudgetExhausted);
        }
        Decision::Again(delay, why, cost)
    }
}
