//! Input that can't be read.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

use super::scanner::ParseError;
use crate::debug::debug_as_display;

/// Input that is not the JSON it should be, or that could not be got at all.
///
/// It tells where the input goes wrong and never repeats any of it. Why an input could not be got
/// is its [`source`](std::error::Error::source).
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

    /// The input can't be read any further after this line.
    pub(crate) fn after_line(line: usize, error: io::Error) -> Self {
        Self::io(error, Position { line, column: 1 })
    }

    /// The error for a place in `text`, which begins at `start` of the input.
    pub(super) fn parse(error: &ParseError, text: &str, start: Position) -> Self {
        let before = text.as_bytes().get(..error.at).unwrap_or_default();
        Self { path: error.path(), ..Self::at(start.after(before), error.reason.to_string()) }
    }

    /// The same error of an input that goes on behind it.
    pub(super) fn passed_over(self) -> Self {
        Self { is_last: false, ..self }
    }

    /// What is wrong, and the line and column, without the path.
    pub(crate) fn at_its_place(&self) -> String {
        let Position { line, column } = self.place;
        format!("{} at line {line} column {column}", self.reason)
    }

    /// Whether nothing follows in the input: a [`SlotReader`](crate::SlotReader) passes over a
    /// value that is no slot, and over a broken line where slots stand on lines.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// Where in the message the input goes wrong, as far as it was read, such as
    /// `Slots[3].Provider`; empty at the top.
    ///
    /// Keys that the model does not name are not told.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Line at which the input goes wrong, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.place.line
    }

    /// Column at which the input goes wrong, in bytes from 1.
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

/// A line and a column, both from 1.
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

    /// The place behind `bytes` that begin here.
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
