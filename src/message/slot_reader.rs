//! Reading slots one at a time, however many there are.

use std::fmt;
use std::io;
use std::iter::FusedIterator;

use super::json::{Reason, Result as Parsed, Step, Stop};
use super::pool::Pools;
use super::read_error::ReadError;
use super::reader::{Read, Reader};
use super::record::{Field, Value};
use super::window::Window;
use super::{Meta, Slot};

/// Reads slots from an input one at a time, in constant memory.
///
/// The input holds a list of slots, a whole message (`{"Slots": […]}`), or one slot a line; which of them shows by
/// itself. It is read in pieces of 64 KiB, so that it needs no buffer of its own. Each slot is read as tolerantly as
/// [`PushSlots::from_json`](crate::PushSlots::from_json) reads it, and equal providers, locations and reasons are
/// [shared](crate::Shared) by slots that are not too far apart: some thousand different ones are remembered.
///
/// A value that is no slot is an error, after which the next slot follows; so is a line that is no JSON, where slots
/// stand on lines, unless it is the first. When the input fails or is otherwise no JSON, and where a slot is longer
/// than 8 MiB, nothing follows the error. A slot with a value that can't be read, or without one that it needs, is a
/// slot: [`Slot::validate`] says what is wrong with it, and [`line`](Self::line) where it stands.
///
/// A slot comes as soon as it is there, except one of more than 64 KiB, for which as much again is waited for.
///
/// Reading blocks. In an async program, [`into_stream`](Self::into_stream) reads on a thread of its own, and
/// [`SlotStream::from_async_read`](crate::SlotStream::from_async_read) reads an async input.
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
    window: Window,
    shape: Shape,
    /// The number of values read, slots or not.
    count: usize,
    line: usize,
    meta: Option<Meta>,
    pools: Pools,
    /// Whether nothing comes of the text that is there.
    needs_input: bool,
}

/// The result of reading from an input.
pub(crate) enum Came {
    Slot(Slot),
    End,
    /// Nothing yet, because the input would have to wait.
    Nothing,
}

/// What is known of the input's shape, and where in it the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Unknown,
    /// In the list of slots, which is the input itself.
    List,
    /// Before a slot of that list.
    ListSlot,
    /// In the list of slots of a message.
    Message,
    /// Before a slot of that list.
    MessageSlot,
    /// Behind the list of slots of a message.
    MessageEnd,
    /// Between slots that follow one another.
    Lines,
    /// On a line that is no JSON.
    BrokenLine,
    /// Behind all slots.
    End,
    /// Nothing more is read.
    Done,
}

impl Shape {
    fn behind_slot(self) -> Self {
        match self {
            Self::ListSlot => Self::List,
            Self::MessageSlot => Self::Message,
            other => other,
        }
    }
}

/// What came next in the input.
enum Next {
    /// A slot that starts at this offset.
    Slot(Slot, usize),
    /// A value that is none.
    NoSlot(Box<Stop>),
    /// Something around slots; the input goes on in this shape.
    Around(Shape),
}

impl<R: io::Read> SlotReader<R> {
    /// Reads slots from `input`.
    pub fn new(input: R) -> Self {
        Self {
            input,
            window: Window::default(),
            shape: Shape::Unknown,
            count: 0,
            line: 1,
            meta: None,
            pools: Pools::limited(),
            needs_input: false,
        }
    }

    /// What the message says of itself, where the input is one: known before the first slot if `Meta` stands before
    /// `Slots`, and else after the last.
    ///
    /// Other keys of the message are passed over.
    #[must_use]
    pub fn meta(&self) -> Option<&Meta> {
        self.meta.as_ref()
    }

    /// Line of the input on which the last value starts, slot or not, from 1: where to look for what
    /// [`Slot::validate`] says of it.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The input.
    pub(crate) fn input_mut(&mut self) -> &mut R {
        &mut self.input
    }

