//! Messages of a batch. They share one `Meta`, except for their batch numbers, and each has its own
//! slots.

use std::array;

use uuid::Uuid;

use super::encode::{SLOTS, meta_length, write_meta};
use super::outgoing::Defaults;
use crate::digest::SlotHashes;
use crate::message::codec::corrector::Corrector;
use crate::message::codec::json_writer as write;
use crate::message::codec::path::Path;
use crate::message::codec::problems::Problems;
use crate::message::codec::value::{PRELOADED, Value, preload_all};
use crate::message::validation::corrected;
use crate::message::{Destination, InvalidMessage, Meta, PermittedProblems, Slot, Validation};

/// The `Meta` that all messages of a batch share.
#[derive(Clone)]
pub(crate) struct Envelope {
    meta: Meta,
    problems: PermittedProblems,
}

/// The place of a message in its batch.
#[derive(Clone, Copy)]
pub(crate) struct BatchPosition<'a> {
    pub(crate) batch_id: &'a str,
    pub(crate) current: u64,
    pub(crate) total: Option<u64>,
}

impl Envelope {
    /// Creates the envelope from `meta`, completed with the client's `defaults`.
    ///
    /// # Errors
    ///
    /// Returns the problems of the completed `meta` that `validation` doesn't permit.
    pub(crate) fn new(
        meta: &Meta,
        defaults: Defaults<'_>,
        validation: Validation,
    ) -> Result<Self, InvalidMessage> {
        let check = |meta: &Meta, problems: &mut Problems| {
            defaults.check(meta, problems);
            meta.check(Path::ROOT.key("Meta"), problems);
        };
        let corrected = |meta: &Meta| corrected(meta, Value::drop_invalid);
        let (corrected, problems) = validation.permit(meta, check, corrected)?;
        Ok(Self { meta: defaults.applied_to(corrected.as_deref().unwrap_or(meta)), problems })
    }

    /// Returns the `Meta` that all messages share.
    pub(crate) fn shared_meta(&self) -> &Meta {
        &self.meta
    }

    /// Replaces the permitted problems.
    pub(crate) fn with_problems(self, problems: PermittedProblems) -> Self {
        Self { problems, ..self }
    }

    /// Returns the permitted problems of `Meta`.
    pub(crate) fn problems(&self) -> &PermittedProblems {
        &self.problems
    }

    /// Returns the IDs of the destinations in order.
    ///
    /// A lenient client can send an ID that isn't a UUID. Such a destination is identified by a
    /// UUID that is derived from its JSON.
    pub(crate) fn destination_ids(&self) -> Vec<Uuid> {
        let id = |destination: &Destination| {
            destination.id.unwrap_or_else(|| {
                let mut json = Vec::new();
                destination.write(&mut json);
                Uuid::new_v5(&Uuid::NAMESPACE_OID, &json)
            })
        };
        self.meta.destinations.iter().map(id).collect()
    }

    /// Returns the maximum length of a message without its slots in bytes, at any place in the
    /// batch.
    pub(crate) fn length(&self, batch_id: &str) -> usize {
        let meta =
            self.meta(Some(BatchPosition { batch_id, current: u64::MAX, total: Some(u64::MAX) }));
        // The opening bracket of the list replaces the comma before the first slot.
        write::enclosed(meta_length(&meta) + SLOTS.len() + "]".len())
    }

    /// Begins a message with this number of slots in `out`, which must be empty.
    pub(crate) fn begin(
        &self,
        place: Option<BatchPosition<'_>>,
        slot_count: usize,
        mut out: Vec<u8>,
    ) -> BatchMessage {
        write_meta(&self.meta(place), &mut out);
        out.extend_from_slice(SLOTS.before_value());
        BatchMessage { slots: out.len(), ends: Vec::with_capacity(slot_count), out }
    }

    fn meta(&self, place: Option<BatchPosition<'_>>) -> Meta {
        let mut meta = self.meta.clone();
        let place = place.map(|place| (place.batch_id.to_owned(), place.current, place.total));
        (meta.batch_id, meta.current_batch, meta.total_batches) = match place {
            Some((id, current, total)) => (Some(id), Some(current), total),
            None => (None, None, None),
        };
        meta
    }
}

/// A message that is being written.
pub(crate) struct BatchMessage {
    out: Vec<u8>,
    /// The offset in `out` at which the slots start.
    slots: usize,
    /// The offset in `out` after each slot, in order.
    ends: Vec<usize>,
}

impl BatchMessage {
    /// Adds slots until they take `bytes`, or none are left. Returns the number of added slots.
    pub(crate) fn add<'a>(
        &mut self,
        mut slots: impl Iterator<Item = &'a Slot>,
        bytes: usize,
    ) -> usize {
        let enough = self.out.len().saturating_add(bytes);
        let before = self.ends.len();
        while self.out.len() < enough {
            let some: [Option<&Slot>; PRELOADED] = array::from_fn(|_| slots.next());
            if let [None, ..] = some {
                break;
            }
            preload_all(some.into_iter().flatten());
            for slot in some.into_iter().flatten() {
                slot.write_added(&mut self.out);
                self.ends.push(self.out.len());
                if self.out.len() >= enough {
                    break;
                }
            }
        }
        self.ends.len() - before
    }

    /// Returns the JSON before the slots.
    pub(crate) fn before_slots(&self) -> &[u8] {
        self.out.get(..self.slots).unwrap_or_default()
    }

    /// Returns the hashes of the slots.
    ///
    /// Hashing each slot as it is added would take twice as long. Wide reads of bytes that were
    /// only just written are slow.
    pub(crate) fn slot_hashes(&self) -> SlotHashes {
        let starts = [self.slots].into_iter().chain(self.ends.iter().copied());
        let slots = starts.zip(&self.ends);
        slots.map(|(start, end)| self.out.get(start..*end).unwrap_or_default()).collect()
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        write::enclose(*b"[]", self.slots, &mut self.out);
        write::enclose(*b"{}", 0, &mut self.out);
        self.out
    }
}

impl Slot {
    /// Writes a comma and the JSON of the slot.
    pub(crate) fn write_added(&self, out: &mut Vec<u8>) {
        out.push(b',');
        self.write(out);
    }

    /// Returns the number of bytes that [`write_added`](Self::write_added) writes.
    pub(crate) fn added_length(&self) -> usize {
        ",".len() + self.length::<true>()
    }

    /// Adds the problems of the slot, with `index` in their paths.
    pub(crate) fn check_at(&self, index: usize, problems: &mut Problems) {
        self.check(Path::ROOT.key("Slots").index(index), problems);
    }

    /// Returns a copy without invalid optional values.
    pub(crate) fn corrected(&self, corrector: &mut Corrector) -> Box<Self> {
        let mut slot = Box::new(self.clone());
        slot.drop_invalid(corrector);
        slot
    }
}
