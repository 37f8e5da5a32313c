//! Members of an object that are kept as they were written.

use super::{Key, write};

/// Keys and values as they were written, in order.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Members(Vec<Member>);

#[derive(Clone, PartialEq)]
struct Member {
    key: Box<str>,
    value: Box<str>,
}

impl Members {
    pub(crate) const NONE: Self = Self(Vec::new());

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a member whose value is the JSON `value`.
    pub(crate) fn add(&mut self, key: Key<'_>, value: &str) {
        let member = Member { key: key.raw().into(), value: value.into() };
        self.0.push(member);
    }

    /// Adds a member under `name`, whatever it holds.
    pub(crate) fn add_named(&mut self, name: &str, value: &str) {
        let mut raw = Vec::with_capacity(name.len());
        write::escaped(name, &mut raw);
        self.add(Key::written(&String::from_utf8_lossy(&raw)), value);
    }

    /// Each key, as it was written.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key<'_>> {
        self.0.iter().map(|member| Key::written(&member.key))
    }

    /// Every value under `key`, which holds nothing to escape; more than one where the key was given more than once.
    pub(crate) fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |member| *member.key == *key).map(|member| &*member.value)
    }

    /// The last value whose key stands for `name`.
    pub(crate) fn last(&self, name: &str) -> Option<&str> {
        let mut members = self.0.iter().rev();
        members.find(|member| Key::written(&member.key).name() == name).map(|member| &*member.value)
    }

    /// Takes every member out whose key stands for `name`.
    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|member| Key::written(&member.key).name() != name);
    }

    /// Writes those that are `wanted`, with a comma before each.
    pub(crate) fn write(&self, out: &mut Vec<u8>, wanted: impl Fn(&str) -> bool) {
        for member in self.0.iter().filter(|member| wanted(&member.key)) {
            write::raw_member(&member.key, &member.value, out);
        }
    }

    /// How many bytes [`write`](Self::write) takes.
    pub(crate) fn length(&self, wanted: impl Fn(&str) -> bool) -> usize {
        let wanted = self.0.iter().filter(|member| wanted(&member.key));
        wanted.map(|member| r#","":"#.len() + member.key.len() + member.value.len()).sum()
    }
}
