//! Makes the messages of a batch.

use tokio::task::yield_now;
use uuid::Uuid;

use super::callback::Callback;
use super::chunk::{Chunk, Limits};
use super::layout::{Fingerprint, Layout, Numbering, SlotPosition, Task};
use super::opening::{BatchIdentity, Opened};
use super::resume::PointPart;
use super::source::{IN_ONE_GO, SlotSource, SourceError};
use super::validator::{OnInvalid, SlotValidator};
use super::{PublishError, PublishReport, ResumePoint};
use crate::digest::{SlotsDigest, message_id};
use crate::error::Error;
use crate::message::{
    BatchMessage, BatchNumbers, BatchPosition, Envelope, PermittedProblems, PreparedMessage,
    Problem,
};
use crate::receipt::Attempt;

/// The number of bytes encoded before the task yields, so that messages in flight aren't delayed.
const GO: usize = 64 * 1024;

/// Makes messages from slots.
pub(crate) struct Batcher<'a> {
    pub(super) source: SlotSource<'a>,
    pub(super) validator: SlotValidator<'a>,
    envelope: Envelope,
    /// The maximum number of bytes that a message takes without its slots.
    envelope_length: usize,
    batch: BatchIdentity,
    destinations: Vec<Uuid>,
    /// The configured limits of a message.
    limits: Limits,
    /// The number of messages in the batch, if it is known.
    pub(super) total: Option<u64>,
    /// The permitted problems, and the `Problems::revision` of the slots' problems when they were
    /// collected.
    problems: Option<(usize, PermittedProblems)>,
}

/// A message that is ready to be sent, for the first time or again.
pub(super) struct PreparedChunk {
    pub(super) number: u64,
    /// The start and the end of its slots.
    pub(super) start: SlotPosition,
    pub(super) end: SlotPosition,
    pub(super) print: Fingerprint,
    /// An upper bound on its size in bytes.
    pub(super) bytes: usize,
    /// Whether the service may have its slots, because of any attempt of this run or an earlier
    /// one.
    pub(super) is_unknown: bool,
    /// Whether an earlier run sent these slots under another id.
    pub(super) may_repeat: bool,
    pub(super) encoded: PreparedMessage,
    /// The attempts of earlier sends, until the next send takes them.
    pub(super) attempts: Vec<Attempt>,
    /// The number of attempts in earlier sends.
    pub(super) attempts_before: usize,
    /// Whether it is sent to check whether an outage is over.
    pub(super) is_probe: bool,
}

impl<'a> Batcher<'a> {
    pub(crate) fn new(
        source: SlotSource<'a>,
        on_invalid: Option<Callback<OnInvalid<'a>>>,
        opened: Opened,
    ) -> Self {
        let envelope_length = opened.envelope.length(&opened.batch.id);
        let longest = opened.limits.bytes.saturating_sub(envelope_length);
        Self {
            source,
            validator: SlotValidator::new(longest, opened.validation, on_invalid),
            destinations: opened.envelope.destination_ids(),
            envelope: opened.envelope,
            envelope_length,
            batch: opened.batch,
            limits: opened.limits,
            total: None,
            problems: None,
        }
    }

    /// Switches to another batch with the same slots.
    pub(super) fn restart(&mut self, opened: Opened) {
        self.envelope_length = opened.envelope.length(&opened.batch.id);
        self.validator.longest = opened.limits.bytes.saturating_sub(self.envelope_length);
        self.destinations = opened.envelope.destination_ids();
        self.envelope = opened.envelope;
        self.batch = opened.batch;
        self.limits = opened.limits;
        self.problems = None;
    }

    /// Returns the permitted problems in `Meta` and in the slots checked so far.
    pub(super) fn problems(&mut self) -> PermittedProblems {
        let slots = &self.validator.permitted;
        if let Some((revision, known)) = &self.problems {
            if *revision == slots.revision() {
                return known.clone();
            }
        }
        let meta = self.envelope.problems();
        let parts = [(meta.list(), meta.omitted()), (slots.list(), slots.omitted())];
        let revision = slots.revision();
        let problems = PermittedProblems::of_parts(parts);
        self.problems.insert((revision, problems)).1.clone()
    }

