//! Reading JSON one object at a time, so that a value of the wrong kind is set aside and never lost.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde_json::value::RawValue;

/// A value that does not stand for what its place asks for.
#[derive(Debug)]
pub(crate) struct Misfit;

/// The kind of a JSON value, in the words of an error message.
pub(crate) fn kind(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "list",
        Some(b'"') => "text",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}

pub(crate) fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// The text that a leaf stands for: a string as it is, a number or a boolean as it is written.
pub(crate) fn text(raw: &RawValue) -> Result<Cow<'_, str>, Misfit> {
    match raw.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str::<Text<'_>>(raw.get()).map(|text| text.0).map_err(|_| Misfit),
        Some(b'{' | b'[' | b'n') => Err(Misfit),
        _ => Ok(Cow::Borrowed(raw.get())),
    }
}

/// The members of one object, each value still as it was written.
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    pub(crate) fn read(raw: &'a RawValue) -> Result<Self, Misfit> {
        serde_json::from_str(raw.get()).map_err(|_| Misfit)
    }

    /// Takes the member `key` out, if `read` makes something of it. One that can't be read, or that
    /// is given more than once so that nobody can tell which is meant, stays among the others.
    pub(crate) fn take<T: Default>(
        &mut self,
        key: &str,
        read: impl FnOnce(&'a RawValue) -> Result<T, Misfit>,
    ) -> T {
        let mut places = (0..self.0.len()).filter(|&i| self.0.get(i).is_some_and(|m| m.0 == key));
        let (Some(place), None) = (places.next(), places.next()) else {
            return T::default();
        };
        let value = self.0.get(place).and_then(|member| read(member.1).ok());
        value.map_or_else(T::default, |value| {
            self.0.remove(place);
            value
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of `key`, left in its place.
    pub(crate) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|member| member.0 == key).map(|m| m.1)
    }

    /// What nobody took.
    pub(crate) fn into_others(self) -> Others {
        let kept = self.0.into_iter();
        Others(kept.map(|(key, raw)| (key.into(), raw.to_owned())).collect())
    }
}

/// The elements of one list, each still as it was written.
pub(crate) fn list(raw: &RawValue) -> Result<Vec<&RawValue>, Misfit> {
    serde_json::from_str(raw.get()).map_err(|_| Misfit)
}

/// Members of an object that the model does not name, or whose value it can't read: kept as they
/// were written, and written out again.
#[derive(Clone, Default)]
pub(crate) struct Others(Vec<(Box<str>, Box<RawValue>)>);

impl Others {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every value under `key`; more than one where the input gave the key more than once.
    pub(crate) fn all(&self, key: &str) -> impl Iterator<Item = &RawValue> {
        let found = self.0.iter().filter(move |member| *member.0 == *key);
        found.map(|member| &*member.1)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.all(key).next().is_some()
    }

    pub(crate) fn write<M: SerializeMap>(
        &self,
        map: &mut M,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(), M::Error> {
        let mut wanted = self.0.iter().filter(|member| wanted(&member.0));
        wanted.try_for_each(|(key, raw)| map.serialize_entry(key, raw))
    }
}

impl PartialEq for Others {
    fn eq(&self, other: &Self) -> bool {
        let texts = |others: &Self| -> Vec<_> {
            let members = others.0.iter();
            members.map(|(key, raw)| (key.clone(), raw.get().to_owned())).collect()
        };
        texts(self) == texts(other)
    }
}

/// Text that is borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((key, raw)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    members.push((key.0, raw));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}
