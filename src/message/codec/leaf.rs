//! The leaves of the data model: reading each type tolerantly, validating it and writing it.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use serde::ser::Serializer;

use super::interner::Interner;
use super::json_writer::{self as write, MemberStart};
use super::path::Path;
use super::problems::Problems;
use super::raw::Leaf;
#[cfg(feature = "mock")]
use super::strict;
use super::timestamp;
use super::value::{Read, Value, preload_bytes};
use crate::message::codec::scanner::Scanner;
use crate::message::{Minutes, ProblemCode};

/// Reads a leaf that isn't a string with `parse`. A blank string counts as absent.
pub(crate) fn leaf<T>(raw: &str, parse: impl FnOnce(&str) -> Option<T>) -> Read<T> {
    let text = match Leaf::read(raw) {
        Leaf::Text(text) => text,
        Leaf::Literal(text) => Cow::Borrowed(text),
        Leaf::Nothing => return Read::Nothing,
        Leaf::Unreadable => return Read::WrongType,
    };
    match text.trim() {
        "" => Read::Nothing,
        text => parse(text).map_or(Read::WrongType, Read::Value),
    }
}

/// Removes a fraction of zeros. Spreadsheets and data frames write whole columns of identifiers
/// with one.
fn without_fraction(number: &str) -> &str {
    match number.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole,
        _ => number,
    }
}

/// Implements [`Value`] for a string type. `$hold` converts text to that type, and `$preload`
/// preloads its bytes.
macro_rules! text {
    ($type:ty, $hold:expr, $preload:expr) => {
        impl Value for $type {
            const HAS_CHECKS: bool = false;
            const EXPECTED: &'static str = "a string";

            fn read(raw: &str, interner: &mut Interner<'_>) -> Read<Self> {
                match Leaf::read(raw) {
                    Leaf::Text(text) => Read::Value($hold(text, interner)),
                    Leaf::Literal(text) => {
                        Read::Value($hold(without_fraction(text).into(), interner))
                    }
                    Leaf::Nothing => Read::Nothing,
                    Leaf::Unreadable => Read::WrongType,
                }
            }

            fn scan(scanner: &mut Scanner<'_>, interner: &mut Interner<'_>) -> Option<Read<Self>> {
                match scanner.plain_text() {
                    Some(text) => Some(Read::Value($hold(text.into(), interner))),
                    None => Some(Self::read(scanner.raw().ok()?, interner)),
                }
            }

            fn feed(&self, hasher: &mut impl Hasher) {
                self.hash(hasher);
            }

            fn write(&self, out: &mut Vec<u8>) {
                write::string(self, out);
            }

            #[inline]
            fn write_member(&self, start: MemberStart, out: &mut Vec<u8>) {
                write::string_member(start, self, out);
            }

            #[inline]
            fn preload(&self) -> usize {
                $preload(self.as_bytes())
            }

            fn length<const EXACT: bool>(&self) -> usize {
                if EXACT { write::string_length(self) } else { self.len() + "\"\"".len() }
            }

            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self)
            }

            #[cfg(feature = "mock")]
            fn judge(raw: &str, at: Path<'_>, problems: &mut Problems) {
                strict::leaf(raw, at, "a string", problems, strict::is_text);
            }
        }
    };
}

text!(
    String,
    |text: Cow<'_, str>, _: &mut Interner<'_>| {
        let mut text = text.into_owned();
        // A text with escapes was longer.
        text.shrink_to_fit();
        text
    },
    preload_bytes
);
// The smallest string type, for values that aren't shared by slots. Preloading the texts of slots
// takes longer than it saves.
text!(Box<str>, |text: Cow<'_, str>, _: &mut Interner<'_>| text.into(), |_: &[u8]| 0);
// For values that many slots share.
text!(
    Arc<str>,
    |text: Cow<'_, str>, interner: &mut Interner<'_>| interner.reason(&text),
    |_: &[u8]| 0
);

impl Value for bool {
    const HAS_CHECKS: bool = false;
    const EXPECTED: &'static str = "a boolean (true or false)";

    fn read(raw: &str, _: &mut Interner<'_>) -> Read<Self> {
        leaf(raw, |text| match text {
            value if value.eq_ignore_ascii_case("true") => Some(true),
            value if value.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        })
    }

    fn feed(&self, hasher: &mut impl Hasher) {
        self.hash(hasher);
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }

    fn length<const EXACT: bool>(&self) -> usize {
        if *self { "true".len() } else { "false".len() }
    }

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(*self)
    }

    #[cfg(feature = "mock")]
    fn judge(raw: &str, at: Path<'_>, problems: &mut Problems) {
        strict::leaf(raw, at, "a boolean", problems, strict::is_boolean);
    }
}

impl Value for Uuid {
    const HAS_CHECKS: bool = false;
    const EXPECTED: &'static str = "a UUID, such as 7ce6f387-c33c-417d-8682-81e83628cbd9";
    const CODE_OF_TEXT: ProblemCode = ProblemCode::NotUuid;