    /// Reads what comes next.
    pub(crate) fn read_next(&mut self) -> Result<Came, ReadError> {
        while self.shape != Shape::Done {
            if self.needs_input {
                let came = self.read_on()?;
                if !came {
                    return Ok(Came::Nothing);
                }
                self.needs_input = false;
            }
            if self.shape == Shape::BrokenLine {
                self.pass_broken_line();
                continue;
            }
            let mut reader = Reader::new(self.window.unread(), &mut self.pools);
            let next = next(&mut reader, self.shape, self.count, &mut self.meta);
            let length = reader.cursor.at();
            // What has come so far of a number may not be all of it.
            let may_go_on = matches!(next, Ok(Next::NoSlot(_))) && length == self.window.unread().len();
            match next {
                Err(stop) if stop.reason == Reason::End && !self.window.ended => self.needs_input = true,
                Ok(_) if may_go_on && !self.window.ended => self.needs_input = true,
                Err(stop) if stop.reason == Reason::End && self.is_at_end() => self.shape = Shape::Done,
                Err(stop) => return Err(self.broken(&stop)),
                Ok(Next::Around(shape)) => {
                    self.shape = shape;
                    self.window.pass(length);
                }
                Ok(Next::Slot(slot, start)) => {
                    self.pass_value(start, length);
                    return Ok(Came::Slot(slot));
                }
                Ok(Next::NoSlot(stop)) => {
                    let error = self.window.stopped(&stop);
                    self.pass_value(stop.at, length);
                    return Err(error.passed_over());
                }
            }
        }
        Ok(Came::End)
    }

    fn pass_value(&mut self, start: usize, end: usize) {
        self.window.pass(start);
        self.line = self.window.line();
        self.window.pass(end - start);
        self.shape = self.shape.behind_slot();
        self.count += 1;
    }

    /// The error for text that is no JSON. Where slots stand on lines, only this line is lost.
    fn broken(&mut self, stop: &Stop) -> ReadError {
        let error = self.window.stopped(stop);
        if self.shape == Shape::Lines && (stop.reason != Reason::End || self.window.is_whole()) {
            self.window.pass_space();
            self.line = self.window.line();
            self.shape = Shape::BrokenLine;
            self.count += 1;
            return error.passed_over();
        }
        self.shape = Shape::Done;
        error
    }

    fn pass_broken_line(&mut self) {
        if self.window.pass_line() {
            self.shape = Shape::Lines;
        } else if self.window.ended {
            self.shape = Shape::Done;
        } else {
            self.needs_input = true;
        }
    }

    /// Whether the input may end here.
    fn is_at_end(&self) -> bool {
        let between = matches!(self.shape, Shape::Unknown | Shape::Lines | Shape::End);
        between && self.window.is_whole() && self.window.unread().trim().is_empty()
    }

    fn read_on(&mut self) -> Result<bool, ReadError> {
        let read = self.window.read_on(&mut self.input);
        if read.is_err() {
            self.shape = Shape::Done;
        }
        read
    }
}

