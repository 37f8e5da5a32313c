//! Messages of a batch: the same `Meta` but for their place in it, and each with slots of its own.

use uuid::Uuid;

use super::encode::{SLOTS, meta_length, write_meta};
use super::outgoing::Defaults;
use crate::message::codec::corrector::Corrector;
use crate::message::codec::json_writer as write;
use crate::message::codec::path::Path;
use crate::message::codec::problems::Problems;
use crate::message::codec::value::Value;
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

    /// The `Meta` that all messages share.
    pub(crate) fn shared_meta(&self) -> &Meta {
        &self.meta
    }

    /// The same, with these problems.
    pub(crate) fn with_problems(self, problems: PermittedProblems) -> Self {
        Self { problems, ..self }
    }

    /// The problems of `Meta` that are permitted.
    pub(crate) fn problems(&self) -> &PermittedProblems {
        &self.problems
    }

    /// The ids of the destinations, in their order.
    ///
    /// For an id that isn't a UUID, and that a lenient client sends all the same, it is one that no
    /// other destination has.
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

    /// How many bytes a message takes without its slots, wherever in the batch it is.
    pub(crate) fn length(&self, batch_id: &str) -> usize {
        let meta =
            self.meta(Some(BatchPosition { batch_id, current: u64::MAX, total: Some(u64::MAX) }));
        // The opening bracket of the list takes the place of the comma before the first slot.
        write::enclosed(meta_length(&meta) + SLOTS.len() + "]".len())
    }

    /// Begins a message in `out`, which is empty.
    pub(crate) fn begin(&self, place: Option<BatchPosition<'_>>, mut out: Vec<u8>) -> BatchMessage {
        write_meta(&self.meta(place), &mut out);
        out.extend_from_slice(SLOTS.as_bytes());
        BatchMessage { slots: out.len(), out }
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
    /// Where its slots start.
    slots: usize,
}

impl BatchMessage {
    pub(crate) fn add(&mut self, slot: &Slot) {
        slot.write_added(&mut self.out);
    }

    /// The bytes after the first `written`.
    pub(crate) fn written_since(&self, written: usize) -> &[u8] {
        self.out.get(written..).unwrap_or_default()
    }

    /// How many bytes are written.
    pub(crate) fn written(&self) -> usize {
        self.out.len()
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        write::enclose(*b"[]", self.slots, &mut self.out);
        write::enclose(*b"{}", 0, &mut self.out);
        self.out
    }
}

impl Slot {
    /// Writes what the slot adds to a message: its JSON after a comma.
    pub(crate) fn write_added(&self, out: &mut Vec<u8>) {
        out.push(b',');
        self.write(out);
    }

    /// How many bytes the slot adds to a message.
    pub(crate) fn added_length(&self) -> usize {
        ",".len() + self.length::<true>()
    }

    /// Finds what is wrong with the slot, as the one at `index` of a list.
    pub(crate) fn check_at(&self, index: usize, problems: &mut Problems) {
        self.check(Path::ROOT.key("Slots").index(index), problems);
    }

    /// A copy without optional values that are invalid.
    pub(crate) fn corrected(&self, corrector: &mut Corrector) -> Box<Self> {
        let mut slot = Box::new(self.clone());
        slot.drop_invalid(corrector);
        slot
    }
}
