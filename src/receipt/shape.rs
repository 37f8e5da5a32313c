//! Access to JSON of unknown shape.

use crate::message::{Object, list};

/// Returns the value of `key`, or of the same key in other letter case.
pub(super) fn member<'a>(parent: &Object<'a>, key: &str) -> Option<&'a str> {
    parent.get(key).or_else(|| parent.get_all(key).next())
}

/// Returns whether `key` has a value, in any letter case.
pub(super) fn is_given(parent: &Object<'_>, key: &str) -> bool {
    parent.get_all(key).any(|raw| !stands_for_nothing(raw))
}

/// Returns the object in the JSON `raw`, or the objects in its list.
pub(super) fn objects(raw: &str) -> Vec<Object<'_>> {
    match Object::read(raw) {
        Some(object) => vec![object],
        None => list(raw).unwrap_or_default().into_iter().filter_map(Object::read).collect(),
    }
}

/// Returns whether a value is one of the forms in which senders write an absent value.
pub(super) fn stands_for_nothing(raw: &str) -> bool {
    let is_nothing = |raw: &str| {
        matches!(raw, "null" | "false" | "0" | "\"\"")
            || Object::read(raw).is_some_and(|object| object.is_empty())
    };
    is_nothing(raw) || list(raw).is_some_and(|list| list.into_iter().all(is_nothing))
}
