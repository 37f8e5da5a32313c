//! Compares a message that the reader returns with the values that serde_json reads from the same
//! JSON.
//!
//! This is a second implementation of the reader's rules. It follows the documentation of the model
//! and uses none of its code.

use std::fmt;

use pushslots::chrono::{DateTime, Datelike, Utc};
use pushslots::uuid::Uuid;
use pushslots::{PushSlots, SlotReader};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The kinds of values in the model.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Office,
    Time,
    Minutes,
    Flag,
    Id,
    Count,
    Constant(&'static str),
    Texts,
    Record(Table),
    /// A list of records. The flag is whether it keeps empty elements.
    Records(Table, bool),
}

type Table = &'static [(&'static str, Kind)];

use Kind::{Constant, Count, Flag, Id, Minutes, Office, Record, Records, Text, Texts, Time};

const MESSAGE: Table = &[("Meta", Record(META)), ("Slots", Records(SLOT, true))];
const META: Table = &[
    ("DataModel", Constant("Scheduling")),
    ("EventType", Constant("PushSlots")),
    ("EventDateTime", Time),
    ("Test", Flag),
    ("Source", Record(&[("ID", Id), ("Name", Text)])),
    ("Destinations", Records(&[("ID", Id), ("Name", Text)], true)),
    ("Logs", Records(&[("ID", Text), ("AttemptID", Text)], false)),
    ("FacilityCode", Text),
    ("BatchID", Text),
    ("CurrentBatch", Count),
    ("TotalBatches", Count),
];
const SLOT: Table = &[
    ("ID", Text),
    ("DateTime", Time),
    ("Duration", Minutes),
    ("Reason", Text),
    ("Provider", Record(PROVIDER)),
    ("Location", Record(LOCATION)),
];
const PROVIDER: Table = &[
    ("ID", Text),
    ("IDType", Text),
    ("FirstName", Text),
    ("LastName", Text),
    ("Credentials", Texts),
    ("Address", Record(ADDRESS)),
    ("EmailAddresses", Texts),
    ("PhoneNumber", Record(&[("Office", Office)])),
];
const ADDRESS: Table = &[
    ("StreetAddress", Text),
    ("City", Text),
    ("State", Text),
    ("ZIP", Text),
    ("County", Text),
    ("Country", Text),
];
const LOCATION: Table = &[
    ("Type", Text),
    ("Facility", Text),
    ("FacilityIdentifiers", Records(IDENTIFIER, false)),
    ("Department", Text),
    ("DepartmentIdentifiers", Records(IDENTIFIER, false)),
    ("Room", Text),
];
const IDENTIFIER: Table = &[("ID", Text), ("IDType", Text)];

/// JSON with all members of its objects, including repeated keys.
#[derive(Clone, Debug)]
enum Tree {
    Text(String),
    /// A number, boolean or null, as written.
    Other(String),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
    /// A time, which may be written in several ways.
    Time(DateTime<Utc>),
    /// A value that isn't compared.
    Any,
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

impl Tree {
    /// Reads JSON with serde_json. Fails on text or keys with half of a surrogate pair.
    fn read(json: &str) -> Result<Self, serde_json::Error> {
        let json = json.trim_ascii();
        match json.as_bytes().first() {
            Some(b'"') => serde_json::from_str(json).map(Self::Text),
            Some(b'[') => {
                let elements: Vec<&RawValue> = serde_json::from_str(json)?;
                elements
                    .into_iter()
                    .map(|raw| Self::read(raw.get()))
                    .collect::<Result<_, _>>()
                    .map(Self::List)
            }
            Some(b'{') => {
                let Members(members) = serde_json::from_str(json)?;
                let read = |(key, raw): (String, &RawValue)| Ok((key, Self::read(raw.get())?));
                members.into_iter().map(read).collect::<Result<_, _>>().map(Self::Object)
            }
            _ => Ok(Self::Other(serde_json::from_str::<&RawValue>(json)?.get().to_owned())),
        }
    }

