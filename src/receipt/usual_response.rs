//! The service's response to almost every message, read in one pass.

use crate::message::Scanner;

/// The ids of one log.
pub(super) struct LogIds<'a> {
    pub(super) id: &'a str,
    pub(super) attempt_id: &'a str,
}

/// Returns the logs of `body` if it contains only a `Meta` with logs and without errors, in the
/// service's spelling. Returns `None` for any other body, even with the same meaning.
pub(super) fn logs(body: &str) -> Option<Vec<LogIds<'_>>> {
    let mut json = Scanner::new(body);
    let mut logs = None;
    members(&mut json, |json, key| match key {
        "Meta" => set(&mut logs, logs_of_meta(json)?),
        _ => None,
    })?;
    json.end().ok()?;
    logs
}

/// Returns the logs of a `Meta`. Returns `None` if it has none, or has a member that the usual
/// response lacks.
fn logs_of_meta<'a>(json: &mut Scanner<'a>) -> Option<Vec<LogIds<'a>>> {
    let mut logs = None;
    members(json, |json, key| match key {
        "Logs" => set(&mut logs, list_of_logs(json)?),
        "DataModel" | "EventType" | "EventDateTime" | "Test" | "Source" | "Destinations"
        | "FacilityCode" => json.raw().ok().map(drop),
        _ => None,
    })?;
    logs.filter(|logs| !logs.is_empty())
}

fn list_of_logs<'a>(json: &mut Scanner<'a>) -> Option<Vec<LogIds<'a>>> {
    if !json.take(b'[').ok()? {
        return None;
    }
    let mut logs = Vec::new();
    while json.element(logs.is_empty()).ok()? {
        let (mut id, mut attempt_id) = (None, None);
        members(json, |json, key| match key {
            "ID" => set(&mut id, json.plain_text()?),
            "AttemptID" => set(&mut attempt_id, json.plain_text()?),
            _ => None,
        })?;
        logs.push(LogIds { id: id?, attempt_id: attempt_id? });
    }
    Some(logs)
}

/// Calls `read` with each key of an object. `read` consumes the value, or returns `None` if the
/// response isn't the usual one.
fn members<'a>(
    json: &mut Scanner<'a>,
    mut read: impl FnMut(&mut Scanner<'a>, &'a str) -> Option<()>,
) -> Option<()> {
    let mut is_first = true;
    if !json.take(b'{').ok()? {
        return None;
    }
    while let Some(key) = json.member(is_first).ok()? {
        is_first = false;
        read(json, key.raw())?;
    }
    Some(())
}

/// Sets the value of a key. Returns `None` if the key is repeated.
fn set<T>(value: &mut Option<T>, read: T) -> Option<()> {
    value.replace(read).is_none().then_some(())
}
