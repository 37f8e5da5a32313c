//! The shape of an input with slots: a list, a message, or one slot per line.

use super::message::read_slot;
use crate::message::codec::field::Field;
use crate::message::codec::interner::Interner;
use crate::message::codec::path::PathSegment;
use crate::message::codec::scanner::{ParseError, Parsed, Scanner};
use crate::message::{Meta, Slot};

/// The shape of the input, as far as known, and the reader's place in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Unknown,
    /// In the list of slots that is the whole input.
    List,
    /// Before a slot of that list.
    ListSlot,
    /// In the list of slots of a message.
    Message,
    /// Before a slot of that list.
    MessageSlot,
    /// After the list of slots of a message.
    MessageEnd,
    /// Between slots that follow each other without a list.
    Lines,
    /// On a line that isn't JSON.
    BrokenLine,
    /// After all slots.
    End,
    /// At the end; nothing more is read.
    Done,
}

impl Shape {
    pub(super) fn behind_slot(self) -> Self {
        match self {
            Self::ListSlot => Self::List,
            Self::MessageSlot => Self::Message,
            other => other,
        }
    }
}

/// The next item in the input.
pub(super) enum NextItem {
    /// A slot, and the offset in bytes at which it starts.
    Slot(Slot, usize),
    /// A value that isn't a slot.
    NoSlot(Box<ParseError>),
    /// JSON around the slots. The input continues in this shape.
    Around(Shape),
}

/// Consumes the next item. If the text ends too early, nothing changes. The item is then read again
/// when more text is available.
pub(super) fn next(
    scanner: &mut Scanner<'_>,
    shape: Shape,
    count: usize,
    meta: &mut Option<Meta>,
    interner: &mut Interner<'_>,
) -> Parsed<NextItem> {
    match shape {
        Shape::Unknown => begin(scanner, meta, interner),
        Shape::List | Shape::Message => {
            let has_more = scanner.element(count == 0).map_err(in_slots)?;
            Ok(NextItem::Around(match (shape, has_more) {
                (Shape::List, true) => Shape::ListSlot,
                (Shape::List, false) => Shape::End,
                (_, true) => Shape::MessageSlot,
                (_, false) => Shape::MessageEnd,
            }))
        }
        Shape::MessageEnd => match members(scanner, false, interner)? {
            (Some((_, start)), _) => {
                Err(in_slots(ParseError::value(start, "given more than once")))
            }
            (None, metas) => keep(metas, meta).map(|()| NextItem::Around(Shape::End)),
        },
        Shape::ListSlot | Shape::MessageSlot | Shape::Lines => slot(scanner, count, interner),
        Shape::End | Shape::BrokenLine | Shape::Done => {
            scanner.peek()?;
            scanner.end().map(|()| NextItem::Around(Shape::Done))
        }
    }
}

/// Detects the shape of the input.
fn begin(
    scanner: &mut Scanner<'_>,
    meta: &mut Option<Meta>,
    interner: &mut Interner<'_>,
) -> Parsed<NextItem> {
    if scanner.take(b'[')? {
        return Ok(NextItem::Around(Shape::List));
    }
    let start = scanner.at();
    if !scanner.take(b'{')? {
        return Ok(NextItem::Around(Shape::Lines));
    }
    let (slots, metas) = members(scanner, true, interner)?;
    let Some((slots, _)) = slots else {
        // An object without `Slots` is a slot, even if it has a `Meta` member.
        scanner.back_to(start);
        return Ok(NextItem::Around(Shape::Lines));
    };
    keep(metas, meta)?;
    Ok(NextItem::Around(match slots {
        Slots::List => Shape::Message,
        Slots::Null => Shape::MessageEnd,
    }))
}

/// The type of the value of `Slots`.
enum Slots {
    List,
    Null,
}

/// The values of `Meta` with their offsets; `None` for a value that isn't an object.
type Metas = Vec<(usize, Option<Option<Meta>>)>;

/// Stores the `Meta` of the message, if there is one.
fn keep(metas: Metas, meta: &mut Option<Meta>) -> Parsed<()> {
    for (start, read) in metas {
        let wrong = |reason| ParseError::value(start, reason).under(PathSegment::Key("Meta"));
        if meta.is_some() {
            return Err(wrong("given more than once"));
        }
        *meta = read.ok_or_else(|| wrong("expected an object"))?;
    }
    Ok(())
}

/// Consumes the members of a message up to and into its list of slots. Returns the slots with their
/// offset, or `None` after the end of the message, and the values of `Meta`.
fn members(
    scanner: &mut Scanner<'_>,
    mut is_first: bool,
    interner: &mut Interner<'_>,
) -> Parsed<(Option<(Slots, usize)>, Metas)> {
    let mut metas = Metas::new();
    while let Some(key) = scanner.member(is_first)? {
        is_first = false;
        match &*key.name() {
            "Slots" => return Ok((Some(slots(scanner).map_err(in_slots)?), metas)),
            "Meta" => {
                let error = |error: Box<ParseError>| error.under(PathSegment::Key("Meta"));
                scanner.peek().map_err(error)?;
                let start = scanner.at();
                let raw = scanner.located(<Option<Meta> as Field>::locate).map_err(error)?;
                metas.push((start, Field::read(raw, interner)));
            }
            _ => {
                scanner.raw()?;
            }
        }
    }
    Ok((None, metas))
}

/// Moves into the list of slots and returns its offset.
fn slots(scanner: &mut Scanner<'_>) -> Parsed<(Slots, usize)> {
    scanner.peek()?;
    let start = scanner.at();
    if scanner.take(b'[')? {
        return Ok((Slots::List, start));
    }
    if scanner.raw()? == "null" {
        return Ok((Slots::Null, start));
    }
    // A number at the end of the text may be incomplete.
    scanner.peek()?;
    Err(ParseError::value(start, "expected a list"))
}

fn slot(scanner: &mut Scanner<'_>, count: usize, interner: &mut Interner<'_>) -> Parsed<NextItem> {
    scanner.peek()?;
    let start = scanner.at();
    Ok(match read_slot(scanner, count, interner).map_err(in_slots)? {
        Some(slot) => NextItem::Slot(slot, start),
        None => {
            let error =
                ParseError::value(start, "expected an object").under(PathSegment::Index(count));
            NextItem::NoSlot(in_slots(error))
        }
    })
}

fn in_slots(error: Box<ParseError>) -> Box<ParseError> {
    error.under(PathSegment::Key("Slots"))
}