    fn is_null(&self) -> bool {
        matches!(self, Self::Other(text) if text == "null")
    }
}

/// Returns whether `written` matches `expected`. The members of an object may be in any order.
fn is_same(expected: &Tree, written: &Tree) -> bool {
    match (expected, written) {
        (Tree::Any, _) => true,
        (Tree::Text(expected), Tree::Text(written)) => expected == written,
        (Tree::Time(expected), Tree::Text(written)) => {
            DateTime::parse_from_rfc3339(written).is_ok_and(|written| written == *expected)
        }
        (Tree::Other(expected), Tree::Other(written)) => {
            let number = |text: &str| text.parse::<f64>().ok();
            expected == written
                || number(expected).is_some_and(|expected| number(written) == Some(expected))
        }
        (Tree::List(expected), Tree::List(written)) => {
            expected.len() == written.len()
                && expected.iter().zip(written).all(|(a, b)| is_same(a, b))
        }
        (Tree::Object(expected), Tree::Object(written)) => {
            let sorted = |members: &[(String, Tree)]| {
                let mut members = members.to_vec();
                members.sort_by(|a, b| a.0.cmp(&b.0));
                members
            };
            let expected = sorted(expected);
            let written = sorted(written);
            expected.len() == written.len()
                && expected.iter().zip(&written).all(|(a, b)| a.0 == b.0 && is_same(&a.1, &b.1))
        }
        _ => false,
    }
}

/// The result of reading a value.
enum Read {
    Nothing,
    Value(Tree),
    /// The value is kept as written.
    Unreadable,
}

fn read(kind: Kind, given: &Tree) -> Read {
    match (kind, given) {
        (_, given) if given.is_null() => Read::Nothing,
        (Record(table), Tree::Object(members)) => record(table, members),
        (Records(table, counts_empty), Tree::List(elements)) => {
            let empty = Tree::Object(Vec::new());
            list(elements, |element| match read(Record(table), element) {
                Read::Nothing if counts_empty => Read::Value(empty.clone()),
                read => read,
            })
        }
        (Texts, Tree::List(elements)) => list(elements, |element| read(Text, element)),
        (Record(_) | Records(..) | Texts, _) => Read::Unreadable,
        (_, Tree::List(elements)) if elements.is_empty() => Read::Nothing,
        (_, Tree::Object(members)) if members.is_empty() => Read::Nothing,
        (_, Tree::Text(text)) => leaf(kind, text, true),
        (_, Tree::Other(text)) => leaf(kind, text, false),
        _ => Read::Unreadable,
    }
}

fn list(elements: &[Tree], read: impl Fn(&Tree) -> Read) -> Read {
    let mut values = Vec::new();
    for element in elements {
        match read(element) {
            Read::Value(value) => values.push(value),
            Read::Nothing => {}
            Read::Unreadable => return Read::Unreadable,
        }
    }
    if values.is_empty() { Read::Nothing } else { Read::Value(Tree::List(values)) }
}

fn leaf(kind: Kind, text: &str, is_text: bool) -> Read {
    let without_fraction = match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole,
        _ => text,
    };
    let value = match (kind, text.trim()) {
        (Text, _) => Some(Tree::Text(if is_text { text } else { without_fraction }.to_owned())),
        (_, "") => return Read::Nothing,
        (Office, _) => return leaf(Text, text, is_text),
        (Constant(constant), trimmed) => {
            (trimmed == constant).then(|| Tree::Text(constant.to_owned()))
        }
        (Flag, trimmed) => {
            let lower = trimmed.to_ascii_lowercase();
            ["true", "false"].contains(&&*lower).then_some(Tree::Other(lower))
        }
        (Id, trimmed) => Uuid::try_parse(trimmed).ok().map(|id| Tree::Text(id.to_string())),
        (Count, trimmed) => {
            let digits = trimmed.split_once('.').map_or(trimmed, |(whole, fraction)| {
                if fraction.bytes().all(|digit| digit == b'0') { whole } else { trimmed }
            });
            let is_whole = digits.bytes().all(|digit| digit.is_ascii_digit());
            let count = is_whole.then(|| digits.parse::<u64>().ok()).flatten();
            count.map(|count| Tree::Text(count.to_string()))
        }
        (Minutes, trimmed) => {
            let is_number =
                trimmed.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
            let minutes =
                trimmed.parse::<f64>().ok().filter(|minutes| is_number && minutes.is_finite());
            minutes.map(|minutes| Tree::Other(format!("{minutes:?}")))
        }
        // The reader accepts other forms of a time too, and writes a leap second as another time.
        (Time, trimmed) => match DateTime::parse_from_rfc3339(trimmed) {
            _ if trimmed.contains(":60") => Some(Tree::Any),
            // In UTC, the year may have five digits or be negative.
            Ok(time) if !(0..=9999).contains(&time.to_utc().year()) => None,
            Ok(time) => Some(Tree::Time(time.to_utc())),
            Err(_) => Some(Tree::Any),
        },
        (Texts | Record(_) | Records(..), _) => None,
    };
    value.map_or(Read::Unreadable, Read::Value)
}

fn record(table: Table, members: &[(String, Tree)]) -> Read {
    let mut expected = Vec::new();
    for (key, kind) in table {
        let mut given = members.iter().filter(|(name, _)| name == key).map(|(_, value)| value);
        match (given.next(), given.next()) {
            (None, _) => {}
            (Some(value), None) => match read(*kind, value) {
                Read::Nothing => {}
                Read::Value(value) => expected.push(((*key).to_owned(), value)),
                Read::Unreadable => expected.push(((*key).to_owned(), value.clone())),
            },
            // The reader keeps all values of a repeated key in a list.
            _ => expected.push(((*key).to_owned(), Tree::Any)),
        }
    }
    expected.extend(last_of_each(members, &|key| table.iter().all(|(name, _)| *name != key)));
    if expected.is_empty() { Read::Nothing } else { Read::Value(Tree::Object(expected)) }
}

