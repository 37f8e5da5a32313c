//! Reading of the escapes in JSON strings (RFC 8259, section 7).

use std::borrow::Cow;

use super::plain_prefix;

/// Returns the content of a JSON string, which is written as `raw` between quotes. Returns `None` if
/// it contains half of a surrogate pair.
pub(super) fn unescaped(raw: &str) -> Option<Cow<'_, str>> {
    // Inside the quotes of valid JSON, only a backslash is special.
    if plain_prefix::prefix(raw.as_bytes()) == raw.len() {
        return Some(Cow::Borrowed(raw));
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let (character, after) = escaped_character(escape)?;
        text.push(character);
        rest = after;
    }
    text.push_str(rest);
    Some(Cow::Owned(text))
}

/// Returns whether the JSON `raw` has an escape that is half of a surrogate pair and therefore
/// isn't a character.
pub(super) fn has_lone_surrogate(raw: &str) -> bool {
    let mut rest = raw;
    while let Some((_, escape)) = rest.split_once('\\') {
        let Some((_, after)) = escaped_character(escape) else { return true };
        rest = after;
    }
    false
}

/// Reads the escape at the start of `text`, without its backslash. Returns its character and the
/// rest of the text. Returns `None` for half of a surrogate pair.
fn escaped_character(text: &str) -> Option<(char, &str)> {
    let mut rest = text.chars();
    let character = match rest.next()? {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return character_of_units(rest.as_str()),
        // A quote, a backslash or a slash.
        itself => itself,
    };
    Some((character, rest.as_str()))
}

/// Reads the digits of a `\u` escape, and a second escape if the first is half of a surrogate pair.
/// Returns their character and the rest of the text. Returns `None` if the other half is missing.
fn character_of_units(text: &str) -> Option<(char, &str)> {
    let (first, rest) = code_unit(text)?;
    if let Some(character) = char::from_u32(first.into()) {
        return Some((character, rest));
    }
    let (second, rest) = code_unit(rest.strip_prefix("\\u")?)?;
    let character = char::decode_utf16([first, second]).next()?.ok()?;
    Some((character, rest))
}

/// Reads the four hexadecimal digits of a UTF-16 code unit.
fn code_unit(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u16::from_str_radix(digits, 16).ok()?, rest))
}
