//! Lists of values.

use std::fmt;
use std::ops::{Deref, DerefMut};

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::corrector::Corrector;
use super::extras::explain;
use super::field::Field;
use super::interner::Interner;
use super::json_writer as write;
use super::path::{Path, PathSegment};
use super::problems::Problems;
use super::raw::{compact, list};
#[cfg(feature = "mock")]
use super::strict;
use super::value::{AsSerde, Read, Value, explain_value, is_sound};
use crate::message::read::scanner::locate_element;
use crate::message::{ProblemCode, UnreadReason};

/// A list in a record; it dereferences to a [`Vec`].
///
/// A list that was read from JSON and can't be read whole, because an element is of the wrong kind
/// or it isn't a list, has no elements here and is kept as it was written. It is a
/// [problem](crate::PushSlots::validate) until another list is assigned, or it is removed as an
/// [unread member](crate::Provider::unread_members). Elements that are added to it don't replace
/// it, so that none is lost unseen.
///
/// ```
/// use pushslots::{Provider, PushSlots};
///
/// let json = br#"{"Slots": [{"DateTime": "2026-12-01T09:00:00Z", "Duration": 15, "Provider": {"Credentials": ["MD", {}, [1]]}}]}"#;
/// let mut message = PushSlots::from_json(json)?;
/// let problem = message.validate().unwrap_err().problems()[0].clone();
/// assert_eq!(problem.path(), "Slots[0].Provider.Credentials[2]");
///
/// let provider = message.slots_mut()[0].provider.as_mut().unwrap().to_mut();
/// provider.credentials = vec!["MD".to_owned()].into();
/// assert!(message.validate().is_ok());
/// # Ok::<(), pushslots::ReadError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct List<T>(Content<T>);

/// Every record has lists, so that this takes no more than a `Vec`.
#[derive(Clone, PartialEq)]
enum Content<T> {
    Elements(Vec<T>),
    Unread(Box<Unread<T>>),
}

/// A list that could not be read.
#[derive(Clone)]
struct Unread<T> {
    raw: Box<str>,
    reason: UnreadReason,
    added: Vec<T>,
}

impl<T: PartialEq> PartialEq for Unread<T> {
    fn eq(&self, other: &Self) -> bool {
        // The reason doesn't count: written and read again, a repeated list is one of another kind.
        (&self.raw, &self.added) == (&other.raw, &other.added)
    }
}

impl<T> List<T> {
    /// A list without elements.
    #[must_use]
    pub const fn new() -> Self {
        Self(Content::Elements(Vec::new()))
    }

    /// Whether it has no elements and none that could not be read.
    pub(crate) fn is_blank(&self) -> bool {
        matches!(&self.0, Content::Elements(elements) if elements.is_empty())
    }

    /// The list `raw`, which could not be read.
    pub(crate) fn not_read(raw: &str, reason: UnreadReason) -> Self {
        let raw = match reason {
            // Such a list doesn't turn into one that can be read.
            UnreadReason::Repeated => format!("[{}]", compact(raw)).into(),
            _ => compact(raw),
        };
        Self(Content::Unread(Box::new(Unread { raw, reason, added: Vec::new() })))
    }

    fn unreadable(&self) -> Option<&Unread<T>> {
        if let Content::Unread(unread) = &self.0 { Some(unread) } else { None }
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for List<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        match &self.0 {
            Content::Elements(elements) => elements,
            Content::Unread(unread) => &unread.added,
        }
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        match &mut self.0 {
            Content::Elements(elements) => elements,
            Content::Unread(unread) => &mut unread.added,
        }
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(elements: Vec<T>) -> Self {
        Self(Content::Elements(elements))
    }
}

/// The elements. A list that could not be read has none.
impl<T> From<List<T>> for Vec<T> {
    fn from(list: List<T>) -> Self {
        match list.0 {
            Content::Elements(elements) => elements,
            Content::Unread(unread) => unread.added,
        }
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Vec::from_iter(elements).into()
    }
}

impl<T> Extend<T> for List<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        (**self).extend(elements);
    }
}

/// Iterates over the elements. A list that could not be read has none.
impl<T> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        Vec::from(self).into_iter()
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut List<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<T, U> PartialEq<[U]> for List<T>
where
    T: PartialEq<U>,
{
    fn eq(&self, other: &[U]) -> bool {
        self.unreadable().is_none() && **self == *other
    }
}

