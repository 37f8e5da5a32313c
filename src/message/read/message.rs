//! Reading a whole message from JSON.

use serde::{Deserialize, Deserializer};

use super::read_error::{Position, ReadError};
use crate::message::codec::extras::{Extras, Given};
use crate::message::codec::field::Field;
use crate::message::codec::interner::Interner;
use crate::message::codec::list;
use crate::message::codec::path::PathSegment;
use crate::message::codec::raw::Object;
use crate::message::codec::scanner::{ParseError, Parsed, Scanner};
use crate::message::codec::transcode::{Json, wrong_type};
use crate::message::codec::value::{Read, Value};
use crate::message::{List, Meta, PushSlots, Slot, UnreadReason};

impl PushSlots {
    /// Reads a message from JSON and ignores byte-order marks before it.
    ///
    /// Reading is tolerant; see [Reading and writing](Self#reading-and-writing).
    /// [`validate`](Self::validate) reports the problems of the message, and the client validates
    /// it again before sending. Equal providers, locations and reasons are [shared](crate::Shared).
    /// To read more slots than fit in memory, use [`SlotReader`](crate::SlotReader).
    ///
    /// ```
    /// use pushslots::PushSlots;
    ///
    /// let odd = br#"{"Slots": [{"DateTime": "2016-08-01 14:00:00Z", "Duration": "30", "Provider": {}}]}"#;
    /// let message = PushSlots::from_json(odd)?;
    /// assert_eq!(message.slots()[0].duration, Some(30.into()));
    ///
    /// let wrong = PushSlots::from_json(br#"{"Slots": [{"Duration": "soon"}]}"#)?;
    /// let problems: Vec<_> = wrong.validate().unwrap_err().problems().iter().map(|p| p.path().to_owned()).collect();
    /// assert_eq!(problems, ["Slots[0].Duration", "Slots[0].DateTime"]);
    ///
    /// let cut = PushSlots::from_json(br#"{"Slots": [{"Duration": "#).unwrap_err();
    /// assert_eq!((cut.path(), cut.line(), cut.column()), ("Slots[0].Duration", 1, 25));
    /// # Ok::<(), pushslots::ReadError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error with path, line and column if the input isn't UTF-8, isn't JSON, or isn't a
    /// JSON object.
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<Self, ReadError> {
        let bytes = json.as_ref();
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let (before, _) = bytes.split_at(error.valid_up_to());
            ReadError::at(Position::START.after(before), "the input isn't UTF-8")
        })?;
        // Whitespace (RFC 8259, section 2), and the byte-order marks of concatenated files.
        let json = text.trim_start_matches([' ', '\t', '\n', '\r', '\u{feff}']);
        let (before, _) = bytes.split_at(bytes.len() - json.len());
        let start = Position::START.after(before);
        if json.is_empty() {
            return Err(ReadError::at(start, "the input is empty"));
        }
        read(&mut Scanner::new(json)).map_err(|error| ReadError::parse(&error, json, start))
    }
}

fn read(scanner: &mut Scanner<'_>) -> Parsed<PushSlots> {
    if !scanner.take(b'{')? {
        let start = scanner.at();
        scanner.raw()?;
        scanner.end()?;
        return Err(ParseError::value(start, "the input is JSON, but not an object"));
    }
    let mut interner = Interner::of(scanner.text());
    let mut meta = Given::default();
    let mut extensions = Given::default();
    let mut extras = Extras::default();
    // The slots are read in place. They are read again only if the key is repeated.
    let mut slots = List::new();
    let mut all_slots = Given::default();
    let mut is_first = true;
    while let Some(key) = scanner.member(is_first)? {
        is_first = false;
        match &*key.name() {
            "Meta" => {
                let error = |error: Box<ParseError>| error.under(PathSegment::Key("Meta"));
                meta.add(scanner.located(<Option<Meta> as Field>::locate).map_err(error)?);
            }
            "Slots" => {
                let error = |error: Box<ParseError>| error.under(PathSegment::Key("Slots"));
                scanner.peek().map_err(error)?;
                let start = scanner.at();
                slots = read_slots(scanner, &mut interner).map_err(error)?;
                all_slots.add(scanner.since(start));
            }
            "Extensions" => {
                let error = |error: Box<ParseError>| error.under(PathSegment::Key("Extensions"));
                extensions.add(scanner.raw().map_err(error)?);
            }
            _ => extras.add(key, scanner.raw()?),
        }
    }
    scanner.end()?;
    if all_slots.is_repeated() {
        slots = extras.field("Slots", all_slots, &mut interner);
    }
    // A `Meta` that can't be read stays in the extras, and validation reports it.
    let meta: Option<Meta> = extras.field("Meta", meta, &mut interner);
    extras.finish(extensions, &mut interner);
    let meta = meta.unwrap_or_default();
    Ok(PushSlots { meta, slots, extras })
}

/// Reads a list of slots one by one.
fn read_slots(scanner: &mut Scanner<'_>, interner: &mut Interner<'_>) -> Parsed<List<Slot>> {
    let start = scanner.at();
    let not_read = |raw: &str| list::not_read(raw, UnreadReason::WrongType);
    if !scanner.take(b'[')? {
        let raw = scanner.raw()?;
        return Ok(if raw == "null" { List::new() } else { not_read(raw) });
    }
    let mut slots = Vec::new();
    let mut is_list_of_slots = true;
    let mut index = 0;
    while scanner.element(index == 0)? {
        match read_slot(scanner, index, interner)? {
            Some(slot) => slots.push(slot),
            None => is_list_of_slots = false,
        }
        index += 1;
    }
    slots.shrink_to_fit();
    Ok(if is_list_of_slots { slots.into() } else { not_read(scanner.since(start)) })
}

/// Reads one slot. Returns `None` for JSON that isn't a slot. The path of an error starts with
/// `index`.
pub(super) fn read_slot(
    scanner: &mut Scanner<'_>,
    index: usize,
    interner: &mut Interner<'_>,
) -> Parsed<Option<Slot>> {
    scanner.peek()?;
    let start = scanner.at();
    let read = match Slot::scan(scanner, interner) {
        Some(read) => Some(read),
        None => {
            scanner.back_to(start);
            read_again(scanner, interner).map_err(|error| {
                scanner.locate(error, <Slot as Value>::locate).under(PathSegment::Index(index))
            })?
        }
    };
    Ok(match read {
        Some(Read::Value(slot)) => Some(slot),
        // An empty element is a slot without a time. Dropping it would hide that problem.
        Some(Read::Nothing) => Slot::EMPTY_ELEMENT.map(|empty| empty()),
        Some(Read::WrongType) | None => None,
    })
}

/// Reads a slot level by level, which preserves invalid values and finds errors. Returns `None` for
/// JSON that isn't a slot.
fn read_again(
    scanner: &mut Scanner<'_>,
    interner: &mut Interner<'_>,
) -> Parsed<Option<Read<Slot>>> {
    let object = if scanner.peek()? == b'{' { scanner.value::<Object<'_>>()? } else { None };
    match object {
        Some(object) => Ok(Some(Slot::from_object(&object, interner))),
        None => Ok((scanner.raw()? == "null").then_some(Read::Nothing)),
    }
}

/// Reads the same content as [`PushSlots::from_json`], with the same tolerance, from any format
/// that has maps and strings.
impl<'de> Deserialize<'de> for PushSlots {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Json(json) = Json::deserialize(deserializer)?;
        // The format itself adds the position to the error.
        if !json.starts_with('{') {
            return Err(wrong_type("an object", &json));
        }
        Self::from_json(json).map_err(serde::de::Error::custom)
    }
}
