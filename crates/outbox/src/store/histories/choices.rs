//! The random choices of a history.

use std::time::Duration;

use pushslots::Delivery;
use rand::Rng;
use rand::seq::SliceRandom;
use uuid::Uuid;

use super::History;
use crate::filter::{Filter, Kind};
use crate::state::{BatchPart, DeadReason, OnDead, Outcome, Verdict};
use crate::store::NewEntry;
use crate::time::Timestamp;

const LANES: [&str; 3] = ["north", "south", "west"];
const KEYS: [&str; 2] = ["dr-1", "dr-2"];

/// The kinds of states, and some reasons.
pub(super) const KINDS: [Kind; 8] = [
    Kind::Waiting,
    Kind::Sending,
    Kind::Accepted,
    Kind::Superseded,
    Kind::Cancelled,
    Kind::Dead,
    Kind::DeadBecause(DeadReason::Rejected),
    Kind::DeadBecause(DeadReason::Unknown),
];

impl History {
    /// Returns the entries of an enqueue: new ones, often as a batch, and sometimes known ones with
    /// the same or other bytes.
    pub(super) fn new_entries(&mut self) -> Vec<NewEntry> {
        let count = self.random.gen_range(1..=4);
        let lane = self.lane();
        let key = self.random.gen_bool(0.7).then(|| self.choice(&KEYS).to_owned());
        let is_batch = self.random.gen_bool(0.4);
        let batch = Uuid::from_u128(self.random.r#gen()).to_string();
        let mut entries = Vec::new();
        for _ in 0..count {
            if self.random.gen_bool(0.1)
                && let Some(known) = self.enqueued.choose(&mut self.random).cloned()
            {
                let is_repeated =
                    entries.iter().any(|entry: &NewEntry| entry.message_id == known.message_id);
                let has_other = !is_repeated && self.random.gen_bool(0.2);
                let digest = if has_other { [9; 32] } else { known.digest };
                // It may have been removed, and then it is new.
                let due = known.due.max(self.now);
                entries.push(NewEntry { digest, enqueued: self.now, due, ..known });
                continue;
            }
            let is_uniform = self.random.gen_bool(0.9);
            // A store with a clock of its own uses that.
            let age = if self.subject.is_shared() { 0 } else { self.random.gen_range(0..3) };
            let delay = Duration::from_secs(self.random.gen_range(0..20));
            let lifetime = Duration::from_secs(self.random.gen_range(0..20_000));
            let has_delay = self.random.gen_bool(0.2);
            // In the model, a lane loops for ever if its first entry was begun under the lease of
            // another lane and has expired.
            let can_expire = !self.is_wild && self.random.gen_bool(0.3);
            let entry = NewEntry {
                message_id: Uuid::from_u128(self.random.r#gen()),
                lane: if is_uniform { lane.clone() } else { self.lane() },
                key: if is_uniform { key.clone() } else { None },
                batch: is_batch.then(|| BatchPart { id: batch.clone(), entries: count }),
                digest: [self.random.gen_range(0..3); 32],
                slots: self.random.gen_range(1..1_000),
                on_dead: if self.random.gen_bool(0.2) { OnDead::Hold } else { OnDead::Continue },
                enqueued: Timestamp(self.now.0 - age),
                due: if has_delay { self.now.after(delay) } else { self.now },
                expires: can_expire.then(|| self.now.after(lifetime)),
                body: vec![self.random.r#gen(); self.random.gen_range(0..40)],
            };
            self.enqueued.push(entry.clone());
            entries.push(entry);
        }
        entries
    }

    pub(super) fn lane(&mut self) -> String {
        self.choice(&LANES).to_owned()
    }

    fn choice<T: Copy>(&mut self, values: &[T]) -> T {
        *values.choose(&mut self.random).expect("there are values")
    }

    pub(super) fn filter(&mut self) -> Filter {
        let batches: Vec<_> = self.enqueued.iter().filter_map(|new| new.batch.as_ref()).collect();
        let batch = batches.choose(&mut self.random).map(|batch| batch.id.clone());
        Filter {
            batch: batch.filter(|_| self.random.gen_bool(0.1)),
            lane: self.random.gen_bool(0.3).then(|| self.lane()),
            kind: self.random.gen_bool(0.7).then(|| self.choice(&KINDS)),
            changed_before: self.random.gen_bool(0.3).then_some(self.now),
        }
    }

    pub(super) fn outcome(&mut self) -> Outcome {
        let delay = Duration::from_secs(self.random.gen_range(0..30));
        let unclear = self.choice(&[Delivery::NotSent, Delivery::Rejected, Delivery::Unknown]);
        let (delivery, verdict, attempts) = match self.random.gen_range(0..8) {
            0 | 1 => (Delivery::Accepted, Verdict::Accepted, 1),
            2 => (Delivery::Rejected, Verdict::Final, 1),
            3 => (Delivery::Unknown, Verdict::Final, 2),
            4 => (Delivery::Unknown, Verdict::StopOnUnknown, 1),
            5 => (Delivery::NotSent, Verdict::Invalid, 0),
            6 => (Delivery::NotSent, Verdict::Blocked { delay }, 0),
            _ => {
                let is_probe = self.random.gen_bool(0.3);
                (unclear, Verdict::Retry { at_least: delay, is_probe }, 3)
            }
        };
        Outcome { delivery, verdict, attempts }
    }
}
