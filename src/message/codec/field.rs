//! The fields of a record.

use std::hash::Hasher;

use serde::ser::SerializeMap;

use super::corrector::Corrector;
use super::interner::Interner;
use super::json_writer::MemberStart;
use super::path::{Path, PathSegment};
use super::problems::Problems;
use super::value::{AsSerde, Read, Value, explain_value, is_sound};
use crate::message::UnreadReason;
use crate::message::codec::scanner::Scanner;

/// The field of a record for one key: an optional value or a list.
pub(crate) trait Field: Default {
    /// Reads `raw`. Returns `None` if it has the wrong type.
    fn read(raw: &str, interner: &mut Interner<'_>) -> Option<Self>;

    /// Reads and consumes the next value like [`Value::scan`]. A value of the wrong type is another
    /// reason to return `None`.
    fn scan(scanner: &mut Scanner<'_>, interner: &mut Interner<'_>) -> Option<Self> {
        Self::read(scanner.raw().ok()?, interner)
    }

    /// Returns a field that preserves a value that couldn't be read, or `None` if the type of field
    /// can't.
    fn unread(_raw: &str, _reason: UnreadReason) -> Option<Self> {
        None
    }

    /// Returns the reason why the value that the field preserves couldn't be read.
    fn unread_reason(&self) -> Option<UnreadReason> {
        None
    }

    /// Removes a value that couldn't be read. Returns whether there was one.
    fn clear_unread(&mut self) -> bool {
        false
    }

    /// Passes the content to a hasher. Equal fields pass the same.
    fn feed(&self, hasher: &mut impl Hasher);

    /// Writes the member unless the field is absent.
    fn write_member(&self, start: MemberStart, out: &mut Vec<u8>);

    /// Returns the number of bytes that [`write_member`](Self::write_member) writes. `EXACT` is as
    /// in [`Value::length`].
    fn length<const EXACT: bool>(&self, start: MemberStart) -> usize;

    /// Reads memory like [`Value::preload`].
    #[inline]
    fn preload(&self) -> usize {
        0
    }

    /// Serializes the member unless the field is absent. `key` has no quotes.
    fn serialize_member<M: SerializeMap>(
        &self,
        key: &'static str,
        map: &mut M,
    ) -> Result<(), M::Error>;

    fn is_absent(&self) -> bool;

    fn check(&self, at: Path<'_>, problems: &mut Problems);

    /// Removes invalid optional values inside the field. Also removes an invalid value of the field
    /// itself, unless it `is_required`.
    fn drop_invalid(&mut self, is_required: bool, corrector: &mut Corrector);

    /// Adds the problems of `raw`, which couldn't be read.
    fn explain(raw: &str, at: Path<'_>, problems: &mut Problems);

    /// Checks `raw` like [`Value::judge`].
    #[cfg(feature = "mock")]
    fn judge(raw: &str, at: Path<'_>, problems: &mut Problems);

    /// Finds a path like [`Value::locate`].
    fn locate(_text: &str, _path: &mut Vec<PathSegment>) {}
}

impl<T: Value> Field for Option<T> {
    fn read(raw: &str, interner: &mut Interner<'_>) -> Option<Self> {
        match T::read(raw, interner) {
            Read::Value(value) => Some(Some(value)),
            Read::Nothing => Some(None),
            Read::WrongType => None,
        }
    }

    fn scan(scanner: &mut Scanner<'_>, interner: &mut Interner<'_>) -> Option<Self> {
        match T::scan(scanner, interner)? {
            Read::Value(value) => Some(Some(value)),
            Read::Nothing => Some(None),
            Read::WrongType => None,
        }
    }

    fn feed(&self, hasher: &mut impl Hasher) {
        hasher.write_u8(self.is_some().into());
        if let Some(value) = self {
            value.feed(hasher);
        }
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured")]
    fn write_member(&self, start: MemberStart, out: &mut Vec<u8>) {
        let Some(value) = self else { return };
        let before = out.len();
        value.write_member(start, out);
        // Removing an empty record afterwards is faster than checking each record before.
        if T::IS_OBJECT && out.len() == before + start.len() + "{}".len() {
            out.truncate(before);
        }
    }

    #[inline]
    fn preload(&self) -> usize {
        self.as_ref().map_or(0, Value::preload)
    }

    fn length<const EXACT: bool>(&self, start: MemberStart) -> usize {
        let Some(value) = self else { return 0 };
        match value.length::<EXACT>() {
            2 if T::IS_OBJECT => 0,
            length => start.len() + length,
        }
    }

    fn serialize_member<M: SerializeMap>(
        &self,
        key: &'static str,
        map: &mut M,
    ) -> Result<(), M::Error> {
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

    fn drop_invalid(&mut self, is_required: bool, corrector: &mut Corrector) {
        let Some(value) = self else { return };
        value.drop_invalid(corrector);
        if !is_required && !is_sound(value) {
            *self = None;
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
