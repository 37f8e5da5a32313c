//! Times: read in the shapes seen in real messages, written as RFC 3339 in UTC.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Timelike, Utc};

/// Reads a time of day on a date with its UTC offset. What lacks one of them is no time: to guess it would
/// offer an appointment at the wrong hour.
///
/// Beside RFC 3339 these shapes are read: days and months of one digit, a colon before the milliseconds (an
/// official sample has it), no seconds, an offset of hours alone or without its colon, and the basic form of
/// ISO 8601.
pub(super) fn read(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let usual = DateTime::parse_from_rfc3339(text).ok();
    let time = usual.or_else(|| DateTime::parse_from_rfc3339(&as_rfc3339(text)?).ok())?.to_utc();
    // A leap second is no time that appointments start at, and many receivers can't read it.
    (time.nanosecond() < 1_000_000_000).then_some(time)
}

/// Writes the other shapes as RFC 3339 would; what is none of them comes out as no time either.
fn as_rfc3339(text: &str) -> Option<String> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let (clock, offset) = time.split_at(time.find(['Z', 'z', '+', '-'])?);

    let date = match *date.split('-').collect::<Vec<_>>() {
        [year, month, day] => format!("{year}-{month:0>2}-{day:0>2}"),
        [basic] if basic.len() == 8 => {
            format!("{}-{}-{}", basic.get(..4)?, basic.get(4..6)?, basic.get(6..)?)
        }
        _ => return None,
    };
    let clock = match *clock.split(':').collect::<Vec<_>>() {
        [hour, minute] => format!("{hour}:{minute}:00"),
        [hour, minute, second] => format!("{hour}:{minute}:{second}"),
        [hour, minute, second, milliseconds] if milliseconds.len() == 3 => {
            format!("{hour}:{minute}:{second}.{milliseconds}")
        }
        [basic] => format!("{}:{}:{}", basic.get(..2)?, basic.get(2..4)?, basic.get(4..)?),
        _ => return None,
    };
    let offset = match offset.len() {
        3 => format!("{offset}:00"),
        5 => format!("{}:{}", offset.get(..3)?, offset.get(3..)?),
        _ => offset.to_owned(),
    };
    Some(format!("{date}T{clock}{offset}"))
}

/// Writes a time as RFC 3339 in UTC: `T`, `Z`, and a fraction only where there is one.
pub(super) struct Rfc3339(pub(super) DateTime<Utc>);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}
