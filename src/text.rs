//! Text from files and the environment.

/// Returns the text without surrounding white space and byte-order marks. An editor or a shell may
/// add them, for example at the end of a line.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches(is_blank)
}

/// Returns whether a character is ignored at the ends of a text.
pub(crate) fn is_blank(each: char) -> bool {
    each.is_whitespace() || each == '\u{feff}'
}
