//! The extensions and unread members of an object.

use std::borrow::Cow;
use std::fmt;
use std::hash::Hasher;

use serde::ser::SerializeMap;

use super::field::Field;
use super::interner::Interner;
use super::json_writer::{MemberStart, member_start};
use super::members::{Explain, Member, Members};
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

/// The fields of the object that has the extras.
pub(crate) trait Fields {
    /// Returns whether an unread member `key` would be open: no field has a value in its place.
    fn is_open(&self, key: &str) -> bool;
}

/// An object whose fields never replace an unread member.
pub(crate) struct NoFields;

impl Fields for NoFields {
    fn is_open(&self, _key: &str) -> bool {
        true
    }
}

/// The extensions and unread members of an object.
///
/// Most objects have neither and then take one pointer.
#[derive(Default)]
pub(crate) struct Extras(Option<Box<Inner>>);

#[derive(Clone, Default)]
struct Inner {
    extensions: Extensions,
    unread: Members,
}

impl Inner {
    #[cold]
    fn copied(&self) -> Box<Self> {
        Box::new(self.clone())
    }
}

/// Most records have no extras, so the code that copies them isn't repeated for each type of
/// record.
impl Clone for Extras {
    fn clone(&self) -> Self {
        Self(self.0.as_deref().map(Inner::copied))
    }
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

    /// Adds a member with an unknown key.
    pub(crate) fn add(&mut self, key: Key<'_>, value: &str) {
        self.0.get_or_insert_default().unread.add(key, value);
    }

    /// Reads the values given for `key` into a field. Preserves values that can't be read.
    #[inline]
    pub(crate) fn field<F: Field>(
        &mut self,
        key: &str,
        given: Given<'_>,
        interner: &mut Interner<'_>,
    ) -> F {
        let Some((raw, reason)) = given.joined() else { return F::default() };
        let read = match reason {
            UnreadReason::Repeated => None,
            _ => F::read(&raw, interner),
        };
        if let Some(field) = read.or_else(|| F::unread(&raw, reason)) {
            return field;
        }
        let unread = &mut self.0.get_or_insert_default().unread;
        unread.add_unread(Key::written(key), &raw, reason, F::explain);
        F::default()
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

    /// Removes the unread member `key`. Returns whether it existed and was open. `is_open` decides
    /// this for fields.
    pub(crate) fn remove(&mut self, key: &str, is_open: bool) -> bool {
        let Some(inner) = &mut self.0 else { return false };
        let is_open = if key == EXTENSIONS { inner.extensions.is_empty() } else { is_open };
        inner.unread.remove(key) && is_open
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

    /// Returns the open unread members.
    fn open_members<'a>(&'a self, fields: &'a dyn Fields) -> impl Iterator<Item = &'a Member> {
        let is_open = |key: &str| match key {
            EXTENSIONS => self.extensions().is_empty(),
            key => fields.is_open(key),
        };
        self.unread().0.iter().filter(move |member| is_open(&member.key))
    }

    /// Returns the open unread members in their public form.
    pub(crate) fn unread_members<'a>(
        &'a self,
        fields: &'a dyn Fields,
    ) -> impl Iterator<Item = UnreadMember<'a>> {
        self.open_members(fields).map(|member| UnreadMember {
            key: Key::written(&member.key).name(),
            reason: member.reason,
        })
    }

    /// Passes the content to a hasher. Equal extras, as [`equals`](Self::equals) compares them, pass
    /// the same.
    pub(crate) fn feed(&self, fields: &dyn Fields, hasher: &mut impl Hasher) {
        let extensions = self.extensions();
        hasher.write_usize(extensions.members().len());
        extensions.feed(hasher);
        self.open_members(fields).for_each(|member| member.feed(hasher));
    }

    /// Returns whether both have the same extensions and the same open unread members.
    #[inline]
    pub(crate) fn equals(&self, fields: &dyn Fields, other: &Self, others: &dyn Fields) -> bool {
        (self.0.is_none() && other.0.is_none())
            || (self.extensions() == other.extensions()
                && self.open_members(fields).eq(other.open_members(others)))
    }

