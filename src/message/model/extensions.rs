//! Extensions: values outside the data model.

use std::borrow::Cow;
use std::fmt;
use std::hash::Hasher;

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Deserializer, Serialize};

use crate::display::debug_as_display;
use crate::message::ProblemCode;
use crate::message::codec::corrector::Corrector;
use crate::message::codec::field::Field;
use crate::message::codec::interner::Interner;
use crate::message::codec::json_writer::{self as write, MemberStart};
use crate::message::codec::members::Members;
use crate::message::codec::path::Path;
use crate::message::codec::problems::Problems;
use crate::message::codec::raw::{Key, Object};
#[cfg(feature = "mock")]
use crate::message::codec::strict;
use crate::message::codec::transcode::{Json, wrong_type};

/// Values that sender and receiver agree on outside the data model: the `Extensions` member, which
/// any object can have.
///
/// Each extension has a name and a JSON value, which you read and write as a type of your own. A
/// value that was read from a message and not replaced is sent as written, without whitespace
/// between tokens.
///
/// ```
/// use pushslots::Slot;
/// use pushslots::chrono::{TimeZone, Utc};
/// # use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Telehealth { url: String, string: String }
///
/// let nine_o_clock = Utc.with_ymd_and_hms(2026, 12, 1, 9, 0, 0).unwrap();
/// let mut slot = Slot::new(nine_o_clock, 15);
/// let video = Telehealth { url: "https://example.org/telehealth".into(), string: "video".into() };
/// slot.extensions_mut().insert("telehealth", &video)?;
///
/// let telehealth: Option<Telehealth> = slot.extensions().get("telehealth")?;
/// assert_eq!(telehealth.unwrap().string, "video");
/// # Ok::<(), pushslots::ExtensionError>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Extensions(Members);

impl Extensions {
    pub(crate) const NONE: Self = Self(Members::NONE);

    pub(crate) fn members(&self) -> &Members {
        &self.0
    }

    pub(crate) fn members_mut(&mut self) -> &mut Members {
        &mut self.0
    }

    fn of(object: &Object<'_>) -> Self {
        let mut members = Members::default();
        for (key, value) in object.iter() {
            members.add(key, value);
        }
        members.keep_last();
        Self(members)
    }

    /// Returns the value of the extension `name` as a `T`, or `None` if it doesn't exist.
    ///
    /// If a message repeats the name, the last value counts.
    ///
    /// # Errors
    ///
    /// Returns an error if the value isn't a `T`.
    pub fn get<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Result<Option<T>, ExtensionError> {
        let read = |json| {
            serde_json::from_str(json).map_err(|error| ExtensionError::of_type(name, &error))
        };
        self.0.get(name).map(read).transpose()
    }

    /// Sets the extension `name` to `value` and replaces any previous value.
    ///
    /// # Errors
    ///
    /// Returns an error if `value` has no JSON form, such as a map with keys that aren't strings.
    /// The previous value is kept.
    pub fn insert<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
    ) -> Result<(), ExtensionError> {
        let json = serde_json::to_string(value).map_err(|_| ExtensionError::new(name, None))?;
        self.0.remove(name);
        self.0.add_named(name, &json);
        Ok(())
    }

    /// Removes the extension `name`. Returns whether it existed.
    pub fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name)
    }

    /// Returns the names in the order in which they were read or inserted.
    pub fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.0.keys().map(Key::name)
    }

    /// Returns whether there are no extensions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Shows only the number of extensions.
impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions").field("len", &self.0.len()).finish_non_exhaustive()
    }
}

impl Serialize for Extensions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.serialize(&mut map)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Extensions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Json(json) = Json::deserialize(deserializer)?;
        let object = Object::read(&json).ok_or_else(|| wrong_type("an object", &json))?;
        Ok(Self::of(&object))
    }
}

impl Field for Extensions {
    fn read(raw: &str, _: &mut Interner<'_>) -> Option<Self> {
        match Object::read(raw) {
            Some(object) => Some(Self::of(&object)),
            None => (raw == "null").then(Self::default),
        }
    }

    fn feed(&self, hasher: &mut impl Hasher) {
        self.0.feed(hasher);
    }

    fn write_member(&self, start: MemberStart, out: &mut Vec<u8>) {
        if self.is_absent() {
            return;
        }
        out.extend_from_slice(start.before_value());
        let inside = out.len();
        self.0.write(out);
        write::enclose(*b"{}", inside, out);
    }

    fn length<const EXACT: bool>(&self, start: MemberStart) -> usize {
        if self.is_absent() { 0 } else { start.len() + write::enclosed(self.0.length()) }
    }

    fn serialize_member<M: SerializeMap>(
        &self,
        key: &'static str,
        map: &mut M,
    ) -> Result<(), M::Error> {
        if self.is_absent() { Ok(()) } else { map.serialize_entry(key, self) }
    }

    fn is_absent(&self) -> bool {
        self.0.is_empty()
    }

    fn check(&self, _: Path<'_>, _: &mut Problems) {}

    #[cfg(feature = "mock")]
    fn judge(raw: &str, at: Path<'_>, problems: &mut Problems) {
        strict::object(raw, at, problems, |_, _, _| {});
    }

    // `Extras` removes invalid extensions.
    fn drop_invalid(&mut self, _: bool, _: &mut Corrector) {}

    fn explain(raw: &str, at: Path<'_>, problems: &mut Problems) {
        problems.add_wrong_type(at, ProblemCode::WrongType, "an object", raw);
    }
}

/// An error from reading or writing an extension as a given type.
///
/// The error shows the name and the position in the value, but never the value itself.
#[derive(Clone, PartialEq, Eq)]
pub struct ExtensionError {
    name: String,
    /// The line and column in the value; `None` if the value couldn't be written.
    place: Option<(usize, usize)>,
}

impl ExtensionError {
    fn new(name: &str, place: Option<(usize, usize)>) -> Self {
        Self { name: name.to_owned(), place }
    }

    fn of_type(name: &str, error: &serde_json::Error) -> Self {
        Self::new(name, Some((error.line(), error.column())))
    }

    /// Returns the name of the extension.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for ExtensionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.place {
            None => write!(f, "the value of the extension {name:?} can't be written as JSON"),
            // Column 0 stands for the value as a whole.
            Some((_, 0)) => write!(f, "the extension {name:?} isn't of the requested type"),
            Some((line, column)) => {
                write!(
                    f,
                    "the extension {name:?} isn't of the requested type: line {line} column \
                     {column} of its value"
                )
            }
        }
    }
}

debug_as_display!(ExtensionError);

impl std::error::Error for ExtensionError {}