/// Returns the last member under each key.
fn last(members: &[(String, Tree)]) -> impl Iterator<Item = &(String, Tree)> {
    members.iter().enumerate().filter_map(|(index, member)| {
        let mut later = members.iter().skip(index + 1);
        later.all(|(other, _)| *other != member.0).then_some(member)
    })
}

/// Returns the last member under each `wanted` key, as a record keeps it.
fn last_of_each(members: &[(String, Tree)], wanted: &dyn Fn(&str) -> bool) -> Vec<(String, Tree)> {
    let mut found = Vec::new();
    for (key, value) in last(members).filter(|(key, _)| wanted(key)) {
        let is_repeated = members.iter().filter(|(other, _)| other == key).count() > 1;
        let value = match value {
            _ if key == "Extensions" => match value {
                // The reader keeps all values of a repeated key in a list.
                _ if is_repeated => Tree::Any,
                // An extension is any value, whatever its name.
                Tree::Object(inner) => {
                    let inner: Vec<_> = last(inner).cloned().collect();
                    if inner.is_empty() { continue } else { Tree::Object(inner) }
                }
                value if value.is_null() => continue,
                _ => Tree::Any,
            },
            value => value.clone(),
        };
        found.push((key.clone(), value));
    }
    found
}

/// Reads `bytes` at every entry point and asserts that serde_json reads the same values.
pub fn reads_alike(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        assert!(PushSlots::from_json(bytes).is_err(), "input that isn't UTF-8 is rejected");
        return;
    };
    // White space and byte-order marks may come first.
    let json = text.trim_start_matches([' ', '\t', '\n', '\r', '\u{feff}']);
    let lines_before =
        text.len().checked_sub(json.len()).and_then(|end| text.get(..end)).unwrap_or_default();
    let lines_before = lines_before.matches('\n').count();
    match PushSlots::from_json(bytes) {
        Ok(message) => {
            has_all_values(json, &message);
            let by_serde: PushSlots =
                serde_json::from_str(json).expect("serde accepts the message too");
            assert!(by_serde == message, "from_json and serde return the same message");
            if message.validate().is_ok() {
                let mut reader = SlotReader::new(bytes);
                let slots: Result<Vec<_>, _> = reader.by_ref().collect();
                assert!(
                    slots.is_ok_and(|slots| slots == message.slots()),
                    "SlotReader returns the same slots"
                );
                assert!(
                    reader.meta().is_none_or(|meta| meta == message.meta()),
                    "SlotReader returns the same Meta"
                );
            }
        }
        Err(error) => match serde_json::from_str::<IgnoredAny>(json) {
            Ok(IgnoredAny) => {
                assert!(
                    !json.trim_ascii_start().starts_with('{'),
                    "from_json accepts every JSON object: {error}"
                )
            }
            Err(expected) => {
                // At the end of a line, serde_json already reports column 0 of the next one.
                let is_on_next_line =
                    expected.column() == 0 && expected.line() > 1 && !expected.is_eof();
                let line = expected.line() - usize::from(is_on_next_line);
                assert_eq!(
                    error.line(),
                    lines_before + line,
                    "reader: {error}; serde_json: {expected}"
                );
            }
        },
    }
}

/// Asserts that `message`, which was read from `json`, has all of its values and no others.
///
/// Skips JSON with half of a surrogate pair, because serde_json doesn't read it as text.
fn has_all_values(json: &str, message: &PushSlots) {
    let Ok(Tree::Object(given)) = Tree::read(json) else { return };
    let written = message.to_json();
    let mut expected = match record(MESSAGE, &given) {
        Read::Value(Tree::Object(expected)) => expected,
        _ => Vec::new(),
    };
    // The writer always adds these.
    let add = |members: &mut Vec<(String, Tree)>, key: &str, value: Tree| {
        if members.iter().all(|(name, _)| name != key) {
            members.push((key.to_owned(), value));
        }
    };
    add(&mut expected, "Slots", Tree::List(Vec::new()));
    add(&mut expected, "Meta", Tree::Object(Vec::new()));
    if let Some((_, Tree::Object(meta))) = expected.iter_mut().find(|(key, _)| key == "Meta") {
        add(meta, "DataModel", Tree::Text("Scheduling".to_owned()));
        add(meta, "EventType", Tree::Text("PushSlots".to_owned()));
    }
    let written = Tree::read(std::str::from_utf8(&written).expect("UTF-8")).expect("JSON");
    let expected = Tree::Object(expected);
    assert!(is_same(&expected, &written), "expected: {expected:?}\nwritten: {written:?}");
}
