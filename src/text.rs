//! Text as files and the environment hold it.

/// The text without the white space and byte-order marks around it, such as the end of a line that
/// an editor or a shell adds.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches(is_blank)
}

/// Whether a character at an end of a text means nothing.
pub(crate) fn is_blank(each: char) -> bool {
    each.is_whitespace() || each == '\u{feff}'
}