    pub(super) fn batch_id(&self) -> &str {
        &self.batch.id
    }

    fn limits(&self, service_limit: Option<usize>) -> Limits {
        let bytes = service_limit.map_or(self.limits.bytes, |limit| limit.min(self.limits.bytes));
        Limits { bytes, ..self.limits }
    }

    /// Checks the available slots, passes over those before `start`, and returns the layout.
    pub(super) async fn begin(&mut self, start: &ResumePoint) -> Result<Layout, SourceError> {
        self.source.check(&mut self.validator).await?;
        let zero =
            SlotPosition { position: 0, index: 0, digest: SlotsDigest::new(&self.destinations) };
        let number = start.number();
        let no_message = || {
            let text = format!(
                "there is no message {number}, because the slots end before it; \
                                pass all slots of the batch"
            );
            SourceError::Invalid(Error::configuration(vec![Problem::new("resume_from", text)]))
        };
        let Some(at) = start.at() else {
            let start = self.find(number, zero).await?.ok_or_else(no_message)?;
            let layout = Layout::new(number, start, None);
            self.count(&layout);
            return Ok(layout);
        };
        let changed = || {
            let text = format!(
                "the first {} slots, which the batch already published, or the destinations have \
                 changed: pass the same slots again, or start a new batch",
                at.slots
            );
            SourceError::Changed(Error::configuration(vec![Problem::new("resume_from", text)]))
        };
        let first = self.advance(zero, at.slots, true).await?.ok_or_else(changed)?;
        if at.digest.is_some_and(|digest| digest != first.digest.to_u64()) {
            return Err(changed());
        }
        let mut layout = Layout::new(number, first.clone(), at.limit);
        let mut spot = first;
        for part in &at.parts {
            let index = spot.index.saturating_add(part.slots());
            spot = self.advance(spot, index, false).await?.ok_or_else(changed)?;
            match part {
                PointPart::Accepted { digest, .. } if *digest != spot.digest.to_u64() => {
                    return Err(changed());
                }
                _ => layout.resume(part, spot.clone()),
            }
        }
        layout.resume_number(at.next);
        self.count(&layout);
        Ok(layout)
    }

    /// Returns the start of message `number` if the current limits alone split the slots. Returns
    /// `None` if the slots end before it.
    async fn find(
        &mut self,
        number: u64,
        mut spot: SlotPosition,
    ) -> Result<Option<SlotPosition>, SourceError> {
        let limits = self.limits(None);
        let envelope = self.envelope_length;
        for _ in 1..number {
            let chunk = self
                .source
                .chunk(spot.position, None, limits, envelope, &mut self.validator)
                .await?;
            if chunk.slots == 0 {
                return Ok(None);
            }
            let Some(end) = self.advance(spot, self.source.came_by(chunk), true).await? else {
                return Ok(None);
            };
            spot = end;
        }
        Ok(Some(spot))
    }

    /// Moves `spot` past the slots before index `before`. Returns `None` if there are fewer slots.
    async fn advance(
        &mut self,
        mut spot: SlotPosition,
        before: usize,
        releases: bool,
    ) -> Result<Option<SlotPosition>, SourceError> {
        let mut encoded = Vec::new();
        while self.source.comes_before(spot.position, before, &mut self.validator).await? {
            if spot.position % IN_ONE_GO == 0 {
                yield_now().await;
            }
            if let Some(slot) = self.source.slot(spot.position) {
                encoded.clear();
                slot.write_added(&mut encoded);
                spot.digest.add_slot(&encoded);
            }
            spot.position += 1;
            if releases {
                self.source.release(spot.position);
            }
        }
        spot.index = before;
        Ok(self.source.has_come(before).then_some(spot))
    }

    /// Counts the messages of the batch again.
    pub(super) fn count(&mut self, layout: &Layout) {
        let limits = self.limits(layout.service_limit);
        let envelope = self.envelope_length;
        let mut total = Some(layout.counts().0);
        for (start, end, has_number) in layout.open() {
            let chunks = self.source.count_chunks(start, end, limits, envelope);
            let add = |(total, chunks): (u64, u64)| {
                total.saturating_add(chunks.saturating_sub(u64::from(has_number)))
            };
            total = total.zip(chunks).map(add);
        }
        self.total = total;
    }

