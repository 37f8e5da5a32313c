//! Writing a message as JSON, for any source and destinations.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::json::write;
use super::path::Path;
use super::record::{Field, Value};
use super::{InvalidMessage, Meta, PushSlots};

/// A message that a [`Client`](crate::Client) can send: a [`PushSlots`], or an [`EncodedMessage`], alone or in a box or
/// an `Arc`.
pub trait Message: fmt::Debug + Sync + sealed::Message {}

impl Message for PushSlots {}

impl Message for EncodedMessage {}

mod sealed {
    use super::{Bytes, InvalidMessage, Uuid};

    pub trait Message {
        /// The JSON of the message as it is sent from `source` to `destinations`, each of which fills only what the
        /// message leaves open.
        fn to_json_from(
            &self,
            source: Option<Uuid>,
            destinations: &[Uuid],
            _: Internal,
        ) -> Result<Bytes, InvalidMessage>;
    }

    /// Nobody else can name it, and so nobody else can call.
    pub struct Internal;
}

pub(crate) use sealed::Internal;

impl PushSlots {
    /// The message as JSON, as the model says: absent rather than null, times in UTC, whole minutes as
    /// whole numbers.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        self.written(&self.meta)
    }

    /// Checks the message and encodes its slots once, to be sent by any number of clients.
    ///
    /// Each client fills in its own source and destinations; what is encoded holds for all of them. A client
    /// that sends a [`PushSlots`] encodes it once for all attempts of that send, so that this is worth its memory only
    /// for a message that is sent more than once.
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
    /// Every problem that [`validate`](Self::validate) finds.
    pub fn encode(&self) -> Result<EncodedMessage, InvalidMessage> {
        self.validate()?;
        let mut encoded = Vec::with_capacity(self.rest_room());
        self.write_rest(&mut encoded);
        encoded.shrink_to_fit();
        Ok(EncodedMessage { meta: self.meta.clone(), encoded: encoded.into(), slot_count: self.slots.len() })
    }

    /// The message with `meta` in place of its own.
    fn written(&self, meta: &Meta) -> Vec<u8> {
        let mut out = Vec::with_capacity(meta_room(meta) + self.rest_room());
        // One that could not be read is in the rest.
        if !self.rest.has("Meta") {
            write_meta(meta, &mut out);
        }
        self.write_rest(&mut out);
        write::enclose(*b"{}", 0, &mut out);
        out
    }

    /// Writes all but `Meta`.
    fn write_rest(&self, out: &mut Vec<u8>) {
        if self.slots.is_empty() && !self.rest.has("Slots") {
            out.extend_from_slice(br#","Slots":[]"#);
        }
        self.slots.write_member(SLOTS, out);
        self.rest.write(out, |_| true);
    }

    fn rest_room(&self) -> usize {
        self.slots.room(SLOTS) + self.rest.room() + "{}".len()
    }
}

const META: &str = r#","Meta":"#;
const SLOTS: &str = r#","Slots":"#;

fn write_meta(meta: &Meta, out: &mut Vec<u8>) {
    out.extend_from_slice(META.as_bytes());
    meta.write(out);
}

fn meta_room(meta: &Meta) -> usize {
    META.len() + meta.room()
}

/// `meta` with what it leaves open filled in; a message needs a destination to be sent.
fn filled(meta: &Meta, source: Option<Uuid>, destinations: &[Uuid]) -> (Meta, Vec<super::Problem>) {
    let (mut meta, mut problems) = (meta.clone(), Vec::new());
    meta.fill(source, destinations);
    if meta.names_no_destination() {
        let at = Path::ROOT;
        let text = "empty; name at least one, in the message or in the client";
        problems.push(at.key("Meta").key("Destinations").problem(text));
    }
    (meta, problems)
}

/// What a pointer points to is sent.
macro_rules! pointer {
    ($($pointer:ident)+) => {$(
        impl<M: Message + Send> Message for $pointer<M> {}

        impl<M: Message + Send> sealed::Message for $pointer<M> {
            fn to_json_from(
                &self,
                source: Option<Uuid>,
                destinations: &[Uuid],
                internal: Internal,
            ) -> Result<Bytes, InvalidMessage> {
                (**self).to_json_from(source, destinations, internal)
            }
        }
    )+};
}

pointer! { Box Arc }

impl sealed::Message for PushSlots {
    fn to_json_from(
        &self,
        source: Option<Uuid>,
        destinations: &[Uuid],
        _: Internal,
    ) -> Result<Bytes, InvalidMessage> {
        let (meta, missing) = filled(&self.meta, source, destinations);
        let mut problems = self.problems();
        problems.extend(missing);
        InvalidMessage::check(problems)?;
        Ok(self.written(&meta).into())
    }
}

/// Serializes the message as [`PushSlots::to_json`] does; meant for `serde_json`.
impl Serialize for PushSlots {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = String::from_utf8(self.to_json()).map_err(S::Error::custom)?;
        RawValue::from_string(json).map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// A message whose slots are checked and encoded, whatever becomes of its `Meta`; see [`PushSlots::encode`].
///
/// Clones share what is encoded. Its `Debug` shows how many slots there are and none of them.
#[derive(Clone)]
pub struct EncodedMessage {
    meta: Meta,
    /// All that follows `Meta`, but for the end of the message.
    encoded: Bytes,
    slot_count: usize,
}

impl EncodedMessage {
    /// What the message says of itself.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// What the message says of itself, to change it; the slots stay encoded. The client checks it again before it
    /// sends.
    pub fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    /// The message as JSON, as [`PushSlots::to_json`] writes it: without what a client fills in.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        self.written(&self.meta)
    }

    /// The message with `meta` in place of its own.
    fn written(&self, meta: &Meta) -> Vec<u8> {
        let mut out = Vec::with_capacity(meta_room(meta) + self.encoded.len() + "{}".len());
        write_meta(meta, &mut out);
        out.extend_from_slice(&self.encoded);
        write::enclose(*b"{}", 0, &mut out);
        out
    }

    /// How many slots the message has.
    #[must_use]
    pub fn slot_count(&self) -> usize {
        self.slot_count
    }
}

impl sealed::Message for EncodedMessage {
    fn to_json_from(
        &self,
        source: Option<Uuid>,
        destinations: &[Uuid],
        _: Internal,
    ) -> Result<Bytes, InvalidMessage> {
        let (meta, missing) = filled(&self.meta, source, destinations);
        let mut problems = Vec::new();
        self.meta.check(Path::ROOT.key("Meta"), &mut problems);
        problems.extend(missing);
        InvalidMessage::check(problems)?;
        Ok(self.written(&meta).into())
    }
}

impl fmt::Debug for EncodedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("EncodedMessage");
        shown.field("meta", &self.meta).field("slots", &self.slot_count).finish_non_exhaustive()
    }
}
