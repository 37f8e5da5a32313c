//! Times: read in the shapes seen in real messages, written as RFC 3339 in UTC.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

/// The shapes that are read beside RFC 3339: days and months of one digit, no seconds, an offset
/// without its colon, and the basic form of ISO 8601.
const SHAPES: [&str; 5] = [
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M%#z",
    "%Y-%m-%d %H:%M%#z",
    "%Y%m%dT%H%M%S%.f%#z",
];

/// Reads a time of day on a date with its UTC offset. What lacks one of them is no time: to guess it
/// would offer an appointment at the wrong hour.
pub(super) fn read(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    // Left to itself, chrono would read a year with a sign or with fewer digits.
    if !text.get(..4)?.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let text = point_before_fraction(text);
    let shapes = || SHAPES.iter().find_map(|shape| DateTime::parse_from_str(&text, shape).ok());
    let time = DateTime::parse_from_rfc3339(&text).ok().or_else(shapes)?;
    Some(time.to_utc())
}

/// An official sample puts a colon before the milliseconds: `04:00:00:000Z`.
fn point_before_fraction(text: &str) -> Cow<'_, str> {
    // The offset's own colon is no part of the time of day, nor are the date's hyphens an offset.
    let clock = text.find(':').unwrap_or(text.len());
    let (_, after) = text.split_at(clock);
    let offset = after.find(['+', '-']).map_or(text.len(), |sign| clock + sign);
    let third = text.match_indices(':').map(|(place, _)| place).nth(2);
    match third.filter(|&colon| colon < offset).map(|colon| text.split_at(colon)) {
        Some((time, fraction)) => Cow::Owned(format!("{time}.{}", fraction.trim_start_matches(':'))),
        None => Cow::Borrowed(text),
    }
}

/// Writes a time as RFC 3339 in UTC: `T`, `Z`, and a fraction only where there is one.
pub(super) struct Rfc3339(pub(super) DateTime<Utc>);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}
