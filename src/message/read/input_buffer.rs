//! The part of the input that is in memory.

use std::io::{self, ErrorKind, Read};

use super::read_error::{Position, ReadError};
use crate::message::codec::scanner::{ParseError, Reason};

/// The number of bytes requested from the input at a time. Up to this length, a slot is scanned
/// again for every piece that a slow input delivers, however small.
const CHUNK: usize = 64 * 1024;

/// The maximum length of a slot in bytes. A longer slot isn't worth sending, because the service
/// rejects messages of 10 MB.
const LONGEST: usize = 8 * 1024 * 1024;

/// Input text that was read but not consumed yet.
#[derive(Default)]
pub(super) struct InputBuffer {
    text: String,
    /// The number of bytes of `text` that were consumed.
    passed: usize,
    /// The number of consumed bytes that `place` includes; at most `passed`.
    counted: usize,
    /// The position in the input of the text after `counted`.
    place: Position,
    /// The bytes that were read last. They are already in `text`, except the first `partial` ones:
    /// an incomplete character.
    buffer: Vec<u8>,
    partial: usize,
    /// The number of bytes in `buffer` when a nonblocking input ran out of data; otherwise 0.
    filled: usize,
    /// Whether any text was read.
    begun: bool,
    /// Whether no more text follows.
    pub(super) ended: bool,
    /// Whether no more text follows because the input isn't valid UTF-8.
    spoiled: bool,
    /// The I/O error that ended the input, reported after the data before it.
    failure: Option<io::Error>,
}

impl InputBuffer {
    pub(super) fn unread(&self) -> &str {
        self.text.get(self.passed..).unwrap_or_default()
    }

    pub(super) fn consume(&mut self, length: usize) {
        self.passed += length;
    }

    /// Returns whether the unread text exceeds the maximum length of a slot.
    pub(super) fn is_too_long(&self) -> bool {
        self.unread().len() > LONGEST
    }

    /// Consumes whitespace.
    pub(super) fn pass_space(&mut self) {
        let space = |byte: &&u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        self.passed += self.unread().as_bytes().iter().take_while(space).count();
    }

    /// Returns the first unread line with its end, if the end was read.
    pub(super) fn whole_line(&self) -> Option<&str> {
        let unread = self.unread();
        unread.get(..=unread.find('\n')?)
    }

    /// Returns the error for input that isn't UTF-8 after the text read so far.
    pub(super) fn not_utf8(&mut self) -> ReadError {
        ReadError::at(self.end(), "the input isn't UTF-8")
    }

    /// Returns the error for an input that ends after a line that is too long.
    pub(super) fn only_a_long_line(&mut self) -> ReadError {
        ReadError::at(
            self.end(),
            "the input ends after one line of more than 8 MiB, without slots before that length",
        )
    }

    /// Consumes byte-order marks and whitespace, which occur between concatenated files.
    pub(super) fn pass_marks(&mut self) {
        self.pass_space();
        while self.unread().starts_with('\u{feff}') {
            self.consume('\u{feff}'.len_utf8());
            self.pass_space();
        }
    }

    /// Consumes the rest of the line and its end. Returns whether the end was read.
    pub(super) fn pass_line(&mut self) -> bool {
        let end = self.unread().find('\n');
        self.passed += end.map_or(self.unread().len(), |end| end + 1);
        end.is_some()
    }

    /// Returns the line number of the unread text, starting at 1.
    pub(super) fn line(&mut self) -> usize {
        self.count();
        self.place.line()
    }

    /// Returns whether the input read so far is valid UTF-8.
    pub(super) fn is_whole(&self) -> bool {
        !self.spoiled
    }

    /// Returns the error for a position in the unread text.
    pub(super) fn parse_error(&mut self, error: &ParseError) -> ReadError {
        if self.spoiled && error.reason == Reason::End {
            return self.not_utf8();
        }
        self.count();
        ReadError::parse(error, self.unread(), self.place)
    }

    /// Updates `place` for the consumed text, counting each byte once.
    fn count(&mut self) {
        let passed = self.text.as_bytes().get(self.counted..self.passed).unwrap_or_default();
        self.place = self.place.after(passed);
        self.counted = self.passed;
    }

    /// Returns the position after all text read so far.
    fn end(&mut self) -> Position {
        self.count();
        self.place.after(self.unread().as_bytes())
    }

    /// Reads more of `input`. If more than [`CHUNK`] bytes of a slot are held, reads as much again,
    /// so that its text is scanned only a few times. Returns `false` if the input would block.
    pub(super) fn fill(&mut self, input: &mut impl Read) -> Result<bool, ReadError> {
        // Whitespace between slots isn't held, however long it is.
        self.pass_space();
        self.count();
        self.text.drain(..self.passed);
        self.passed = 0;
        self.counted = 0;

        let held = self.text.len();
        if self.is_too_long() {
            return Err(ReadError::at(self.end(), "a slot or `Meta` of more than 8 MiB"));
        }
        let before = self.partial;
        let enough = before + if held > CHUNK { held } else { 1 };
        // The requested amount doesn't depend on the size of the pieces. Neither does the result
        // for a long slot.
        let most = before + held.max(CHUNK).min(LONGEST + 1 - held);
        self.buffer.resize(self.buffer.len().max(most), 0);
        let mut filled = self.filled.max(before);
        while filled < enough.min(most) && !self.ended && self.failure.is_none() {
            let free = self.buffer.get_mut(filled..most).unwrap_or_default();
            match input.read(free) {
                Ok(count) => {
                    filled += count.min(free.len());
                    self.ended = count == 0;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.filled = filled;
                    return Ok(false);
                }
                Err(error) => self.failure = Some(error),
            }
        }
        self.filled = 0;
        match self.failure.take_if(|_| filled == before) {
            Some(error) => Err(ReadError::io(error, self.end())),
            None => {
                self.add(filled);
                Ok(true)
            }
        }
    }

    /// Returns the error for an input that would block.
    pub(super) fn would_block(&mut self) -> ReadError {
        ReadError::io(ErrorKind::WouldBlock.into(), self.end())
    }

    /// Moves the valid UTF-8 at the start of the first `filled` bytes to `text`.
    fn add(&mut self, filled: usize) {
        let bytes = self.buffer.get(..filled).unwrap_or_default();
        let (text, may_go_on) = match std::str::from_utf8(bytes) {
            Ok(text) => (text, true),
            Err(error) => {
                let (text, _) = bytes.split_at(error.valid_up_to());
                (std::str::from_utf8(text).unwrap_or_default(), error.error_len().is_none())
            }
        };
        let length = text.len();
        let text = if self.begun { text } else { text.strip_prefix('\u{feff}').unwrap_or(text) };
        self.begun |= length > 0;
        self.text.push_str(text);
        self.partial = filled - length;
        self.buffer.copy_within(length..filled, 0);
        self.spoiled = !may_go_on || (self.ended && self.partial > 0);
        self.ended |= self.spoiled;
    }
}
