//! Making the messages of a batch, one after the other.

use bytes::Bytes;
use tokio::task::yield_now;
use uuid::{Uuid, uuid};

use super::ResumePoint;
use super::skip::{Inspector, OnInvalid};
use super::source::{Piece, Source, Unreadable};
use super::split::Limits;
use crate::delivery::Parcel;
use crate::error::Error;
use crate::message::{BatchMessage, BatchPlace, Envelope, Problem};

/// The space of names that message ids are derived in: RFC 9562, section 5.5.
const MESSAGE_IDS: Uuid = uuid!("0d1c3c8e-6a0b-4c0e-9a39-5a6f1f6c2a71");

/// How much is encoded in one go, in bytes: what is on the wire must not wait for longer.
const GO: usize = 64 * 1024;

/// Makes messages of slots.
pub(crate) struct Packer<'a> {
    pub(super) source: Source<'a>,
    pub(super) inspector: Inspector<'a>,
    envelope: Envelope,
    batch: Batch,
    /// What a message may hold.
    limits: Limits,
    /// To how many bytes the service limited messages, where it found one too large.
    pub(super) service_limit: Option<usize>,
    /// How many messages the batch has, where that is known.
    pub(super) total: Option<u64>,
    /// Memory of a message that is done with.
    spare: Vec<u8>,
}

/// The batch that messages are made for.
pub(crate) struct Batch {
    pub(crate) id: String,
    /// Whether the id was given, so that even a single message tells it.
    pub(crate) is_named: bool,
}

/// A message ready to go.
pub(super) struct Packed {
    pub(super) number: u64,
    pub(super) piece: Piece,
    pub(super) parcel: Parcel,
}

impl<'a> Packer<'a> {
    pub(crate) fn new(
        source: Source<'a>,
        on_invalid: Option<OnInvalid<'a>>,
        envelope: Envelope,
        batch: Batch,
        limits: Limits,
    ) -> Self {
        let longest = limits.bytes.saturating_sub(envelope.length(&batch.id));
        Self {
            source,
            inspector: Inspector::new(longest, on_invalid),
            envelope,
            batch,
            limits,
            service_limit: None,
            total: None,
            spare: Vec::new(),
        }
    }

    /// How many bytes a message takes without its slots.
    fn envelope_length(&self) -> usize {
        self.envelope.length(&self.batch.id)
    }

    /// Where `message` begins.
    pub(super) fn point_at(&self, message: &Packed) -> ResumePoint {
        ResumePoint::new(message.number, self.source.came_before(message.piece.first), self.service_limit)
    }

    /// Where the message behind message `number` begins, which has this piece.
    pub(super) fn point_behind(&self, number: u64, piece: Piece) -> ResumePoint {
        ResumePoint::new(number.saturating_add(1), self.source.came_by(piece), self.service_limit)
    }

    fn piece_limits(&self) -> Limits {
        let bytes = self.service_limit.map_or(self.limits.bytes, |limit| limit.min(self.limits.bytes));
        Limits { bytes, ..self.limits }
    }

    /// Checks what is there, and finds the message that comes first and the position at which it begins.
    pub(super) async fn begin(&mut self, start: ResumePoint) -> Result<(u64, usize), Unreadable> {
        self.source.check(&mut self.inspector).await?;
        self.service_limit = start.limit();
        let number = start.number();
        let first = match start.slots_before() {
            Some(before) => self.source.position_behind(before, &mut self.inspector).await?,
            None => self.find(number).await?,
        };
        let first = first.ok_or_else(|| {
            let text = format!("there is no message {number}: the slots end before it");
            Unreadable::Invalid(Error::configuration(vec![Problem::new("resume_from", text)]))
        })?;
        self.count(number, first);
        Ok((number, first))
    }

    pub(super) fn batch_id(&self) -> &str {
        &self.batch.id
    }

    /// Counts the messages again, of which the one with this number begins at the position `first`.
    pub(super) fn count(&mut self, number: u64, first: usize) {
        let left = self.source.count_pieces(first, self.piece_limits(), self.envelope_length());
        self.total = left.map(|left| (number - 1).saturating_add(left));
    }

    /// The position at which message `number` begins, as nothing but the limits splits the slots.
    async fn find(&mut self, number: u64) -> Result<Option<usize>, Unreadable> {
        let mut first = 0;
        for _ in 1..number {
            yield_now().await;
            match self.next_piece(first).await? {
                Some(piece) => first += piece.slots,
                None => return Ok(None),
            }
            self.source.release(first);
        }
        Ok(Some(first))
    }

    async fn next_piece(&mut self, first: usize) -> Result<Option<Piece>, Unreadable> {
        let (limits, envelope) = (self.piece_limits(), self.envelope_length());
        let piece = self.source.piece(first, limits, envelope, &mut self.inspector).await?;
        Ok(Some(piece).filter(|piece| piece.slots > 0))
    }

    /// Makes message `number`, which begins at the position `first`; `None` where there are no more slots. It can be dropped
    /// before its end, and nothing is lost.
    pub(super) async fn pack(&mut self, number: u64, first: usize) -> Result<Option<Packed>, Unreadable> {
        let Some(piece) = self.next_piece(first).await? else { return Ok(None) };
        let is_single = self.total.map_or(number == 1 && self.source.is_last(piece), |total| total == 1);
        let place = BatchPlace { batch_id: &self.batch.id, current: number, total: self.total };
        let place = Some(place).filter(|_| self.batch.is_named || !is_single);

        let mut out = std::mem::take(&mut self.spare);
        out.clear();
        if out.capacity() < piece.bytes {
            out = Vec::with_capacity(piece.bytes);
        }
        let mut message = self.envelope.begin(place, out);
        let mut position = piece.first;
        while position < piece.first + piece.slots {
            yield_now().await;
            position = self.write_some(&mut message, position, piece);
        }
        let parcel = Parcel {
            message_id: self.message_id(number),
            slots: piece.slots,
            destinations: self.envelope.destinations(),
            body: message.finish().into(),
        };
        Ok(Some(Packed { number, piece, parcel }))
    }

    /// The id of message `number`. After a message was split the same number stands for other slots, and a service that
    /// knows a repeated id would drop them: the limit that the split set is then part of the name.
    fn message_id(&self, number: u64) -> Uuid {
        let batch_id = &self.batch.id;
        let name = match self.service_limit {
            None => format!("{batch_id}/{number}"),
            Some(limit) => format!("{batch_id}/{number}/{limit}"),
        };
        Uuid::new_v5(&MESSAGE_IDS, name.as_bytes())
    }

    /// Writes slots of `piece` from `position` on, and tells the position behind them.
    fn write_some(&self, message: &mut BatchMessage, position: usize, piece: Piece) -> usize {
        let enough = message.written() + GO;
        let rest = Piece { first: position, slots: piece.first + piece.slots - position, ..piece };
        let mut written = 0;
        for slot in self.source.slots(rest) {
            message.add(slot);
            written += 1;
            if message.written() >= enough {
                break;
            }
        }
        position + written
    }

    /// Takes the memory of a message that is done with, if nobody else has it.
    pub(super) fn reuse(&mut self, body: Bytes) {
        if body.is_unique() {
            self.spare = body.into();
        }
    }
}
