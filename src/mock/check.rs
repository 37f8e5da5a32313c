//! Whether a message is one that the data model allows, to the letter.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::message::PushSlots;

/// The message.
///
/// # Errors
///
/// Everything that is wrong with it. What this crate reads for what it stands for, such as a number that is
/// given as text, the service's schema does not allow.
pub(super) fn read(body: &[u8]) -> Result<PushSlots, Vec<String>> {
    let message = PushSlots::from_json(body).map_err(|error| vec![error.to_string()])?;
    if let Err(invalid) = message.validate() {
        let problems = invalid.problems().iter().map(ToString::to_string);
        let omitted = Some(invalid.omitted()).filter(|omitted| *omitted > 0);
        return Err(problems.chain(omitted.map(|omitted| format!("and {omitted} more"))).collect());
    }
    let written = message.to_json();
    if body == written {
        return Ok(message);
    }
    let problems = compare(body, &written).map_err(|error| vec![format!("no JSON: {error}")])?;
    if problems.is_empty() { Ok(message) } else { Err(problems) }
}

/// A message whose slots are not taken apart yet.
#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(rename = "Meta", default)]
    meta: Value,
    #[serde(rename = "Slots", borrow)]
    slots: Vec<&'a RawValue>,
}

/// Compares what was given with what the model has in its place. What stands for nothing is not written, and
/// may be given as the sender likes.
fn compare(given: &[u8], written: &[u8]) -> serde_json::Result<Vec<String>> {
    let (given, written): (Parts<'_>, Parts<'_>) =
        (serde_json::from_slice(given)?, serde_json::from_slice(written)?);
    let mut problems = Vec::new();
    for key in ["DataModel", "EventType"] {
        if !given.meta.get(key).is_some_and(Value::is_string) {
            problems.push(format!("Meta.{key}: missing"));
        }
    }
    kinds("Meta", &given.meta, &written.meta, &mut problems);
    if given.slots.len() != written.slots.len() {
        problems.push("Slots: an element of the list is empty".to_owned());
    }
    for (index, (given, written)) in given.slots.iter().zip(written.slots).enumerate() {
        // The rest of a message that is wrong in so many places tells no more.
        if given.get() != written.get() && problems.len() < 1_000 {
            let (given, written) = (serde_json::from_str(given.get())?, serde_json::from_str(written.get())?);
            kinds(&format!("Slots[{index}]"), &given, &written, &mut problems);
        }
    }
    Ok(problems)
}

fn kinds(path: &str, given: &Value, written: &Value, problems: &mut Vec<String>) {
    match (given, written) {
        (Value::Object(given), Value::Object(written)) => {
            for (key, written) in written {
                if let Some(given) = given.get(key) {
                    kinds(&format!("{path}.{key}"), given, written, problems);
                }
            }
        }
        (Value::Array(given), Value::Array(written)) => {
            for (index, (given, written)) in given.iter().zip(written).enumerate() {
                kinds(&format!("{path}[{index}]"), given, written, problems);
            }
        }
        _ if kind(given) != kind(written) => {
            problems.push(format!("{path}: {} where the model has {}", kind(given), kind(written)));
        }
        _ => {}
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
