//! The part of a source that is in memory.

use std::io::{ErrorKind, Read};

use super::json::{Reason, Stop};
use super::read_error::{Place, ReadError};

/// How much is asked of the source at a time, in bytes.
const CHUNK: usize = 64 * 1024;

/// The most that is held of a source, in bytes, before it gives something to pass over.
const MOST: usize = 8 * 1024 * 1024;

/// Text that has come and was not passed over yet.
#[derive(Default)]
pub(super) struct Input {
    text: String,
    /// How much of `text` was passed over.
    passed: usize,
    /// Where `text` starts.
    start: Place,
    /// The first bytes of a character whose others have not come.
    partial: Vec<u8>,
    /// Whether nothing more comes.
    pub(super) ended: bool,
    /// Whether nothing more comes because what does is no text.
    spoiled: bool,
}

impl Input {
    pub(super) fn unread(&self) -> &str {
        self.text.get(self.passed..).unwrap_or_default()
    }

    pub(super) fn pass(&mut self, length: usize) {
        self.passed += length;
    }

    /// Whether what has come is all text.
    pub(super) fn is_whole(&self) -> bool {
        !self.spoiled
    }

    /// The error for a stop in what is unread.
    pub(super) fn stopped(&self, stop: &Stop) -> ReadError {
        if self.spoiled && stop.reason == Reason::End {
            return ReadError::at(self.end(), "the input is not UTF-8");
        }
        let passed = self.text.as_bytes().get(..self.passed).unwrap_or_default();
        ReadError::stopped(stop, self.unread(), self.start.after(passed))
    }

    fn end(&self) -> Place {
        self.start.after(self.text.as_bytes())
    }

    /// Gets more of `source`, at least as much as is unread: however long a slot is, its text is gone through
    /// only a few times.
    pub(super) fn read_on(&mut self, source: &mut impl Read) -> Result<(), ReadError> {
        // However much space there is between slots, it need not be held.
        let space = |byte: &&u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        self.passed += self.unread().as_bytes().iter().take_while(space).count();
        if self.unread().len() > MOST {
            return Err(ReadError::at(self.end(), "more than 8 MiB without the end of a slot"));
        }
        let passed = self.text.as_bytes().get(..self.passed).unwrap_or_default();
        self.start = self.start.after(passed);
        self.text.drain(..self.passed);
        self.passed = 0;

        let mut bytes = std::mem::take(&mut self.partial);
        let begun = bytes.len();
        bytes.resize(begun + CHUNK.max(self.text.len()), 0);
        let (_, free) = bytes.split_at_mut(begun);
        let count = loop {
            match source.read(free) {
                Ok(count) => break count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(ReadError::io(error, self.end())),
            }
        };
        bytes.truncate(begun + count);
        self.add(bytes, count == 0);
        Ok(())
    }

    /// Adds what of `bytes` is text.
    fn add(&mut self, mut bytes: Vec<u8>, ended: bool) {
        let is_first = self.text.is_empty() && self.start == Place::START;
        let (text, is_partial) = match std::str::from_utf8(&bytes) {
            Ok(text) => (text, true),
            Err(error) => {
                let (text, _) = bytes.split_at(error.valid_up_to());
                (std::str::from_utf8(text).unwrap_or_default(), error.error_len().is_none())
            }
        };
        let length = text.len();
        self.text.push_str(if is_first { text.trim_start_matches('\u{feff}') } else { text });
        let rest = bytes.split_off(length);
        self.spoiled = !is_partial || (ended && !rest.is_empty());
        self.ended = ended || self.spoiled;
        self.partial = rest;
    }
}
