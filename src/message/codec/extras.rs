//! The extensions and unread members of an object.

use std::borrow::Cow;
use std::fmt;
use std::hash::Hasher;

use serde::ser::SerializeMap;

use super::field::Field;
use super::interner::Interner;
use super::json_writer::{MemberStart, member_start};
use super::members::{Member, Members};
use super::path::Path;
use super::problems::Problems;
use super::raw::Key;
use super::value::LONE_SURROGATE;
use crate::message::{Extensions, ProblemCode};

/// The reason why a member wasn't read into a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnreadReason {
    /// The data model doesn't define the key. The member is sent as it was read.
    UnknownKey,
    /// The value has the wrong type for the key. It is a [problem](crate::PushSlots::validate).
    WrongType,
    /// The key is repeated, so the intended value is unknown. It is a
    /// [problem](crate::PushSlots::validate).
    Repeated,
}

/// A member of an object that wasn't read into a field and is preserved as written.
///
/// `Debug` shows a key only if the data model defines it, because another key might identify a
/// person.
#[derive(Clone, PartialEq, Eq)]
pub struct UnreadMember<'a> {
    key: Cow<'a, str>,
    reason: UnreadReason,
}

impl fmt::Debug for UnreadMember<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("UnreadMember");
        if self.reason != UnreadReason::UnknownKey {
            shown.field("key", &self.key);
        }
        shown.field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl UnreadMember<'_> {
    pub(crate) fn new(key: &'static str, reason: UnreadReason) -> Self {
        Self { key: Cow::Borrowed(key), reason }
    }

    /// Returns the key of the member.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns the reason why the member wasn't read into a field.
    #[must_use]
    pub fn reason(&self) -> UnreadReason {
        self.reason
    }
}

/// The extensions and unread members of an object.
///
/// Most objects have neither and then take one pointer.
#[derive(Clone, Default)]
pub(crate) struct Extras(Option<Box<Inner>>);

#[derive(Clone, Default)]
struct Inner {
    extensions: Extensions,
    unread: Members,
}

impl Extras {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|inner| inner.extensions.is_empty() && inner.unread.is_empty())
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        static NONE: Extensions = Extensions::NONE;
        self.0.as_ref().map_or(&NONE, |inner| &inner.extensions)
    }

    pub(crate) fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.0.get_or_insert_default().extensions
    }

    fn unread(&self) -> &Members {
        static NONE: Members = Members::NONE;
        self.0.as_ref().map_or(&NONE, |inner| &inner.unread)
    }

    /// Adds a member that wasn't read into a field.
    pub(crate) fn add(&mut self, key: Key<'_>, value: &str, reason: UnreadReason) {
        self.0.get_or_insert_default().unread.add(key, value, reason);
    }

    /// Reads the values given for `key` into a field. Preserves values that can't be read.
    #[inline]
    pub(crate) fn field<F: Field>(
        &mut self,
        key: &str,
        given: Given<'_>,
        interner: &mut Interner<'_>,
    ) -> F {
        let (raw, reason) = match given {
            Given { first: None, .. } => return F::default(),
            Given { first: Some(raw), more } if more.is_empty() => match F::read(raw, interner) {
                Some(field) => return field,
                None => (Cow::Borrowed(raw), UnreadReason::WrongType),
            },
            Given { first: Some(raw), more } => {
                (Cow::Owned(format!("[{raw},{}]", more.join(","))), UnreadReason::Repeated)
            }
        };
        F::unread(&raw, reason).unwrap_or_else(|| {
            self.add(Key::written(key), &raw, reason);
            F::default()
        })
    }

    /// Reads the extensions after all other members were read.
    pub(crate) fn finish(&mut self, extensions: Given<'_>, interner: &mut Interner<'_>) {
        let read: Extensions = self.field(EXTENSIONS, extensions, interner);
        if let Some(inner) = &mut self.0 {
            inner.unread.keep_last();
        }
        if !read.is_empty() {
            *self.extensions_mut() = read;
        }
    }

    /// Returns whether the value of `key` couldn't be read.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.unread().get(key).is_some()
    }

    /// Removes the unread member `key`. Returns whether it existed and was open.
    pub(crate) fn remove(&mut self, key: &str, open: impl Fn(&str) -> bool) -> bool {
        let is_open = self.is_open(key, open);
        self.0.as_mut().is_some_and(|inner| inner.unread.remove(key)) && is_open
    }

    /// Removes the invalid members, except the values of `required` keys.
    pub(crate) fn drop_invalid(&mut self, required: &[&str]) {
        let Some(inner) = &mut self.0 else { return };
        inner.unread.0.retain(|member| match member.reason {
            UnreadReason::UnknownKey => !member.has_lone_surrogate(),
            UnreadReason::WrongType | UnreadReason::Repeated => required.contains(&&*member.key),
        });
        inner.extensions.members_mut().0.retain(|member| !member.has_lone_surrogate());
    }

    /// Removes all unread members.
    pub(crate) fn clear(&mut self) {
        if let Some(inner) = &mut self.0 {
            inner.unread = Members::default();
        }
    }

    /// Returns whether the unread member `key` is open: nothing was set in its place. `open`
    /// decides this for fields.
    fn is_open(&self, key: &str, open: impl Fn(&str) -> bool) -> bool {
        if key == EXTENSIONS { self.extensions().is_empty() } else { open(key) }
    }

    /// Returns the open unread members.
    fn open_members(&self, open: impl Fn(&str) -> bool) -> impl Iterator<Item = &Member> {
        self.unread().0.iter().filter(move |member| self.is_open(&member.key, &open))
    }

    /// Returns the open unread members in their public form.
    pub(crate) fn unread_members(
        &self,
        open: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = UnreadMember<'_>> {
        self.open_members(open).map(|member| UnreadMember {
            key: Key::written(&member.key).name(),
            reason: member.reason,
        })
    }

    /// Passes the content to a hasher. Equal extras, as [`equals`](Self::equals) compares them, pass
    /// the same.
    pub(crate) fn feed(&self, open: impl Fn(&str) -> bool, hasher: &mut impl Hasher) {
        let extensions = self.extensions();
        hasher.write_usize(extensions.members().len());
        extensions.feed(hasher);
        self.open_members(open).for_each(|member| member.feed(hasher));
    }

    /// Returns whether both have the same extensions and the same open unread members.
    pub(crate) fn equals(
        &self,
        open: impl Fn(&str) -> bool,
        other: &Self,
        other_open: impl Fn(&str) -> bool,
    ) -> bool {
        self.extensions() == other.extensions()
            && self.open_members(open).eq(other.open_members(other_open))
    }

    /// Adds the problem of the unread member `key`, which the model reads as an `F`.
    pub(crate) fn check<F: Field>(&self, key: &'static str, at: Path<'_>, problems: &mut Problems) {
        let mut unread = self.unread().0.iter();
        if let Some(member) = unread.find(|member| *member.key == *key) {
            explain::<F>(&member.value, member.reason, at.key(key), problems);
        }
    }

    /// Adds the problems of the extensions and of members with unknown keys.
    #[inline]
    pub(crate) fn check_others(&self, at: Path<'_>, problems: &mut Problems) {
        if let Some(inner) = &self.0 {
            inner.check_others(at, problems);
        }
    }

    /// Writes the extensions and the open unread members.
    #[inline]
    pub(crate) fn write(&self, out: &mut Vec<u8>, open: impl Fn(&str) -> bool) {
        let Some(inner) = &self.0 else { return };
        inner.extensions.write_member(EXTENSIONS_MEMBER, out);
        self.open_members(open).for_each(|member| member.write(out));
    }

    /// Returns the number of bytes that [`write`](Self::write) writes.
    #[inline]
    pub(crate) fn length(&self, open: impl Fn(&str) -> bool) -> usize {
        let Some(inner) = &self.0 else { return 0 };
        let unread: usize = self.open_members(open).map(Member::length).sum();
        inner.extensions.length::<true>(EXTENSIONS_MEMBER) + unread
    }

    /// Serializes the same members as [`write`](Self::write).
    pub(crate) fn serialize<M: SerializeMap>(
        &self,
        map: &mut M,
        open: impl Fn(&str) -> bool,
    ) -> Result<(), M::Error> {
        let Some(inner) = &self.0 else { return Ok(()) };
        inner.extensions.serialize_member(EXTENSIONS, map)?;
        self.open_members(open).try_for_each(|member| member.serialize(map))
    }
}

