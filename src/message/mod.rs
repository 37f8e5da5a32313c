//! The data model: a PushSlots message, how it is built, read, checked and written.
//!
//! Pure data: nothing here sends, waits or reads a clock. The records follow the published reference of
//! `Scheduling / PushSlots` key by key. All are read tolerantly and written exactly:
//!
//! * a number, boolean or text in place of another is read for what it stands for;
//! * `null`, an empty object and an empty list stand for nothing, and are not written;
//! * a key that the model does not name is kept as it was written, on any object;
//! * a value that can't be read is kept too, and named by [`PushSlots::validate`].

mod json;
mod leaf;
mod location;
mod meta;
mod problem;
mod provider;
mod read;
mod record;
mod slot;
mod timestamp;

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};
use uuid::Uuid;

use json::Others;
use problem::Path;
use record::{Field, Value, Written, WrittenField, explain_kept};

pub(crate) use json::{Object, list, text};

pub use location::{Identifier, Location};
pub use meta::{Destination, Log, Meta, Source};
pub use problem::{InvalidMessage, Problem};
pub use provider::{Address, PhoneNumber, Provider};
pub use read::ReadError;
pub use slot::Slot;

/// One PushSlots message: `Meta` and `Slots`.
///
/// Build one with [`PushSlots::builder`] or read one with [`PushSlots::from_json`]. Its `Debug` shows
/// how many slots there are and none of them.
#[derive(Clone, PartialEq)]
pub struct PushSlots {
    meta: Meta,
    slots: Vec<Slot>,
    others: Others,
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

    /// What the message says of itself, to change it. The client checks it again before it sends.
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

    /// The slots, to change them, such as one that was read with a problem. The client checks them again before
    /// it sends.
    ///
    /// A list of slots that could not be read, since an element of it is no object, stays a problem whatever is
    /// put here: the slots in it would be lost.
    pub fn slots_mut(&mut self) -> &mut Vec<Slot> {
        &mut self.slots
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

    /// The message as JSON, as the model says: absent rather than null, times in UTC, whole minutes as
    /// whole numbers.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        self.filled(&self.meta)
    }

    fn problems(&self) -> Vec<Problem> {
        let (at, mut problems) = (Path::ROOT, Vec::new());
        let kept: Vec<_> = self.others.all("Meta").collect();
        explain_kept::<Option<Meta>>(&kept, at.key("Meta"), &mut problems);
        self.meta.check(at.key("Meta"), &mut problems);

        let kept: Vec<_> = self.others.all("Slots").collect();
        explain_kept::<Vec<Slot>>(&kept, at.key("Slots"), &mut problems);
        Field::check(&self.slots, at.key("Slots"), &mut problems);
        if self.slots.is_empty() && kept.is_empty() {
            problems.push(at.key("Slots").problem("empty; give at least one slot"));
        }
        problems
    }

    /// The JSON of the message as it is sent from `source` to `destinations`, each of which fills
    /// only what the message leaves open.
    pub(crate) fn to_json_from(
        &self,
        source: Option<Uuid>,
        destinations: &[Uuid],
    ) -> Result<Vec<u8>, InvalidMessage> {
        let mut meta = self.meta.clone();
        meta.fill(source, destinations);
        let mut problems = self.problems();
        if meta.names_no_destination() {
            let path = Path::ROOT.key("Meta");
            let text = "empty; name at least one, in the message or in the client";
            problems.push(path.key("Destinations").problem(text));
        }
        InvalidMessage::check(problems)?;
        Ok(self.filled(&meta))
    }

    fn filled(&self, meta: &Meta) -> Vec<u8> {
        let message = Filled { message: self, meta };
        // Writing to memory can't fail, nor can any of the values: there is no map whose keys are no text.
        serde_json::to_vec(&message).unwrap_or_default()
    }
}

/// Writes a message with another `Meta` than its own, without a copy of the slots.
struct Filled<'a> {
    message: &'a PushSlots,
    meta: &'a Meta,
}

impl Serialize for Filled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let others = &self.message.others;
        if !others.has("Meta") {
            map.serialize_entry("Meta", &Written(self.meta))?;
        }
        if !others.has("Slots") || !self.message.slots.is_empty() {
            map.serialize_entry("Slots", &WrittenField(&self.message.slots))?;
        }
        others.write(&mut map, |_| true)?;
        map.end()
    }
}

/// Serializes the message as [`PushSlots::to_json`] does; meant for `serde_json`.
impl Serialize for PushSlots {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let message = Filled { message: self, meta: &self.meta };
        message.serialize(serializer)
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

/// Builds a [`PushSlots`] message; see [`PushSlots::builder`].
#[derive(Clone, Default)]
pub struct PushSlotsBuilder {
    meta: Meta,
    slots: Vec<Slot>,
}

impl fmt::Debug for PushSlotsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show("PushSlotsBuilder", &self.meta, &self.slots, f)
    }
}

impl PushSlotsBuilder {
    /// What the message says of itself; needed only for more than the client fills in.
    #[must_use]
    pub fn meta(mut self, meta: Meta) -> Self {
        self.meta = meta;
        self
    }

    /// Adds a slot.
    #[must_use]
    pub fn slot(mut self, slot: Slot) -> Self {
        self.slots.push(slot);
        self
    }

    /// Adds slots.
    #[must_use]
    pub fn slots(mut self, slots: impl IntoIterator<Item = Slot>) -> Self {
        self.slots.extend(slots);
        self
    }

    /// Finishes the message.
    ///
    /// # Errors
    ///
    /// Every problem that [`PushSlots::validate`] finds.
    pub fn build(self) -> Result<PushSlots, InvalidMessage> {
        let message = PushSlots { meta: self.meta, slots: self.slots, others: Others::default() };
        message.validate()?;
        Ok(message)
    }
}
