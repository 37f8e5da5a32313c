//! JSON written straight into a buffer, as serde_json writes it.
//!
//! Members and elements are written with a comma before each; [`enclose`] puts the opening bracket in the place of the
//! first one.

use super::plain;

/// Makes an object or a list of the members or elements that were written from `start` on.
pub(crate) fn enclose(brackets: [u8; 2], start: usize, out: &mut Vec<u8>) {
    let [open, close] = brackets;
    match out.get_mut(start) {
        Some(comma) => *comma = open,
        None => out.push(open),
    }
    out.push(close);
}

/// Writes a text in quotes.
pub(crate) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escaped(text, out);
    out.push(b'"');
}

/// Writes what stands for a text between quotes.
pub(crate) fn escaped(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    loop {
        let (plain, special) = rest.split_at(plain::prefix(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else { break };
        escape(byte, out);
        rest = after;
    }
}

/// RFC 8259, section 7: the short form where there is one.
fn escape(byte: u8, out: &mut Vec<u8>) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 0xf)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}

/// The most bytes that a number takes, such as -1.7976931348623157e308.
pub(crate) const LONGEST_NUMBER: usize = 24;

/// Writes a number; a whole one without a fraction. One that is not finite has no JSON form and is written as null.
pub(crate) fn number(number: f64, out: &mut Vec<u8>) {
    // Up to here every whole number has an f64 of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    // The cast goes to the nearest number that there is, so that only a whole one comes back as it was.
    let whole = number as i64;
    if whole as f64 == number && number.abs() <= EXACT {
        if whole < 0 {
            out.push(b'-');
        }
        return integer(whole.unsigned_abs(), out);
    }
    // Writing to memory can't fail.
    let _ = serde_json::to_writer(out, &number);
}

/// Writes a whole number.
pub(crate) fn integer(number: u64, out: &mut Vec<u8>) {
    if number >= 10 {
        integer(number / 10, out);
    }
    out.push(b'0' + (number % 10) as u8);
}

/// Writes a member whose key and value are JSON already, the key without its quotes.
pub(crate) fn raw_member(key: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
    out.extend_from_slice(value.as_bytes());
}
