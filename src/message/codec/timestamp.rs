//! Times, which are read in the forms found in real messages and written as RFC 3339 in UTC.

use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};

use super::json_writer::{self, two_digits};

/// Reads a date and a time of day with a UTC offset. Text without one of them is rejected, because
/// a guess could offer an appointment at the wrong hour.
///
/// In addition to RFC 3339, these forms are accepted:
///
/// * days and months of one digit
/// * a colon before the milliseconds, as in an official sample
/// * a comma before the fraction
/// * no seconds
/// * an offset of hours only, without its colon, or after a space
/// * `UTC`
/// * the basic form of ISO 8601
pub(crate) fn read(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let usual = DateTime::parse_from_rfc3339(text).ok();
    let time = usual.or_else(|| DateTime::parse_from_rfc3339(&as_rfc3339(text)?).ok())?.to_utc();
    unwritable(&time).is_none().then_some(time)
}

/// Converts other forms to RFC 3339. The result for any other text isn't a valid time.
fn as_rfc3339(text: &str) -> Option<String> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let (clock, offset) =
        match time.len().checked_sub("UTC".len()).and_then(|end| time.split_at_checked(end)) {
            Some((clock, utc)) if utc.eq_ignore_ascii_case("UTC") => (clock, "Z"),
            _ => time.split_at(time.find(['Z', 'z', '+', '-'])?),
        };
    let clock = clock.trim_end().replace(',', ".");

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
        [basic] if basic.len() == 4 => format!("{}:{}:00", basic.get(..2)?, basic.get(2..)?),
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

/// Returns the reason why a message can't contain `time`, if there is one.
#[inline]
pub(super) fn unwritable(time: &DateTime<Utc>) -> Option<&'static str> {
    // Dropping the zone skips the addition of a zero offset.
    let time = time.naive_utc();
    // RFC 3339, section 5.6: a year has four digits. Conversion to UTC may leave that range.
    if !(0..=9999).contains(&time.year()) {
        return Some("invalid time: the year must be between 0 and 9999");
    }
    // Appointments don't start at a leap second, and many receivers can't read one.
    (time.nanosecond() >= 1_000_000_000).then_some("invalid time: a leap second")
}

/// Writes a time in quotes as RFC 3339 in UTC, with `T` and `Z`. A fraction that isn't 0 has 3, 6
/// or 9 digits.
pub(super) fn write(time: &DateTime<Utc>, out: &mut Vec<u8>) {
    if unwritable(time).is_some() {
        return json_writer::string(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true), out);
    }
    let time = time.naive_utc();
    let year = time.year().unsigned_abs();
    let nanos = time.nanosecond();
    out.extend_from_slice(USUAL);
    if let Some(text) = out.last_chunk_mut::<{ USUAL.len() }>() {
        [text[1], text[2]] = two_digits(year / 100);
        [text[3], text[4]] = two_digits(year % 100);
        [text[6], text[7]] = two_digits(time.month());
        [text[9], text[10]] = two_digits(time.day());
        let seconds = time.time().num_seconds_from_midnight();
        [text[12], text[13]] = two_digits(seconds / 3_600);
        [text[15], text[16]] = two_digits(seconds / 60 % 60);
        [text[18], text[19]] = two_digits(seconds % 60);
    }
    if nanos > 0 {
        out.truncate(out.len() - 2);
        write_fraction(nanos, out);
        out.extend_from_slice(b"Z\"");
    }
}

/// Returns the text that [`write`] writes, without quotes.
pub(super) fn text(time: &DateTime<Utc>) -> String {
    let mut out = Vec::with_capacity(length(time));
    write(time, &mut out);
    String::from_utf8_lossy(&out).trim_matches('"').to_owned()
}

/// The form of a time without a fraction.
const USUAL: &[u8] = br#""0000-00-00T00:00:00Z""#;

/// Returns the number of bytes that [`write`] writes.
#[inline]
pub(super) fn length(time: &DateTime<Utc>) -> usize {
    match time.timestamp_subsec_nanos() {
        _ if unwritable(time).is_some() => {
            let mut written = Vec::new();
            write(time, &mut written);
            written.len()
        }
        0 => USUAL.len(),
        nanos => USUAL.len() + ".".len() + digits(nanos),
    }
}

/// Returns the number of digits of a fraction of a second: 3, 6 or 9.
fn digits(nanos: u32) -> usize {
    match nanos {
        _ if nanos % 1_000_000 == 0 => 3,
        _ if nanos % 1_000 == 0 => 6,
        _ => 9,
    }
}

/// Writes a fraction of a second with the number of digits that [`digits`] returns.
fn write_fraction(nanos: u32, out: &mut Vec<u8>) {
    out.push(b'.');
    let mut unit = 100_000_000;
    for _ in 0..digits(nanos) {
        out.push(b'0' + (nanos / unit % 10) as u8);
        unit /= 10;
    }
}
