//! What an answer says beside its status, in any of the shapes that the service gives.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;
use serde::de::IgnoredAny;

use super::TokenRefusal;
use crate::message::{Log, Object, list, text};
use crate::transport::retry_after;

/// More of an error text than this is a page, no sentence.
const LONGEST_TEXT: usize = 500;

/// What an answer says. A body of none of the known shapes says nothing.
#[derive(Default)]
pub(crate) struct Said {
    /// `Meta.Logs[]`, or the older `Meta.Message.ID` and `Meta.Transmission.ID`.
    pub(crate) logs: Vec<Log>,
    /// Whether there are `Meta.Errors[]`: something went wrong, whatever the status.
    pub(crate) errors: bool,
    /// What went wrong, in the service's words. It may repeat what was sent, so that it goes into an
    /// error value that the caller asks for and nowhere else.
    pub(crate) text: Option<String>,
    /// Why a token endpoint refused, where it says so in the standard's form.
    pub(crate) refusal: Option<TokenRefusal>,
    /// How long it asks to wait, by `Retry-After`.
    pub(crate) hint: Option<Duration>,
}

impl Said {
    /// Reads an answer that came at `now`.
    pub(crate) fn read(headers: &HeaderMap, body: &[u8], now: SystemTime) -> Self {
        let hint = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Self { hint: hint.and_then(|hint| retry_after(hint, now)), ..Self::of_body(body) }
    }

    fn of_body(body: &[u8]) -> Self {
        // A gateway's text in another encoding must not hide what JSON around it says.
        let body = String::from_utf8_lossy(body);
        let body = body.trim_start_matches('\u{feff}').trim();
        match Object::read(body) {
            Some(object) => Self::of_object(&object),
            // A page of a gateway tells people nothing that its status does not, nor does JSON of another shape.
            None if body.starts_with('<') || serde_json::from_str::<IgnoredAny>(body).is_ok() => {
                Self::default()
            }
            None => Self { text: Some(shortened(body)).filter(|text| !text.is_empty()), ..Self::default() },
        }
    }

    fn of_object(body: &Object<'_>) -> Self {
        let Some(meta) = object(body, "Meta") else {
            let refusal = refusal(body);
            let text = refusal.as_ref().map(TokenRefusal::text).or_else(|| owned(body, "errorDetail"));
            return Self { text: text.map(|text| shortened(&text)), refusal, ..Self::default() };
        };
        let errors = elements(&meta, "Errors");
        let texts: Vec<_> = errors.iter().filter_map(|error| leaf(error, "Text")).collect();
        Self {
            logs: logs(&meta),
            errors: meta.get("Errors").is_some_and(|raw| !stands_for_nothing(raw)),
            text: (!texts.is_empty()).then(|| shortened(&texts.join("; "))),
            ..Self::default()
        }
    }
}

fn logs(meta: &Object<'_>) -> Vec<Log> {
    let of_entry = |entry: &Object<'_>| Log::new(owned(entry, "ID"), owned(entry, "AttemptID"));
    let logs: Vec<_> = elements(meta, "Logs").iter().map(of_entry).collect();
    if !logs.is_empty() {
        return logs;
    }
    let old = |key| object(meta, key).and_then(|entry| owned(&entry, "ID"));
    match (old("Message"), old("Transmission")) {
        (None, None) => Vec::new(),
        (message, transmission) => vec![Log::new(message, transmission)],
    }
}

fn refusal(body: &Object<'_>) -> Option<TokenRefusal> {
    let said = |key| leaf(body, key).filter(|text| !text.is_empty()).map(|text| shortened(&text));
    Some(TokenRefusal {
        error: said("error")?,
        error_description: said("error_description"),
        error_uri: said("error_uri"),
    })
}

fn object<'a>(parent: &Object<'a>, key: &str) -> Option<Object<'a>> {
    Object::read(parent.get(key)?)
}

fn elements<'a>(parent: &Object<'a>, key: &str) -> Vec<Object<'a>> {
    let list = parent.get(key).and_then(list).unwrap_or_default();
    list.into_iter().filter_map(Object::read).collect()
}

fn leaf<'a>(parent: &Object<'a>, key: &str) -> Option<Cow<'a, str>> {
    text(parent.get(key)?)
}

fn owned(parent: &Object<'_>, key: &str) -> Option<String> {
    leaf(parent, key).map(Cow::into_owned)
}

/// Whether a value is one of the shapes in which senders write that there is none.
fn stands_for_nothing(raw: &str) -> bool {
    let is_nothing = |raw: &str| {
        matches!(raw, "null" | "false" | "\"\"") || Object::read(raw).is_some_and(|object| object.is_empty())
    };
    is_nothing(raw) || list(raw).is_some_and(|list| list.into_iter().all(is_nothing))
}

fn shortened(text: &str) -> String {
    let mut shortened: String = text.chars().take(LONGEST_TEXT).collect();
    if shortened.len() < text.len() {
        shortened.push('…');
    }
    shortened
}