impl<T, U, const N: usize> PartialEq<[U; N]> for List<T>
where
    T: PartialEq<U>,
{
    fn eq(&self, other: &[U; N]) -> bool {
        *self == other[..]
    }
}

impl<T, U> PartialEq<Vec<U>> for List<T>
where
    T: PartialEq<U>,
{
    fn eq(&self, other: &Vec<U>) -> bool {
        *self == other[..]
    }
}

impl<T: fmt::Debug> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// The elements that are written.
fn written<T: Value>(elements: &[T]) -> impl Iterator<Item = &T> {
    elements.iter().filter(|value| !is_passed_over(*value))
}

/// Writes the elements, and makes a list of all that was written from `start` on.
fn write_elements<T: Value>(elements: &[T], start: usize, out: &mut Vec<u8>) {
    for value in written(elements) {
        out.push(b',');
        value.write(out);
    }
    write::enclose(*b"[]", start, out);
}

impl<T: Value> Unread<T> {
    /// The elements that can be read.
    fn readable(&self) -> Vec<T> {
        let mut interner = Interner::unlimited();
        let is_one_list = self.reason != UnreadReason::Repeated;
        let elements = list(&self.raw).filter(|_| is_one_list).into_iter().flatten();
        let read = elements.filter_map(|raw| match T::read(raw, &mut interner) {
            Read::Value(value) => Some(value),
            Read::Nothing => T::EMPTY_ELEMENT.map(|empty| empty()),
            Read::WrongType => None,
        });
        read.collect()
    }

    /// Writes the list that could not be read, and the elements that were added to it.
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
            // In a list of its own, which is no element, it doesn't turn into one.
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
            Content::Elements(elements) => serializer.collect_seq(written(elements).map(AsSerde)),
            Content::Unread(unread) => {
                let mut json = Vec::new();
                unread.write(&mut json);
                super::transcode::Raw(&String::from_utf8_lossy(&json)).serialize(serializer)
            }
        }
    }
}

impl<T: Value> Field for List<T> {
    fn read(raw: &str, interner: &mut Interner) -> Option<Self> {
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

    fn unread(raw: &str, reason: UnreadReason) -> Option<Self> {
        Some(Self::not_read(raw, reason))
    }

    fn unread_reason(&self) -> Option<UnreadReason> {
        self.unreadable().map(|unread| unread.reason)
    }

    fn clear_unread(&mut self) -> bool {
        let Content::Unread(unread) = &mut self.0 else { return false };
        *self = std::mem::take(&mut unread.added).into();
        true
    }

    fn write_member(&self, key: &'static str, out: &mut Vec<u8>) {
        if self.is_absent() {
            return;
        }
        out.extend_from_slice(key.as_bytes());
        match &self.0 {
            Content::Elements(elements) => write_elements(elements, out.len(), out),
            Content::Unread(unread) => unread.write(out),
        }
    }

    fn length<const EXACT: bool>(&self, key: &'static str) -> usize {
        let elements = match &self.0 {
            Content::Elements(elements) => elements,
            Content::Unread(unread) => {
                let mut json = Vec::new();
                unread.write(&mut json);
                return key.len() + json.len();
            }
        };
        match written(elements).map(|value| ",".len() + value.length::<EXACT>()).sum() {
            0 => 0,
            inside => key.len() + write::enclosed(inside),
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
        matches!(&self.0, Content::Elements(elements) if elements.iter().all(is_passed_over))
    }

    fn check(&self, at: Path<'_>, problems: &mut Problems) {
        if let Some(unread) = self.unreadable() {
            explain::<Self>(&unread.raw, unread.reason, at, problems);
        }
        for (index, value) in self.iter().enumerate() {
            value.check(at.index(index), problems);
        }
    }

    fn drop_invalid(&mut self, is_required: bool, corrector: &mut Corrector) {
        if let Some(unread) = self.unreadable().filter(|_| !is_required) {
            let mut elements = unread.readable();
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
        // It keeps what is shared until all is checked.
        let mut interner = Interner::unlimited();
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
        locate_element(text, |index, text| {
            path.push(PathSegment::Index(index));
            T::locate(text, path);
        });
    }
}

/// Whether an element of a list stands for nothing.
fn is_passed_over<T: Value>(value: &T) -> bool {
    T::EMPTY_ELEMENT.is_none() && value.is_empty()
}
