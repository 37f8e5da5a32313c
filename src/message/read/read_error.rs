//! Errors from reading input.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::display::debug_as_display;
use crate::message::codec::scanner::ParseError;

/// An error from input that isn't the expected JSON or couldn't be read.
///
/// The error shows the position in the input, but never its content. If the input couldn't be read,
/// the [`source`](std::error::Error::source) is the I/O error.
#[derive(Clone)]
pub struct ReadError {
    reason: Cow<'static, str>,
    path: String,
    place: Position,
    is_last: bool,
    source: Option<Arc<io::Error>>,
}

impl ReadError {
    pub(super) fn at(place: Position, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), path: String::new(), place, is_last: true, source: None }
    }

    pub(super) fn io(error: io::Error, place: Position) -> Self {
        Self {
            source: Some(Arc::new(error)),
            ..Self::at(place, "the input can't be read any further")
        }
    }

    /// Creates the error for input that can't be read after this line.
    pub(crate) fn after_line(line: usize, error: io::Error) -> Self {
        Self::io(error, Position { line, column: 1 })
    }

    /// Creates the error for a position in `text`, which begins at `start` of the input.
    pub(super) fn parse(error: &ParseError, text: &str, start: Position) -> Self {
        let before = text.as_bytes().get(..error.at).unwrap_or_default();
        Self { path: error.path(), ..Self::at(start.after(before), error.reason.to_string()) }
    }

    /// Marks an error after which reading continues.
    pub(super) fn passed_over(self) -> Self {
        Self { is_last: false, ..self }
    }

    /// Returns the reason with line and column, but without the path.
    pub(crate) fn at_its_place(&self) -> String {
        let Position { line, column } = self.place;
        format!("{} at line {line} column {column}", self.reason)
    }

    /// Returns whether reading ends with this error. A [`SlotReader`](crate::SlotReader) continues
    /// after a value that isn't a slot. It also continues after a broken line if each slot is on
    /// its own line.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// Returns the path to the error in the message, as far as it was read, such as
    /// `Slots[3].Provider`. The path is empty at the top level.
    ///
    /// The path omits keys that the model doesn't define.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the line of the error, starting at 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.place.line
    }

    /// Returns the column of the error in bytes, starting at 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.place.column
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.at_its_place())?;
        match self.path.as_str() {
            "" => Ok(()),
            path => write!(f, ", in {path}"),
        }
    }
}

debug_as_display!(ReadError);

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}

/// A line and a column, both starting at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    line: usize,
    column: usize,
}

impl Default for Position {
    fn default() -> Self {
        Self::START
    }
}

impl Position {
    pub(super) const START: Self = Self { line: 1, column: 1 };

    pub(super) fn line(self) -> usize {
        self.line
    }

    /// Returns the position after `bytes` that begin here.
    pub(super) fn after(self, bytes: &[u8]) -> Self {
        match bytes.iter().rposition(|&byte| byte == b'\n') {
            None => Self { column: self.column + bytes.len(), ..self },
            Some(last) => Self {
                line: self.line + bytes.iter().filter(|&&byte| byte == b'\n').count(),
                column: bytes.len() - last,
            },
        }
    }
}
