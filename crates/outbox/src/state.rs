//! The state machine of an entry: events in, the next state out. It has no clock and no I/O.

use std::time::Duration;

use pushslots::Delivery;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::schedule;
use crate::time::Timestamp;

/// The number of lost leases after which an entry is a dead letter.
pub(crate) const MAX_LOST_LEASES: u32 = 5;

/// An entry as it is stored, without its body, attempts and receipt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct EntryRecord {
    pub(crate) message_id: Uuid,
    /// The number of the entry in the order of enqueueing.
    pub(crate) number: u64,
    pub(crate) lane: String,
    /// The position in the lane. Entries with the same position are in the order of their numbers.
    pub(crate) position: u64,
    /// The key under which newer entries of the lane supersede this one.
    pub(crate) key: Option<String>,
    pub(crate) batch: Option<BatchPart>,
    /// A digest of the prepared message, which identifies its bytes.
    pub(crate) digest: [u8; 32],
    pub(crate) slots: usize,
    pub(crate) on_dead: OnDead,
    pub(crate) enqueued: Timestamp,
    pub(crate) expires: Option<Timestamp>,

    pub(crate) state: EntryState,
    /// The certainty of all attempts so far, or `None` before the first.
    pub(crate) delivery: Option<Delivery>,
    /// The earliest time of the next send, while the entry waits.
    pub(crate) due: Timestamp,
    /// The number of failed sends that count toward abandoning the entry.
    pub(crate) failures: u32,
    pub(crate) failing_since: Option<Timestamp>,
    pub(crate) lost_leases: u32,
    /// The number of recorded attempts.
    pub(crate) attempts: u32,
    /// The time of the last change.
    pub(crate) changed: Timestamp,
}

/// The position of an entry in its batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct BatchPart {
    pub(crate) id: String,
    /// The number of entries that were enqueued for the batch.
    pub(crate) entries: usize,
}

/// The state of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EntryState {
    /// It waits for its turn in the lane, its due time, or a worker.
    Waiting,
    /// A worker sends it.
    Sending {
        /// The number of the worker's lease, which is different for every lease of a lane.
        lease: u64,
    },
    /// The service accepted it.
    Accepted,
    /// A newer entry with the same key replaced it before it was accepted.
    Superseded {
        /// The message id of the newer entry.
        by: Uuid,
    },
    /// It was cancelled before it was sent.
    Cancelled,
    /// It won't be sent again unless it is replayed.
    Dead(DeadReason),
}

/// The reason why an entry is a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeadReason {
    /// The service rejected the message permanently.
    Rejected,
    /// All sends failed for 24 hours.
    Abandoned,
    /// It is unknown whether the message arrived, and it must not be sent again by itself.
    Unknown,
    /// It wasn't accepted before its expiry.
    Expired,
    /// Five workers in a row were lost while they had it.
    Poison,
    /// The stored message can't be decoded or sent.
    Invalid,
}

/// The effect of a dead letter on its lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnDead {
    /// The lane continues with its next entry.
    #[default]
    Continue,
    /// The lane is held until a person releases it. An expired entry doesn't hold its lane.
    Hold,
}

/// The result of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The least certain delivery of the send's attempts.
    pub(crate) delivery: Delivery,
    pub(crate) verdict: Verdict,
    /// The number of attempts of the send.
    pub(crate) attempts: u32,
}

/// The consequence of a send for its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    /// The service rejected the message permanently.
    Final,
    /// Some destinations may have the message, so it must not be sent again by itself.
    FinalUnknown,
    /// The outcome is unknown, and the client doesn't send the message again by itself.
    StopOnUnknown,
    /// The message can't be sent as it is.
    Invalid,
    /// A rate limit, or missing credentials. The entry isn't at fault.
    Blocked {
        delay: Duration,
    },
    /// A temporary failure. An entry that served as the probe of a service that is down waits only
    /// for the next probe.
    Retry {
        at_least: Duration,
        is_probe: bool,
    },
}

/// An event in the life of an entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Event {
    Begun { lease: u64 },
    Ended { lease: u64, outcome: Outcome },
    LeaseLost { lease: u64 },
    Superseded { by: Uuid },
    Cancelled,
    Expired,
    Replayed,
}

/// The changes that a store makes in addition to saving the entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// Whether the body is no longer needed.
    pub(crate) erases_body: bool,
    pub(crate) holds_lane: bool,
}

/// An event that doesn't apply in the current state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ignored;

impl EntryState {
    /// Returns whether the entry is accepted, superseded, cancelled or dead.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Sending { .. })
    }
}

