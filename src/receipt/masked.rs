//! Masking of response texts, so that they are safe to show.

use std::borrow::Cow;

/// The maximum length of a text, in characters. A longer text is a page, not a sentence.
const LONGEST: usize = 500;

/// The minimum length, in bytes, of a secret that is masked inside a word. A shorter one may be a
/// part of any word.
const LONG_SECRET: usize = 8;

/// The minimum length, in bytes, of a JWT that is masked inside a word.
const LONG_RUN: usize = 20;

/// Makes texts of a response safe to show. It masks these secrets, and escapes characters that
/// control a terminal.
#[derive(Clone, Copy)]
pub(super) struct Masked<'a>(pub(super) &'a [&'a str]);

impl Masked<'_> {
    /// Returns the text with secrets masked and control characters escaped, truncated to
    /// [`LONGEST`] characters.
    pub(super) fn shown(self, text: &str) -> String {
        let masked = self.masked(text);
        match masked.char_indices().nth(LONGEST) {
            Some((end, _)) => visible(masked.get(..end).unwrap_or_default()) + "…",
            None => visible(&masked),
        }
    }

    /// Returns the text with secrets masked and control characters escaped, in full length.
    pub(super) fn shown_whole(self, text: &str) -> String {
        visible(&self.masked(text))
    }

    fn masked(self, text: &str) -> Cow<'_, str> {
        let mut masked = without_tokens(text);
        for secret in self.0.iter().filter(|secret| !secret.is_empty() && text.contains(**secret)) {
            masked = without(&masked, secret).into();
        }
        masked
    }
}

/// Returns the text with `secret` masked.
fn without(text: &str, secret: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(secret) {
        let is_in_word =
            before.ends_with(char::is_alphanumeric) || after.starts_with(char::is_alphanumeric);
        masked.push_str(before);
        masked.push_str(if is_in_word && secret.len() < LONG_SECRET { secret } else { "[secret]" });
        rest = after;
    }
    masked + rest
}

/// Returns the text with JWTs and parts of them masked, because an endpoint may echo the assertion.
/// Each JWT begins with the encoded form of `{"`.
fn without_tokens(text: &str) -> Cow<'_, str> {
    const START: &str = "eyJ";
    if !text.contains(START) {
        return text.into();
    }
    let is_of_token = |each: char| {
        each.is_ascii_alphanumeric() || matches!(each, '-' | '_' | '.' | '=' | '+' | '/' | '%')
    };
    let mut masked = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(START) {
        let (before, run) = rest.split_at(start);
        let (run, after) = run.split_at(run.find(|each| !is_of_token(each)).unwrap_or(run.len()));
        let is_in_word = before.ends_with(char::is_alphanumeric);
        masked.push_str(before);
        masked.push_str(if is_in_word && run.len() < LONG_RUN { run } else { "[token]" });
        rest = after;
    }
    masked.push_str(rest);
    masked.into()
}

/// Escapes control characters, line separators, and characters that change the direction of text.
/// On a terminal they could hide or forge what a person reads.
fn visible(text: &str) -> String {
    let is_plain_ascii = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if is_plain_ascii || !text.contains(is_unsafe) {
        return text.to_owned();
    }
    let mut visible = String::new();
    for each in text.chars() {
        match is_unsafe(each) {
            true => visible.extend(each.escape_default()),
            false => visible.push(each),
        }
    }
    visible
}

fn is_unsafe(each: char) -> bool {
    let turns = matches!(each, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    each.is_control() || turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_secrets_are_masked_before_the_cut() {
        let token = format!("eyJhbGciOiJFUzM4NCJ9.{}.c2ln_-", "eyJpc3MiOiJ4In0".repeat(60));
        let shown = |text: &str| Masked(&["top-secret"]).shown(text);
        assert_eq!(
            shown(&format!("bad assertion \"{token}\", top-secret")),
            "bad assertion \"[token]\", [secret]"
        );
        assert_eq!(
            shown(&format!("client_assertion={token}&scope=x")),
            "client_assertion=[token]&scope=x"
        );
        assert_eq!(shown("keyJson and keyJwk"), "keyJson and keyJwk");
        let encoded = token.replace('.', "%2E");
        assert_eq!(
            shown(&format!("client_assertion%3D{encoded} is bad")),
            "client_assertion%3D[token] is bad"
        );
        let short = |text: &str| Masked(&["key"]).shown(text);
        assert_eq!(
            short("key \"key\" and keyword, key"),
            "[secret] \"[secret]\" and keyword, [secret]"
        );
        assert_eq!(shown(&token[..30]), "[token]");
        let long = format!("{} {token}", "x".repeat(495));
        assert_eq!(shown(&long), format!("{} [tok…", "x".repeat(495)));
    }

    #[test]
    fn characters_that_steer_a_terminal_are_made_visible() {
        for (text, expected) in [
            ("\u{1b}[2J\u{1b}]0;x\u{7}", "\\u{1b}[2J\\u{1b}]0;x\\u{7}"),
            ("one\r\ntwo\tthree", "one\\r\\ntwo\\tthree"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("a\u{202e}cba\u{2066}\u{200f}", "a\\u{202e}cba\\u{2066}\\u{200f}"),
            ("Müller \"\u{1f600}\" \\", "Müller \"\u{1f600}\" \\"),
        ] {
            assert_eq!(Masked(&[]).shown(text), expected);
        }
    }
}
