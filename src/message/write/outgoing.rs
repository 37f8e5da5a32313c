//! Messages that a client can send, and the values that it fills in.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::message::codec::path::Path;
use crate::message::codec::problems::Problems;
use crate::message::{
    EncodedMessage, InvalidMessage, Meta, PermittedProblems, PreparedMessage, ProblemCode,
    PushSlots, Validation,
};

/// A message that a [`Client`](crate::Client) can send: a [`PushSlots`], an [`EncodedMessage`] or a
/// [`PreparedMessage`], or a `Box` or `Arc` of one.
pub trait Message: sealed::Message {}

impl<M: sealed::Message> Message for M {}

/// The content of a send.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// A message to encode.
    Message(&'a (dyn Encode + 'static)),
    /// A message that is sent unchanged.
    Prepared(&'a PreparedMessage),
}

/// The operations that a client needs to encode a message.
pub trait Encode: fmt::Debug + Sync {
    fn meta(&self) -> &Meta;

    fn slot_count(&self) -> usize;

    /// Adds the problems, except those of parts that were already checked when the message was
    /// made.
    fn check(&self, problems: &mut Problems);

    /// Returns a copy without invalid optional values.
    fn corrected(&self) -> Box<dyn Encode>;

    /// Returns the permitted problems of the parts that were checked when the message was made.
    fn permitted_problems(&self) -> PermittedProblems {
        PermittedProblems::default()
    }

    /// Returns the JSON of the message with `meta` instead of its own `Meta`.
    fn written(&self, meta: &Meta) -> Vec<u8>;
}

/// A message as it is sent.
pub(crate) struct EncodedBody {
    pub(crate) json: Bytes,
    /// The `Meta` in `json`.
    pub(crate) meta: Meta,
    pub(crate) problems: PermittedProblems,
}

/// The values that a client fills in if they are missing in a message.
#[derive(Clone, Copy)]
pub(crate) struct Defaults<'a> {
    pub(crate) source: Option<Uuid>,
    pub(crate) destinations: &'a [Uuid],
}

/// Encodes `message` for sending, if `validation` permits it.
pub(crate) fn write_from(
    message: &(dyn Encode + 'static),
    defaults: Defaults<'_>,
    validation: Validation,
) -> Result<EncodedBody, InvalidMessage> {
    let check = |message: &(dyn Encode + 'static), problems: &mut Problems| {
        message.check(problems);
        defaults.check(message.meta(), problems);
    };
    let (corrected, problems) = validation.permit(message, check, |message| message.corrected())?;
    let message = corrected.as_deref().unwrap_or(message);
    let meta = defaults.applied_to(message.meta());
    Ok(EncodedBody {
        json: message.written(&meta).into(),
        meta,
        problems: problems.and(&message.permitted_problems()),
    })
}

impl Defaults<'_> {
    /// Adds the problems that `meta` has even after missing values are filled in.
    pub(super) fn check(&self, meta: &Meta, problems: &mut Problems) {
        if meta.names_no_destination() && self.destinations.is_empty() {
            let text = "empty; set at least one, in the message or in the client";
            problems.add(Path::ROOT.key("Meta").key("Destinations"), ProblemCode::Empty, text);
        }
    }

    /// Returns a copy of `meta` with missing values filled in.
    pub(super) fn applied_to(&self, meta: &Meta) -> Meta {
        let mut meta = meta.clone();
        meta.fill(self.source, self.destinations);
        meta
    }
}

mod sealed {
    use super::{Arc, Content, EncodedMessage, PreparedMessage, PushSlots};

    pub trait Message {
        fn content(&self, _: Internal) -> Content<'_>;
    }

    /// A parameter that seals the trait: other crates can't name this type, so they can't call
    /// `content`.
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
