//! JSON as text: read in one pass over a piece of memory, and written straight into a buffer.

mod cursor;
mod members;
mod object;
mod plain;
mod stop;
pub(super) mod write;

pub(super) use cursor::{Cursor, Key, Leaf};
pub(super) use members::Members;
pub(crate) use object::{Object, list, text};
pub(super) use stop::{Reason, Result, Step, Stop};

/// The kind of the JSON value that starts so, in the words of an error message.
pub(super) fn kind(raw: &str) -> &'static str {
    match raw.as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "list",
        Some(b'"') => "text",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}
