//! The data model: a PushSlots message, how it is built, read, checked and written.
//!
//! Pure data: nothing here sends, waits or reads a clock. The records follow the published
//! reference of `Scheduling / PushSlots` key by key.

mod codec;
mod model;
mod problem;
mod read;
#[cfg(feature = "mock")]
mod schema;
mod validation;
mod write;

use std::fmt;

use codec::extras::Extras;
use codec::field::Field;
use codec::path::Path;
use codec::value::Value;

pub(crate) use codec::corrector::Corrector;
pub use codec::extras::{UnreadMember, UnreadReason};
pub(crate) use codec::problems::Problems;
pub(crate) use codec::raw::{Object, list, text};
pub use model::{
    Address, Destination, ExtensionError, Extensions, Identifier, List, Location, Log, Meta,
    Minutes, PhoneNumber, Provider, PushSlotsBuilder, Shared, Slot, Source,
};
pub(crate) use problem::write_problems;
pub use problem::{InvalidMessage, Problem, ProblemCode, Severity};
pub(crate) use read::ReadOutcome;
pub use read::{ReadError, SlotReader};
pub use validation::Validation;
pub(crate) use validation::{PermittedProblems, Verdict};
pub(crate) use write::{
    BatchMessage, BatchPosition, Content, Defaults, Envelope, Internal, write_from,
};
pub use write::{BatchNumbers, EncodedMessage, Message, PreparedMessage, RestoreError};

/// One PushSlots message: `Meta` and `Slots`.
///
/// Build one with [`PushSlots::builder`] or read one with [`PushSlots::from_json`]. The service
/// takes messages of up to 40 MB by one of its pages, and of 10 MB by another. Its `Debug` shows
/// how many slots there are and none of them.
///
/// # Reading and writing
///
/// Messages and records are read tolerantly and written exactly, with serde in the same way as by
/// `from_json` and `to_json`:
///
/// * a number, boolean or text in place of another is read for what it stands for;
/// * `null`, an empty object and an empty list stand for nothing, and are not written; as an
///   element of `Slots` or `Destinations` an empty object is a problem;
/// * a member whose key the model does not name is kept on any object, with its value as it was
///   written; if the key is given more than once, the last value counts;
/// * a value that can't be read is kept too, and named by [`validate`](Self::validate); so are the
///   values of a key that the model names and that is given more than once;
/// * the members that are kept can be [listed and removed](Self::unread_members).
///
/// A day of availability repeats a few hundred providers and rooms. Slots hold them [`Shared`], so
/// that each takes a pointer and is encoded once, whether the message was built or read.
#[derive(Clone)]
pub struct PushSlots {
    meta: Meta,
    slots: List<Slot>,
    extras: Extras,
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

    fn new(meta: Meta, slots: Vec<Slot>) -> Self {
        Self { meta, slots: slots.into(), extras: Extras::default() }
    }

    /// What the message says of itself.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// What the message says of itself, to change it.
    ///
    /// The client checks it again before it sends. A `Meta` that could not be read, because it
    /// isn't an object, is replaced by [`set_meta`](Self::set_meta).
    pub fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    /// Replaces `Meta`, also if it could not be read.
    pub fn set_meta(&mut self, meta: Meta) {
        self.extras.remove("Meta", |_| true);
        self.meta = meta;
    }

    /// The slots, in order.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The slots, to change them, such as one that was read with a problem.
    ///
    /// The client checks them again before it sends. [`Shared::to_mut`](crate::Shared::to_mut)
    /// changes what a slot shares with others for that slot alone.
    ///
    /// A list of slots that could not be read, because an element of it isn't an object, is
    /// replaced when another list is assigned.
    pub fn slots_mut(&mut self) -> &mut List<Slot> {
        &mut self.slots
    }

    /// Returns the slots without the rest of the message.
    ///
    /// A list that could not be read has none: see [`validate`](Self::validate).
    #[must_use]
    pub fn into_slots(self) -> Vec<Slot> {
        self.slots.into()
    }

    /// Returns `Meta` without the slots.
    #[must_use]
    pub fn into_meta(self) -> Meta {
        self.meta
    }

