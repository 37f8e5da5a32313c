//! Lists in JSON: reading, validating and writing them.

use std::hash::{Hash, Hasher};

use serde::ser::{Serialize, SerializeMap, Serializer};
use smallvec::SmallVec;

use super::{List, ListContent, Unread};
use crate::message::codec::corrector::Corrector;
use crate::message::codec::extras::explain;
use crate::message::codec::field::Field;
use crate::message::codec::interner::Interner;
use crate::message::codec::json_writer::{self as write, MemberStart};
use crate::message::codec::path::{Path, PathSegment};
use crate::message::codec::problems::Problems;
use crate::message::codec::raw::{compact, list};
use crate::message::codec::scanner::{Scanner, locate_element};
#[cfg(feature = "mock")]
use crate::message::codec::strict;
use crate::message::codec::transcode::Raw;
use crate::message::codec::value::{
    AsSerde, PRELOADED, Read, Value, explain_value, is_sound, preload_all,
};
use crate::message::{ProblemCode, UnreadReason};

/// Returns the elements that are written.
fn written<T: Value>(elements: &[T]) -> impl Iterator<Item = &T> {
    elements.iter().filter(|value| !is_passed_over(*value))
}

/// Writes the elements, and turns everything from `start` on into a list.
fn write_elements<T: Value>(elements: &[T], start: usize, out: &mut Vec<u8>) {
    for chunk in elements.chunks(PRELOADED) {
        if elements.len() > PRELOADED {
            preload_all(chunk);
        }
        for value in written(chunk) {
            out.push(b',');
            value.write(out);
        }
    }
    write::enclose(*b"[]", start, out);
}

/// Returns the elements of the JSON `raw` that can be read.
fn readable<T: Value>(raw: &str) -> Vec<T> {
    let mut interner = Interner::of(raw);
    let mut values = Vec::new();
    for raw in list(raw).unwrap_or_default() {
        match T::read(raw, &mut interner) {
            Read::Value(value) => values.push(value),
            Read::Nothing => values.extend(T::EMPTY_ELEMENT.map(|empty| empty())),
            Read::WrongType => {}
        }
    }
    values
}

/// Returns the form in which the JSON `raw` of a list that couldn't be read is preserved.
fn preserved(raw: &str, reason: UnreadReason) -> Box<str> {
    match reason {
        // With the extra brackets, the written list can't be read as a valid one.
        UnreadReason::Repeated => format!("[{}]", compact(raw)).into(),
        _ => compact(raw),
    }
}

/// Creates a list that preserves `raw`, which couldn't be read.
pub(crate) fn not_read<T: Value>(raw: &str, reason: UnreadReason) -> List<T> {
    List(ListContent::Unread(Box::new(Unread {
        raw: preserved(raw, reason),
        reason,
        added: Vec::new(),
        explain: List::<T>::explain,
        readable: match reason {
            UnreadReason::Repeated => |_| Vec::new(),
            _ => readable,
        },
    })))
}

impl<T: Value> Unread<T> {
    /// Writes the list that couldn't be read, and the elements that were added to it.
    fn write(&self, out: &mut Vec<u8>) {
        let raw = &*self.raw;
        if self.added.is_empty() {
            return out.extend_from_slice(raw.as_bytes());
        }
        let start = out.len();
        match raw.strip_prefix('[').and_then(|raw| raw.strip_suffix(']')) {
            Some("") => {}
            Some(inside) => {
                out.push(b',');
                out.extend_from_slice(inside.as_bytes());
            }
            // Wrapped in a list, the value can't be read as an element.
            None => {
                out.extend_from_slice(b",[");
                out.extend_from_slice(raw.as_bytes());
                out.push(b']');
            }
        }
        write_elements(&self.added, start, out);
    }
}

impl<T: Value> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            ListContent::Elements(elements) => {
                serializer.collect_seq(written(elements).map(AsSerde))
            }
            ListContent::Unread(unread) => {
                let mut json = Vec::new();
                unread.write(&mut json);
                Raw(&String::from_utf8_lossy(&json)).serialize(serializer)
            }
        }
    }
}

impl<T: Value> Field for List<T> {
    fn read(raw: &str, interner: &mut Interner<'_>) -> Option<Self> {
        let Some(elements) = list(raw) else { return (raw == "null").then(Self::new) };
        let elements = elements.into_iter();
        let mut values = Vec::with_capacity(elements.len());
        for element in elements {
            match T::read(element, interner) {
                Read::Value(value) => values.push(value),
                Read::Nothing => values.extend(T::EMPTY_ELEMENT.map(|empty| empty())),
                Read::WrongType => return None,
            }
        }
        values.shrink_to_fit();
        Some(values.into())
    }