impl EntryRecord {
    /// Applies an event. `random` is at least 0 and below 1, and varies the delay of a retry.
    pub(crate) fn apply(
        &mut self,
        event: Event,
        now: Timestamp,
        random: f64,
    ) -> Result<Effects, Ignored> {
        let effects = match (self.state, event) {
            (EntryState::Waiting, Event::Begun { lease }) => {
                self.state = EntryState::Sending { lease };
                Effects::default()
            }
            (EntryState::Sending { lease }, Event::Ended { lease: ended, outcome })
                if lease == ended =>
            {
                self.attempts = self.attempts.saturating_add(outcome.attempts);
                self.ended(outcome, now, random)
            }
            (_, Event::Ended { outcome, .. }) => {
                self.attempts = self.attempts.saturating_add(outcome.attempts);
                self.ended_late(outcome)
            }
            (EntryState::Sending { lease }, Event::LeaseLost { lease: lost }) if lease == lost => {
                self.attempts = self.attempts.saturating_add(1);
                self.lost_leases = self.lost_leases.saturating_add(1);
                self.fold(Delivery::Unknown);
                if self.lost_leases >= MAX_LOST_LEASES {
                    self.dies(DeadReason::Poison)
                } else {
                    self.waits_until(now)
                }
            }
            (EntryState::Waiting, Event::Superseded { by }) => {
                self.state = EntryState::Superseded { by };
                Effects { erases_body: true, holds_lane: false }
            }
            (EntryState::Waiting, Event::Cancelled) => {
                self.state = EntryState::Cancelled;
                Effects { erases_body: true, holds_lane: false }
            }
            (EntryState::Waiting, Event::Expired) => self.dies(DeadReason::Expired),
            (EntryState::Dead(_), Event::Replayed) => {
                self.failures = 0;
                self.failing_since = None;
                self.lost_leases = 0;
                // A person decided to send it, whatever the time.
                self.expires = None;
                self.waits_until(now)
            }
            _ => return Err(Ignored),
        };
        self.changed = now;
        Ok(effects)
    }

    fn ended(&mut self, outcome: Outcome, now: Timestamp, random: f64) -> Effects {
        self.lost_leases = 0;
        if outcome.attempts > 0 || outcome.verdict == Verdict::Accepted {
            self.fold(outcome.delivery);
        }
        match outcome.verdict {
            Verdict::Accepted => self.is_accepted(),
            Verdict::Final => self.dies(DeadReason::Rejected),
            Verdict::FinalUnknown => self.dies(DeadReason::Unknown),
            Verdict::StopOnUnknown => {
                self.dies(DeadReason::Unknown);
                Effects { erases_body: false, holds_lane: true }
            }
            Verdict::Invalid => self.dies(DeadReason::Invalid),
            Verdict::Blocked { delay } => self.waits_until(now.after(delay)),
            Verdict::Retry { at_least, is_probe } => {
                self.failures = self.failures.saturating_add(1);
                let since = *self.failing_since.get_or_insert(now);
                let is_old = now.since(since) >= schedule::ABANDONED_AFTER;
                // The outbox may have been off, or the lane held, for most of that time.
                if is_old && self.failures >= schedule::MIN_FAILURES {
                    return self.dies(DeadReason::Abandoned);
                }
                let delay = match is_probe {
                    true => schedule::PROBE_DELAY,
                    false => schedule::delay(self.failures, random),
                };
                self.waits_until(now.after(delay.max(at_least)))
            }
        }
    }

    /// Adds the outcome of a send under an older lease. Only an acceptance changes the state.
    fn ended_late(&mut self, outcome: Outcome) -> Effects {
        if outcome.attempts > 0 || outcome.verdict == Verdict::Accepted {
            self.fold(outcome.delivery);
        }
        match (outcome.verdict, self.state) {
            (_, EntryState::Accepted) => Effects::default(),
            (Verdict::Accepted, _) => self.is_accepted(),
            _ => Effects::default(),
        }
    }

    fn is_accepted(&mut self) -> Effects {
        self.state = EntryState::Accepted;
        Effects { erases_body: true, holds_lane: false }
    }

    fn waits_until(&mut self, due: Timestamp) -> Effects {
        self.state = EntryState::Waiting;
        self.due = due;
        Effects::default()
    }

    fn dies(&mut self, reason: DeadReason) -> Effects {
        self.state = EntryState::Dead(reason);
        let holds_lane = self.on_dead == OnDead::Hold && reason != DeadReason::Expired;
        Effects { erases_body: false, holds_lane }
    }

    /// Adds an attempt's delivery. A known acceptance stays, and so does doubt.
    fn fold(&mut self, delivery: Delivery) {
        let certainty = |delivery: Delivery| match delivery {
            Delivery::NotSent => 0,
            Delivery::Rejected => 1,
            Delivery::Accepted => 3,
            _ => 2,
        };
        let before = self.delivery.filter(|before| certainty(*before) > certainty(delivery));
        self.delivery = Some(before.unwrap_or(delivery));
    }
}

#[cfg(test)]
mod tests;
