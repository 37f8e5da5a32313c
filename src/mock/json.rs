//! The bodies in which the service answers.

use serde_json::{Map, Value, json};

use crate::chance::fresh_id;
use crate::message::{Log, Meta};

/// What the service calls the check that a message fails.
const MODULE: &str = "DataModel";

/// Identifiers that no other message has.
pub(super) fn fresh_log() -> Log {
    Log::new(fresh_id().to_string(), fresh_id().to_string())
}

/// Today's answer to a message that is accepted.
pub(super) fn accepted_json(meta: &Meta, logs: &[Log]) -> Vec<u8> {
    json!({ "Meta": meta_json(Some(meta), logs) }).to_string().into()
}

/// The answer to a message with which something is wrong: an entry of `Meta.Errors` for each text.
pub(super) fn error_json(meta: Option<&Meta>, logs: &[Log], texts: &[String]) -> Vec<u8> {
    let error = |text: &String| json!({ "ID": 1, "Text": text, "Type": "message", "Module": MODULE });
    let mut answer = meta_json(meta, logs);
    answer.insert("Errors".to_owned(), texts.iter().map(error).collect());
    json!({ "Meta": answer }).to_string().into()
}

/// The response `body` with an entry of `Meta.Errors` added, for a failed transmission to a destination.
pub(super) fn with_error(body: &[u8], text: &str) -> Vec<u8> {
    let mut answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = json!({ "ID": 1, "Text": text, "Type": "transmission", "Module": "Send" });
    if let Some(meta) = answer.get_mut("Meta").and_then(Value::as_object_mut) {
        meta.insert("Errors".to_owned(), json!([error]));
    }
    answer.to_string().into()
}

fn meta_json(meta: Option<&Meta>, logs: &[Log]) -> Map<String, Value> {
    let mut answer = Map::new();
    let mut add = |key: &str, value| answer.insert(key.to_owned(), value);
    add("DataModel", "Scheduling".into());
    add("EventType", "PushSlots".into());
    add("Logs", logs.iter().map(|log| json!({ "ID": log.id, "AttemptID": log.attempt_id })).collect());
    if let Some(meta) = meta {
        if let Some(source) = &meta.source {
            add("Source", named(source.id, source.name.as_deref()));
        }
        let destinations = meta.destinations.iter();
        add("Destinations", destinations.map(|to| named(to.id, to.name.as_deref())).collect());
    }
    answer
}

fn named(id: Option<uuid::Uuid>, name: Option<&str>) -> Value {
    let mut value = json!({ "ID": id });
    if let (Some(name), Some(members)) = (name, value.as_object_mut()) {
        members.insert("Name".to_owned(), name.into());
    }
    value
}
