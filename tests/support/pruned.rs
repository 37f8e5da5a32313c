//! Removes empty values from JSON.

use serde_json::Value;

/// Returns `value` without nulls, empty lists and empty objects.
pub fn pruned(value: Value) -> Value {
    let keep = |value: &Value| match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    };
    match value {
        Value::Array(list) => list.into_iter().map(pruned).filter(keep).collect(),
        Value::Object(map) => {
            let members = map.into_iter().map(|(key, value)| (key, pruned(value)));
            Value::Object(members.filter(|(_, value)| keep(value)).collect())
        }
        leaf => leaf,
    }
}
