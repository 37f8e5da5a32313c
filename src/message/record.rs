//! How a table of keys becomes a record that can be read, checked and written.
//!
//! [`record!`] takes the reference's table of an object, one row a key, and writes the struct and its
//! [`Value`]. A row's type says how its value is read, what is wrong with it and how it is written.

use serde::Serializer;
use serde::ser::SerializeSeq;
use serde_json::value::RawValue;

use super::json::{self, Misfit};
use super::problem::{Path, Problem};

/// One JSON value of the data model.
pub(crate) trait Value: Sized {
    /// What belongs in its place, in the words of a problem.
    const EXPECTED: &'static str;

    /// What an empty element of a list stands for. Most stand for nothing and are passed over.
    const EMPTY_ELEMENT: Option<fn() -> Self> = None;

    /// Reads what `raw` stands for; `None` where it stands for nothing.
    fn read(raw: &RawValue) -> Result<Option<Self>, Misfit>;

    /// Writes it as the model says.
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    fn is_empty(&self) -> bool {
        false
    }

    /// Finds what is wrong with it.
    fn check(&self, _at: Path<'_>, _problems: &mut Vec<Problem>) {}

    /// Says what is wrong with a value that [`Value::read`] could not read.
    fn explain(raw: &RawValue, at: Path<'_>, problems: &mut Vec<Problem>) {
        problems.push(misfit(Self::EXPECTED, raw, at));
    }
}

/// The place that a record has for a key: at most one value, or a list of them.
pub(crate) trait Field: Default {
    /// Whether a value put here takes the place of one that could not be read. What is added to a list does not:
    /// the rest of the list would be lost.
    const REPLACES: bool;

    fn read(raw: &RawValue) -> Result<Self, Misfit>;
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
    fn is_absent(&self) -> bool;
    fn check(&self, at: Path<'_>, problems: &mut Vec<Problem>);

    /// Whether values that could not be read are still to be dealt with.
    fn leaves_open(&self) -> bool {
        !Self::REPLACES || self.is_absent()
    }

    fn explain(raw: &RawValue, at: Path<'_>, problems: &mut Vec<Problem>);
}

impl<T: Value> Field for Option<T> {
    const REPLACES: bool = true;

    fn read(raw: &RawValue) -> Result<Self, Misfit> {
        if json::is_null(raw) {
            return Ok(None);
        }
        T::read(raw)
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(value) => value.write(serializer),
            None => serializer.serialize_none(),
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

    fn explain(raw: &RawValue, at: Path<'_>, problems: &mut Vec<Problem>) {
        T::explain(raw, at, problems);
    }
}

impl<T: Value> Field for Vec<T> {
    const REPLACES: bool = false;

    fn read(raw: &RawValue) -> Result<Self, Misfit> {
        if json::is_null(raw) {
            return Ok(Vec::new());
        }
        let mut values = Vec::new();
        for raw in json::list(raw)? {
            values.extend(element::<T>(raw)?);
        }
        Ok(values)
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.len()))?;
        for value in self {
            list.serialize_element(&Written(value))?;
        }
        list.end()
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn check(&self, at: Path<'_>, problems: &mut Vec<Problem>) {
        for (index, value) in self.iter().enumerate() {
            value.check(at.index(index), problems);
        }
    }

    fn explain(raw: &RawValue, at: Path<'_>, problems: &mut Vec<Problem>) {
        let Ok(elements) = json::list(raw) else {
            problems.push(misfit("a list", raw, at));
            return;
        };
        for (index, raw) in elements.into_iter().enumerate() {
            match element::<T>(raw) {
                Ok(value) => Field::check(&value, at.index(index), problems),
                Err(Misfit) => T::explain(raw, at.index(index), problems),
            }
        }
    }
}

/// Reads an element of a list; `None` where it is passed over.
fn element<T: Value>(raw: &RawValue) -> Result<Option<T>, Misfit> {
    let value = <Option<T> as Field>::read(raw)?;
    Ok(value.or_else(|| T::EMPTY_ELEMENT.map(|empty| empty())))
}

/// Rules of a record that concern more than one of its keys.
pub(crate) trait Rules {
    fn rules(&self, _at: Path<'_>, _problems: &mut Vec<Problem>) {}
}

/// Serializes a value or field as the model writes it.
pub(crate) struct Written<'a, T>(pub(crate) &'a T);

impl<T: Value> serde::Serialize for Written<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

/// Serializes a field of a record.
pub(crate) struct WrittenField<'a, T>(pub(crate) &'a T);

impl<T: Field> serde::Serialize for WrittenField<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

/// Says what is wrong with the values left among a record's others under a key that it knows.
pub(crate) fn explain_kept<F: Field>(kept: &[&RawValue], at: Path<'_>, problems: &mut Vec<Problem>) {
    match kept {
        [] => {}
        [raw] => F::explain(raw, at, problems),
        _ => problems.push(at.problem("given more than once; keep one of them")),
    }
}

fn misfit(expected: &str, raw: &RawValue, at: Path<'_>) -> Problem {
    let kind = json::kind(raw);
    at.problem(format!("expected {expected}; this {kind} is not one"))
}

/// Writes a record: its struct, and how it is read, checked and written.
///
/// A row is `"Key" => pub field: Type`, where the type is a [`Field`]: `Option<T>` or `Vec<T>`. All
/// fields start out absent. Cross-checks come from [`Rules`]. `Debug` shows the fields named as `shown`.
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
            others: $crate::message::json::Others,
        }

        impl $name {
            fn blank() -> Self {
                Self {
                    $($field: ::core::default::Default::default(),)*
                    others: ::core::default::Default::default(),
                }
            }
        }

        impl $crate::message::record::Value for $name {
            const EXPECTED: &'static str = "an object";
            $(const EMPTY_ELEMENT: Option<fn() -> Self> = Some($empty);)?

            fn read(
                raw: &serde_json::value::RawValue,
            ) -> Result<Option<Self>, $crate::message::json::Misfit> {
                use $crate::message::record::{Field, Value};
                let mut object = $crate::message::json::Object::read(raw)?;
                let record = Self {
                    $($field: object.take($key, <$type as Field>::read),)*
                    others: object.into_others(),
                };
                Ok((!Value::is_empty(&record)).then_some(record))
            }

            fn write<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                use $crate::message::record::{Field, WrittenField};
                let mut map = serializer.serialize_map(None)?;
                $(if !Field::is_absent(&self.$field) {
                    map.serialize_entry($key, &WrittenField(&self.$field))?;
                })*
                self.others.write(&mut map, |key| match key {
                    $($key => Field::leaves_open(&self.$field),)*
                    _ => true,
                })?;
                map.end()
            }

            fn is_empty(&self) -> bool {
                use $crate::message::record::Field;
                $(Field::is_absent(&self.$field) &&)* self.others.is_empty()
            }

            fn check(
                &self,
                at: $crate::message::problem::Path<'_>,
                problems: &mut Vec<$crate::message::problem::Problem>,
            ) {
                use $crate::message::record::{explain_kept, Field, Rules};
                $({
                    if Field::leaves_open(&self.$field) {
                        let kept: Vec<_> = self.others.all($key).collect();
                        explain_kept::<$type>(&kept, at.key($key), problems);
                    }
                    Field::check(&self.$field, at.key($key), problems);
                })*
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
