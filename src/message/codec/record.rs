//! How a table of keys becomes a record that can be read, checked and written.
//!
//! [`record!`] takes the reference's table of an object, one row a key, and writes the struct and all that reads, checks and
//! writes it. A row's type says how its value is read, what is wrong with it and how it is written.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::interner::Interner;
use super::path::{Path, PathSegment};
use super::problems::Problems;
use super::raw;
use crate::message::{ProblemCode, UnreadReason};

/// The result of reading a JSON value.
pub(crate) enum Read<T> {
    Value(T),
    /// `null`, or an object without content.
    Nothing,
    /// JSON of another kind.
    WrongKind,
}

/// One JSON value of the data model.
pub(crate) trait Value: Sized {
    /// What belongs in its place, in the words of a problem.
    const EXPECTED: &'static str;

    /// The kind of problem that a text is in its place, if it can't be read.
    const CODE_OF_TEXT: ProblemCode = ProblemCode::WrongKind;

    /// What an empty element of a list stands for. Most stand for nothing and are passed over.
    const EMPTY_ELEMENT: Option<fn() -> Self> = None;

    /// Reads `raw`, which is the JSON of one value.
    fn read(raw: &str, interner: &mut Interner) -> Read<Self>;

    /// Writes it as the model has it.
    fn write(&self, out: &mut Vec<u8>);

    /// How many bytes [`write`](Self::write) takes. Unless it is to be `EXACT`, no text is looked through for what needs an
    /// escape, and the bytes are too few if one has any.
    fn length<const EXACT: bool>(&self) -> usize;

    /// Serializes what [`write`](Self::write) writes.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    fn is_empty(&self) -> bool {
        false
    }

    /// Finds what is wrong with it.
    fn check(&self, _at: Path<'_>, _problems: &mut Problems) {}

    /// Finds where `raw` isn't written as the schema of the service has it, though it may be read for what it stands for.
    #[cfg(feature = "mock")]
    fn judge(raw: &str, at: Path<'_>, problems: &mut Problems);

    /// Finds the path to the place at which `text`, which begins with such a value, stops being JSON.
    fn locate(_text: &str, _path: &mut Vec<PathSegment>) {}
}

/// A value as serde sees it.
pub(crate) struct AsSerde<'a, T>(pub(crate) &'a T);

impl<T: Value> Serialize for AsSerde<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The place that a record has for a key: at most one value, or a list of them.
pub(crate) trait Field: Default {
    /// Reads `raw`; `None` if it is of another kind.
    fn read(raw: &str, interner: &mut Interner) -> Option<Self>;

    /// A field that keeps what could not be read itself.
    fn unread(_raw: &str, _reason: UnreadReason) -> Option<Self> {
        None
    }

    /// Why a value that the field keeps could not be read.
    fn unread_reason(&self) -> Option<UnreadReason> {
        None
    }

    /// Removes a value that could not be read; whether there was one.
    fn clear_unread(&mut self) -> bool {
        false
    }

