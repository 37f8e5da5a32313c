//! Reading any number of slots, one at a time.

use std::fmt;
use std::io;
use std::iter::FusedIterator;

use super::input_buffer::InputBuffer;
use super::read_error::ReadError;
use super::shape::{NextItem, Shape, next};
use crate::message::codec::interner::Interner;
use crate::message::codec::scanner::{ParseError, Reason, Scanner};
use crate::message::{Meta, Slot};

/// A reader that reads slots one at a time in constant memory.
///
/// The input is a list of slots, a whole message (`{"Slots": […]}`), or one slot per line. The
/// reader detects the form. It reads 64 KiB at a time, so the input doesn't need a buffer of its
/// own.
///
/// Slots are read as tolerantly as by [`PushSlots::from_json`](crate::PushSlots::from_json). Slots
/// that aren't too far apart [share](crate::Shared) equal providers, locations and reasons. The
/// reader remembers a few thousand different ones.
///
/// A slot with a missing or unreadable value is still returned. [`Slot::validate`] returns its
/// problems, and [`line`](Self::line) its position. Byte-order marks before the input and between
/// slots on lines are ignored, because concatenated files contain them.
///
/// ```
/// use pushslots::SlotReader;
///
/// let lines = br#"{"ID": "1", "DateTime": "2026-12-01T09:00:00Z", "Duration": 15}
/// {"ID": "2", "DateTime": "2026-12-01T09:15:00Z", "Duration": 15}"#;
/// let mut reader = SlotReader::new(lines.as_slice());
/// while let Some(slot) = reader.next() {
///     let slot = slot?;
///     slot.validate().unwrap_or_else(|wrong| panic!("line {}: {wrong}", reader.line()));
/// }
/// # Ok::<(), pushslots::ReadError>(())
/// ```
///
/// # Errors
///
/// Reading continues after the error for
///
/// * a value that isn't a slot
/// * a line of more than 8 MiB, if each slot is on its own line
/// * a line that isn't JSON, except the first, which may be the beginning of a message
///
/// Reading ends after the error for
///
/// * any other input that isn't JSON
/// * a slot or `Meta` of more than 8 MiB
/// * an input that fails
///
/// The error for a broken line refers to that line, even if the JSON is invalid only on a later
/// one. If the first line is longer than 8 MiB and no other line follows, a final error reports it.
/// The line may be a message.
///
/// # Blocking
///
/// Reading blocks. In async code, [`into_stream`](Self::into_stream) reads on its own thread, and
/// [`SlotStream::from_async_read`](crate::SlotStream::from_async_read) reads an async input.
///
/// A slot is returned as soon as it has arrived, unless it is longer than 64 KiB. For a longer
/// slot, each read waits until the amount of text has doubled.
pub struct SlotReader<R> {
    input: R,
    buffer: InputBuffer,
    shape: Shape,
    /// The number of values read so far, slots or not.
    count: usize,
    line: usize,
    meta: Option<Meta>,
    interner: Interner<'static>,
    /// Whether the buffered text doesn't contain another complete item.
    needs_input: bool,
    /// Whether the first line is too long. It is then unknown whether each slot is on its own line.
    begins_too_long: bool,
    /// Whether each line is read separately, until one is a complete value. Otherwise, after a
    /// broken value of many lines, every line that opens a value would be read to the end of them
    /// all.
    reads_by_line: bool,
    /// The number of bytes of broken values after the last complete one. They are read again,
    /// because only one line of each broken value is skipped.
    reread: usize,
}

/// The number of bytes of broken values that are read again before lines are read separately. Slots
/// are usually shorter.
const LONG_VALUE: usize = 16 * 1024;

/// The result of reading from an input.
pub(crate) enum ReadOutcome {
    Slot(Slot),
    End,
    /// Nothing yet, because the input would block.
    Nothing,
}

impl<R: io::Read> SlotReader<R> {
    /// Creates a reader of the slots in `input`.
    pub fn new(input: R) -> Self {
        Self {
            input,
            buffer: InputBuffer::default(),
            shape: Shape::Unknown,
            count: 0,
            line: 1,
            meta: None,
            interner: Interner::limited(),
            needs_input: false,
            begins_too_long: false,
            reads_by_line: false,
            reread: 0,
        }
    }

    /// Returns the `Meta` of the message, if the input is a message.
    ///
    /// It is available before the first slot if `Meta` precedes `Slots`, and otherwise after the
    /// last. Other keys of the message are ignored.
    #[must_use]
    pub fn meta(&self) -> Option<&Meta> {
        self.meta.as_ref()
    }

    /// Returns the line of the input on which the last value starts, slot or not. Lines start at 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// Returns the input.
    pub(crate) fn input_mut(&mut self) -> &mut R {
        &mut self.input
    }

