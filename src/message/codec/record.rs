//! How a table of keys becomes a record that can be read, checked and written.
//!
//! [`record!`] takes the reference's table of an object, one row a key, and writes the struct and
//! all that reads, checks and writes it. A row's type says how its value is read, what is wrong
//! with it and how it is written.

use super::path::Path;
use super::problems::Problems;

/// Rules of a record that concern more than one of its keys.
pub(crate) trait Rules {
    /// The keys whose values can't be left out.
    const REQUIRED: &'static [&'static str] = &[];

    fn rules(&self, _at: Path<'_>, _problems: &mut Problems) {}

    /// Leaves out optional values that break [`rules`](Self::rules).
    fn drop_invalid(&mut self) {}

    /// Puts right what follows from the kind of the record, once it is read or members are removed.
    fn restore(&mut self) {}
}

/// Writes a record: its struct, and how it is read, checked and written.
///
/// A row is `"Key" => pub field: Type`, where the type is a [`Field`](super::field::Field):
/// `Option<T>` or [`List<T>`](crate::List). All fields start out absent; `Extensions` and keys that
/// no row names are in its extras. Cross-checks come from [`Rules`]. `Debug` shows the fields named
/// as `shown`.
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
        /// With serde it is read and written as in the JSON of a message, in any format that has
        /// maps and texts.
        ///
        /// In a flattened field, in an enum with an inner tag or without one, and in some formats,
        /// serde passes on values instead of their JSON. Values that are kept as they were written,
        /// such as extensions, may then come back in another spelling (`1.10` as `1.1`), which
        /// counts as different. A number above 2^53 - 1 that comes as a float is an error, and a
        /// fraction keeps about 16 digits. A key with half of a surrogate pair is an error when it
        /// is serialized.
        ///
        /// `Debug` omits what may identify a person.
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

            /// The members that were read from JSON and are not in a field: keys that the model
            /// doesn't name, and values that can't be read.
            ///
            /// A value that can't be read is not among them while its field has another value. It
            /// is written, and a problem, again when the field is `None`: remove it with
            /// [`remove_unread_member`](Self::remove_unread_member). The values of a repeated key
            /// are written as one list.
            pub fn unread_members(&self) -> impl Iterator<Item = $crate::UnreadMember<'_>> {
                use $crate::message::codec::field::Field;
                let fields = [$(($key, Field::unread_reason(&self.$field)),)*];
                let fields = fields.into_iter().filter_map(|(key, reason)| {
                    Some($crate::UnreadMember::new(key, reason?))
                });
                fields.chain(self.extras.unread_members(|key| self.is_open(key)))
            }

            /// Removes the [unread member](Self::unread_members) `key`; whether there was one.
            pub fn remove_unread_member(&mut self, key: &str) -> bool {
                use $crate::message::codec::{field::Field, record::Rules};
                let is_open = self.is_open(key);
                let is_in_field = match key {
                    $($key => Field::clear_unread(&mut self.$field),)*
                    _ => false,
                };
                let is_removed = self.extras.remove(key, |_| is_open);
                Rules::restore(self);
                is_in_field || is_removed
            }

            /// Removes all [unread members](Self::unread_members).
            pub fn clear_unread_members(&mut self) {
                use $crate::message::codec::{field::Field, record::Rules};
                $(Field::clear_unread(&mut self.$field);)*
                self.extras.clear();
                Rules::restore(self);
            }

            /// Whether no value took the place of one under `key` that could not be read.
            fn is_open(&self, key: &str) -> bool {
                use $crate::message::codec::field::Field;
                match key {
                    $($key => Field::is_absent(&self.$field),)*
                    _ => true,
                }
            }

            pub(crate) fn from_object(
                object: &$crate::message::codec::raw::Object<'_>,
                interner: &mut $crate::message::codec::interner::Interner,
            ) -> $crate::message::codec::value::Read<Self> {
                use $crate::message::codec::{extras::Given, value::Read};
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
                match $crate::message::codec::value::Value::is_empty(&record) {
                    true => Read::Nothing,
                    false => Read::Value(record),
                }
            }
        }

        impl $crate::message::codec::value::Value for $name {
            const EXPECTED: &'static str = "an object";
            $(const EMPTY_ELEMENT: Option<fn() -> Self> = Some($empty);)?

            fn read(
                raw: &str,
                interner: &mut $crate::message::codec::interner::Interner,
            ) -> $crate::message::codec::value::Read<Self> {
                use $crate::message::codec::{raw::Object, value::Read};
                match Object::read(raw) {
                    Some(object) => Self::from_object(&object, interner),
                    None if raw == "null" => Read::Nothing,
                    None => Read::WrongType,
                }
            }

            fn write(&self, out: &mut Vec<u8>) {
                use $crate::message::codec::field::Field;
                let start = out.len();
                $(Field::write_member(&self.$field, concat!(",\"", $key, "\":"), out);)*
                self.extras.write(out, |key| self.is_open(key));
                $crate::message::codec::json_writer::enclose(*b"{}", start, out);
            }

            fn length<const EXACT: bool>(&self) -> usize {
                use $crate::message::codec::field::Field;
                let mut inside = self.extras.length(|key| self.is_open(key));
                $(inside += Field::length::<EXACT>(&self.$field, concat!(",\"", $key, "\":"));)*
                $crate::message::codec::json_writer::enclosed(inside)
            }

            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use $crate::message::codec::field::Field;
                use ::serde::ser::SerializeMap;
                let mut map = serializer.serialize_map(None)?;
                $(Field::serialize_member(&self.$field, $key, &mut map)?;)*
                self.extras.serialize(&mut map, |key| self.is_open(key))?;
                map.end()
            }

            fn is_empty(&self) -> bool {
                use $crate::message::codec::field::Field;
                $(Field::is_absent(&self.$field) &&)* self.extras.is_empty()
            }

            fn check(
                &self,
                at: $crate::message::codec::path::Path<'_>,
                problems: &mut $crate::message::codec::problems::Problems,
            ) {
                use $crate::message::codec::{field::Field, record::Rules};
                $({
                    if !self.extras.is_empty() && Field::is_absent(&self.$field) {
                        self.extras.check::<$type>($key, at, problems);
                    }
                    Field::check(&self.$field, at.key($key), problems);
                })*
                self.extras.check_others(at, problems);
                Rules::rules(self, at, problems);
            }

            fn drop_invalid(&mut self, corrector: &mut $crate::message::codec::corrector::Corrector) {
                use $crate::message::codec::{field::Field, record::Rules};
                $({
                    let is_required = <Self as Rules>::REQUIRED.contains(&$key);
                    Field::drop_invalid(&mut self.$field, is_required, corrector);
                })*
                self.extras.drop_invalid(<Self as Rules>::REQUIRED);
                Rules::drop_invalid(self);
            }

            #[cfg(feature = "mock")]
            fn judge(
                raw: &str,
                at: $crate::message::codec::path::Path<'_>,
                problems: &mut $crate::message::codec::problems::Problems,
            ) {
                use $crate::message::codec::field::Field;
                $crate::message::codec::strict::object(raw, at, problems, |key, raw, problems| match key {
                    $($key => <$type as Field>::judge(raw, at.key($key), problems),)*
                    "Extensions" => $crate::Extensions::judge(raw, at.key("Extensions"), problems),
                    _ => {}
                });
            }

            fn locate(text: &str, path: &mut Vec<$crate::message::codec::path::PathSegment>) {
                use $crate::message::codec::{field::Field, path::PathSegment};
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
                $crate::message::codec::value::Value::serialize(self, serializer)
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
