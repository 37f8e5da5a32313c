//! The reason that a response gives, in the shapes that services and gateways use, made safe to show.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::shape::{member, stands_for_nothing};
use crate::message::{Object, list, text};

/// The rest of a longer reason is cut off, because it is a page and not a sentence.
const LONGEST_REASON: usize = 500;

/// The deepest level of members at which a reason is looked for.
const DEEPEST: usize = 4;

/// The most elements of a list that are looked at.
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
    // JSON of another shape means nothing to people beyond the status, nor does a gateway's page.
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
    if let Some(parent) = Object::read(raw) {
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
    let meta = member(parent, "Meta").and_then(Object::read);
    let errors = meta.and_then(|meta| meta.get_all("Errors").find_map(|raw| of_json(raw, depth + 1)));
    if errors.is_some() {
        return errors;
    }
    let nested = NESTED.iter().flat_map(|key| parent.get_all(key)).filter(|raw| !stands_for_nothing(raw));
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

/// A shorter secret is masked only if it stands on its own, because it may be a part of any word.
const LONG_SECRET: usize = 8;

/// A run of a JWT's characters that is so long is masked even within a word.
const LONG_RUN: usize = 20;

/// Makes texts of a response safe to show: without these secrets, or characters that steer a terminal.
#[derive(Clone, Copy)]
pub(super) struct Masked<'a>(pub(super) &'a [&'a str]);

impl Masked<'_> {
    /// The text without secrets, cut, and with control characters made visible.
    pub(super) fn shown(self, text: &str) -> String {
        let masked = self.masked(text);
        match masked.char_indices().nth(LONGEST_REASON) {
            Some((end, _)) => visible(masked.get(..end).unwrap_or_default()) + "…",
            None => visible(&masked),
        }
    }

    /// The same without the cut.
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

/// The text without `secret`.
fn without(text: &str, secret: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(secret) {
        let is_in_word = before.ends_with(char::is_alphanumeric) || after.starts_with(char::is_alphanumeric);
        masked.push_str(before);
        masked.push_str(if is_in_word && secret.len() < LONG_SECRET { secret } else { "[secret]" });
        rest = after;
    }
    masked + rest
}

/// The text without JWTs, or parts of such, because an endpoint may echo the assertion. Each begins with the encoded form of
/// `{"`.
fn without_tokens(text: &str) -> Cow<'_, str> {
    const START: &str = "eyJ";
    let is_of_token =
        |each: char| each.is_ascii_alphanumeric() || matches!(each, '-' | '_' | '.' | '=' | '+' | '/' | '%');
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
    if masked.is_empty() {
        return text.into();
    }
    masked.push_str(rest);
    masked.into()
}

/// Escapes control characters, separators of lines and characters that change the direction of text: on a terminal they
/// could hide or forge what a person reads.
fn visible(text: &str) -> String {
    if !text.contains(is_unsafe) {
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
        assert_eq!(shown(&format!("client_assertion={token}&scope=x")), "client_assertion=[token]&scope=x");
        assert_eq!(shown("keyJson and keyJwk"), "keyJson and keyJwk");
        let encoded = token.replace('.', "%2E");
        assert_eq!(
            shown(&format!("client_assertion%3D{encoded} is bad")),
            "client_assertion%3D[token] is bad"
        );
        let short = |text: &str| Masked(&["key"]).shown(text);
        assert_eq!(short("key \"key\" and keyword, key"), "[secret] \"[secret]\" and keyword, [secret]");
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
