//! The data model: building, reading, validating and writing PushSlots messages.
//!
//! Nothing here sends messages, waits or reads a clock. The records follow the published reference
//! of `Scheduling / PushSlots` key by key.

mod codec;
mod model;
mod problem;
mod read;
#[cfg(feature = "mock")]
mod schema;
mod validation;
mod write;

use std::fmt;

use codec::extras::{Extras, NoFields};
use codec::field::Field;
use codec::path::Path;
use codec::value::Value;

pub(crate) use codec::corrector::Corrector;
pub use codec::extras::{UnreadMember, UnreadReason};
pub(crate) use codec::problems::Problems;
pub(crate) use codec::raw::{Object, json, list, text};
pub(crate) use codec::scanner::Scanner;
pub(crate) use codec::timestamp::read as read_time;
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

/// A PushSlots message: `Meta` and `Slots`.
///
/// Build one with [`PushSlots::builder`] or read one with [`PushSlots::from_json`]. The service
/// documents two size limits for a message: 40 MB on one page and 10 MB on another. `Debug` shows
/// the number of slots, but no slot.
///
/// # Reading and writing
///
/// Reading is tolerant and writing is exact. The same rules apply to
/// [`from_json`](Self::from_json), [`to_json`](Self::to_json) and serde:
///
/// * A number, boolean or string is converted if the model has another of these types for the key,
///   such as `"30"` for a `Duration`.
/// * `null` and empty objects and lists count as absent and aren't written. An empty list instead
///   of an object is a problem, and so is an empty object instead of a list.
/// * `null` or an empty object as an element of `Slots` or `Destinations` is a problem.
/// * A member with an unknown key is preserved as written, on any object. If the key is repeated,
///   the last value counts.
/// * A value that can't be read is preserved too, and [`validate`](Self::validate) reports it. The
///   same is true of all values of a known key that is repeated.
/// * Preserved members can be [listed and removed](Self::unread_members).
///
/// A day of availability repeats a few hundred providers and rooms. Slots therefore hold them as
/// [`Shared`] records. Each slot stores only a pointer, and each record is encoded once, whether
/// the message was built or read.
#[derive(Clone)]
pub struct PushSlots {
    meta: Meta,
    slots: List<Slot>,
    extras: Extras,
}

impl PushSlots {
    /// Creates a builder for a message.
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

    /// Returns the `Meta` of the message.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Returns the `Meta` of the message for modification.
    ///
    /// The client validates it again before sending. If `Meta` couldn't be read because it isn't an
    /// object, replace it with [`set_meta`](Self::set_meta).
    pub fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    /// Replaces `Meta`, even if it couldn't be read.
    pub fn set_meta(&mut self, meta: Meta) {
        self.extras.remove("Meta", true);
        self.meta = meta;
    }

    /// Returns the slots in order.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Returns the slots for modification, for example to fix one that was read with a problem.
    ///
    /// The client validates them again before sending. To change a shared record for one slot only,
    /// use [`Shared::to_mut`](crate::Shared::to_mut).
    ///
    /// If the list couldn't be read because an element isn't an object, assigning another list
    /// replaces it.
    pub fn slots_mut(&mut self) -> &mut List<Slot> {
        &mut self.slots
    }

    /// Returns the slots and discards the rest of the message.
    ///
    /// If the list couldn't be read, only slots that were added to it later are returned. See
    /// [`validate`](Self::validate).
    #[must_use]
    pub fn into_slots(self) -> Vec<Slot> {
        self.slots.into()
    }

    /// Returns `Meta` and discards the slots.
    #[must_use]
    pub fn into_meta(self) -> Meta {
        self.meta
    }

    /// Returns `Meta` and the slots. Discards the extensions and the [unread
    /// members](Self::unread_members) of the message.
    #[must_use]
    pub fn into_parts(self) -> (Meta, Vec<Slot>) {
        (self.meta, self.slots.into())
    }

    /// Returns the extensions of the message itself. The records inside have their own.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        self.extras.extensions()
    }

    /// Returns the extensions of the message itself for modification.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        self.extras.extensions_mut()
    }

    /// Returns the members of the message itself that were read from JSON but aren't in a field:
    /// unknown keys and values that couldn't be read.
    ///
    /// The records in the message have their own unread members.
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
        slots.into_iter().chain(self.extras.unread_members(&NoFields))
    }

    /// Removes the [unread member](Self::unread_members) `key`. Returns whether it existed.
    pub fn remove_unread_member(&mut self, key: &str) -> bool {
        (key == "Slots" && self.slots.clear_unread()) | self.extras.remove(key, true)
    }

    /// Removes all [unread members](Self::unread_members) of the message itself.
    pub fn clear_unread_members(&mut self) {
        self.slots.clear_unread();
        self.extras.clear();
    }

    /// Validates the message against the data model, except for the values that the client fills
    /// in.
    ///
    /// A message without destinations is valid here, because the client can have default
    /// destinations. A client without destinations doesn't send it.
    ///
    /// # Errors
    ///
    /// Returns the first 1,000 problems, each with its path, and the number of further ones. Each
    /// of these is a problem:
    ///
    /// * empty `Slots`
    /// * a `DateTime` or `Duration` that is missing or invalid
    /// * a `DataModel` other than `Scheduling`, or an `EventType` other than `PushSlots`
    /// * a source or destination ID that isn't a UUID, or a missing destination ID
    /// * a telephone number that isn't in E.164 form
    /// * batch numbers that aren't whole numbers of at least 1, are out of order, or have no
    ///   `BatchID`
    /// * a value of the wrong type for a key of the model, or a repeated key of the model
    /// * half of a surrogate pair in a string
    pub fn validate(&self) -> Result<(), InvalidMessage> {
        let mut problems = Problems::default();
        self.check(&mut problems);
        problems.into_result()
    }

    pub(crate) fn check(&self, problems: &mut Problems) {
        let at = Path::ROOT;
        self.extras.check("Meta", at, problems);
        self.meta.check(at.key("Meta"), problems);
        self.check_slots(problems);
    }

    /// Checks everything except `Meta`.
    fn check_slots(&self, problems: &mut Problems) {
        let at = Path::ROOT;
        Field::check(&self.slots, at.key("Slots"), problems);
        if self.slots.is_blank() {
            problems.add(at.key("Slots"), ProblemCode::Empty, "empty; add at least one slot");
        }
        self.extras.check_others(at, problems);
    }

    /// Removes the optional values that are invalid.
    fn drop_invalid(&mut self, corrector: &mut Corrector) {
        self.meta.drop_invalid(corrector);
        Field::drop_invalid(&mut self.slots, true, corrector);
        self.extras.drop_invalid(&["Meta"]);
    }
}

impl PartialEq for PushSlots {
    fn eq(&self, other: &Self) -> bool {
        (&self.meta, &self.slots) == (&other.meta, &other.slots)
            && self.extras.equals(&NoFields, &other.extras, &NoFields)
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
