//! Messages that are encoded once and sent several times.

use std::fmt;

use bytes::Bytes;

use super::encode::{meta_length, write_meta};
use super::outgoing::Encode;
use crate::message::codec::json_writer as write;
use crate::message::codec::path::Path;
use crate::message::codec::problems::Problems;
use crate::message::codec::value::Value;
use crate::message::validation::corrected;
use crate::message::{InvalidMessage, Meta, PermittedProblems, Problem, PushSlots, Validation};

impl PushSlots {
    /// Validates the message and encodes its slots once, so that any number of clients can send
    /// them.
    ///
    /// Each client fills in its own source and destinations. The encoded slots stay valid for all
    /// clients.
    ///
    /// A client that sends a [`PushSlots`] already encodes it only once for all attempts of that
    /// send. An encoded message is therefore worth its memory only if it is sent more than once.
    ///
    /// ```no_run
    /// # use pushslots::{Client, PushSlots};
    /// # async fn example(message: PushSlots, north: Client, south: Client) -> Result<(), pushslots::Error> {
    /// let message = message.encode()?;
    /// north.send(&message).await?;
    /// south.send(&message).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the problems that [`validate`](Self::validate) finds.
    pub fn encode(&self) -> Result<EncodedMessage, InvalidMessage> {
        self.encode_with(Validation::Strict)
    }

    /// Validates the message by this [`Validation`] and encodes its slots once, as
    /// [`encode`](Self::encode) does.
    ///
    /// Invalid values of slots are omitted or permitted here. `Meta` stays unchanged: a client
    /// applies its own [`Validation`] to it when it sends the message.
    ///
    /// # Errors
    ///
    /// Returns the problems that prevent sending.
    pub fn encode_with(&self, validation: Validation) -> Result<EncodedMessage, InvalidMessage> {
        let corrected = |message: &Self| corrected(message, Self::drop_invalid);
        let (corrected, permitted) = validation.permit(self, Self::check, corrected)?;
        let mut problems = Problems::default();
        if !permitted.list().is_empty() {
            self.check_slots(&mut problems);
        }
        let message = corrected.as_deref().unwrap_or(self);
        let mut encoded = Vec::with_capacity(message.estimated_rest());
        message.write_rest(&mut encoded);
        // The result is kept for several sends, so it has no spare capacity.
        encoded.shrink_to_fit();
        Ok(EncodedMessage {
            meta: self.meta.clone(),
            encoded: encoded.into(),
            slot_count: self.slots.len(),
            problems: problems.into(),
        })
    }
}

/// A message with validated and encoded slots and with a `Meta` that can still change; see
/// [`PushSlots::encode`].
///
/// Clones share the encoded slots. `Debug` shows the number of slots, but no slot.
#[derive(Clone)]
pub struct EncodedMessage {
    meta: Meta,
    /// The JSON after `Meta`, without the end of the message.
    encoded: Bytes,
    slot_count: usize,
    /// The permitted problems of the slots.
    problems: PermittedProblems,
}

impl EncodedMessage {
    /// Returns the `Meta` of the message.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Returns the `Meta` of the message for modification. The slots stay encoded.
    ///
    /// The client validates it again before sending.
    pub fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    /// Returns the message as JSON, as [`PushSlots::to_json`] does, without the values that a
    /// client fills in.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        self.written(&self.meta)
    }

    /// Returns the number of slots.
    #[must_use]
    pub fn slot_count(&self) -> usize {
        self.slot_count
    }

    /// Returns the first 1,000 problems of the slots that the [`Validation`] permitted. They
    /// include the problems of omitted values.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        self.problems.list()
    }

    /// Returns the number of problems beyond the first 1,000.
    #[must_use]
    pub fn omitted_problems(&self) -> usize {
        self.problems.omitted()
    }
}

impl Encode for EncodedMessage {
    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn slot_count(&self) -> usize {
        self.slot_count
    }

    fn check(&self, problems: &mut Problems) {
        self.meta.check(Path::ROOT.key("Meta"), problems);
    }

    fn corrected(&self) -> Box<dyn Encode> {
        let corrected: Box<Self> =
            corrected(self, |message, corrector| message.meta.drop_invalid(corrector));
        corrected
    }

    fn permitted_problems(&self) -> PermittedProblems {
        self.problems.clone()
    }

    fn written(&self, meta: &Meta) -> Vec<u8> {
        let mut out = Vec::with_capacity(write::enclosed(meta_length(meta) + self.encoded.len()));
        write_meta(meta, &mut out);
        out.extend_from_slice(&self.encoded);
        write::enclose(*b"{}", 0, &mut out);
        out
    }
}

impl fmt::Debug for EncodedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("EncodedMessage");
        shown.field("meta", &self.meta).field("slots", &self.slot_count).finish_non_exhaustive()
    }
}
