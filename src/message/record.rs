//! How a table of keys becomes a record that can be read, checked and written.
//!
//! [`record!`] takes the reference's table of an object, one row a key, and writes the struct and its
//! [`Value`]. A row's type says how its value is read, what is wrong with it and how it is written.

use super::json::{self, Result, Step, write};
use super::path::Path;
use super::problem::Problem;
use super::reader::{Read, Reader};

/// One JSON value of the data model.
pub(crate) trait Value: Sized {
    /// What belongs in its place, in the words of a problem.
    const EXPECTED: &'static str;

    /// What an empty element of a list stands for. Most stand for nothing and are passed over.
    const EMPTY_ELEMENT: Option<fn() -> Self> = None;

    /// Reads the value that comes next, all of it, whatever it is.
    fn read(reader: &mut Reader<'_, '_>) -> Result<Read<Self>>;

    /// Writes it as the model says.
    fn write(&self, out: &mut Vec<u8>);

    /// How many bytes [`write`](Self::write) takes. Unless it is to be `EXACT`, no text is looked through for what needs an
    /// escape, and the bytes are too few where one has any.
    fn length<const EXACT: bool>(&self) -> usize;

    fn is_empty(&self) -> bool {
        false
    }

    /// Finds what is wrong with it.
    fn check(&self, _at: Path<'_>, _problems: &mut Vec<Problem>) {}

    /// Says what is wrong with a value that [`Value::read`] could not read.
    fn explain(raw: &str, at: Path<'_>, problems: &mut Vec<Problem>) {
        problems.push(misfit(Self::EXPECTED, raw, at));
    }
}

/// The place that a record has for a key: at most one value, or a list of them.
pub(crate) trait Field: Default {
    /// Whether a value put here takes the place of one that could not be read. What is added to a list does not:
    /// the rest of the list would be lost.
    const REPLACES: bool;

    /// Reads the value that comes next, all of it; `None` where it does not fit.
    fn read(reader: &mut Reader<'_, '_>) -> Result<Option<Self>>;

