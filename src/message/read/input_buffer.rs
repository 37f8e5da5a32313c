//! The part of an input that is in memory.

use std::io::{self, ErrorKind, Read};

use super::read_error::{Position, ReadError};
use super::scanner::{ParseError, Reason};

/// How much is asked of the input at a time, in bytes, and how much of a slot is gone through again
/// for every piece of it, however small, that a slow input gives.
const CHUNK: usize = 64 * 1024;

/// The longest slot, in bytes. No message with a longer one would be worth sending: the service
/// rejects those of 10 MB.
const LONGEST: usize = 8 * 1024 * 1024;

/// Text that has come and was not passed over yet.
#[derive(Default)]
pub(super) struct InputBuffer {
    text: String,
    /// How much of `text` was passed over.
    passed: usize,
    /// How much of that is in `place`.
    counted: usize,
    /// Where in the input the text behind `counted` starts.
    place: Position,
    /// What the input gave last. All of it is text but for the first bytes of a character whose
    /// others have not come, which are at the start.
    buffer: Vec<u8>,
    partial: usize,
    /// How much of it is filled while an input that must not wait has no more for now.
    filled: usize,
    /// Whether anything has come.
    begun: bool,
    /// Whether nothing more comes.
    pub(super) ended: bool,
    /// Whether nothing more comes because what does is no text.
    spoiled: bool,
    /// Why nothing more comes, once what came before is used up.
    failure: Option<io::Error>,
}

impl InputBuffer {
    pub(super) fn unread(&self) -> &str {
        self.text.get(self.passed..).unwrap_or_default()
    }

    pub(super) fn consume(&mut self, length: usize) {
        self.passed += length;
    }

    /// Whether what is unread is more than the longest slot.
    pub(super) fn is_too_long(&self) -> bool {
        self.unread().len() > LONGEST
    }

    /// Passes over space.
    pub(super) fn pass_space(&mut self) {
        let space = |byte: &&u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        self.passed += self.unread().as_bytes().iter().take_while(space).count();
    }

    /// The line that is unread, if its end has come.
    pub(super) fn whole_line(&self) -> Option<&str> {
        let unread = self.unread();
        unread.get(..=unread.find('\n')?)
    }

    /// The error of input that isn't UTF-8 from its end on.
    pub(super) fn not_utf8(&mut self) -> ReadError {
        ReadError::at(self.end(), "the input is not UTF-8")
    }

    /// The error of an input that ends after a line that is too long.
    pub(super) fn only_a_long_line(&mut self) -> ReadError {
        ReadError::at(
            self.end(),
            "the input ends after one line of more than 8 MiB, without slots before that length",
        )
    }

    /// Passes over byte-order marks and space, such as stand between files that were put together.
    pub(super) fn pass_marks(&mut self) {
        self.pass_space();
        while self.unread().starts_with('\u{feff}') {
            self.consume('\u{feff}'.len_utf8());
            self.pass_space();
        }
    }

    /// Passes over the rest of the line, its end included; whether it has come.
    pub(super) fn pass_line(&mut self) -> bool {
        let end = self.unread().find('\n');
        self.passed += end.map_or(self.unread().len(), |end| end + 1);
        end.is_some()
    }

    /// The line of what is unread.
    pub(super) fn line(&mut self) -> usize {
        self.count();
        self.place.line()
    }

    /// Whether what has come is all text.
    pub(super) fn is_whole(&self) -> bool {
        !self.spoiled
    }

    /// The error for a place in what is unread.
    pub(super) fn parse_error(&mut self, error: &ParseError) -> ReadError {
        if self.spoiled && error.reason == Reason::End {
            return self.not_utf8();
        }
        self.count();
        ReadError::parse(error, self.unread(), self.place)
    }

    /// Counts what was passed over, each byte once.
    fn count(&mut self) {
        let passed = self.text.as_bytes().get(self.counted..self.passed).unwrap_or_default();
        self.place = self.place.after(passed);
        self.counted = self.passed;
    }

    /// The place behind all that has come.
    fn end(&mut self) -> Position {
        self.count();
        self.place.after(self.unread().as_bytes())
    }

    /// Gets more of `input`: what it has, and of a long slot as much again as has come, so that its
    /// text is gone through only a few times. Returns whether that came, or the input would have to
    /// wait for it.
    pub(super) fn fill(&mut self, input: &mut impl Read) -> Result<bool, ReadError> {
        // However much space there is between slots, it need not be held.
        self.pass_space();
        self.count();
        self.text.drain(..self.passed);
        self.passed = 0;
        self.counted = 0;

        let held = self.text.len();
        if self.is_too_long() {
            return Err(ReadError::at(self.end(), "more than 8 MiB without the end of a slot"));
        }
        let before = self.partial;
        let enough = before + if held > CHUNK { held } else { 1 };
        // What is asked for is the same however it comes in, so that what is too long is, too.
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

    /// The error of an input that would have to wait.
    pub(super) fn would_block(&mut self) -> ReadError {
        ReadError::io(ErrorKind::WouldBlock.into(), self.end())
    }

    /// Adds what of the first `filled` bytes is text.
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
