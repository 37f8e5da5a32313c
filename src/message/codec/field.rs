//! The fields of a record.

use serde::ser::SerializeMap;

use super::corrector::Corrector;
use super::interner::Interner;
use super::path::{Path, PathSegment};
use super::problems::Problems;
use super::value::{AsSerde, Read, Value, explain_value, is_sound};
use crate::message::UnreadReason;

/// The place that a record has for a key: at most one value, or a list of them.
pub(crate) trait Field: Default {
    /// Reads `raw`; `None` if it is of another kind.
    fn read(raw: &str, interner: &mut Interner) -> Option<Self>;

    /// A field that keeps what could not be read itself.
    fn unread(_raw: &str, _reason: UnreadReason) -> Option<Self> {
        None
    }

    /// The reason that a value that the field keeps could not be read.
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
    fn serialize_member<M: SerializeMap>(
        &self,
        key: &'static str,
        map: &mut M,
    ) -> Result<(), M::Error>;

    fn is_absent(&self) -> bool;

    fn check(&self, at: Path<'_>, problems: &mut Problems);

    /// Leaves out the optional values in it that are invalid; the field itself too, unless it
    /// `is_required`.
    fn drop_invalid(&mut self, is_required: bool, corrector: &mut Corrector);

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
            Read::WrongType => None,
        }
    }

    // Inlined, the key has a length that is known, and copying it is a store or two.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured")]
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
