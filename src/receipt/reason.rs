//! The reason in a response, in the formats that services and gateways use.

use std::borrow::Cow;

use super::shape::{member, stands_for_nothing};
use crate::message::{Object, json, list, text};

/// The maximum depth of nested members in which a reason is searched.
const DEEPEST: usize = 4;

/// The maximum number of list elements that are searched.
const MOST_ELEMENTS: usize = 20;

/// Members that contain further objects with the reason: `fault` (Apigee, WSO2), `error` (Google,
/// Azure), and `errors` (Axway and others).
const NESTED: [&str; 3] = ["fault", "error", "errors"];

/// Members that name the kind of error (OAuth, Spring, problem details of RFC 9457, Azure).
const HEADS: [&str; 3] = ["error", "title", "code"];

/// Members that contain the reason itself.
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

/// Returns the reason in a body that isn't empty; `None` if it has no reason that is meant for
/// people.
pub(super) fn reason(body: &str) -> Option<String> {
    let json = json(body);
    if let Some(reason) = json.and_then(|raw| of_json(raw, 0)) {
        return Some(reason);
    }
    // JSON of another shape, or a gateway's page, means no more to people than the status.
    let is_page = body.starts_with('<') || json.is_some();
    // Bytes that aren't text, for example a compressed body without `Content-Encoding`.
    let has_odd_control = body.chars().any(|each| each.is_control() && !each.is_ascii_whitespace());
    let is_binary =
        body.contains('\0') || (body.contains(char::REPLACEMENT_CHARACTER) && has_odd_control);
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
    // A text on its own, which is the whole body or an element of a list.
    text(raw).filter(|text| raw.starts_with('"') && !text.is_empty()).map(Cow::into_owned)
}

fn of_object(parent: &Object<'_>, depth: usize) -> Option<String> {
    let meta = member(parent, "Meta").and_then(Object::read);
    let errors =
        meta.and_then(|meta| meta.get_all("Errors").find_map(|raw| of_json(raw, depth + 1)));
    if errors.is_some() {
        return errors;
    }
    let nested = NESTED.iter().find_map(|key| {
        let nested = parent.get_all(key).filter(|raw| raw.starts_with(['{', '[']));
        nested.filter(|raw| !stands_for_nothing(raw)).find_map(|raw| of_json(raw, depth + 1))
    });
    if nested.is_some() {
        return nested;
    }
    // A numeric kind of error only repeats the status.
    let words =
        |key: &&str| text(member(parent, key)?).filter(|text| text.contains(char::is_alphabetic));
    match (HEADS.iter().find_map(words), BODIES.iter().find_map(words)) {
        (Some(head), Some(body)) if head != body => Some(format!("{head}: {body}")),
        (head, body) => body.or(head).map(Cow::into_owned),
    }
}