    fn scan(scanner: &mut Scanner<'_>, interner: &mut Interner<'_>) -> Option<Self> {
        if !scanner.take(b'[').ok()? {
            return (scanner.raw().ok()? == "null").then(Self::new);
        }
        let mut values = SmallVec::<[T; 4]>::new();
        let mut is_first = true;
        while scanner.element(is_first).ok()? {
            is_first = false;
            match T::scan(scanner, interner)? {
                Read::Value(value) => values.push(value),
                Read::Nothing => values.extend(T::EMPTY_ELEMENT.map(|empty| empty())),
                Read::WrongType => return None,
            }
        }
        // For a few values, `into_vec` would allocate more than they need.
        if values.spilled() {
            let mut list = values.into_vec();
            list.shrink_to_fit();
            return Some(list.into());
        }
        let mut list = Vec::with_capacity(values.len());
        list.extend(values);
        Some(list.into())
    }

    fn feed(&self, hasher: &mut impl Hasher) {
        if let Some(unread) = self.unreadable() {
            unread.raw.hash(hasher);
        }
        hasher.write_usize(self.len());
        self.iter().for_each(|value| value.feed(hasher));
    }

    fn unread(raw: &str, reason: UnreadReason) -> Option<Self> {
        Some(not_read(raw, reason))
    }

    fn unread_reason(&self) -> Option<UnreadReason> {
        self.unreadable().map(|unread| unread.reason)
    }

    fn clear_unread(&mut self) -> bool {
        let ListContent::Unread(unread) = &mut self.0 else { return false };
        *self = std::mem::take(&mut unread.added).into();
        true
    }

    fn write_member(&self, start: MemberStart, out: &mut Vec<u8>) {
        if self.is_absent() {
            return;
        }
        out.extend_from_slice(start.before_value());
        match &self.0 {
            ListContent::Elements(elements) => write_elements(elements, out.len(), out),
            ListContent::Unread(unread) => unread.write(out),
        }
    }

    fn preload(&self) -> usize {
        self.iter().fold(0, |all, value| all ^ value.preload())
    }

    fn length<const EXACT: bool>(&self, start: MemberStart) -> usize {
        let elements = match &self.0 {
            ListContent::Elements(elements) => elements,
            ListContent::Unread(unread) => {
                let mut json = Vec::new();
                unread.write(&mut json);
                return start.len() + json.len();
            }
        };
        match written(elements).map(|value| ",".len() + value.length::<EXACT>()).sum() {
            0 => 0,
            inside => start.len() + write::enclosed(inside),
        }
    }

    fn serialize_member<M: SerializeMap>(
        &self,
        key: &'static str,
        map: &mut M,
    ) -> Result<(), M::Error> {
        if self.is_absent() { Ok(()) } else { map.serialize_entry(key, self) }
    }

    fn is_absent(&self) -> bool {
        matches!(&self.0, ListContent::Elements(elements) if elements.iter().all(is_passed_over))
    }

    fn check(&self, at: Path<'_>, problems: &mut Problems) {
        if let Some(unread) = self.unreadable() {
            explain(&unread.raw, unread.reason, unread.explain, at, problems);
        }
        for (index, value) in self.iter().enumerate() {
            value.check(at.index(index), problems);
        }
    }

    fn drop_invalid(&mut self, is_required: bool, corrector: &mut Corrector) {
        if let Some(unread) = self.unreadable().filter(|_| !is_required) {
            let mut elements = (unread.readable)(&unread.raw);
            elements.append(self);
            *self = elements.into();
        }
        self.iter_mut().for_each(|value| value.drop_invalid(corrector));
        if !is_required {
            self.retain(is_sound);
        }
    }

    fn explain(raw: &str, at: Path<'_>, problems: &mut Problems) {
        let Some(elements) = list(raw) else {
            problems.add_wrong_type(at, ProblemCode::WrongType, "a list", raw);
            return;
        };
        // The interner holds shared records until all elements are checked.
        let mut interner = Interner::of(raw);
        for (index, raw) in elements.into_iter().enumerate() {
            match T::read(raw, &mut interner) {
                Read::Value(value) => value.check(at.index(index), problems),
                Read::Nothing => {
                    if let Some(empty) = T::EMPTY_ELEMENT {
                        empty().check(at.index(index), problems);
                    }
                }
                Read::WrongType => explain_value::<T>(raw, at.index(index), problems),
            }
        }
    }

    #[cfg(feature = "mock")]
    fn judge(raw: &str, at: Path<'_>, problems: &mut Problems) {
        let Some(elements) = list(raw) else {
            return strict::add_other_kind(raw, at, "a list", problems);
        };
        for (index, element) in elements.into_iter().enumerate() {
            T::judge(element, at.index(index), problems);
        }
    }

    fn locate(text: &str, path: &mut Vec<PathSegment>) {
        if let Some((index, text)) = locate_element(text) {
            path.push(PathSegment::Index(index));
            T::locate(text, path);
        }
    }
}

/// Returns whether an element counts as absent and isn't written.
fn is_passed_over<T: Value>(value: &T) -> bool {
    T::EMPTY_ELEMENT.is_none() && value.is_empty()
}
