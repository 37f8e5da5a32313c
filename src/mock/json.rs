//! The bodies of the service's responses.

use serde_json::{Map, Value, json};

use crate::message::{Log, Meta};
use crate::random::fresh_id;

/// The service's name for the check that rejects a message.
const MODULE: &str = "DataModel";

/// Creates unique ids for a message.
pub(super) fn fresh_log() -> Log {
    Log::new(fresh_id().to_string(), fresh_id().to_string())
}

/// Returns the service's current response to an accepted message.
pub(super) fn accepted_json(meta: &Meta, logs: &[Log]) -> Vec<u8> {
    json!({ "Meta": meta_json(Some(meta), logs) }).to_string().into()
}

/// Returns the response to an invalid message, with an entry in `Meta.Errors` for each text.
pub(super) fn error_json(meta: Option<&Meta>, logs: &[Log], texts: &[String]) -> Vec<u8> {
    let error =
        |text: &String| json!({ "ID": 1, "Text": text, "Type": "message", "Module": MODULE });
    let mut response = meta_json(meta, logs);
    response.insert("Errors".to_owned(), texts.iter().map(error).collect());
    json!({ "Meta": response }).to_string().into()
}

/// Adds an entry to `Meta.Errors` of the response `body`, for a failed transmission to a
/// destination.
pub(super) fn with_error(body: &[u8], text: &str) -> Vec<u8> {
    let mut response: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = json!({ "ID": 1, "Text": text, "Type": "transmission", "Module": "Send" });
    if let Some(meta) = response.get_mut("Meta").and_then(Value::as_object_mut) {
        meta.insert("Errors".to_owned(), json!([error]));
    }
    response.to_string().into()
}

fn meta_json(meta: Option<&Meta>, logs: &[Log]) -> Map<String, Value> {
    let mut response = Map::new();
    let mut add = |key: &str, value| response.insert(key.to_owned(), value);
    add("DataModel", "Scheduling".into());
    add("EventType", "PushSlots".into());
    add(
        "Logs",
        logs.iter().map(|log| json!({ "ID": log.id, "AttemptID": log.attempt_id })).collect(),
    );
    if let Some(meta) = meta {
        if let Some(source) = &meta.source {
            add("Source", named(source.id, source.name.as_deref()));
        }
        let destinations = meta.destinations.iter();
        add("Destinations", destinations.map(|to| named(to.id, to.name.as_deref())).collect());
    }
    response
}

fn named(id: Option<uuid::Uuid>, name: Option<&str>) -> Value {
    let mut value = json!({ "ID": id });
    if let (Some(name), Some(members)) = (name, value.as_object_mut()) {
        members.insert("Name".to_owned(), name.into());
    }
    value
}
