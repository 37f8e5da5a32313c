//! The part of a source that is in memory.

use std::io::{ErrorKind, Read};

use super::json::{Reason, Stop};
use super::read_error::{Place, ReadError};

/// How much is asked of the source at a time, in bytes, and how much of a slot is gone through again for every piece of
/// it, however small, that a slow source gives.
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
    /// What the source gave last. All of it is text but for the first bytes of a character whose others have not come,
    /// which are at the start.
    buffer: Vec<u8>,
    partial: usize,
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

    /// Gets more of `source`: what it has, and of a long slot as much again as has come, so that its text is gone
    /// through only a few times.
    pub(super) fn read_on(&mut self, source: &mut impl Read) -> Result<(), ReadError> {
        // However much space there is between slots, it need not be held.
        let space = |byte: &&u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        self.passed += self.unread().as_bytes().iter().take_while(space).count();
        let held = self.unread().len();
        if held > MOST {
            return Err(ReadError::at(self.end(), "more than 8 MiB without the end of a slot"));
        }
        let passed = self.text.as_bytes().get(..self.passed).unwrap_or_default();
        self.start = self.start.after(passed);
        self.text.drain(..self.passed);
        self.passed = 0;

        let mut filled = self.partial;
        let enough = filled + if held > CHUNK { held } else { 1 };
        self.buffer.resize(self.buffer.len().max(filled + held.max(CHUNK)), 0);
        while filled < enough && !self.ended {
            let (_, free) = self.buffer.split_at_mut(filled);
            match source.read(free) {
                Ok(count) => {
                    filled += count;
                    self.ended = count == 0;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(ReadError::io(error, self.end())),
            }
        }
        self.add(filled);
        Ok(())
    }

    /// Adds what of the first `filled` bytes is text.
    fn add(&mut self, filled: usize) {
        let is_first = self.text.is_empty() && self.start == Place::START;
        let (bytes, _) = self.buffer.split_at(filled);
        let (text, may_go_on) = match std::str::from_utf8(bytes) {
            Ok(text) => (text, true),
            Err(error) => {
                let (text, _) = bytes.split_at(error.valid_up_to());
                (std::str::from_utf8(text).unwrap_or_default(), error.error_len().is_none())
            }
        };
        let length = text.len();
        self.text.push_str(if is_first { text.trim_start_matches('\u{feff}') } else { text });
        self.partial = filled - length;
        self.buffer.copy_within(length..filled, 0);
        self.spoiled = !may_go_on || (self.ended && self.partial > 0);
        self.ended |= self.spoiled;
    }
}
