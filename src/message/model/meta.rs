//! The `Meta` of a message: its source, destinations and batch.

use std::hash::Hasher;

use chrono::{DateTime, TimeZone, Utc};
use serde::ser::Serializer;
use uuid::Uuid;

use super::List;
use crate::message::ProblemCode;
use crate::message::codec::interner::Interner;
use crate::message::codec::json_writer as write;
use crate::message::codec::leaf::leaf;
use crate::message::codec::path::Path;
use crate::message::codec::problems::Problems;
use crate::message::codec::record::{Rules, record};
#[cfg(feature = "mock")]
use crate::message::codec::strict;
use crate::message::codec::value::{Read, Value};

record! {
    /// The metadata of a message: `Meta` in the reference.
    ///
    /// `DataModel` and `EventType` are always `Scheduling` and `PushSlots`. The client fills in its
    /// own source and destinations if they are missing.
    ///
    /// ```
    /// use pushslots::Meta;
    /// use pushslots::uuid::uuid;
    ///
    /// let meta = Meta::new()
    ///     .test(true)
    ///     .destination(uuid!("af394f14-b34a-464f-8d24-895f370af4c9"))
    ///     .batch_id("slots-2026-12-01")
    ///     .current_batch(1)
    ///     .total_batches(2);
    /// assert_eq!(meta.current_batch, Some(1));
    /// ```
    pub struct Meta {
        /// The data model, always `Scheduling`.
        "DataModel" => data_model: Option<DataModel>,
        /// The event type, always `PushSlots`.
        "EventType" => event_type: Option<EventType>,
        /// The time at which the message was created. Written in UTC in RFC 3339 form.
        "EventDateTime" => pub event_date_time: Option<DateTime<Utc>>,
        /// Whether the message is a test.
        "Test" => pub test: Option<bool>,
        /// The sending system.
        "Source" => pub source: Option<Source>,
        /// The endpoints that receive the message; at least one.
        "Destinations" => pub destinations: List<Destination>,
        /// The service's own identifiers for a message that came from the service.
        "Logs" => pub logs: List<Log>,
        /// The code of the facility. Needed only if a health system requires it.
        "FacilityCode" => pub facility_code: Option<String>,
        /// The ID of the batch that the message belongs to.
        "BatchID" => pub batch_id: Option<String>,
        /// The number of this message in its batch, starting at 1. Written as a string.
        "CurrentBatch" => pub current_batch: Option<u64>,
        /// The number of messages in the batch, at least 1. Written as a string.
        "TotalBatches" => pub total_batches: Option<u64>,
    }
    shown: event_date_time, test, source, destinations, logs, batch_id, current_batch, total_batches;
}

record! {
    /// The sending system: `Meta.Source` in the reference.
    pub struct Source {
        /// The ID of the system.
        "ID" => pub id: Option<Uuid>,
        /// The name of the system.
        "Name" => pub name: Option<String>,
    }
    shown: id;
}

record! {
    /// An endpoint that receives a message: `Meta.Destinations[]` in the reference.
    pub struct Destination {
        /// The ID of the endpoint; required.
        "ID" => pub id: Option<Uuid>,
        /// The name of the endpoint.
        "Name" => pub name: Option<String>,
    }
    shown: id;
    // Dropping an empty element could silently leave out an endpoint, so it stays and is a problem.
    empty element: Destination::blank;
}

record! {
    /// The service's own identifiers for a message: `Meta.Logs[]` in the reference.
    pub struct Log {
        /// The log id, with which the service's dashboard and support find the message.
        "ID" => pub id: Option<String>,
        /// The id of one of the service's attempts to process the message.
        "AttemptID" => pub attempt_id: Option<String>,
    }
    shown: id, attempt_id;
}

impl Meta {
    /// Creates a `Meta` with only the data model and the event type.
    #[must_use]
    pub fn new() -> Self {
        let mut meta = Self::blank();
        meta.name_event();
        meta
    }

    /// Sets the data model and the event type, unless an unread value exists for the key.
    pub(crate) fn name_event(&mut self) {
        if !self.extras.has("DataModel") {
            self.data_model = Some(DataModel(()));
        }
        if !self.extras.has("EventType") {
            self.event_type = Some(EventType(()));
        }
    }

    /// Fills in the source and the destinations if they are missing.
    pub(crate) fn fill(&mut self, source: Option<Uuid>, destinations: &[Uuid]) {
        let unread = self.extras.has("Source");
        if let Some(id) = source.filter(|_| !unread) {
            let source = self.source.get_or_insert_with(Source::blank);
            if !source.extras.has("ID") {
                source.id.get_or_insert(id);
            }
        }
        if self.names_no_destination() {
            self.destinations = destinations.iter().copied().map(Destination::new).collect();
        }
    }