    /// Writes the member `key`, which is JSON with its comma and colon, unless the field is absent.
    fn write_member(&self, key: &'static str, out: &mut Vec<u8>);

    /// How many bytes [`write_member`](Self::write_member) takes, as [`Value::length`] counts.
    fn length<const EXACT: bool>(&self, key: &'static str) -> usize;

    /// Serializes the member `key`, which is plain, unless the field is absent.
    fn serialize_member<M: SerializeMap>(&self, key: &'static str, map: &mut M) -> Result<(), M::Error>;

    fn is_absent(&self) -> bool;

    fn check(&self, at: Path<'_>, problems: &mut Problems);

    /// Finds what is wrong with `raw`, which could not be read.
    fn explain(raw: &str, at: Path<'_>, problems: &mut Problems);

    /// As [`Value::judge`].
    #[cfg(feature = "mock")]
    fn judge(raw: &str, at: Path<'_>, problems: &mut Problems);

    /// As [`Value::locate`].
    fn locate(_text: &str, _path: &mut Vec<PathSegment>) {}
}

impl<T: Value> Field for Option<T> {
    fn read(raw: &str, interner: &mut Interner) -> Option<Self> {
        match T::read(raw, interner) {
            Read::Value(value) => Some(Some(value)),
            Read::Nothing => Some(None),
            Read::WrongKind => None,
        }
    }

    // Inlined, the key has a length that is known, and copying it is a store or two.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "measured")]
    fn write_member(&self, key: &'static str, out: &mut Vec<u8>) {
        let Some(value) = self else { return };
        let start = out.len();
        out.extend_from_slice(key.as_bytes());
        value.write(out);
        // To find out only now that a record is empty is faster than to ask each before.
        if out.len() == start + key.len() + "{}".len() && out.ends_with(b"{}") {
            out.truncate(start);
        }
    }

    fn length<const EXACT: bool>(&self, key: &'static str) -> usize {
        let Some(value) = self else { return 0 };
        match value.length::<EXACT>() {
            2 if value.is_empty() => 0,
            length => key.len() + length,
        }
    }

    fn serialize_member<M: SerializeMap>(&self, key: &'static str, map: &mut M) -> Result<(), M::Error> {
        match self {
            Some(value) if !value.is_empty() => map.serialize_entry(key, &AsSerde(value)),
            _ => Ok(()),
        }
    }

    fn is_absent(&self) -> bool {
        self.as_ref().is_none_or(Value::is_empty)
    }

    fn check(&self, at: Path<'_>, problems: &mut Problems) {
        if let Some(value) = self {
            value.check(at, problems);
        }
    }

    fn explain(raw: &str, at: Path<'_>, problems: &mut Problems) {
        explain_value::<T>(raw, at, problems);
    }

    #[cfg(feature = "mock")]
    fn judge(raw: &str, at: Path<'_>, problems: &mut Problems) {
        T::judge(raw, at, problems);
    }

    fn locate(text: &str, path: &mut Vec<PathSegment>) {
        T::locate(text, path);
    }
}

/// Rules of a record that concern more than one of its keys.
pub(crate) trait Rules {
    fn rules(&self, _at: Path<'_>, _problems: &mut Problems) {}

    /// Puts right what follows from the kind of the record, once it is read or members are removed.
    fn restore(&mut self) {}
}

pub(crate) const HALF_PAIR: &str =
    "half of a surrogate pair, which stands for no character; write both halves, or the character itself";

/// Adds what is wrong with `raw`, which is none of these values.
pub(crate) fn explain_value<T: Value>(raw: &str, at: Path<'_>, problems: &mut Problems) {
    if raw.starts_with('"') && raw::has_half_pair(raw) {
        return problems.add(at, ProblemCode::HalfPair, HALF_PAIR);
    }
    let code = if raw.starts_with('"') { T::CODE_OF_TEXT } else { ProblemCode::WrongKind };
    problems.add_wrong_kind(at, code, T::EXPECTED, raw);
}

/// Writes a record: its struct, and how it is read, checked and written.
///
/// A row is `"Key" => pub field: Type`, where the type is a [`Field`]: `Option<T>` or [`List<T>`](crate::List). All fields
/// start out absent; `Extensions` and keys that no row names are in its extras. Cross-checks come from [`Rules`]. `Debug`
/// shows the fields named as `shown`.
macro_rules! record {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$doc:meta])* $key:literal => $vis:vis $field:ident: $type:ty,)*
        }
        $(shown: $($shown:ident),+;)?
        $(empty element: $empty:expr;)?
    ) => {
        $(#[$meta])*
        ///
        /// With serde it is read and written as in the JSON of a message, in any format that has maps and texts. Its `Debug`
        /// leaves out what may tell of a person.
        #[derive(Clone)]
        pub struct $name {
            $($(#[$doc])* $vis $field: $type,)*
            extras: $crate::message::codec::extras::Extras,
        }

        impl $name {
            fn blank() -> Self {
                Self {
                    $($field: ::core::default::Default::default(),)*
                    extras: ::core::default::Default::default(),
                }
            }

            /// The values that sender and receiver agree on beside the model.
            #[must_use]
            pub fn extensions(&self) -> &$crate::Extensions {
                self.extras.extensions()
            }

            /// The values that sender and receiver agree on beside the model, to change them.
            pub fn extensions_mut(&mut self) -> &mut $crate::Extensions {
                self.extras.extensions_mut()
            }

            /// The members that were read from JSON and are not in a field: keys that the model doesn't name, and values that
            /// can't be read.
            ///
            /// A value that can't be read is no longer among them once its field has a value.
            pub fn unread_members(&self) -> impl Iterator<Item = $crate::UnreadMember<'_>> {
                use $crate::message::codec::record::Field;
                let fields = [$(($key, Field::unread_reason(&self.$field)),)*];
                let fields = fields.into_iter().filter_map(|(key, reason)| {
                    Some($crate::UnreadMember::new(key, reason?))
                });
                fields.chain(self.extras.unread_members(|key| self.is_open(key)))
            }

            /// Removes the [unread member](Self::unread_members) `key`; whether there was one.
            pub fn remove_unread_member(&mut self, key: &str) -> bool {
                use $crate::message::codec::record::{Field, Rules};
                let is_listed = self.is_open(key);
                let is_in_field = match key {
                    $($key => Field::clear_unread(&mut self.$field),)*
                    _ => false,
                };
                let is_removed = self.extras.remove(key);
                Rules::restore(self);
                is_in_field || (is_listed && is_removed)
            }

            /// Removes all [unread members](Self::unread_members).
            pub fn clear_unread_members(&mut self) {
                use $crate::message::codec::record::{Field, Rules};
                $(Field::clear_unread(&mut self.$field);)*
                self.extras.clear();
                Rules::restore(self);
            }

            /// Whether no value took the place of one under `key` that could not be read.
            fn is_open(&self, key: &str) -> bool {
                use $crate::message::codec::record::Field;
                match key {
                    $($key => Field::is_absent(&self.$field),)*
                    _ => true,
                }
            }

            pub(crate) fn from_object(
                object: &$crate::message::codec::raw::Object<'_>,
                interner: &mut $crate::message::codec::interner::Interner,
            ) -> $crate::message::codec::record::Read<Self> {
                use $crate::message::codec::{extras::Given, record::Read};
                let mut record = Self::blank();
                $(let mut $field = Given::default();)*
                let mut extensions = Given::default();
                for (key, raw) in object.iter() {
                    match &*key.name() {
                        $($key => $field.add(raw),)*
                        "Extensions" => extensions.add(raw),
                        _ => record.extras.add(key, raw, $crate::UnreadReason::UnknownKey),
                    }
                }
                $(record.$field = record.extras.field($key, $field, interner);)*
                record.extras.finish(extensions, interner);
                $crate::message::codec::record::Rules::restore(&mut record);
                match $crate::message::codec::record::Value::is_empty(&record) {
                    true => Read::Nothing,
                    false => Read::Value(record),
                }
            }
        }

        impl $crate::message::codec::record::Value for $name {
            const EXPECTED: &'static str = "an object";
            $(const EMPTY_ELEMENT: Option<fn() -> Self> = Some($empty);)?

            fn read(
                raw: &str,
                interner: &mut $crate::message::codec::interner::Interner,
            ) -> $crate::message::codec::record::Read<Self> {
                use $crate::message::codec::{raw::Object, record::Read};
                match Object::read(raw) {
                    Some(object) => Self::from_object(&object, interner),
                    None if raw == "null" => Read::Nothing,
                    None => Read::WrongKind,
                }
            }

            fn write(&self, out: &mut Vec<u8>) {
                use $crate::message::codec::record::Field;
                let start = out.len();
                $(Field::write_member(&self.$field, concat!(",\"", $key, "\":"), out);)*
                self.extras.write(out, |key| self.is_open(key));
                $crate::message::codec::json_writer::enclose(*b"{}", start, out);
            }

            fn length<const EXACT: bool>(&self) -> usize {
                use $crate::message::codec::record::Field;
                let mut inside = self.extras.length(|key| self.is_open(key));
                $(inside += Field::length::<EXACT>(&self.$field, concat!(",\"", $key, "\":"));)*
                $crate::message::codec::json_writer::enclosed(inside)
            }

            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use $crate::message::codec::record::Field;
                use ::serde::ser::SerializeMap;
                let mut map = serializer.serialize_map(None)?;
                $(Field::serialize_member(&self.$field, $key, &mut map)?;)*
                self.extras.serialize(&mut map, |key| self.is_open(key))?;
                map.end()
            }

            fn is_empty(&self) -> bool {
                use $crate::message::codec::record::Field;
                $(Field::is_absent(&self.$field) &&)* self.extras.is_empty()
            }

            fn check(
                &self,
                at: $crate::message::codec::path::Path<'_>,
                problems: &mut $crate::message::codec::problems::Problems,
            ) {
                use $crate::message::codec::record::{Field, Rules};
                $({
                    if !self.extras.is_empty() && Field::is_absent(&self.$field) {
                        self.extras.check::<$type>($key, at, problems);
                    }
                    Field::check(&self.$field, at.key($key), problems);
                })*
                self.extras.check_others(at, problems);
                Rules::rules(self, at, problems);
            }

            #[cfg(feature = "mock")]
            fn judge(
                raw: &str,
                at: $crate::message::codec::path::Path<'_>,
                problems: &mut $crate::message::codec::problems::Problems,
            ) {
                use $crate::message::codec::record::Field;
                $crate::message::codec::strict::object(raw, at, problems, |key, raw, problems| match key {
                    $($key => <$type as Field>::judge(raw, at.key($key), problems),)*
                    "Extensions" => $crate::Extensions::judge(raw, at.key("Extensions"), problems),
                    _ => {}
                });
            }

            fn locate(text: &str, path: &mut Vec<$crate::message::codec::path::PathSegment>) {
                use $crate::message::codec::{path::PathSegment, record::Field};
                $crate::message::read::scanner::locate_member(text, |key, text| match key {
                    $($key => {
                        path.push(PathSegment::Key($key));
                        <$type as Field>::locate(text, path);
                    })*
                    "Extensions" => path.push(PathSegment::Key("Extensions")),
                    _ => {}
                });
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::message::codec::record::Value::serialize(self, serializer)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::message::codec::transcode::deserialize(deserializer, || {
                    let mut record = Self::blank();
                    $crate::message::codec::record::Rules::restore(&mut record);
                    record
                })
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                let extras = &self.extras;
                $(self.$field == other.$field &&)*
                    extras.equals(|key| self.is_open(key), &other.extras, |key| other.is_open(key))
            }
        }

        impl ::core::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(stringify!($name))
                    $($(.field(stringify!($shown), &self.$shown))+)?
                    .finish_non_exhaustive()
            }
        }
    };
}
pub(crate) use record;
