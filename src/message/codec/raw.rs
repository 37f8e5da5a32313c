//! JSON values as written, which serde_json parses one level at a time.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::escapes::unescaped;
use super::{plain_prefix, split};

/// The key of a member.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a>(&'a str);

impl<'a> Key<'a> {
    /// Creates a key from its written form without quotes.
    pub(crate) fn written(raw: &'a str) -> Self {
        Self(raw)
    }

    /// Creates a key from its written form with quotes.
    pub(crate) fn quoted(raw: &'a str) -> Self {
        Self(raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default())
    }

    /// Returns the key as written, without quotes.
    pub(crate) fn raw(self) -> &'a str {
        self.0
    }

    /// Returns the unescaped key. A key that isn't text, such as half of a surrogate pair, is
    /// returned as written.
    pub(crate) fn name(self) -> Cow<'a, str> {
        unescaped(self.0).unwrap_or(Cow::Borrowed(self.0))
    }
}

/// The members of an object in order, with their values as written.
#[derive(Default)]
pub(crate) struct Object<'a>(SmallVec<[(Key<'a>, &'a str); 8]>);

impl<'a> Object<'a> {
    /// Reads `raw`, which is JSON. Returns `None` if it isn't an object.
    pub(crate) fn read(raw: &'a str) -> Option<Self> {
        begins_with(raw, b'{').then(|| {
            let mut members = SmallVec::new();
            split::members(raw, |key, value| members.push((Key::quoted(key), value)));
            Self(members)
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the value of `key`, or the first value if the key is repeated.
    pub(crate) fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|member| member.0.name() == key).map(|member| member.1)
    }

    /// Returns the values of `key`, ignoring ASCII case.
    pub(crate) fn get_all(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |member| member.0.name().eq_ignore_ascii_case(key))
            .map(|member| member.1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key<'a>, &'a str)> {
        self.0.iter().copied()
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = SmallVec::new();
                while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    members.push((Key::quoted(key.get()), value.get()));
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// Returns the string at the start of `text`, with its quotes, if it is complete and has no escapes.
#[inline]
pub(crate) fn plain_string(text: &str) -> Option<&str> {
    let inside = text.as_bytes().strip_prefix(b"\"")?;
    let length = plain_prefix::prefix(inside);
    (inside.get(length) == Some(&b'"')).then(|| text.get(..length + 2))?
}

/// Returns the whole number at the start of `text`, if it is positive and a comma or a bracket
/// follows.
#[inline]
pub(crate) fn whole_number(text: &str) -> Option<&str> {
    let length = text.bytes().position(|byte| !byte.is_ascii_digit())?;
    let is_whole = matches!(text.as_bytes().first(), Some(b'1'..=b'9'))
        && matches!(text.as_bytes().get(length), Some(b',' | b'}' | b']'));
    text.get(..length).filter(|_| is_whole)
}

/// Returns the JSON value in a text of any kind, without whitespace around it.
pub(crate) fn json(text: &str) -> Option<&str> {
    serde_json::from_str(text).ok().map(RawValue::get)
}

/// Returns the elements of `raw`, which is JSON, as written. Returns `None` if it isn't a list.
pub(crate) fn list(raw: &str) -> Option<Elements<'_>> {
    begins_with(raw, b'[').then(|| {
        let mut elements = SmallVec::new();
        split::elements(raw, |element| elements.push(element));
        Elements(elements)
    })
}

/// Returns whether `raw` begins with `first` after whitespace.
fn begins_with(raw: &str, first: u8) -> bool {
    raw.bytes().find(|byte| !is_space(*byte)) == Some(first)
}

/// Returns whether `byte` is JSON whitespace (RFC 8259, section 2).
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// The elements of a list, as written.
#[derive(Default)]
pub(crate) struct Elements<'a>(SmallVec<[&'a str; 8]>);

impl<'a> IntoIterator for Elements<'a> {
    type Item = &'a str;
    type IntoIter = smallvec::IntoIter<[&'a str; 8]>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// A value for a field that is neither an object nor a list.
pub(crate) enum Leaf<'a> {
    Text(Cow<'a, str>),
    /// A number or boolean, as written.
    Literal(&'a str),
    /// `null`, or an empty object or list.
    Nothing,
    /// An object or list that isn't empty, or a string with half of a surrogate pair.
    Unreadable,
}

impl<'a> Leaf<'a> {
    /// Reads `raw`, the JSON of one value without whitespace around it.
    pub(crate) fn read(raw: &'a str) -> Self {
        match raw.as_bytes() {
            [b'"', inside @ .., b'"'] => {
                let inside = raw.get(1..=inside.len()).and_then(unescaped);
                inside.map_or(Self::Unreadable, Self::Text)
            }
            [b'{', inside @ .., b'}'] | [b'[', inside @ .., b']'] => {
                if inside.iter().all(u8::is_ascii_whitespace) {
                    Self::Nothing
                } else {
                    Self::Unreadable
                }
            }
            b"null" => Self::Nothing,
            _ => Self::Literal(raw),
        }
    }
}

/// Returns the content of a string, or a number or boolean as written. `raw` is the JSON of one
/// value without whitespace around it.
pub(crate) fn text(raw: &str) -> Option<Cow<'_, str>> {
    match Leaf::read(raw) {
        Leaf::Text(text) => Some(text),
        Leaf::Literal(text) => Some(Cow::Borrowed(text)),
        Leaf::Nothing | Leaf::Unreadable => None,
    }
}

/// Returns the type of the JSON value `raw`, as worded in error messages.
pub(crate) fn kind(raw: &str) -> &'static str {
    match raw.as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "list",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}

/// Returns the JSON `raw` without whitespace between tokens.
pub(crate) fn compact(raw: &str) -> Box<str> {
    if !raw.bytes().any(is_space) {
        return raw.into();
    }
    let mut out = String::with_capacity(raw.len());
    let mut in_text = false;
    let mut is_escaped = false;
    for char in raw.chars() {
        if !in_text && matches!(char, ' ' | '\n' | '\r' | '\t') {
            continue;
        }
        in_text ^= char == '"' && !is_escaped;
        is_escaped = in_text && char == '\\' && !is_escaped;
        out.push(char);
    }
    out.into()
}
