//! A message encoded once, to be sent more than once.

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
    /// Checks the message and encodes its slots once, to be sent by any number of clients.
    ///
    /// Each client fills in its own source and destinations; what is encoded holds for all of them.
    /// A client that sends a [`PushSlots`] encodes it once for all attempts of that send, so that
    /// this is worth its memory only for a message that is sent more than once.
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
    /// The problems that [`validate`](Self::validate) finds.
    pub fn encode(&self) -> Result<EncodedMessage, InvalidMessage> {
        self.encode_with(Validation::Strict)
    }

    /// Encodes the slots once, as [`encode`](Self::encode) does, and checks the message by this
    /// [`Validation`].
    ///
    /// Invalid values of slots are left out or permitted here. `Meta` stays as it is: a client
    /// checks it by its own [`Validation`] when it sends the message.
    ///
    /// # Errors
    ///
    /// Returns the problems that stop the message.
    pub fn encode_with(&self, validation: Validation) -> Result<EncodedMessage, InvalidMessage> {
        let corrected = |message: &Self| corrected(message, Self::drop_invalid);
        let (corrected, permitted) = validation.permit(self, Self::check, corrected)?;
        let mut problems = Problems::default();
        if !permitted.list().is_empty() {
            self.check_slots(&mut problems);
        }
        let message = corrected.as_deref().unwrap_or(self);
        let mut encoded = Vec::with_capacity(message.rest_length());
        message.write_rest(&mut encoded);
        encoded.shrink_to_fit();
        Ok(EncodedMessage {
            meta: self.meta.clone(),
            encoded: encoded.into(),
            slot_count: self.slots.len(),
            problems: problems.into(),
        })
    }
}

/// A message whose slots are checked and encoded, whatever becomes of its `Meta`; see
/// [`PushSlots::encode`].
///
/// Clones share what is encoded. Its `Debug` shows how many slots there are and none of them.
#[derive(Clone)]
pub struct EncodedMessage {
    meta: Meta,
    /// All that follows `Meta`, but for the end of the message.
    encoded: Bytes,
    slot_count: usize,
    /// Those of the slots.
    problems: PermittedProblems,
}

impl EncodedMessage {
    /// What the message says of itself.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// What the message says of itself, to change it; the slots stay encoded.
    ///
    /// The client checks it again before it sends.
    pub fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    /// The message as JSON, as [`PushSlots::to_json`] writes it: without what a client fills in.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        self.written(&self.meta)
    }

    /// How many slots the message has.
    #[must_use]
    pub fn slot_count(&self) -> usize {
        self.slot_count
    }

    /// Returns the first 1,000 problems of the slots that the [`Validation`] permitted. They
    /// include those of values that were left out.
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
