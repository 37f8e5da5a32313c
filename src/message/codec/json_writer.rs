//! A JSON writer that appends to a buffer, with the same output as serde_json.
//!
//! Each member and element is written with a comma before it. [`enclose`] then replaces the first
//! comma with the opening bracket.

use super::plain_prefix;

/// Turns the members or elements from `start` on into an object or a list.
#[inline]
pub(crate) fn enclose(brackets: [u8; 2], start: usize, out: &mut Vec<u8>) {
    let [open, close] = brackets;
    match out.get_mut(start) {
        Some(comma) => *comma = open,
        None => out.push(open),
    }
    out.push(close);
}

/// Returns the length in bytes of an object or a list. `inside` is the length of its members or
/// elements with their commas.
pub(crate) fn enclosed(inside: usize) -> usize {
    "{}".len() + inside.saturating_sub(",".len())
}

/// The start of a member: the comma, the key and the colon, and the first quote of a string.
#[derive(Clone, Copy)]
pub(crate) struct MemberStart(&'static str);

/// Creates the [`MemberStart`] of a literal key.
macro_rules! member_start {
    ($key:literal) => {
        $crate::message::codec::json_writer::MemberStart::new(concat!(",\"", $key, "\":\""))
    };
}
pub(crate) use member_start;

impl MemberStart {
    /// Creates the start from its JSON; [`member_start!`] does that from a key.
    pub(crate) const fn new(json: &'static str) -> Self {
        assert!(matches!(json.as_bytes(), [b',', b'"', .., b'"', b':', b'"']));
        Self(json)
    }

    /// Returns the JSON before the content of a string.
    #[inline]
    const fn before_text(self) -> &'static [u8] {
        self.0.as_bytes()
    }

    /// Returns the JSON before a value of any type.
    #[inline]
    pub(crate) const fn before_value(self) -> &'static [u8] {
        match self.before_text() {
            [json @ .., _] => json,
            [] => &[],
        }
    }

    /// Returns the number of bytes before the value.
    #[inline]
    pub(crate) const fn len(self) -> usize {
        self.before_value().len()
    }
}

/// The maximum length in bytes of a member that is written with one append.
const SHORT_MEMBER: usize = 48;

/// Writes a member with a string.
// Inlining makes the length of the start a constant, so that copying it takes a store or two.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured")]
pub(crate) fn string_member(start: MemberStart, text: &str, out: &mut Vec<u8>) {
    let json = start.before_text();
    let (at, length) = (out.len(), json.len() + text.len());
    // A buffer with just enough room isn't enlarged for this.
    let fits = length < SHORT_MEMBER && out.capacity() - at >= SHORT_MEMBER;
    let Some([first, last]) = short_plain(text.as_bytes()).filter(|_| fits) else {
        out.extend_from_slice(json);
        return text_and_quote(text, out);
    };
    // Each append to a buffer waits for the length that the one before has stored. So the room is
    // made at once and filled afterwards. It already ends with the last quote.
    out.extend_from_slice(&[b'"'; SHORT_MEMBER]);
    out.truncate(at + length + 1);
    put(json, at, out);
    put(first, at + json.len(), out);
    put(last, at + length - last.len(), out);
}

/// Writes a string without its first quote.
fn text_and_quote(text: &str, out: &mut Vec<u8>) {
    escaped(text, out);
    out.push(b'"');
}

/// Returns the first and the last eight bytes of a text of 8 to 16 bytes. Returns `None` if a byte
/// needs an escape.
#[inline]
fn short_plain(text: &[u8]) -> Option<[&[u8; 8]; 2]> {
    if text.len() > 16 {
        return None;
    }
    let (first, last) = (text.first_chunk()?, text.last_chunk()?);
    let is_special = plain_prefix::has_special(first) | plain_prefix::has_special(last);
    (!is_special).then_some([first, last])
}

/// Replaces the bytes of `out` from `at` on.
#[inline]
fn put(bytes: &[u8], at: usize, out: &mut [u8]) {
    if let Some(place) = out.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Writes a string in quotes.
#[inline]
pub(crate) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escaped(text, out);
    out.push(b'"');
}

/// Writes the escaped content of a string, without quotes.
#[inline]
pub(crate) fn escaped(text: &str, out: &mut Vec<u8>) {
    let start = out.len();
    let text = text.as_bytes();
    let is_plain = match text.len() {
        8.. => copy_plain::<8>(text, out),
        4.. => copy_plain::<4>(text, out),
        _ => copy_plain::<1>(text, out),
    };
    if !is_plain {
        escape_all(text.get(out.len() - start..).unwrap_or_default(), out);
    }
}

