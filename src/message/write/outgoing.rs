//! What a client sends, and what it fills in.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::message::codec::path::Path;
use crate::message::codec::problems::Problems;
use crate::message::{EncodedMessage, InvalidMessage, Meta, PreparedMessage, ProblemCode, PushSlots};

/// A message that a [`Client`](crate::Client) can send: a [`PushSlots`], an [`EncodedMessage`] or a [`PreparedMessage`], alone or in
/// a box or an `Arc`.
pub trait Message: sealed::Message {}

impl<M: sealed::Message> Message for M {}

/// The content of a send.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// A message to encode.
    Message(&'a dyn Outgoing),
    /// One that goes out as it is.
    Prepared(&'a PreparedMessage),
}

/// What a client needs of a message.
pub trait Outgoing: fmt::Debug + Sync {
    fn meta(&self) -> &Meta;

    fn slot_count(&self) -> usize;

    /// Everything that is wrong with it and may have come since it was made.
    fn problems(&self) -> Problems;

    /// The JSON of the message with `meta` in place of its own.
    fn written(&self, meta: &Meta) -> Vec<u8>;
}

/// A message as it goes out.
pub(crate) struct Written {
    pub(crate) json: Bytes,
    /// How many destinations it names.
    pub(crate) destinations: usize,
}

/// Writes `message` as it is sent from `source` to `destinations`, each of which fills only what the message
/// leaves open.
pub(crate) fn write_from(
    message: &dyn Outgoing,
    source: Option<Uuid>,
    destinations: &[Uuid],
) -> Result<Written, InvalidMessage> {
    let mut problems = message.problems();
    let meta = filled(message.meta(), source, destinations, &mut problems);
    problems.into_result()?;
    Ok(Written { json: message.written(&meta).into(), destinations: meta.destinations.len() })
}

/// Fills in what `meta` leaves open, and adds what it then lacks.
pub(super) fn filled(
    meta: &Meta,
    source: Option<Uuid>,
    destinations: &[Uuid],
    problems: &mut Problems,
) -> Meta {
    let mut meta = meta.clone();
    meta.fill(source, destinations);
    if meta.names_no_destination() {
        let text = "empty; name at least one, in the message or in the client";
        problems.add(Path::ROOT.key("Meta").key("Destinations"), ProblemCode::Empty, text);
    }
    meta
}

mod sealed {
    use super::{Arc, Content, EncodedMessage, PreparedMessage, PushSlots};

    pub trait Message {
        fn content(&self, _: Internal) -> Content<'_>;
    }

    /// Nobody else can name it, and so nobody else can call.
    pub struct Internal;

    impl Message for PushSlots {
        fn content(&self, _: Internal) -> Content<'_> {
            Content::Message(self)
        }
    }

    impl Message for EncodedMessage {
        fn content(&self, _: Internal) -> Content<'_> {
            Content::Message(self)
        }
    }

    impl Message for PreparedMessage {
        fn content(&self, _: Internal) -> Content<'_> {
            Content::Prepared(self)
        }
    }

    impl<M: Message> Message for Box<M> {
        fn content(&self, internal: Internal) -> Content<'_> {
            (**self).content(internal)
        }
    }

    impl<M: Message> Message for Arc<M> {
        fn content(&self, internal: Internal) -> Content<'_> {
            (**self).content(internal)
        }
    }
}

pub(crate) use sealed::Internal;