    /// Returns `Meta` and the slots, without the extensions and the [unread
    /// members](Self::unread_members) of the message.
    #[must_use]
    pub fn into_parts(self) -> (Meta, Vec<Slot>) {
        (self.meta, self.slots.into())
    }

    /// What sender and receiver agree on beside the model, for the message as a whole.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        self.extras.extensions()
    }

    /// What sender and receiver agree on beside the model, to change it.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        self.extras.extensions_mut()
    }

    /// The members of the message itself that were read from JSON and are not in a field: keys that
    /// the model doesn't name, and values that can't be read. The records inside have their own.
    ///
    /// ```
    /// use pushslots::{PushSlots, UnreadReason};
    ///
    /// let json = br#"{"Exported": "today", "Slots": [{"DateTime": "2026-12-01T09:00:00Z", "Duration": 15, "PatientName": "Pat"}]}"#;
    /// let mut message = PushSlots::from_json(json)?;
    /// let unread = |member: pushslots::UnreadMember<'_>| (member.key().to_owned(), member.reason());
    /// let members: Vec<_> = message.slots()[0].unread_members().map(unread).collect();
    /// assert_eq!(members, [("PatientName".to_owned(), UnreadReason::UnknownKey)]);
    ///
    /// message.clear_unread_members();
    /// for slot in &mut **message.slots_mut() {
    ///     slot.clear_unread_members();
    /// }
    /// assert_eq!(
    ///     message.to_json(),
    ///     br#"{"Meta":{"DataModel":"Scheduling","EventType":"PushSlots"},"Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":15}]}"#,
    /// );
    /// # Ok::<(), pushslots::ReadError>(())
    /// ```
    pub fn unread_members(&self) -> impl Iterator<Item = UnreadMember<'_>> {
        let slots = self.slots.unread_reason().map(|reason| UnreadMember::new("Slots", reason));
        slots.into_iter().chain(self.extras.unread_members(|_| true))
    }

    /// Removes the [unread member](Self::unread_members) `key`; whether there was one.
    pub fn remove_unread_member(&mut self, key: &str) -> bool {
        (key == "Slots" && self.slots.clear_unread()) | self.extras.remove(key, |_| true)
    }

    /// Removes all [unread members](Self::unread_members) of the message itself.
    pub fn clear_unread_members(&mut self) {
        self.slots.clear_unread();
        self.extras.clear();
    }

    /// Checks the message against the data model, except the parts that the client fills in.
    ///
    /// A message without destinations passes here: the client may have one. A client without
    /// destinations doesn't send it.
    ///
    /// # Errors
    ///
    /// The first 1,000 problems, each with its path, and the number of the others: `Slots` empty; a
    /// `DateTime` or `Duration` that is missing or no real one; another `DataModel` or `EventType`;
    /// an ID of a source or destination that is no UUID; a telephone number that is not in E.164
    /// form; batch numbers that are no whole numbers from 1, out of order or without their
    /// `BatchID`; a value of the wrong kind at any key that the model names.
    pub fn validate(&self) -> Result<(), InvalidMessage> {
        let mut problems = Problems::default();
        self.check(&mut problems);
        problems.into_result()
    }

    pub(crate) fn check(&self, problems: &mut Problems) {
        let at = Path::ROOT;
        self.extras.check::<Option<Meta>>("Meta", at, problems);
        self.meta.check(at.key("Meta"), problems);
        self.check_slots(problems);
    }

    /// Checks all but `Meta`.
    fn check_slots(&self, problems: &mut Problems) {
        let at = Path::ROOT;
        Field::check(&self.slots, at.key("Slots"), problems);
        if self.slots.is_blank() {
            problems.add(at.key("Slots"), ProblemCode::Empty, "empty; give at least one slot");
        }
        self.extras.check_others(at, problems);
    }

    /// Leaves out the optional values that are invalid.
    fn drop_invalid(&mut self, corrector: &mut Corrector) {
        self.meta.drop_invalid(corrector);
        Field::drop_invalid(&mut self.slots, true, corrector);
        self.extras.drop_invalid(&["Meta"]);
    }
}

impl PartialEq for PushSlots {
    fn eq(&self, other: &Self) -> bool {
        (&self.meta, &self.slots) == (&other.meta, &other.slots)
            && self.extras.equals(|_| true, &other.extras, |_| true)
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