/// Copies text in chunks of `N` bytes, because copying a fixed number of bytes takes one
/// instruction. Returns false, and stops, before a chunk with a byte that needs an escape. The text
/// must be empty or have at least `N` bytes.
#[inline]
fn copy_plain<const N: usize>(text: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rest = text;
    while let Some((chunk, after)) = rest.split_first_chunk::<N>() {
        if plain_prefix::has_special(chunk) {
            return false;
        }
        out.extend_from_slice(chunk);
        rest = after;
    }
    match text.last_chunk::<N>() {
        // The last chunk overlaps the one before it.
        Some(last) if !rest.is_empty() => {
            let is_plain = !plain_prefix::has_special(last);
            if is_plain {
                out.truncate(out.len() + rest.len() - N);
                out.extend_from_slice(last);
            }
            is_plain
        }
        _ => true,
    }
}

#[cold]
fn escape_all(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at(plain_prefix::prefix(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else { break };
        escape(byte, out);
        rest = after;
    }
}

/// Returns the number of bytes that [`string`] writes.
pub(crate) fn string_length(text: &str) -> usize {
    let mut rest = text.as_bytes();
    let mut length = text.len() + "\"\"".len();
    loop {
        let (_, special) = rest.split_at(plain_prefix::prefix(rest));
        let Some((&byte, after)) = special.split_first() else { break length };
        length += if short_escape(byte).is_some() { r"\n".len() } else { r"\u0000".len() } - 1;
        rest = after;
    }
}

/// Writes the escape for a byte, in short form if there is one (RFC 8259, section 7).
fn escape(byte: u8, out: &mut Vec<u8>) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    match short_escape(byte) {
        Some(letter) => out.extend_from_slice(&[b'\\', letter]),
        None => {
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 0xf)]);
        }
    }
}

fn short_escape(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' => Some(byte),
        0x08 => Some(b'b'),
        0x0c => Some(b'f'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        _ => None,
    }
}

/// Writes a number, without a fraction if it is whole. A number that isn't finite has no JSON form
/// and is written as null.
#[inline]
pub(crate) fn number(number: f64, out: &mut Vec<u8>) {
    if let Some(small) = small(number) {
        return integer(small.into(), out);
    }
    let Some(whole) = whole(number) else {
        // Writing to memory can't fail.
        let _ = serde_json::to_writer(out, &number);
        return;
    };
    if whole < 0 {
        out.push(b'-');
    }
    integer(whole.unsigned_abs(), out);
}

/// Returns the number of bytes that [`number`] writes.
pub(crate) fn number_length(number: f64) -> usize {
    if let Some(small) = small(number) {
        return integer_length(small.into());
    }
    let Some(whole) = whole(number) else {
        let mut written = Vec::with_capacity("-1.7976931348623157e308".len());
        self::number(number, &mut written);
        return written.len();
    };
    usize::from(whole < 0) + integer_length(whole.unsigned_abs())
}

/// Returns the number as an integer if it is whole and from 0 to 255. Most durations are such
/// numbers, and this takes fewer instructions than [`whole`].
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "a number that the cast changes isn't a whole number from 0 to 255"
)]
fn small(number: f64) -> Option<u8> {
    // The cast truncates and saturates.
    let small = number as u8;
    (f64::from(small) == number).then_some(small)
}

/// The number 2<sup>53</sup>. Every whole number up to it has its own `f64`.
pub(crate) const EXACT: f64 = 9_007_199_254_740_992.0;

/// Returns the number as an integer if it is whole and at most [`EXACT`] in magnitude.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "a number that the cast changes isn't a whole number"
)]
pub(crate) fn whole(number: f64) -> Option<i64> {
    // The cast truncates and saturates, so only a whole number equals its cast.
    let whole = number as i64;
    (whole as f64 == number && number.abs() <= EXACT).then_some(whole)
}

/// Writes a whole number.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "a number below 100")]
pub(crate) fn integer(number: u64, out: &mut Vec<u8>) {
    match number {
        0..10 => out.push(b'0' + number as u8),
        10..100 => out.extend_from_slice(&two_digits(number as u32)),
        100.. => long_integer(number, out),
    }
}

fn long_integer(number: u64, out: &mut Vec<u8>) {
    integer(number / 100, out);
    out.extend_from_slice(&two_digits((number % 100) as u32));
}

/// The digits of all numbers below 100.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
static DIGITS: [[u8; 2]; 100] = {
    let mut digits = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < 100 {
        digits[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1_u8;
    }
    digits
};

/// Returns the digits of a number below 100.
#[inline]
pub(super) fn two_digits(number: u32) -> [u8; 2] {
    DIGITS.get(number as usize).copied().unwrap_or_default()
}

/// Returns the number of bytes that [`integer`] writes.
#[inline]
pub(crate) fn integer_length(number: u64) -> usize {
    match number {
        0..10 => 1,
        10..100 => 2,
        100.. => number.ilog10() as usize + 1,
    }
}

/// Writes a member. The key and value are already JSON, and the key has no quotes.
pub(crate) fn raw_member(key: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
    out.extend_from_slice(value.as_bytes());
}