    fn read(raw: &str, _: &mut Interner<'_>) -> Read<Self> {
        leaf(raw, |text| Self::try_parse(text).ok())
    }

    fn feed(&self, hasher: &mut impl Hasher) {
        self.hash(hasher);
    }

    fn write(&self, out: &mut Vec<u8>) {
        write::string(self.hyphenated().encode_lower(&mut Self::encode_buffer()), out);
    }

    fn length<const EXACT: bool>(&self) -> usize {
        uuid::fmt::Hyphenated::LENGTH + 2
    }

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.hyphenated().encode_lower(&mut Self::encode_buffer()))
    }

    #[cfg(feature = "mock")]
    fn judge(raw: &str, at: Path<'_>, problems: &mut Problems) {
        strict::text_in_form(
            raw,
            at,
            Self::CODE_OF_TEXT,
            "a string with a UUID",
            problems,
            strict::is_uuid,
        );
    }
}

/// A time, always written in UTC.
impl Value for DateTime<Utc> {
    const EXPECTED: &'static str =
        "a date and time of day with its UTC offset, such as 2016-08-01T14:00:00Z";

    fn read(raw: &str, _: &mut Interner<'_>) -> Read<Self> {
        leaf(raw, timestamp::read)
    }

    fn feed(&self, hasher: &mut impl Hasher) {
        self.hash(hasher);
    }

    fn write(&self, out: &mut Vec<u8>) {
        timestamp::write(self, out);
    }

    fn length<const EXACT: bool>(&self) -> usize {
        timestamp::length(self)
    }

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&timestamp::text(self))
    }

    #[cfg(feature = "mock")]
    fn judge(raw: &str, at: Path<'_>, problems: &mut Problems) {
        strict::leaf(raw, at, "a string with a time", problems, strict::is_time);
    }

    fn check(&self, at: Path<'_>, problems: &mut Problems) {
        if let Some(text) = timestamp::unwritable(self) {
            problems.add(at, ProblemCode::OutOfRange, text);
        }
    }
}

impl Value for Minutes {
    const EXPECTED: &'static str = "a number of minutes above 0";

    fn read(raw: &str, _: &mut Interner<'_>) -> Read<Self> {
        leaf(raw, |digits| {
            // Rust also parses names such as `inf` and `NaN`, which aren't numbers in JSON.
            let is_number = digits.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
            is_number
                .then(|| digits.parse().ok())
                .flatten()
                .filter(|minutes: &f64| minutes.is_finite())
                .map(Self::from)
        })
    }

    fn feed(&self, hasher: &mut impl Hasher) {
        // Both zeros are equal.
        (self.to_f64() + 0.0).to_bits().hash(hasher);
    }

    fn write(&self, out: &mut Vec<u8>) {
        write::number(self.to_f64(), out);
    }

    fn length<const EXACT: bool>(&self) -> usize {
        write::number_length(self.to_f64())
    }

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let minutes = self.to_f64();
        match write::whole(minutes) {
            Some(whole) => serializer.serialize_i64(whole),
            None if minutes.is_finite() => serializer.serialize_f64(minutes),
            None => serializer.serialize_none(),
        }
    }

    #[cfg(feature = "mock")]
    fn judge(raw: &str, at: Path<'_>, problems: &mut Problems) {
        strict::leaf(raw, at, "a number", problems, strict::is_number);
    }

    fn check(&self, at: Path<'_>, problems: &mut Problems) {
        let minutes = self.to_f64();
        if !minutes.is_finite() {
            problems.add(at, ProblemCode::OutOfRange, "not finite; set the number of minutes");
        } else if minutes <= 0.0 {
            problems.add(at, ProblemCode::OutOfRange, "not above 0; set the number of minutes");
        }
    }
}

/// A number in a series, starting at 1. The model represents it as a string.
impl Value for u64 {
    const EXPECTED: &'static str = "a whole number of at least 1, such as \"1\"";
    const CODE_OF_TEXT: ProblemCode = ProblemCode::InvalidBatch;

    fn read(raw: &str, _: &mut Interner<'_>) -> Read<Self> {
        leaf(raw, |text| {
            let digits = without_fraction(text);
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
        })
    }

    fn feed(&self, hasher: &mut impl Hasher) {
        self.hash(hasher);
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        write::integer(*self, out);
        out.push(b'"');
    }

    fn length<const EXACT: bool>(&self) -> usize {
        write::integer_length(*self) + 2
    }

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }

    #[cfg(feature = "mock")]
    fn judge(raw: &str, at: Path<'_>, problems: &mut Problems) {
        strict::text_in_form(
            raw,
            at,
            Self::CODE_OF_TEXT,
            "a string with a whole number",
            problems,
            strict::is_count,
        );
    }

    fn check(&self, at: Path<'_>, problems: &mut Problems) {
        if *self == 0 {
            problems.add(
                at,
                ProblemCode::InvalidBatch,
                "not a whole number of at least 1; numbers start at 1",
            );
        }
    }
}