    /// Makes the message of `task`. Returns `None` if there are no more slots.
    ///
    /// `spare` is the buffer of an accepted message. Nothing is lost if the future is dropped.
    pub(super) async fn make(
        &mut self,
        task: Task,
        service_limit: Option<usize>,
        spare: Option<Vec<u8>>,
    ) -> Result<Option<PreparedChunk>, SourceError> {
        let limits = self.limits(service_limit);
        let envelope = self.envelope_length;
        let Task { number, start, end, repeat } = task;
        let last = end.map(|end| end.position);
        // A repeated message has its earlier slots even if the limits have changed.
        let limits =
            if repeat.is_some() { Limits { slots: usize::MAX, bytes: usize::MAX } } else { limits };
        let chunk =
            self.source.chunk(start.position, last, limits, envelope, &mut self.validator).await?;
        if chunk.slots == 0 {
            return Ok(None);
        }
        let is_single =
            self.total.map_or(number == 1 && self.source.is_last(chunk), |total| total == 1);
        let numbering = match repeat {
            Some(print) => print.numbering,
            None if is_single && !self.batch.is_named => Numbering::None,
            None => self.total.map_or(Numbering::Number, Numbering::NumberOf),
        };
        let total = match numbering {
            Numbering::NumberOf(total) => Some(total),
            Numbering::None | Numbering::Number => None,
        };
        let place = BatchPosition { batch_id: &self.batch.id, current: number, total };
        let mut out = spare.unwrap_or_default();
        out.clear();
        if out.capacity() < chunk.bytes {
            out = Vec::with_capacity(chunk.bytes);
        }
        let place = Some(place).filter(|_| numbering != Numbering::None);
        let mut message = self.envelope.begin(place, chunk.slots, out);
        let mut spot = start.clone();
        while spot.position < chunk.end() {
            yield_now().await;
            self.write_some(&mut message, &mut spot, chunk);
        }
        spot.index = self.source.came_by(chunk);
        let hashes = message.slot_hashes();
        spot.digest.add(&hashes);
        let message_id =
            message_id(&self.batch.id, number, &self.destinations, message.before_slots(), &hashes);
        let print = Fingerprint { numbering, id: message_id.as_u64_pair().0 };
        let batch = BatchNumbers { id: self.batch.id.clone(), number, total };
        let encoded = PreparedMessage {
            message_id,
            slots: start.index..spot.index,
            slot_count: chunk.slots,
            destination_count: self.destinations.len(),
            batch: Some(batch).filter(|_| numbering != Numbering::None),
            body: message.finish().into(),
            problems: PermittedProblems::default(),
        };
        Ok(Some(PreparedChunk {
            number,
            start,
            end: spot,
            print,
            bytes: chunk.bytes,
            is_unknown: repeat.is_some(),
            may_repeat: repeat.is_some_and(|before| before.id != print.id),
            encoded,
            attempts: Vec::new(),
            attempts_before: 0,
            is_probe: false,
        }))
    }

    /// Creates the error of the publication after its slots have failed.
    pub(super) fn failed(&mut self, report: PublishReport, error: SourceError) -> PublishError {
        let failed = |error| PublishError::new(report, error, None, self.total);
        match self.source.take_failure().unwrap_or(error) {
            SourceError::Invalid(error) | SourceError::Changed(error) => failed(error),
            SourceError::Failed(cause) => {
                failed(Error::unreadable_slots().with_source(Some(cause.into())))
            }
            SourceError::AlreadyReported => failed(Error::unreadable_slots()),
        }
    }

    /// Writes slots of `chunk`, starting at `spot`, until they take [`GO`] bytes. Moves `spot`.
    fn write_some(&self, message: &mut BatchMessage, spot: &mut SlotPosition, chunk: Chunk) {
        let rest = Chunk { first: spot.position, slots: chunk.end() - spot.position, ..chunk };
        spot.position += message.add(self.source.slots(rest), GO);
    }
}
