//! The trait of all values in the data model.

use std::hash::Hasher;
use std::hint::black_box;

use serde::ser::{Serialize, Serializer};

use super::corrector::Corrector;
use super::escapes::has_lone_surrogate;
use super::interner::Interner;
use super::json_writer::MemberStart;
use super::path::{Path, PathSegment};
use super::problems::Problems;
use crate::message::ProblemCode;
use crate::message::codec::scanner::Scanner;

/// The result of reading a JSON value.
pub(crate) enum Read<T> {
    Value(T),
    /// A value that counts as absent, such as `null` or an empty object.
    Nothing,
    /// JSON of another type.
    WrongType,
}

/// A JSON value of the data model.
pub(crate) trait Value: Sized {
    /// The expected value, as worded in a problem.
    const EXPECTED: &'static str;

    /// The code of the problem if a string can't be read as this type.
    const CODE_OF_TEXT: ProblemCode = ProblemCode::WrongType;

    /// The value of an empty list element. By default, empty elements are skipped.
    const EMPTY_ELEMENT: Option<fn() -> Self> = None;

    /// Whether the value is written as an object, which may have no members.
    const IS_OBJECT: bool = false;

    /// Whether [`check`](Self::check) can find problems.
    const HAS_CHECKS: bool = true;

    /// Reads `raw`, the JSON of one value.
    fn read(raw: &str, interner: &mut Interner<'_>) -> Read<Self>;

    /// Reads and consumes the next value in one pass. Returns `None` for text that isn't JSON, and
    /// for values that [`read`](Self::read) has to look at more than once to preserve them.
    fn scan(scanner: &mut Scanner<'_>, interner: &mut Interner<'_>) -> Option<Read<Self>> {
        Some(Self::read(scanner.raw().ok()?, interner))
    }

    /// Passes the content to a hasher. Equal values pass the same.
    fn feed(&self, hasher: &mut impl Hasher);

    /// Writes the value as JSON.
    fn write(&self, out: &mut Vec<u8>);

    /// Writes a member with this value.
    #[inline]
    fn write_member(&self, start: MemberStart, out: &mut Vec<u8>) {
        out.extend_from_slice(start.before_value());
        self.write(out);
    }

    /// Returns the number of bytes that [`write`](Self::write) writes. Unless `EXACT` is true,
    /// strings aren't scanned for escapes, and the number is too low if there are any.
    fn length<const EXACT: bool>(&self) -> usize;

    /// Reads about one byte of each cache line that [`write`](Self::write) reads through a pointer.
    /// The result depends on these bytes, so that the compiler keeps the reads.
    #[inline]
    fn preload(&self) -> usize {
        0
    }

    /// Serializes the same content as [`write`](Self::write).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    fn is_empty(&self) -> bool {
        false
    }

    /// Adds the problems of the value.
    fn check(&self, _at: Path<'_>, _problems: &mut Problems) {}

    /// Removes invalid optional values inside the value.
    fn drop_invalid(&mut self, _corrector: &mut Corrector) {}

    /// Adds the deviations of `raw` from the service's schema, including those that reading
    /// tolerates.
    #[cfg(feature = "mock")]
    fn judge(raw: &str, at: Path<'_>, problems: &mut Problems);

    /// Finds the path to the point at which `text` stops being JSON. The text begins with a value
    /// of this type.
    fn locate(_text: &str, _path: &mut Vec<PathSegment>) {}
}

/// The number of values that are preloaded at a time.
pub(crate) const PRELOADED: usize = 8;

/// Loads the memory of several values into the processor's cache at the same time. Without this,
/// writing them would wait for each load in turn.
#[inline]
pub(crate) fn preload_all<'a, T: Value + 'a>(values: impl IntoIterator<Item = &'a T>) {
    black_box(values.into_iter().fold(0, |all, value| all ^ value.preload()));
}

/// The length of a cache line in bytes, on most processors.
const CACHE_LINE: usize = 64;

/// The maximum number of cache lines of one text that are read ahead.
const MOST_LINES: usize = 16;

/// Reads bytes like [`Value::preload`].
#[inline]
pub(crate) fn preload_bytes(bytes: &[u8]) -> usize {
    // Most texts are this short, and the loop takes longer to set up.
    if bytes.len() <= CACHE_LINE { first_byte(bytes) } else { preload_long(bytes) }
}

// Not inlined, because records have many texts, and few are long.
#[inline(never)]
fn preload_long(bytes: &[u8]) -> usize {
    bytes.chunks(CACHE_LINE).take(MOST_LINES).fold(0, |all, line| all ^ first_byte(line))
}

fn first_byte(bytes: &[u8]) -> usize {
    bytes.first().map_or(0, |&byte| usize::from(byte))
}

/// Returns whether `value` has no problems.
pub(crate) fn is_sound<T: Value>(value: &T) -> bool {
    !T::HAS_CHECKS || Problems::are_none(&|problems| value.check(Path::ROOT, problems))
}

/// An adapter that serializes a [`Value`] with serde.
pub(crate) struct AsSerde<'a, T>(pub(crate) &'a T);

impl<T: Value> Serialize for AsSerde<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

pub(crate) const LONE_SURROGATE: &str =
    "half of a surrogate pair, which isn't a character; write both halves, or the character itself";

/// Adds the problem of `raw`, which isn't a `T`.
pub(crate) fn explain_value<T: Value>(raw: &str, at: Path<'_>, problems: &mut Problems) {
    if raw.starts_with('"') && has_lone_surrogate(raw) {
        return problems.add(at, ProblemCode::LoneSurrogate, LONE_SURROGATE);
    }
    let code = if raw.starts_with('"') { T::CODE_OF_TEXT } else { ProblemCode::WrongType };
    problems.add_wrong_type(at, code, T::EXPECTED, raw);
}
