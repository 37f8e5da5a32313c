//! Records that are generated from tables of keys.
//!
//! [`record!`] takes the reference's table of an object, with one row per key. It generates the
//! struct and the code that reads, validates and writes it. The type in a row determines how the
//! value is read, validated and written.

use super::path::Path;
use super::problems::Problems;

/// The rules of a record beyond the types of its fields.
pub(crate) trait Rules {
    /// The keys of required values.
    const REQUIRED: &'static [&'static str] = &[];

    fn rules(&self, _at: Path<'_>, _problems: &mut Problems) {}

    /// Removes optional values that break [`rules`](Self::rules).
    fn drop_invalid(&mut self) {}

    /// Normalizes the record after it is read or unread members are removed.
    fn restore(&mut self) {}
}

/// Defines a record: its struct, and the code that reads, validates and writes it.
///
/// A row is `"Key" => pub field: Type`. The type is a [`Field`](super::field::Field): `Option<T>`
/// or [`List<T>`](crate::List). All fields are initially absent. The extras hold `Extensions` and
/// members with unknown keys. [`Rules`] adds further checks. `Debug` shows the `shown` fields. A
/// record with `one pass`, for the parts of slots, is read without looking at its JSON twice.
macro_rules! record {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$doc:meta])* $key:literal => $vis:vis $field:ident: $type:ty,)*
        }
        $(shown: $($shown:ident),+;)?
        $(empty element: $empty:expr;)?
        $(one $pass:ident;)?
    ) => {
        $(#[$meta])*
        ///
        /// Serde reads and writes this type as in the JSON of a message, in any format that has
        /// maps and strings.
        ///
        /// Serde sometimes passes on values instead of their JSON: in flattened fields, in
        /// internally tagged or untagged enums, and in some formats. Values that are preserved as
        /// written, such as extensions, may then change their spelling (`1.10` becomes `1.1`) and
        /// count as different. A number above 2^53 - 1 that arrives as a float is an error, and a
        /// fraction keeps about 16 digits. Serializing a key with half of a surrogate pair is an
        /// error.
        ///
        /// `Debug` omits values that may identify a person.
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

            /// Returns the extensions: values that sender and receiver agree on outside the data
            /// model.
            #[must_use]
            pub fn extensions(&self) -> &$crate::Extensions {
                self.extras.extensions()
            }

            /// Returns the extensions for modification.
            pub fn extensions_mut(&mut self) -> &mut $crate::Extensions {
                self.extras.extensions_mut()
            }

            /// Returns the members that were read from JSON but aren't in a field: unknown keys and
            /// values that couldn't be read.
            ///
            /// An unread value isn't listed, written or reported while its field has another value.
            /// It counts again if the field becomes `None`. To remove it permanently, call
            /// [`remove_unread_member`](Self::remove_unread_member). The values of a repeated key
            /// are written as one list.
            pub fn unread_members(&self) -> impl Iterator<Item = $crate::UnreadMember<'_>> {
                use $crate::message::codec::field::Field;
                let mut members = Vec::new();
                $(if let Some(reason) = Field::unread_reason(&self.$field) {
                    members.push($crate::UnreadMember::new($key, reason));
                })*
                members.extend(self.extras.unread_members(self));
                members.into_iter()
            }

            /// Removes the [unread member](Self::unread_members) `key`. Returns whether it existed.
            pub fn remove_unread_member(&mut self, key: &str) -> bool {
                use $crate::message::codec::{extras::Fields, field::Field, record::Rules};
                let is_open = self.is_open(key);
                let is_in_field = match key {
                    $($key => Field::clear_unread(&mut self.$field),)*
                    _ => false,
                };
                let is_removed = self.extras.remove(key, is_open);
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

            pub(crate) fn from_object(
                object: &$crate::message::codec::raw::Object<'_>,
                interner: &mut $crate::message::codec::interner::Interner<'_>,
            ) -> $crate::message::codec::value::Read<Self> {
                use $crate::message::codec::extras::Given;
                let mut record = Self::blank();
                $(let mut $field = Given::default();)*
                let mut extensions = Given::default();
                for (key, raw) in object.iter() {
                    match &*key.name() {
                        $($key => $field.add(raw),)*
                        "Extensions" => extensions.add(raw),
                        _ => record.extras.add(key, raw),
                    }
                }
                $(record.$field = record.extras.field($key, $field, interner);)*
                record.finish(extensions, interner)
            }

            /// Completes the record after its members were read.
            fn finish(
                mut self,
                extensions: $crate::message::codec::extras::Given<'_>,
                interner: &mut $crate::message::codec::interner::Interner<'_>,
            ) -> $crate::message::codec::value::Read<Self> {
                use $crate::message::codec::value::Read;
                self.extras.finish(extensions, interner);
                $crate::message::codec::record::Rules::restore(&mut self);
                match $crate::message::codec::value::Value::is_empty(&self) {
                    true => Read::Nothing,
                    false => Read::Value(self),
                }
            }
        }

        impl $crate::message::codec::extras::Fields for $name {
            fn is_open(&self, key: &str) -> bool {
                use $crate::message::codec::field::Field;
                match key {
                    $($key => Field::is_absent(&self.$field),)*
                    _ => true,
                }
            }
        }

        impl $crate::message::codec::value::Value for $name {
            const EXPECTED: &'static str = "an object";
            const IS_OBJECT: bool = true;
            $(const EMPTY_ELEMENT: Option<fn() -> Self> = Some($empty);)?

            fn read(
                raw: &str,
                interner: &mut $crate::message::codec::interner::Interner<'_>,
            ) -> $crate::message::codec::value::Read<Self> {
                use $crate::message::codec::{raw::Object, value::Read};
                match Object::read(raw) {
                    Some(object) => Self::from_object(&object, interner),
                    None if raw == "null" => Read::Nothing,
                    None => Read::WrongType,
                }
            }

            $crate::message::codec::record::scan! { [$($pass)?] $($key => $field,)* }

            fn feed(&self, hasher: &mut impl ::core::hash::Hasher) {
                use $crate::message::codec::field::Field;
                $(Field::feed(&self.$field, hasher);)*
                self.extras.feed(self, hasher);
            }

            fn write(&self, out: &mut Vec<u8>) {
                use $crate::message::codec::field::Field;
                use $crate::message::codec::json_writer::{MemberStart, member_start};
                let start = out.len();
                $({
                    const START: MemberStart = member_start!($key);
                    Field::write_member(&self.$field, START, out);
                })*
                self.extras.write(out, self);
                $crate::message::codec::json_writer::enclose(*b"{}", start, out);
            }

            fn length<const EXACT: bool>(&self) -> usize {
                use $crate::message::codec::field::Field;
                use $crate::message::codec::json_writer::{MemberStart, member_start};
                let mut inside = self.extras.length(self);
                $({
                    const START: MemberStart = member_start!($key);
                    inside += Field::length::<EXACT>(&self.$field, START);
                })*
                $crate::message::codec::json_writer::enclosed(inside)
            }

            #[inline]
            fn preload(&self) -> usize {
                use $crate::message::codec::field::Field;
                0 $(^ Field::preload(&self.$field))*
            }

            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use $crate::message::codec::field::Field;
                use ::serde::ser::SerializeMap;
                let mut map = serializer.serialize_map(None)?;
                $(Field::serialize_member(&self.$field, $key, &mut map)?;)*
                self.extras.serialize(&mut map, self)?;
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
                let has_extras = !self.extras.is_empty();
                $({
                    if has_extras && Field::is_absent(&self.$field) {
                        self.extras.check($key, at, problems);
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
                let Some((key, text)) = $crate::message::codec::scanner::locate_member(text) else {
                    return;
                };
                match &*key.name() {
                    $($key => {
                        path.push(PathSegment::Key($key));
                        <$type as Field>::locate(text, path);
                    })*
                    "Extensions" => path.push(PathSegment::Key("Extensions")),
                    _ => {}
                }
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
                    extras.equals(self, &other.extras, other)
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

/// Defines `scan` for a record marked `one pass`.
macro_rules! scan {
    ([] $($row:tt)*) => {};
    ([pass] $($key:literal => $field:ident,)*) => {
        fn scan(
            scanner: &mut $crate::message::codec::scanner::Scanner<'_>,
            interner: &mut $crate::message::codec::interner::Interner<'_>,
        ) -> Option<$crate::message::codec::value::Read<Self>> {
            use $crate::message::codec::{extras::Given, field::Field, value::Read};
            if !scanner.take(b'{').ok()? {
                return (scanner.raw().ok()? == "null").then_some(Read::Nothing);
            }
            let mut record = Self::blank();
            $(let mut $field = false;)*
            let mut extensions = Given::default();
            let mut is_first = true;
            while let Some(key) = scanner.member(is_first).ok()? {
                is_first = false;
                match key.raw() {
                    $($key => {
                        if ::core::mem::replace(&mut $field, true) {
                            return None;
                        }
                        record.$field = Field::scan(scanner, interner)?;
                    })*
                    "Extensions" => extensions.add(scanner.raw().ok()?),
                    raw if raw.contains('\\') => return None,
                    _ => {
                        let raw = scanner.raw().ok()?;
                        record.extras.add(key, raw);
                    }
                }
            }
            Some(record.finish(extensions, interner))
        }
    };
}
pub(crate) use scan;