    /// Reads the next slot.
    pub(crate) fn read_next(&mut self) -> Result<ReadOutcome, ReadError> {
        while self.shape != Shape::Done {
            if self.needs_input {
                let came = self.fill()?;
                if !came {
                    return Ok(ReadOutcome::Nothing);
                }
                self.needs_input = false;
            }
            if self.shape == Shape::BrokenLine {
                self.pass_broken_line()?;
                continue;
            }
            if matches!(self.shape, Shape::Unknown | Shape::Lines) {
                self.buffer.pass_marks();
            }
            let line = if self.shape == Shape::Lines && self.reads_by_line {
                self.buffer.whole_line()
            } else {
                None
            };
            let text = line.unwrap_or_else(|| self.buffer.unread());
            let mut scanner = Scanner::new(text);
            let next =
                next(&mut scanner, self.shape, self.count, &mut self.meta, &mut self.interner);
            let next = next.map_err(|error| match line {
                Some(line) => error.at_end_of_line(line),
                None => error,
            });
            let length = scanner.at();
            // A number at the end of the text may be incomplete.
            let may_go_on = matches!(next, Ok(NextItem::NoSlot(_))) && length == text.len();
            match next {
                Err(error) if error.reason == Reason::End && !self.buffer.ended => {
                    self.needs_input = true;
                }
                Ok(_) if may_go_on && !self.buffer.ended => self.needs_input = true,
                Err(error) if error.reason == Reason::End && self.is_at_end() => self.finish()?,
                Err(error) => return Err(self.broken(&error)),
                Ok(NextItem::Around(shape)) => {
                    self.shape = shape;
                    self.buffer.consume(length);
                }
                Ok(NextItem::Slot(slot, start)) => {
                    self.pass_value(start, length);
                    return Ok(ReadOutcome::Slot(slot));
                }
                Ok(NextItem::NoSlot(error)) => {
                    let read_error = self.buffer.parse_error(&error);
                    self.pass_value(error.at, length);
                    return Err(read_error.passed_over());
                }
            }
        }
        Ok(ReadOutcome::End)
    }

    fn pass_value(&mut self, start: usize, end: usize) {
        self.reads_by_line = false;
        self.reread = 0;
        self.buffer.consume(start);
        self.line = self.buffer.line();
        self.buffer.consume(end - start);
        self.shape = self.shape.behind_slot();
        self.count += 1;
    }

    /// Handles text that isn't JSON and returns the error. If each slot is on its own line, only
    /// this line is skipped.
    fn broken(&mut self, error: &ParseError) -> ReadError {
        if self.shape == Shape::Lines && (error.reason != Reason::End || self.buffer.is_whole()) {
            let of_line = self.error_of_line(error.at);
            let read_error = self.buffer.parse_error(of_line.as_deref().unwrap_or(error));
            self.break_line(error.at);
            return read_error.passed_over();
        }
        self.shape = Shape::Done;
        self.buffer.parse_error(error)
    }

    /// Returns the error for the first line alone, if the value is invalid only after that line.
    fn error_of_line(&mut self, at: usize) -> Option<Box<ParseError>> {
        let line = self.buffer.whole_line().filter(|line| line.len() <= at)?;
        let next = next(
            &mut Scanner::new(line),
            self.shape,
            self.count,
            &mut self.meta,
            &mut self.interner,
        );
        next.err().map(|error| error.at_end_of_line(line))
    }

    /// Skips the line that begins here, after `length` bytes of its value were read.
    fn break_line(&mut self, length: usize) {
        self.buffer.pass_space();
        self.line = self.buffer.line();
        self.shape = Shape::BrokenLine;
        self.reread = self.reread.saturating_add(length);
        self.reads_by_line |= self.reread > LONG_VALUE;
        self.count += 1;
    }

    fn pass_broken_line(&mut self) -> Result<(), ReadError> {
        if self.buffer.pass_line() {
            self.shape = Shape::Lines;
        } else if self.buffer.ended {
            self.finish()?;
        } else {
            self.needs_input = true;
        }
        Ok(())
    }

    /// Ends reading after the last line.
    fn finish(&mut self) -> Result<(), ReadError> {
        self.shape = Shape::Done;
        if !self.buffer.is_whole() {
            return Err(self.buffer.not_utf8());
        }
        if self.begins_too_long && self.count == 1 {
            return Err(self.buffer.only_a_long_line());
        }
        Ok(())
    }

    /// Returns whether the input may end here.
    fn is_at_end(&self) -> bool {
        let between = matches!(self.shape, Shape::Unknown | Shape::Lines | Shape::End);
        between && self.buffer.is_whole() && self.buffer.unread().trim().is_empty()
    }

    /// Returns whether a line that is too long begins here.
    fn is_on_long_line(&self) -> bool {
        let may_be_line = match self.shape {
            Shape::Lines => true,
            // An indented message contains line breaks.
            Shape::Unknown => !self.buffer.unread().contains('\n'),
            _ => false,
        };
        may_be_line && self.buffer.is_too_long()
    }

    fn fill(&mut self) -> Result<bool, ReadError> {
        let read = self.buffer.fill(&mut self.input);
        match read {
            Err(error) if self.is_on_long_line() => {
                self.begins_too_long = self.shape == Shape::Unknown;
                self.break_line(usize::MAX);
                self.needs_input = false;
                Err(error.passed_over())
            }
            Err(error) => {
                self.shape = Shape::Done;
                Err(error)
            }
            Ok(came) => Ok(came),
        }
    }
}

impl<R: io::Read> Iterator for SlotReader<R> {
    type Item = Result<Slot, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.read_next() {
            Ok(ReadOutcome::Slot(slot)) => Some(Ok(slot)),
            Ok(ReadOutcome::End) => None,
            Ok(ReadOutcome::Nothing) => {
                self.shape = Shape::Done;
                Some(Err(self.buffer.would_block()))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

impl<R: io::Read> FusedIterator for SlotReader<R> {}

impl<R> fmt::Debug for SlotReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotReader").field("count", &self.count).finish_non_exhaustive()
    }
}
