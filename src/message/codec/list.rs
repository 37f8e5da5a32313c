//! Lists of values.

mod json;

pub(crate) use json::not_read;

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::members::Explain;
use crate::message::UnreadReason;

/// A list in a record; it dereferences to a [`Vec`].
///
/// A list from JSON can't be read if the value isn't a list or an element has the wrong type. It
/// then has no elements here and is preserved as written. It is a
/// [problem](crate::PushSlots::validate) until you assign another list or remove it as an [unread
/// member](crate::Provider::unread_members). Adding elements doesn't replace it, so nothing is lost
/// silently.
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
pub struct List<T>(ListContent<T>);

/// The content of a list. It is as small as a `Vec`, because records hold many lists.
#[derive(Clone, PartialEq)]
enum ListContent<T> {
    Elements(Vec<T>),
    Unread(Box<Unread<T>>),
}

/// A list that couldn't be read, and the elements that were added to it.
#[derive(Clone)]
struct Unread<T> {
    raw: Box<str>,
    reason: UnreadReason,
    added: Vec<T>,
    explain: Explain,
    /// Returns the elements of `raw` that can be read. It is stored for the same reason as
    /// [`Explain`].
    readable: fn(&str) -> Vec<T>,
}

impl<T: PartialEq> PartialEq for Unread<T> {
    fn eq(&self, other: &Self) -> bool {
        // The reason doesn't count. Written and read again, a repeated list has the wrong type
        // instead.
        (&self.raw, &self.added) == (&other.raw, &other.added)
    }
}

impl<T> List<T> {
    /// Creates an empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self(ListContent::Elements(Vec::new()))
    }

    /// Returns whether the list has no elements and could be read.
    pub(crate) fn is_blank(&self) -> bool {
        matches!(&self.0, ListContent::Elements(elements) if elements.is_empty())
    }

    fn unreadable(&self) -> Option<&Unread<T>> {
        if let ListContent::Unread(unread) = &self.0 { Some(unread) } else { None }
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
            ListContent::Elements(elements) => elements,
            ListContent::Unread(unread) => &unread.added,
        }
    }
}

impl<T> DerefMut for List<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        match &mut self.0 {
            ListContent::Elements(elements) => elements,
            ListContent::Unread(unread) => &mut unread.added,
        }
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(elements: Vec<T>) -> Self {
        Self(ListContent::Elements(elements))
    }
}

/// Returns the elements. A list that couldn't be read has only those added to it.
impl<T> From<List<T>> for Vec<T> {
    fn from(list: List<T>) -> Self {
        match list.0 {
            ListContent::Elements(elements) => elements,
            ListContent::Unread(unread) => unread.added,
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

/// Iterates over the elements. A list that couldn't be read has only those added to it.
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