impl Inner {
    #[cold]
    fn check_others(&self, at: Path<'_>, problems: &mut Problems) {
        if !self.extensions.is_empty() {
            for _ in self.extensions.members().0.iter().filter(|member| member.has_lone_surrogate())
            {
                problems.add(at.key(EXTENSIONS), ProblemCode::LoneSurrogate, LONE_SURROGATE);
            }
        } else if let Some(member) = self.unread.0.iter().find(|member| *member.key == *EXTENSIONS)
        {
            explain::<Extensions>(&member.value, member.reason, at.key(EXTENSIONS), problems);
        }
        // The path doesn't show the unknown key.
        let others =
            self.unread.0.iter().filter(|member| member.reason == UnreadReason::UnknownKey);
        for _ in others.filter(|member| member.has_lone_surrogate()) {
            problems.add(at, ProblemCode::LoneSurrogate, LONE_SURROGATE_OF_UNKNOWN);
        }
    }
}

const LONE_SURROGATE_OF_UNKNOWN: &str =
    "an unknown member has half of a surrogate pair, which isn't a character";

const EXTENSIONS: &str = "Extensions";
const EXTENSIONS_MEMBER: MemberStart = member_start!("Extensions");

/// Adds the problem of a value that wasn't read.
pub(crate) fn explain<F: Field>(
    raw: &str,
    reason: UnreadReason,
    at: Path<'_>,
    problems: &mut Problems,
) {
    match reason {
        UnreadReason::Repeated => {
            problems.add(at, ProblemCode::Repeated, "the key is repeated; keep one of its values");
        }
        UnreadReason::UnknownKey | UnreadReason::WrongType => F::explain(raw, at, problems),
    }
}

/// The values of one key in an object, as written.
#[derive(Default)]
pub(crate) struct Given<'a> {
    first: Option<&'a str>,
    more: Vec<&'a str>,
}

impl<'a> Given<'a> {
    pub(crate) fn add(&mut self, raw: &'a str) {
        match self.first {
            None => self.first = Some(raw),
            Some(_) => self.more.push(raw),
        }
    }

    pub(crate) fn is_repeated(&self) -> bool {
        !self.more.is_empty()
    }
}
