//! What a client sends, and what it fills in.

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
/// [`PreparedMessage`], alone or in a box or an `Arc`.
pub trait Message: sealed::Message {}

impl<M: sealed::Message> Message for M {}

/// The content of a send.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// A message to encode.
    Message(&'a (dyn Encode + 'static)),
    /// One that goes out as it is.
    Prepared(&'a PreparedMessage),
}

/// What a client needs of a message.
pub trait Encode: fmt::Debug + Sync {
    fn meta(&self) -> &Meta;

    fn slot_count(&self) -> usize;

    /// Finds everything that is wrong with it and may have come since it was made.
    fn check(&self, problems: &mut Problems);

    /// A copy without optional values that are invalid.
    fn corrected(&self) -> Box<dyn Encode>;

    /// The problems of the part that was checked when it was made.
    fn permitted_problems(&self) -> PermittedProblems {
        PermittedProblems::default()
    }

    /// The JSON of the message with `meta` in place of its own.
    fn written(&self, meta: &Meta) -> Vec<u8>;
}

/// A message as it goes out.
pub(crate) struct EncodedBody {
    pub(crate) json: Bytes,
    /// Its `Meta`.
    pub(crate) meta: Meta,
    pub(crate) problems: PermittedProblems,
}

/// What a client fills in if a message leaves it open.
#[derive(Clone, Copy)]
pub(crate) struct Defaults<'a> {
    pub(crate) source: Option<Uuid>,
    pub(crate) destinations: &'a [Uuid],
}

/// Writes `message` as it is sent, if `validation` permits it.
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
    /// Finds what `meta` lacks even if it is filled in.
    pub(super) fn check(&self, meta: &Meta, problems: &mut Problems) {
        if meta.names_no_destination() && self.destinations.is_empty() {
            let text = "empty; name at least one, in the message or in the client";
            problems.add(Path::ROOT.key("Meta").key("Destinations"), ProblemCode::Empty, text);
        }
    }

    /// Fills in what `meta` leaves open.
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
