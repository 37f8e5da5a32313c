//! Checks against the service's schema: each value must have the exact JSON type and the usual
//! form.

use chrono::DateTime;
use uuid::Uuid;

use super::path::Path;
use super::problems::Problems;
use super::raw::{Leaf, Object, kind};
use crate::message::ProblemCode;

/// Adds the problem that `raw` doesn't have the type that the schema expects.
pub(crate) fn add_other_kind(raw: &str, at: Path<'_>, expected: &str, problems: &mut Problems) {
    add_other(raw, at, ProblemCode::WrongType, expected, problems);
}

fn add_other(raw: &str, at: Path<'_>, code: ProblemCode, expected: &str, problems: &mut Problems) {
    problems.add_with(code, || {
        let given = match kind(raw) {
            "null" => "null".to_owned(),
            "object" => "an object".to_owned(),
            kind => format!("a {kind}"),
        };
        (at.to_string(), format!("{given}, but the model expects {expected}").into())
    });
}

/// Checks an object by calling `judge` for each member.
pub(crate) fn object(
    raw: &str,
    at: Path<'_>,
    problems: &mut Problems,
    mut judge: impl FnMut(&str, &str, &mut Problems),
) {
    let Some(object) = Object::read(raw) else {
        return add_other_kind(raw, at, "an object", problems);
    };
    for (key, raw) in object.iter() {
        judge(&key.name(), raw, problems);
    }
}

/// Checks a leaf, which may be null.
pub(crate) fn leaf(
    raw: &str,
    at: Path<'_>,
    expected: &str,
    problems: &mut Problems,
    is_right: impl FnOnce(&Leaf<'_>) -> bool,
) {
    match Leaf::read(raw) {
        Leaf::Nothing if raw == "null" => {}
        leaf if is_right(&leaf) => {}
        _ => add_other_kind(raw, at, expected, problems),
    }
}

/// Checks a string that must be in a certain form, or null. A string in another form is a problem
/// with this code.
pub(crate) fn text_in_form(
    raw: &str,
    at: Path<'_>,
    code: ProblemCode,
    expected: &str,
    problems: &mut Problems,
    is_in_form: impl FnOnce(&Leaf<'_>) -> bool,
) {
    match Leaf::read(raw) {
        leaf if raw == "null" || is_in_form(&leaf) => {}
        Leaf::Text(_) => add_other(raw, at, code, expected, problems),
        _ => add_other_kind(raw, at, expected, problems),
    }
}

pub(crate) fn is_text(leaf: &Leaf<'_>) -> bool {
    matches!(leaf, Leaf::Text(_))
}

pub(crate) fn is_boolean(leaf: &Leaf<'_>) -> bool {
    matches!(leaf, Leaf::Literal("true" | "false"))
}

pub(crate) fn is_number(leaf: &Leaf<'_>) -> bool {
    matches!(leaf, Leaf::Literal(text) if !is_boolean(&Leaf::Literal(text)))
}

/// Returns whether the leaf is a string that consists of digits.
pub(crate) fn is_count(leaf: &Leaf<'_>) -> bool {
    matches!(leaf, Leaf::Text(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns whether the leaf is a hyphenated UUID and nothing else (RFC 9562, section 4).
pub(crate) fn is_uuid(leaf: &Leaf<'_>) -> bool {
    matches!(leaf, Leaf::Text(text) if text.len() == uuid::fmt::Hyphenated::LENGTH && Uuid::try_parse(text).is_ok())
}

/// Returns whether the leaf is a time (RFC 3339, section 5.6).
pub(crate) fn is_time(leaf: &Leaf<'_>) -> bool {
    matches!(leaf, Leaf::Text(text) if DateTime::parse_from_rfc3339(text).is_ok())
}