    /// Adds the problems of the unread member `key`, which the model defines.
    #[cold]
    pub(crate) fn check(&self, key: &'static str, at: Path<'_>, problems: &mut Problems) {
        if let Some(member) = self.unread().with_key(key) {
            explain(&member.value, member.reason, member.explain, at.key(key), problems);
        }
    }

    /// Adds the problems of the extensions and of members with unknown keys.
    #[inline]
    pub(crate) fn check_others(&self, at: Path<'_>, problems: &mut Problems) {
        if self.0.is_some() {
            self.check_all_others(at, problems);
        }
    }

    #[cold]
    fn check_all_others(&self, at: Path<'_>, problems: &mut Problems) {
        let extensions = self.extensions();
        if extensions.is_empty() {
            self.check(EXTENSIONS, at, problems);
        }
        for _ in extensions.members().0.iter().filter(|member| member.has_lone_surrogate()) {
            problems.add(at.key(EXTENSIONS), ProblemCode::LoneSurrogate, LONE_SURROGATE);
        }
        // The path doesn't show the unknown key.
        let unread = self.unread().0.iter();
        let others = unread.filter(|member| member.reason == UnreadReason::UnknownKey);
        for _ in others.filter(|member| member.has_lone_surrogate()) {
            problems.add(at, ProblemCode::LoneSurrogate, LONE_SURROGATE_OF_UNKNOWN);
        }
    }

    /// Writes the extensions and the open unread members.
    #[inline]
    pub(crate) fn write(&self, out: &mut Vec<u8>, fields: &dyn Fields) {
        if self.0.is_some() {
            self.write_all(out, fields);
        }
    }

    #[inline(never)]
    fn write_all(&self, out: &mut Vec<u8>, fields: &dyn Fields) {
        self.extensions().write_member(EXTENSIONS_MEMBER, out);
        self.open_members(fields).for_each(|member| member.write(out));
    }

    /// Returns the number of bytes that [`write`](Self::write) writes.
    #[inline]
    pub(crate) fn length(&self, fields: &dyn Fields) -> usize {
        if self.0.is_some() { self.full_length(fields) } else { 0 }
    }

    #[inline(never)]
    fn full_length(&self, fields: &dyn Fields) -> usize {
        let unread: usize = self.open_members(fields).map(Member::length).sum();
        self.extensions().length::<true>(EXTENSIONS_MEMBER) + unread
    }

    /// Serializes the same members as [`write`](Self::write).
    pub(crate) fn serialize<M: SerializeMap>(
        &self,
        map: &mut M,
        fields: &dyn Fields,
    ) -> Result<(), M::Error> {
        self.extensions().serialize_member(EXTENSIONS, map)?;
        self.open_members(fields).try_for_each(|member| member.serialize(map))
    }
}

const LONE_SURROGATE_OF_UNKNOWN: &str =
    "an unknown member has half of a surrogate pair, which isn't a character";

const EXTENSIONS: &str = "Extensions";
const EXTENSIONS_MEMBER: MemberStart = member_start!("Extensions");

/// Adds the problems of a value that wasn't read. `wrong_type` adds those of a value of the wrong
/// type.
pub(crate) fn explain(
    raw: &str,
    reason: UnreadReason,
    wrong_type: Explain,
    at: Path<'_>,
    problems: &mut Problems,
) {
    match reason {
        UnreadReason::Repeated => {
            problems.add(at, ProblemCode::Repeated, "the key is repeated; keep one of its values");
        }
        UnreadReason::UnknownKey | UnreadReason::WrongType => wrong_type(raw, at, problems),
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

    /// Returns the value, or the values of a repeated key as one list, and the reason to give if it
    /// isn't read.
    fn joined(self) -> Option<(Cow<'a, str>, UnreadReason)> {
        let first = self.first?;
        Some(match &*self.more {
            [] => (Cow::Borrowed(first), UnreadReason::WrongType),
            more => (Cow::Owned(format!("[{first},{}]", more.join(","))), UnreadReason::Repeated),
        })
    }
}
