//! The data model: a PushSlots message, how it is built, read, checked and written.
//!
//! Pure data: nothing here sends, waits or reads a clock. The records follow the published reference of
//! `Scheduling / PushSlots` key by key. All are read tolerantly and written exactly:
//!
//! * a number, boolean or text in place of another is read for what it stands for;
//! * `null`, an empty object and an empty list stand for nothing, and are not written; as an element of `Slots` or
//!   `Destinations` an empty object is a problem;
//! * a key that the model does not name is kept as it was written, on any object;
//! * a value that can't be read is kept too, and named by [`PushSlots::validate`].
//!
//! A day of availability repeats a few hundred providers and rooms. Slots hold them [`Shared`], so that each takes a
//! pointer and is encoded once, whether the message was built or read.

mod batch;
mod builder;
mod encode;
mod encoded;
mod extensions;
mod json;
mod leaf;
mod location;
mod meta;
mod outgoing;
mod path;
mod pool;
mod prepared;
mod problem;
mod provider;
mod read;
mod read_error;
mod reader;
mod record;
mod rest;
mod shared;
mod slot;
mod slot_reader;
mod timestamp;
mod window;

use std::fmt;

use path::Path;
use record::{Field, Value};
use rest::Rest;

pub(crate) use batch::{BatchMessage, BatchPlace, Envelope};
pub(crate) use json::{Object, list, text};
pub(crate) use outgoing::{Content, Internal, write_from};

pub use builder::PushSlotsBuilder;
pub use encoded::EncodedMessage;
pub use extensions::{ExtensionError, Extensions};
pub use location::{Identifier, Location};
pub use meta::{Destination, Log, Meta, Source};
pub use outgoing::Message;
pub use prepared::{BatchNumbers, PreparedMessage, RestoreError};
pub use problem::{InvalidMessage, Problem};
pub use provider::{Address, PhoneNumber, Provider};
pub use read_error::ReadError;
pub use shared::Shared;
pub use slot::Slot;
pub(crate) use slot_reader::Came;
pub use slot_reader::SlotReader;

/// One PushSlots message: `Meta` and `Slots`.
///
/// Build one with [`PushSlots::builder`] or read one with [`PushSlots::from_json`]. The service takes messages of up to
/// 40 MB by one of its pages, and of 10 MB by another. Its `Debug` shows
/// how many slots there are and none of them.
#[derive(Clone, PartialEq)]
pub struct PushSlots {
    meta: Meta,
    slots: Vec<Slot>,
    rest: Rest,
}

impl PushSlots {
    /// Starts a message.
    ///
    /// ```
    /// use pushslots::{PushSlots, Slot};
    /// use pushslots::chrono::{TimeZone, Utc};
    ///
    /// let nine_o_clock = Utc.with_ymd_and_hms(2026, 12, 1, 9, 0, 0).unwrap();
    /// let message = PushSlots::builder().slot(Slot::new(nine_o_clock, 15)).build()?;
    /// assert_eq!(
    ///     message.to_json(),
    ///     br#"{"Meta":{"DataModel":"Scheduling","EventType":"PushSlots"},"Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":15}]}"#,
    /// );
    /// # Ok::<(), pushslots::InvalidMessage>(())
    /// ```
    #[must_use]
    pub fn builder() -> PushSlotsBuilder {
        PushSlotsBuilder::default()
    }

    /// What the message says of itself.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// What the message says of itself, to change it.
    ///
    /// The client checks it again before it sends.
    ///
    /// A `Meta` that could not be read, since it is no object, stays a problem whatever is put here.
    pub fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    /// The slots, in order.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The slots, to change them, such as one that was read with a problem.
    ///
    /// The client checks them again before it sends. What a slot shares with others is changed for that slot alone by
    /// [`Shared::to_mut`](crate::Shared::to_mut).
    ///
    /// A list of slots that could not be read, since an element of it is no object, stays a problem whatever is
    /// put here: the slots in it would be lost.
    pub fn slots_mut(&mut self) -> &mut Vec<Slot> {
        &mut self.slots
    }

    /// What sender and receiver agree on beside the model, for the message as a whole.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        self.rest.extensions()
    }

    /// What sender and receiver agree on beside the model, to change it.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        self.rest.extensions_mut()
    }

    /// Checks the message against the data model, all of it but for what the client fills in.
    ///
    /// A message without destinations passes here: the client may have one. One that has none either
    /// refuses to send it.
    ///
    /// # Errors
    ///
    /// Every problem, each with its path: `Slots` empty; a `DateTime` or `Duration` that is missing or no
    /// real one; another `DataModel` or `EventType`; an ID of a source or destination that is no UUID; a
    /// telephone number that is not in E.164 form; batch numbers that are no whole numbers from 1, out
    /// of order or without their `BatchID`; a value of the wrong kind at any key that the model names.
    pub fn validate(&self) -> Result<(), InvalidMessage> {
        InvalidMessage::check(self.problems())
    }

    fn problems(&self) -> Vec<Problem> {
        let (at, mut problems) = (Path::ROOT, Vec::new());
        self.rest.explain::<Option<Meta>>("Meta", at, &mut problems);
        self.meta.check(at.key("Meta"), &mut problems);

        self.rest.explain::<Vec<Slot>>("Slots", at, &mut problems);
        Field::check(&self.slots, at.key("Slots"), &mut problems);
        if self.slots.is_empty() && !self.rest.has("Slots") {
            problems.push(at.key("Slots").problem("empty; give at least one slot"));
        }
        self.rest.check(at, &mut problems);
        problems
    }
}

impl fmt::Debug for PushSlots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show("PushSlots", &self.meta, &self.slots, f)
    }
}

fn show(name: &str, meta: &Meta, slots: &[Slot], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct(name).field("meta", meta).field("slots", &slots.len()).finish_non_exhaustive()
}
