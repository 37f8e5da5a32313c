//! Members of an object that are preserved as written.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};

use serde::ser::{Error, SerializeMap};

use super::escapes::has_lone_surrogate;
use super::json_writer as write;
use super::path::Path;
use super::problems::Problems;
use super::raw::{Key, compact};
use super::transcode::Raw;
use crate::message::UnreadReason;

/// Keys and values as written, in order. [`keep_last`](Self::keep_last) makes the keys unique.
#[derive(Clone, Default)]
pub(crate) struct Members(pub(super) Vec<Member>);

/// A member of an object.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) key: Box<str>,
    pub(super) value: Box<str>,
    pub(super) reason: UnreadReason,
    pub(super) explain: Explain,
}

/// A function that adds the problems of a value that wasn't read. They depend on the type of its
/// field.
///
/// Only code that reads values stores such functions with them. Otherwise each program that
/// validates messages would contain the code for reading them.
pub(crate) type Explain = fn(&str, Path<'_>, &mut Problems);

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        (&self.key, &self.value) == (&other.key, &other.value)
    }
}

impl PartialEq for Members {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Members {
    pub(crate) const NONE: Self = Self(Vec::new());

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of members.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a member with an unknown key and the JSON `value`.
    pub(crate) fn add(&mut self, key: Key<'_>, value: &str) {
        self.add_unread(key, value, UnreadReason::UnknownKey, |_, _, _| {});
    }

    /// Adds a member with the JSON `value`. Escapes `name`, which can be any text.
    pub(crate) fn add_named(&mut self, name: &str, value: &str) {
        self.add(Key::written(&escaped(name)), value);
    }

    /// Adds a member with the JSON `value`, which wasn't read.
    pub(super) fn add_unread(
        &mut self,
        key: Key<'_>,
        value: &str,
        reason: UnreadReason,
        explain: Explain,
    ) {
        self.0.push(Member { key: canonical(key), value: compact(value), reason, explain });
    }

    /// Keeps only the last of the members with the same key.
    pub(crate) fn keep_last(&mut self) {
        if self.0.len() < 2 {
            return;
        }
        let mut keep = vec![true; self.0.len()];
        let mut names = HashSet::new();
        for (member, keep) in self.0.iter().zip(&mut keep).rev() {
            // A key with half of a surrogate pair isn't text, and its name may equal the text of
            // another key.
            *keep =
                names.insert((Key::written(&member.key).name(), has_lone_surrogate(&member.key)));
        }
        drop(names);
        let mut keep = keep.into_iter();
        self.0.retain(|_| keep.next().unwrap_or(true));
        self.0.shrink_to_fit();
    }

    /// Returns the keys in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key<'_>> {
        self.0.iter().map(|member| Key::written(&member.key))
    }

    /// Returns the value of the key with this unescaped `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut members = self.0.iter();
        members.find(|member| Key::written(&member.key).name() == name).map(|member| &*member.value)
    }

    /// Returns the member with this key as written.
    pub(super) fn with_key(&self, key: &str) -> Option<&Member> {
        self.0.iter().find(|member| *member.key == *key)
    }

    /// Removes the member with this unescaped `name`. Returns whether it existed.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|member| Key::written(&member.key).name() != name);
        self.0.len() < before
    }

    /// Passes the members to a hasher.
    pub(crate) fn feed(&self, hasher: &mut impl Hasher) {
        self.0.iter().for_each(|member| member.feed(hasher));
    }

    /// Writes the members, each with a comma before it.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.0.iter().for_each(|member| member.write(out));
    }

    /// Returns the number of bytes that [`write`](Self::write) writes.
    pub(crate) fn length(&self) -> usize {
        self.0.iter().map(Member::length).sum()
    }

    /// Serializes the members into `map`.
    pub(crate) fn serialize<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.0.iter().try_for_each(|member| member.serialize(map))
    }
}

impl Member {
    pub(super) fn feed(&self, hasher: &mut impl Hasher) {
        (&self.key, &self.value).hash(hasher);
    }

    pub(super) fn has_lone_surrogate(&self) -> bool {
        has_lone_surrogate(&self.key) || has_lone_surrogate(&self.value)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        write::raw_member(&self.key, &self.value, out);
    }

    pub(super) fn length(&self) -> usize {
        r#","":"#.len() + self.key.len() + self.value.len()
    }

    pub(super) fn serialize<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        if has_lone_surrogate(&self.key) {
            return Err(M::Error::custom(
                "a key with half of a surrogate pair can't be written in this format",
            ));
        }
        map.serialize_entry(&*Key::written(&self.key).name(), &Raw(&self.value))
    }
}

/// Returns the key in the single form that serde also writes. A key with half of a surrogate pair
/// stays as written.
fn canonical(key: Key<'_>) -> Box<str> {
    match key.raw() {
        raw if raw.contains('\\') && !has_lone_surrogate(raw) => escaped(&key.name()),
        raw => raw.into(),
    }
}

/// Returns the JSON of the key `name`, without quotes.
fn escaped(name: &str) -> Box<str> {
    let mut raw = Vec::with_capacity(name.len());
    write::escaped(name, &mut raw);
    String::from_utf8_lossy(&raw).into()
}
