//! The leaves of the data model: how each kind is read from odd data, checked and written.

use std::borrow::Cow;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::json::{Leaf, Result, write};
use super::path::Path;
use super::pool::Pools;
use super::problem::Problem;
use super::reader::{Read, Reader};
use super::record::Value;
use super::timestamp;

/// Reads a leaf of which `parse` makes something, or does not.
pub(super) fn leaf<'a, T>(
    reader: &mut Reader<'a, '_>,
    parse: impl FnOnce(Cow<'a, str>, &mut Pools) -> Option<T>,
) -> Result<Read<T>> {
    Ok(match reader.cursor.leaf()? {
        Leaf::Text(text) => parse(text, reader.pools).map_or(Read::Misfit, Read::Value),
        Leaf::Null => Read::Nothing,
        Leaf::Misfit => Read::Misfit,
    })
}

/// A text, held as the place asks for it.
macro_rules! text {
    ($type:ty, $hold:expr) => {
        impl Value for $type {
            const EXPECTED: &'static str = "a text";

            fn read(reader: &mut Reader<'_, '_>) -> Result<Read<Self>> {
                leaf(reader, |text, pools| Some($hold(text, pools)))
            }

            fn write(&self, out: &mut Vec<u8>) {
                write::string(self, out);
            }

            fn length<const EXACT: bool>(&self) -> usize {
                if EXACT { write::string_length(self) } else { self.len() + "\"\"".len() }
            }
        }
    };
}

text!(String, |text: Cow<'_, str>, _: &mut Pools| text.into_owned());
// As small as a text can be, for what every slot has of its own.
text!(Box<str>, |text: Cow<'_, str>, _: &mut Pools| text.into());
// For what many slots have in common.
text!(Arc<str>, |text: Cow<'_, str>, pools: &mut Pools| pools.reason(&text));

impl Value for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(reader: &mut Reader<'_, '_>) -> Result<Read<Self>> {
        leaf(reader, |text, _| match text.trim() {
            value if value.eq_ignore_ascii_case("true") => Some(true),
            value if value.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }

    fn length<const EXACT: bool>(&self) -> usize {
        if *self { "true".len() } else { "false".len() }
    }
}

impl Value for Uuid {
    const EXPECTED: &'static str = "a UUID, such as 7ce6f387-c33c-417d-8682-81e83628cbd9";

    fn read(reader: &mut Reader<'_, '_>) -> Result<Read<Self>> {
        leaf(reader, |text, _| Self::try_parse(text.trim()).ok())
    }

    fn write(&self, out: &mut Vec<u8>) {
        write::string(self.hyphenated().encode_lower(&mut Self::encode_buffer()), out);
    }

    fn length<const EXACT: bool>(&self) -> usize {
        uuid::fmt::Hyphenated::LENGTH + 2
    }
}

/// A time, always written in UTC.
impl Value for DateTime<Utc> {
    const EXPECTED: &'static str = "a date and time of day with its UTC offset, such as 2016-08-01T14:00:00Z";

    fn read(reader: &mut Reader<'_, '_>) -> Result<Read<Self>> {
        leaf(reader, |text, _| timestamp::read(&text))
    }

    fn write(&self, out: &mut Vec<u8>) {
        timestamp::write(self, out);
    }

    fn length<const EXACT: bool>(&self) -> usize {
        timestamp::length(self)
    }

    fn check(&self, at: Path<'_>, problems: &mut Vec<Problem>) {
        problems.extend(timestamp::unwritable(self).map(|text| at.problem(text)));
    }
}

/// A length in minutes.
impl Value for f64 {
    const EXPECTED: &'static str = "a number of minutes above 0";

    fn read(reader: &mut Reader<'_, '_>) -> Result<Read<Self>> {
        leaf(reader, |text, _| {
            // Rust also reads names such as `inf` and `NaN`, which are no numbers in JSON.
            let digits = text.trim();
            let is_number = digits.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
            is_number.then(|| digits.parse().ok()).flatten().filter(|minutes: &Self| minutes.is_finite())
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        write::number(*self, out);
    }

    fn length<const EXACT: bool>(&self) -> usize {
        write::number_length(*self)
    }

    fn check(&self, at: Path<'_>, problems: &mut Vec<Problem>) {
        if !self.is_finite() {
            problems.push(at.problem("not finite; give the number of minutes"));
        } else if *self <= 0.0 {
            problems.push(at.problem("not above 0; give the number of minutes"));
        }
    }
}

/// A place in a series, counted from 1; the model carries it as text.
impl Value for u64 {
    const EXPECTED: &'static str = "a whole number from 1, such as \"1\"";

    fn read(reader: &mut Reader<'_, '_>) -> Result<Read<Self>> {
        leaf(reader, |text, _| {
            let digits = text.trim();
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        write::integer(*self, out);
        out.push(b'"');
    }

    fn length<const EXACT: bool>(&self) -> usize {
        write::integer_length(*self) + 2
    }

    fn check(&self, at: Path<'_>, problems: &mut Vec<Problem>) {
        if *self == 0 {
            problems.push(at.problem("not a whole number from 1; the first is 1"));
        }
    }
}
