//! Reading JSON of which little is known, one object at a time.

use std::borrow::Cow;

use super::{Cursor, Leaf};

/// The members of one object, each value as it is written.
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Object<'a> {
    /// Reads `raw`; `None` where it is no JSON, or JSON but no object.
    pub(crate) fn read(raw: &'a str) -> Option<Self> {
        let mut cursor = Cursor::new(raw);
        if !cursor.take(b'{').ok()? {
            return None;
        }
        let mut members = Vec::new();
        while let Some(key) = cursor.member(members.is_empty()).ok()? {
            members.push((key.name(), cursor.skip().ok()?));
        }
        cursor.peek().is_err().then_some(Self(members))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of `key`; the first where it is given more than once.
    pub(crate) fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|member| member.0 == key).map(|member| member.1)
    }

    /// The values of `key` in any letter case.
    pub(crate) fn get_all(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |member| member.0.eq_ignore_ascii_case(key)).map(|member| member.1)
    }
}

/// The elements of the list `raw`, each as it is written.
pub(crate) fn list(raw: &str) -> Option<Vec<&str>> {
    let mut cursor = Cursor::new(raw);
    if !cursor.take(b'[').ok()? {
        return None;
    }
    let mut elements = Vec::new();
    while cursor.element(elements.is_empty()).ok()? {
        elements.push(cursor.skip().ok()?);
    }
    cursor.peek().is_err().then_some(elements)
}

/// The text that the leaf `raw` stands for: a string as it is, a number or a boolean as it is written.
pub(crate) fn text(raw: &str) -> Option<Cow<'_, str>> {
    match Cursor::new(raw).leaf().ok()? {
        Leaf::Text(text) => Some(text),
        Leaf::Null | Leaf::Misfit => None,
    }
}
