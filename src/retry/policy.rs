//! What follows an attempt that was not accepted.

use std::time::Duration;

use super::budget::Cost;
use super::{AttemptDelays, Classification, NextStep, RetryBudget};

/// The longest that a send waits for `Retry-After`. A service that asks for more is better served
/// by a caller that comes back later than by one that hangs.
pub(crate) const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(120);

/// A retry with less time than this would most likely end without a response, and make a known
/// outcome an unknown one. Of a short deadline a tenth is enough.
const SHORTEST_RETRY: Duration = Duration::from_secs(1);

/// What follows an attempt after which the service may have the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnUnknown {
    /// It is sent again: the same slots sent twice mean the same.
    #[default]
    Retry,
    /// The send ends, so that the service can't get a second copy from it.
    Stop,
}

/// How often and how long a send tries.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// Attempts in all, the first one included.
    pub(crate) max_attempts: u32,
    /// Longest time for one attempt.
    pub(crate) attempt_timeout: Duration,
    /// Longest time for the whole send, waiting included.
    pub(crate) deadline: Duration,
    /// Whether to try again where the service may have the message.
    pub(crate) on_unknown: OnUnknown,
    /// Whether the deadline also covers waiting for the client's own limits.
    pub(crate) deadline_covers_limits: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            // Three retries outlast failures of about a second; more mostly add load.
            max_attempts: 4,
            // The service ends a request after about 120 s. Giving up earlier would send a copy of
            // a message that it still works on.
            attempt_timeout: Duration::from_secs(125),
            // Two attempts of the longest kind, and the delay between them.
            deadline: Duration::from_secs(300),
            // The same slots sent twice mean the same.
            on_unknown: OnUnknown::Retry,
            // A caller waits for a send. A publication waits for the limits instead.
            deadline_covers_limits: true,
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttemptResult {
    /// In an exchange of this class.
    Exchanged(Classification),
    /// Without a request: there is no access token. Where that is temporary, there may be one a
    /// moment later.
    TokenUnavailable { is_temporary: bool },
}

/// When there may be a token instead of a rejected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// As soon as a new one was requested.
    AtOnce,
    /// After this time, in which the new token may become valid.
    After(Duration),
}

/// The attempt that [`Policy::after`] is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryState {
    /// Its number, from 1.
    pub(crate) number: u32,
    pub(crate) ending: AttemptResult,
    /// How long the service asked to wait, or how long no access token is asked for.
    pub(crate) retry_after: Option<Duration>,
    /// What is left until the deadline.
    pub(crate) time_left: Duration,
    /// Whether an access token was replaced before, since the service rejected it.
    pub(crate) token_replaced: bool,
    /// When there may be a token to send the message with again, after the service rejected this
    /// attempt's.
    pub(crate) renewal: Option<Renewal>,
    /// Whether a new token was tried again before, because the service rejected it.
    pub(crate) token_tried_again: bool,
    /// Whether the connection was found closed before the service took the request.
    pub(crate) connection_was_closed: bool,
}

/// What follows a failed attempt, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Try again after this delay. The budget has paid this cost for it.
    Again(Duration, NextStep, Cost),
    /// Give up.
    Stop(NextStep),
}

impl Policy {
    /// Whether there is time for a wait before the next attempt, and for that.
    pub(crate) fn has_room(&self, wait: Duration, time_left: Duration) -> bool {
        let room = self.room(time_left);
        wait <= room.min(LONGEST_RETRY_AFTER) && !room.is_zero()
    }

    /// What may be spent on waiting so that the next attempt has time to end.
    pub(crate) fn room(&self, time_left: Duration) -> Duration {
        time_left.saturating_sub(SHORTEST_RETRY.min(self.attempt_timeout).min(self.deadline / 10))
    }

    /// Returns the time that may be spent on waiting for other messages. The rest is enough for a
    /// whole attempt, or is half of a short deadline. Otherwise every send would get its turn too
    /// late in an overload.
    pub(crate) fn room_in_queue(&self, time_left: Duration) -> Duration {
        time_left.saturating_sub(self.attempt_timeout.min(self.deadline / 2))
    }

    /// Decides what follows an attempt, and takes what a retry costs from the budget where there is
    /// one.
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
                // All sends meet it at once, the service is fine, and the cooldown bounds the load.
                Some(Renewal::After(_)) if !ended.token_tried_again => {
                    (NextStep::TokenCooldown, Cost::Free)
                }
                Some(Renewal::AtOnce) if !ended.token_replaced => (NextStep::NewToken, Cost::Free),
                _ => return Decision::Stop(NextStep::NotRetryable),
            },
            // The message endpoint saw nothing, and the token endpoint is asked by one for all.
            AttemptResult::TokenUnavailable { is_temporary: true } => {
                (NextStep::TokenCooldown, Cost::Free)
            }
            AttemptResult::Exchanged(Classification::Throttled) => {
                (NextStep::Backoff, Cost::Throttled)
            }
            // The service saw nothing, and it isn't a sign of trouble that an idle connection is
            // closed.
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
            // All sends sit out the same pause, which has its jitter.
            Some(pause) if why == NextStep::TokenCooldown => (pause, why),
            // `Retry-After` is a floor. Jitter on top, where there is room for it, keeps those
            // who were told the same from coming back at once.
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