impl<R: io::Read> Iterator for SlotReader<R> {
    type Item = Result<Slot, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.read_next() {
            Ok(Came::Slot(slot)) => Some(Ok(slot)),
            Ok(Came::End) => None,
            Ok(Came::Nothing) => {
                self.shape = Shape::Done;
                Some(Err(self.window.would_block()))
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

/// Moves over what comes next. Where the text ends too early nothing has changed, and it is read again when more of
/// it is there.
fn next(reader: &mut Reader<'_, '_>, shape: Shape, count: usize, meta: &mut Option<Meta>) -> Parsed<Next> {
    match shape {
        Shape::Unknown => begin(reader, meta),
        Shape::List | Shape::Message => {
            let more = reader.cursor.element(count == 0).map_err(in_slots)?;
            Ok(Next::Around(match (shape, more) {
                (Shape::List, true) => Shape::ListSlot,
                (Shape::List, false) => Shape::End,
                (_, true) => Shape::MessageSlot,
                (_, false) => Shape::MessageEnd,
            }))
        }
        Shape::MessageEnd => match members(reader, false)? {
            (Some((_, start)), _) => Err(in_slots(Stop::value(start, "given more than once"))),
            (None, metas) => keep(metas, meta).map(|()| Next::Around(Shape::End)),
        },
        Shape::ListSlot | Shape::MessageSlot | Shape::Lines => slot(reader, count),
        Shape::End | Shape::BrokenLine | Shape::Done => {
            reader.cursor.peek()?;
            reader.cursor.end().map(|()| Next::Around(Shape::Done))
        }
    }
}

/// Finds out what the input holds.
fn begin(reader: &mut Reader<'_, '_>, meta: &mut Option<Meta>) -> Parsed<Next> {
    if reader.cursor.take(b'[')? {
        return Ok(Next::Around(Shape::List));
    }
    let start = reader.cursor.at();
    if !reader.cursor.take(b'{')? {
        return Ok(Next::Around(Shape::Lines));
    }
    let (slots, metas) = members(reader, true)?;
    let Some((slots, _)) = slots else {
        // A slot, whatever it has under a key of that name.
        reader.cursor.back_to(start);
        return Ok(Next::Around(Shape::Lines));
    };
    keep(metas, meta)?;
    Ok(Next::Around(match slots {
        Slots::List => Shape::Message,
        Slots::Null => Shape::MessageEnd,
    }))
}

/// What stands under `Slots`.
enum Slots {
    List,
    Null,
}

/// What stands under `Meta` and where it starts, each time that it is given; `None` where it is no object.
type Metas = Vec<(usize, Option<Option<Meta>>)>;

/// Keeps what the message says of itself, if it says it once.
fn keep(metas: Metas, meta: &mut Option<Meta>) -> Parsed<()> {
    for (start, read) in metas {
        let wrong = |reason| Stop::value(start, reason).under(Step::Key("Meta"));
        if meta.is_some() {
            return Err(wrong("given more than once"));
        }
        *meta = read.ok_or_else(|| wrong("expected an object"))?;
        if let Some(meta) = meta {
            meta.name_event();
        }
    }
    Ok(())
}

/// Moves over the members of a message up to its slots, into the list, which starts at the offset given; no slots
/// behind the end of the message.
fn members(reader: &mut Reader<'_, '_>, mut first: bool) -> Parsed<(Option<(Slots, usize)>, Metas)> {
    let mut metas = Metas::new();
    while let Some(key) = reader.cursor.member(first)? {
        first = false;
        match &*key.name() {
            "Slots" => return Ok((Some(slots(reader).map_err(in_slots)?), metas)),
            "Meta" => {
                let under = |stop: Box<Stop>| stop.under(Step::Key("Meta"));
                reader.cursor.peek().map_err(under)?;
                metas.push((reader.cursor.at(), Field::read(reader).map_err(under)?));
            }
            _ => {
                reader.cursor.skip()?;
            }
        }
    }
    Ok((None, metas))
}

/// Moves into the list of slots, and tells where it starts.
fn slots(reader: &mut Reader<'_, '_>) -> Parsed<(Slots, usize)> {
    reader.cursor.peek()?;
    let start = reader.cursor.at();
    if reader.cursor.take(b'[')? {
        return Ok((Slots::List, start));
    }
    if reader.cursor.skip()? == "null" {
        return Ok((Slots::Null, start));
    }
    // What has come so far of a number may not be all of it.
    reader.cursor.peek()?;
    Err(Stop::value(start, "expected a list"))
}

fn slot(reader: &mut Reader<'_, '_>, count: usize) -> Parsed<Next> {
    let in_slot = |stop: Box<Stop>| in_slots(stop.under(Step::Index(count)));
    reader.cursor.peek()?;
    let start = reader.cursor.at();
    let empty = Slot::EMPTY_ELEMENT.map(|empty| empty());
    Ok(match (Slot::read(reader).map_err(in_slot)?, empty) {
        (Read::Value(slot), _) | (Read::Nothing, Some(slot)) => Next::Slot(slot, start),
        _ => Next::NoSlot(in_slot(Stop::value(start, "expected an object"))),
    })
}

fn in_slots(stop: Box<Stop>) -> Box<Stop> {
    stop.under(Step::Key("Slots"))
}