    /// Writes the member `key`, which is JSON with its comma and colon, unless there is nothing to say under it.
    fn write_member(&self, key: &'static str, out: &mut Vec<u8>);

    /// How many bytes [`write_member`](Self::write_member) takes, as [`Value::length`] counts.
    fn length<const EXACT: bool>(&self, key: &'static str) -> usize;

    fn is_absent(&self) -> bool;
    fn check(&self, at: Path<'_>, problems: &mut Vec<Problem>);

    /// Whether values that could not be read are still to be dealt with.
    fn leaves_open(&self) -> bool {
        !Self::REPLACES || self.is_absent()
    }

    fn explain(raw: &str, at: Path<'_>, problems: &mut Vec<Problem>);
}

impl<T: Value> Field for Option<T> {
    const REPLACES: bool = true;

    fn read(reader: &mut Reader<'_, '_>) -> Result<Option<Self>> {
        Ok(match T::read(reader)? {
            Read::Value(value) => Some(Some(value)),
            Read::Nothing => Some(None),
            Read::Misfit => None,
        })
    }

    // Inlined, the key has a length that is known, and copying it is a store or two.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "measured")]
    fn write_member(&self, key: &'static str, out: &mut Vec<u8>) {
        let Some(value) = self else { return };
        let start = out.len();
        out.extend_from_slice(key.as_bytes());
        value.write(out);
        // To find out only now that a record says nothing is faster than to ask each before.
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

    fn is_absent(&self) -> bool {
        self.as_ref().is_none_or(Value::is_empty)
    }

    fn check(&self, at: Path<'_>, problems: &mut Vec<Problem>) {
        if let Some(value) = self {
            value.check(at, problems);
        }
    }

    fn explain(raw: &str, at: Path<'_>, problems: &mut Vec<Problem>) {
        T::explain(raw, at, problems);
    }
}

impl<T: Value> Field for Vec<T> {
    const REPLACES: bool = false;

    fn read(reader: &mut Reader<'_, '_>) -> Result<Option<Self>> {
        let cursor = &mut reader.cursor;
        if !cursor.take(b'[')? {
            return Ok((cursor.skip()? == "null").then(Vec::new));
        }
        let (mut values, mut fits, mut index) = (Vec::new(), true, 0);
        while reader.cursor.element(index == 0)? {
            match T::read(reader).map_err(|stop| stop.under(Step::Index(index)))? {
                Read::Value(value) => values.push(value),
                Read::Nothing => values.extend(T::EMPTY_ELEMENT.map(|empty| empty())),
                Read::Misfit => fits = false,
            }
            index += 1;
        }
        values.shrink_to_fit();
        Ok(fits.then_some(values))
    }

    fn write_member(&self, key: &'static str, out: &mut Vec<u8>) {
        if self.is_absent() {
            return;
        }
        out.extend_from_slice(key.as_bytes());
        let start = out.len();
        for value in self.iter().filter(|value| !is_passed_over(*value)) {
            out.push(b',');
            value.write(out);
        }
        write::enclose(*b"[]", start, out);
    }

    fn length<const EXACT: bool>(&self, key: &'static str) -> usize {
        let written = self.iter().filter(|value| !is_passed_over(*value));
        match written.map(|value| ",".len() + value.length::<EXACT>()).sum() {
            0 => 0,
            inside => key.len() + write::enclosed(inside),
        }
    }

    fn is_absent(&self) -> bool {
        self.iter().all(is_passed_over)
    }

    fn check(&self, at: Path<'_>, problems: &mut Vec<Problem>) {
        for (index, value) in self.iter().enumerate() {
            value.check(at.index(index), problems);
        }
    }

    fn explain(raw: &str, at: Path<'_>, problems: &mut Vec<Problem>) {
        let Some(elements) = json::list(raw) else {
            problems.push(misfit("a list", raw, at));
            return;
        };
        for (index, raw) in elements.into_iter().enumerate() {
            match Reader::of(raw, T::read) {
                Ok(Read::Value(value)) => value.check(at.index(index), problems),
                Ok(Read::Nothing) => {
                    if let Some(empty) = T::EMPTY_ELEMENT {
                        empty().check(at.index(index), problems);
                    }
                }
                Ok(Read::Misfit) | Err(_) => T::explain(raw, at.index(index), problems),
            }
        }
    }
}

/// Whether an element of a list stands for nothing.
fn is_passed_over<T: Value>(value: &T) -> bool {
    T::EMPTY_ELEMENT.is_none() && value.is_empty()
}

/// Rules of a record that concern more than one of its keys.
pub(crate) trait Rules {
    fn rules(&self, _at: Path<'_>, _problems: &mut Vec<Problem>) {}
}

pub(crate) fn misfit(expected: &str, raw: &str, at: Path<'_>) -> Problem {
    let kind = json::kind(raw);
    at.problem(format!("expected {expected}; this {kind} is not one"))
}

/// Writes a record: its struct, and how it is read, checked and written.
///
/// A row is `"Key" => pub field: Type`, where the type is a [`Field`]: `Option<T>` or `Vec<T>`. All
/// fields start out absent; `Extensions` and keys that no row names are in its rest. Cross-checks come from
/// [`Rules`]. `Debug` shows the fields named as `shown`.
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
        /// Its `Debug` leaves out what may tell of a person.
        #[derive(Clone, PartialEq)]
        pub struct $name {
            $($(#[$doc])* $vis $field: $type,)*
            rest: $crate::message::rest::Rest,
        }

        impl $name {
            fn blank() -> Self {
                Self {
                    $($field: ::core::default::Default::default(),)*
                    rest: ::core::default::Default::default(),
                }
            }

            /// What sender and receiver agree on beside the model.
            #[must_use]
            pub fn extensions(&self) -> &$crate::Extensions {
                self.rest.extensions()
            }

            /// What sender and receiver agree on beside the model, to change it.
            pub fn extensions_mut(&mut self) -> &mut $crate::Extensions {
                self.rest.extensions_mut()
            }
        }

        impl $crate::message::record::Value for $name {
            const EXPECTED: &'static str = "an object";
            $(const EMPTY_ELEMENT: Option<fn() -> Self> = Some($empty);)?

            fn read(
                reader: &mut $crate::message::reader::Reader<'_, '_>,
            ) -> $crate::message::json::Result<$crate::message::reader::Read<Self>> {
                use $crate::message::reader::{Read, Seen};
                if !reader.cursor.take(b'{')? {
                    return reader.no_object();
                }
                let mut record = Self::blank();
                $(let mut $field = Seen::default();)*
                let (mut extensions, mut first) = (Seen::default(), true);
                while let Some(key) = reader.cursor.member(first)? {
                    first = false;
                    match &*key.name() {
                        $($key => {
                            reader.field($key, &mut record.$field, &mut $field, &mut record.rest)?;
                        })*
                        "Extensions" => reader.extensions(&mut extensions, &mut record.rest)?,
                        _ => record.rest.add(key, reader.cursor.skip()?),
                    }
                }
                Ok(if $crate::message::record::Value::is_empty(&record) {
                    Read::Nothing
                } else {
                    Read::Value(record)
                })
            }

            fn write(&self, out: &mut Vec<u8>) {
                use $crate::message::record::Field;
                let start = out.len();
                $(Field::write_member(&self.$field, concat!(",\"", $key, "\":"), out);)*
                self.rest.write(out, |key| match key {
                    $($key => Field::leaves_open(&self.$field),)*
                    _ => true,
                });
                $crate::message::json::write::enclose(*b"{}", start, out);
            }

            fn length<const EXACT: bool>(&self) -> usize {
                use $crate::message::record::Field;
                let mut inside = self.rest.length(|key| match key {
                    $($key => Field::leaves_open(&self.$field),)*
                    _ => true,
                });
                $(inside += Field::length::<EXACT>(&self.$field, concat!(",\"", $key, "\":"));)*
                $crate::message::json::write::enclosed(inside)
            }

            fn is_empty(&self) -> bool {
                use $crate::message::record::Field;
                $(Field::is_absent(&self.$field) &&)* self.rest.is_empty()
            }

            fn check(
                &self,
                at: $crate::message::path::Path<'_>,
                problems: &mut Vec<$crate::message::problem::Problem>,
            ) {
                use $crate::message::record::{Field, Rules};
                $({
                    if !self.rest.is_empty() && Field::leaves_open(&self.$field) {
                        self.rest.explain::<$type>($key, at, problems);
                    }
                    Field::check(&self.$field, at.key($key), problems);
                })*
                self.rest.check(at, problems);
                Rules::rules(self, at, problems);
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
