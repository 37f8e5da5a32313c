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
    let Some(whole) = whole(number) else {
        let mut written = Vec::with_capacity("-1.7976931348623157e308".len());
        self::number(number, &mut written);
        return written.len();
    };
    usize::from(whole < 0) + integer_length(whole.unsigned_abs())
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
    if number < 10 {
        return out.push(b'0' + number as u8);
    }
    if number >= 100 {
        integer(number / 100, out);
    }
    out.extend_from_slice(&two_digits((number % 100) as u32));
}

/// Returns the digits of a number below 100.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "a digit, of a number below 100")]
pub(super) fn two_digits(number: u32) -> [u8; 2] {
    [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]
}

/// Returns the number of bytes that [`integer`] writes.
pub(crate) fn integer_length(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Writes a member. The key and value are already JSON, and the key has no quotes.
pub(crate) fn raw_member(key: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
    out.extend_from_slice(value.as_bytes());
}
