//! The state of a whole outbox.

use std::time::Duration;

use crate::store::{Counts, Summary};
use crate::time::Timestamp;

/// The state of a whole outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The number of waiting entries.
    pub waiting: u64,
    /// The number of entries that are being sent.
    pub sending: u64,
    /// The number of accepted entries that aren't removed yet.
    pub accepted: u64,
    /// The number of superseded entries that aren't removed yet.
    pub superseded: u64,
    /// The number of cancelled entries that aren't removed yet.
    pub cancelled: u64,
    /// The numbers of dead letters, by reason.
    pub dead: DeadLetters,
    /// The age of the oldest entry that waits or is being sent.
    pub oldest_age: Option<Duration>,
    /// The lanes that are held until a person releases them.
    pub held_lanes: Vec<String>,
}

/// The numbers of dead letters, by [reason](crate::DeadReason).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetters {
    /// Messages that the service rejected permanently.
    pub rejected: u64,
    /// Messages that failed for 24 hours.
    pub abandoned: u64,
    /// Messages that may have arrived.
    pub unknown: u64,
    /// Messages that weren't accepted before their expiry.
    pub expired: u64,
    /// Messages that lost five workers.
    pub poison: u64,
    /// Messages that can't be decoded or sent.
    pub invalid: u64,
}

impl DeadLetters {
    /// Returns the number of all dead letters.
    #[must_use]
    pub fn total(self) -> u64 {
        let Self { rejected, abandoned, unknown, expired, poison, invalid } = self;
        [rejected, abandoned, unknown, expired, poison, invalid].into_iter().sum()
    }
}

impl Stats {
    pub(crate) fn new(summary: Summary, now: Timestamp) -> Self {
        let Summary { counts, oldest, held_lanes } = summary;
        let Counts { waiting, sending, accepted, superseded, cancelled, .. } = counts;
        Self {
            waiting,
            sending,
            accepted,
            superseded,
            cancelled,
            dead: DeadLetters {
                rejected: counts.rejected,
                abandoned: counts.abandoned,
                unknown: counts.unknown,
                expired: counts.expired,
                poison: counts.poison,
                invalid: counts.invalid,
            },
            oldest_age: oldest.map(|oldest| now.since(oldest)),
            held_lanes,
        }
    }
}