    /// Returns the JSON of `Meta`, as in a message.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut json = Vec::new();
        self.write(&mut json);
        json
    }

    /// Reads the JSON of `Meta`, as in a message. Returns `None` if it isn't an object.
    pub(crate) fn from_json(json: &str) -> Option<Self> {
        match Self::read(json, &mut Interner::of(json)) {
            Read::Value(meta) => Some(meta),
            // `{}` is a value too, because reading names the event.
            Read::Nothing | Read::WrongType => None,
        }
    }

    /// Removes the batch numbers, even if they couldn't be read.
    pub(crate) fn clear_batch_numbers(&mut self) {
        self.current_batch = None;
        self.total_batches = None;
        for key in ["CurrentBatch", "TotalBatches"] {
            self.extras.remove(key, true);
        }
    }

    pub(crate) fn names_no_destination(&self) -> bool {
        self.destinations.is_blank()
    }

    /// Sets the time at which the message was created. The time can be in any time zone.
    #[must_use]
    pub fn event_date_time<Z: TimeZone>(mut self, time: DateTime<Z>) -> Self {
        self.event_date_time = Some(time.to_utc());
        self
    }

    /// Sets whether the message is a test.
    #[must_use]
    pub fn test(mut self, test: bool) -> Self {
        self.test = Some(test);
        self
    }

    /// Sets the sending system: an ID, or a [`Source`] with a name.
    #[must_use]
    pub fn source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds an endpoint that receives the message: an ID, or a [`Destination`] with a name.
    #[must_use]
    pub fn destination(mut self, destination: impl Into<Destination>) -> Self {
        self.destinations.push(destination.into());
        self
    }

    /// Sets the code of the facility. Needed only if a health system requires it.
    #[must_use]
    pub fn facility_code(mut self, code: impl Into<String>) -> Self {
        self.facility_code = Some(code.into());
        self
    }

    /// Sets the ID of the batch that the message belongs to.
    #[must_use]
    pub fn batch_id(mut self, id: impl Into<String>) -> Self {
        self.batch_id = Some(id.into());
        self
    }

    /// Sets the number of this message in its batch, starting at 1. Requires a
    /// [`batch_id`](Self::batch_id).
    #[must_use]
    pub fn current_batch(mut self, current: u64) -> Self {
        self.current_batch = Some(current);
        self
    }

    /// Sets the number of messages in the batch, at least 1. Requires a
    /// [`batch_id`](Self::batch_id).
    #[must_use]
    pub fn total_batches(mut self, total: u64) -> Self {
        self.total_batches = Some(total);
        self
    }
}

impl Default for Meta {
    fn default() -> Self {
        Self::new()
    }
}

impl Source {
    /// Creates a source with this ID.
    #[must_use]
    pub fn new(id: Uuid) -> Self {
        Self { id: Some(id), ..Self::blank() }
    }

    /// Sets the name of the system.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl From<Uuid> for Source {
    fn from(id: Uuid) -> Self {
        Self::new(id)
    }
}

impl Destination {
    /// Creates a destination with this ID.
    #[must_use]
    pub fn new(id: Uuid) -> Self {
        Self { id: Some(id), ..Self::blank() }
    }

    /// Sets the name of the endpoint.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl From<Uuid> for Destination {
    fn from(id: Uuid) -> Self {
        Self::new(id)
    }
}

impl Log {
    /// Creates a log with the id of a message and the id of one of the service's attempts at it.
    #[must_use]
    pub fn new(id: impl Into<String>, attempt_id: impl Into<String>) -> Self {
        Self::from_parts(Some(id.into()), Some(attempt_id.into()))
    }

    pub(crate) fn from_parts(id: Option<String>, attempt_id: Option<String>) -> Self {
        Self { id, attempt_id, ..Self::blank() }
    }
}

impl Rules for Meta {
    const REQUIRED: &'static [&'static str] = &["DataModel", "EventType", "Destinations"];

    fn restore(&mut self) {
        self.name_event();
    }

    fn drop_invalid(&mut self) {
        let mut problems = Problems::counter();
        self.rules(Path::ROOT, &mut problems);
        if !problems.is_empty() {
            self.current_batch = None;
            self.total_batches = None;
        }
    }

    fn rules(&self, at: Path<'_>, problems: &mut Problems) {
        let current = self.current_batch;
        let total = self.total_batches;
        let names_no_batch = self.batch_id.as_deref().is_none_or(str::is_empty);
        if current.zip(total).is_some_and(|(current, total)| current > total) {
            problems.add(
                at.key("CurrentBatch"),
                ProblemCode::InvalidBatch,
                "greater than TotalBatches",
            );
        }
        if (current.is_some() || total.is_some()) && names_no_batch && !self.extras.has("BatchID") {
            let text = "missing, though CurrentBatch or TotalBatches is given; name the batch";
            problems.add(at.key("BatchID"), ProblemCode::InvalidBatch, text);
        }
    }
}

impl Rules for Source {}

impl Rules for Destination {
    const REQUIRED: &'static [&'static str] = &["ID"];

    fn rules(&self, at: Path<'_>, problems: &mut Problems) {
        if self.id.is_none() && !self.extras.has("ID") {
            problems.add(
                at.key("ID"),
                ProblemCode::Missing,
                "missing; set the ID of the destination",
            );
        }
    }
}

impl Rules for Log {}

/// Defines a string type with a single valid value.
macro_rules! constant {
    ($(#[$doc:meta])* $name:ident = $text:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) struct $name(());

        impl Value for $name {
            const EXPECTED: &'static str = concat!("\"", $text, "\"");

            fn read(raw: &str, _: &mut Interner<'_>) -> Read<Self> {
                leaf(raw, |text| (text == $text).then_some(Self(())))
            }

            fn feed(&self, _: &mut impl Hasher) {}

            fn write(&self, out: &mut Vec<u8>) {
                write::string($text, out);
            }

            fn length<const EXACT: bool>(&self) -> usize {
                $text.len() + 2
            }

            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($text)
            }

            #[cfg(feature = "mock")]
            fn judge(raw: &str, at: Path<'_>, problems: &mut Problems) {
                strict::leaf(raw, at, "a string", problems, strict::is_text);
            }
        }
    };
}

constant! {
    /// The data model of every message: `Scheduling`.
    DataModel = "Scheduling"
}

constant! {
    /// The event type of every message: `PushSlots`.
    EventType = "PushSlots"
}
