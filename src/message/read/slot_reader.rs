//! Reading slots one at a time, however many there are.

use std::fmt;
use std::io;
use std::iter::FusedIterator;

use super::input_buffer::InputBuffer;
use super::read_error::ReadError;
use super::scanner::{ParseError, Reason, Scanner};
use super::shape::{NextItem, Shape, next};
use crate::message::codec::interner::Interner;
use crate::message::{Meta, Slot};

/// Reads slots from an input one at a time, in constant memory.
///
/// The input holds a list of slots, a whole message (`{"Slots": […]}`), or one slot a line; which
/// of them shows by itself. It is read in pieces of 64 KiB, so that it needs no buffer of its own.
/// Each slot is read as tolerantly as [`PushSlots::from_json`](crate::PushSlots::from_json) reads
/// it, and equal providers, locations and reasons are [shared](crate::Shared) by slots that are not
/// too far apart: some thousand different ones are remembered.
///
/// The next slot follows after the error of
/// * a value that isn't a slot;
/// * a line of more than 8 MiB, if slots stand on lines;
/// * a line that isn't JSON, except the first, which may be the beginning of a message.
///
/// Nothing follows after the error of any other input that isn't JSON, of a slot of more than 8 MiB
/// in a list, and of an input that fails. If the first line is longer than 8 MiB and no other line
/// follows, the last error reports it, because the line may be a message.
///
/// Byte-order marks before the input and between slots on lines are ignored; files that were put
/// together have them. A slot with a value that can't be read, or without one that it needs, is a
/// slot: [`Slot::validate`] returns its problems, and [`line`](Self::line) its place.
///
/// The error of a broken line is about that line, even if the JSON goes wrong on a later one.
///
/// A slot comes as soon as it is there, except one of more than 64 KiB, for which as much again is
/// waited for.
///
/// Reading blocks. In an async program, [`into_stream`](Self::into_stream) reads on a thread of its
/// own, and [`SlotStream::from_async_read`](crate::SlotStream::from_async_read) reads an async
/// input.
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
pub struct SlotReader<R> {
    input: R,
    buffer: InputBuffer,
    shape: Shape,
    /// The number of values read, slots or not.
    count: usize,
    line: usize,
    meta: Option<Meta>,
    interner: Interner,
    /// Whether nothing comes of the text that is there.
    needs_input: bool,
    /// Whether the first line is too long, so that it is unknown whether slots stand on lines.
    begins_too_long: bool,
    /// Whether each line is read for itself, until one is whole. Behind a broken value that goes on
    /// over many lines, each line that opens a value would otherwise be read to the end of all of
    /// them.
    reads_by_line: bool,
    /// The number of bytes of broken values since the last whole one. They are read again, because
    /// only a line of each is lost.
    reread: usize,
}

/// How many bytes of broken values are read again until each line is read for itself: more than
/// slots usually take.
const LONG_VALUE: usize = 16 * 1024;

/// The result of reading from an input.
pub(crate) enum ReadOutcome {
    Slot(Slot),
    End,
    /// Nothing yet, because the input would have to wait.
    Nothing,
}

impl<R: io::Read> SlotReader<R> {
    /// Reads slots from `input`.
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

    /// `Meta` of the message, if the input is one.
    ///
    /// It is known before the first slot if `Meta` stands before `Slots`, and otherwise after the
    /// last. Other keys of the message are passed over.
    #[must_use]
    pub fn meta(&self) -> Option<&Meta> {
        self.meta.as_ref()
    }

    /// The line of the input on which the last value starts, slot or not, counted from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The input.
    pub(crate) fn input_mut(&mut self) -> &mut R {
        &mut self.input
    }

    /// Reads what comes next.
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
            // What has come so far of a number may not be all of it.
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

    /// The error for text that is no JSON. Where slots stand on lines, only this line is lost.
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

    /// The error of the first line alone, if the value goes wrong after that line.
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

    /// Gives up the line that begins here, with a value of which this much was read.
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

    /// Ends after all lines.
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

    /// Whether the input may end here.
    fn is_at_end(&self) -> bool {
        let between = matches!(self.shape, Shape::Unknown | Shape::Lines | Shape::End);
        between && self.buffer.is_whole() && self.buffer.unread().trim().is_empty()
    }

    /// Whether a line that is too long begins here.
    fn is_on_long_line(&self) -> bool {
        let may_be_line = match self.shape {
            Shape::Lines => true,
            // An indented message has line ends.
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
