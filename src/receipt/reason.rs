//! The reason that a response gives, in the shapes that services and gateways use, made safe to show.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::shape::{member, object, stands_for_nothing};
use crate::message::{Object, list, text};

/// Of a longer reason the rest is cut off: it is a page, not a sentence.
const LONGEST_REASON: usize = 500;

/// How deep a reason may lie.
const DEEPEST: usize = 4;

/// How many elements of a list are looked at.
const MOST_ELEMENTS: usize = 20;

/// Members that hold further objects with the reason: `fault` of Apigee and WSO2, `error` of Google and Azure, `errors` of
/// Axway and others.
const NESTED: [&str; 3] = ["fault", "error", "errors"];

/// Members that name the kind of error: OAuth, Spring, RFC 9457 (problem details), Azure.
const HEADS: [&str; 3] = ["error", "title", "code"];

/// Members that hold the reason itself.
const BODIES: [&str; 12] = [
    "Text",
    "error_description",
    "errorDetail",
    "detail",
    "message",
    "errorMessage",
    "error_message",
    "description",
    "faultstring",
    "reason",
    "details",
    "msg",
];

/// The reason in a body that isn't empty; `None` if there is none, or none that is meant for people.
pub(super) fn reason(body: &str) -> Option<String> {
    if let Some(reason) = of_json(body, 0) {
        return Some(reason);
    }
    // JSON of another shape tells people nothing that the status doesn't, nor does a gateway's page.
    let is_page = body.starts_with('<') || serde_json::from_str::<IgnoredAny>(body).is_ok();
    // Bytes that aren't text, such as those of a body that is compressed without saying so.
    let has_odd_control = body.chars().any(|each| each.is_control() && !each.is_ascii_whitespace());
    let is_binary = body.contains('\0') || (body.contains(char::REPLACEMENT_CHARACTER) && has_odd_control);
    (!is_page && !is_binary).then(|| body.to_owned())
}

fn of_json(raw: &str, depth: usize) -> Option<String> {
    if depth > DEEPEST {
        return None;
    }
    if let Some(parent) = object(raw) {
        return of_object(&parent, depth);
    }
    let reasons: Vec<_> = list(raw)
        .unwrap_or_default()
        .into_iter()
        .take(MOST_ELEMENTS)
        .filter_map(|each| of_json(each, depth + 1))
        .collect();
    if !reasons.is_empty() {
        return Some(reasons.join("; "));
    }
    // A text on its own: the whole body, or an element of a list.
    text(raw).filter(|text| raw.starts_with('"') && !text.is_empty()).map(Cow::into_owned)
}

fn of_object(parent: &Object<'_>, depth: usize) -> Option<String> {
    let errors =
        member(parent, "Meta").and_then(object).and_then(|meta| of_json(member(&meta, "Errors")?, depth + 1));
    if errors.is_some() {
        return errors;
    }
    let nested = NESTED.iter().filter_map(|key| member(parent, key)).filter(|raw| !stands_for_nothing(raw));
    if let Some(reason) =
        nested.filter(|raw| raw.starts_with(['{', '['])).find_map(|raw| of_json(raw, depth + 1))
    {
        return Some(reason);
    }
    // A number as the kind of error only repeats the status.
    let words = |key: &&str| text(member(parent, key)?).filter(|text| text.contains(char::is_alphabetic));
    match (HEADS.iter().find_map(words), BODIES.iter().find_map(words)) {
        (Some(head), Some(body)) if head != body => Some(format!("{head}: {body}")),
        (head, body) => body.or(head).map(Cow::into_owned),
    }
}

/// A shorter secret isn't one, and may be a part of any word.
const SHORTEST_SECRET: usize = 8;

/// Makes texts of a response safe to show: without these secrets, or characters that steer a terminal.
#[derive(Clone, Copy)]
pub(super) struct Masked<'a>(pub(super) &'a [&'a str]);

impl Masked<'_> {
    /// The text without secrets, cut, and with control characters made visible.
    pub(super) fn shown(self, text: &str) -> String {
        let masked = self.masked(text);
        let mut shown = visible(masked.chars().take(LONGEST_REASON));
        if masked.chars().nth(LONGEST_REASON).is_some() {
            shown.push('…');
        }
        shown
    }

    /// The same without the cut.
    pub(super) fn shown_whole(self, text: &str) -> String {
        visible(self.masked(text).chars())
    }

    fn masked(self, text: &str) -> Cow<'_, str> {
        let mut masked = without_tokens(text);
        for secret in
            self.0.iter().filter(|secret| secret.len() >= SHORTEST_SECRET && text.contains(**secret))
        {
            masked = masked.replace(secret, "[secret]").into();
        }
        masked
    }
}

/// The text without JWTs, or parts of such: an endpoint may echo the assertion. Each begins with the encoded form of `{"`.
fn without_tokens(text: &str) -> Cow<'_, str> {
    const START: &str = "eyJ";
    let is_of_token =
        |each: char| each.is_ascii_alphanumeric() || matches!(each, '-' | '_' | '.' | '=' | '+' | '/');
    let mut masked = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(START) {
        let (before, run) = rest.split_at(start);
        let (run, after) = run.split_at(run.find(|each| !is_of_token(each)).unwrap_or(run.len()));
        let is_in_word = before.ends_with(char::is_alphanumeric);
        masked.push_str(before);
        masked.push_str(if is_in_word { run } else { "[token]" });
        rest = after;
    }
    if masked.is_empty() {
        return text.into();
    }
    masked.push_str(rest);
    masked.into()
}

/// Escapes control characters, separators of lines and characters that change the direction of text: on a terminal they
/// could hide or forge what a person reads.
fn visible(text: impl Iterator<Item = char>) -> String {
    let mut visible = String::new();
    for each in text {
        let is_unsafe = each.is_control()
            || matches!(each, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match is_unsafe {
            true => visible.extend(each.escape_default()),
            false => visible.push(each),
        }
    }
    visible
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
        assert_eq!(shown(&format!("client_assertion={token}&scope=x")), "client_assertion=[token]&scope=x");
        assert_eq!(shown("keyJson and keyJwk"), "keyJson and keyJwk");
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
