//! The verdict of the mock on a message: accepted or rejected. It depends only on the values, and
//! differs from the service's schema only by named rules of the reference.
//!
//! `PROPTEST_CASES=10000 cargo test --all-features --test it verdicts::` checks 10,000 messages.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use proptest::option;
use proptest::prelude::*;
use pushslots::mock::MockService;
use serde_json::{Value, json};
use support::any::{Any, token};

use support::generate;
use support::holds::holds;

/// The reasons why the mock rejects messages that the schema allows: a part of its error text, and
/// the rule of the reference.
const RULES: &[(&str, &str)] = &[
    ("not in E.164 form", "PhoneNumber.Office is in E.164 form"),
    ("a string with a UUID", "IDs of sources and destinations are UUIDs"),
    ("expected a UUID", "IDs of sources and destinations are UUIDs"),
    ("a string with a time", "times are in ISO 8601 form"),
    ("expected a date and time of day", "times are in ISO 8601 form"),
    // An empty string counts as a missing time.
    ("DateTime: missing", "a slot has a DateTime"),
    ("a whole number", "batch numbers are whole numbers, starting at 1"),
    ("greater than TotalBatches", "CurrentBatch is at most TotalBatches"),
    ("though CurrentBatch or TotalBatches is given", "batch numbers require a BatchID"),
    ("not above 0", "Duration is a number of minutes above 0"),
    ("Slots: empty", "a message has at least one slot"),
    ("Meta.Destinations: empty", "a message has at least one destination"),
    ("missing; set the ID of the destination", "a destination has an ID"),
    ("Meta.DataModel: expected", "DataModel is Scheduling"),
    ("Meta.EventType: expected", "EventType is PushSlots"),
    ("Extensions: ", "Extensions is an object"),
    ("Identifiers", "location identifiers are a list of ID and IDType"),
    ("Credentials[", "Credentials are strings"),
    ("EmailAddresses[", "EmailAddresses are strings"),
    ("Meta.Logs", "Logs are a list of ID and AttemptID"),
];

const SCHEMA: &str = include_str!("../data/push-slots.schema-draft04.json");

fn validator() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    jsonschema::draft4::new(&schema).unwrap()
}

fn other_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2..4_i64).prop_map(Value::from),
        (1..9_u32).prop_map(|number| Value::from(f64::from(number) + 0.5)),
        "[a-z]{0,3}".prop_map(Value::from),
        "[1-9]{1,3}".prop_map(Value::from),
        Just(json!("2026-12-01T09:00:00Z")),
        Just(json!("urn:uuid:af394f14-b34a-464f-8d24-895f370af4c9")),
        Just(json!("af394f14-b34a-464f-8d24-895f370af4c9")),
        Just(json!([])),
        Just(json!({})),
        Just(json!([null])),
        Just(json!([{}])),
        Just(json!(["a"])),
        Just(json!({ "ID": 5 })),
        Just(json!({ "x": 1 })),
    ]
}

/// Generates a message in which one value may be replaced.
fn messages() -> BoxedStrategy<Value> {
    let replaced = option::of((any::<prop::sample::Index>(), other_value()));
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let message = prop_oneof![
        4 => generate::message().prop_map(|message| serde_json::from_slice(&message.to_json()).unwrap()),
        1 => generate::of_schema(&schema),
    ];
    (message, replaced)
        .prop_map(|(mut json, replaced): (Value, _)| {
            if json["Meta"]["Destinations"].is_null() {
                json["Meta"]["Destinations"] = json!([{ "ID": support::DESTINATION }]);
            }
            if let Some((index, value)) = replaced {
                let pointer = index.get(&generate::pointers(&json)).clone();
                *json.pointer_mut(&pointer).unwrap() = value;
            }
            json
        })
        .boxed()
}

#[test]
fn verdict_differs_from_the_schema_only_by_named_rules() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let day = Duration::from_secs(86_400);
    let service = MockService::builder().without_rate_limit().token_lifetime(day).start().unwrap();
    let any = Any::of(&service);
    let token = runtime.block_on(token(&service, &any));
    let validator = validator();
    let fixtures = support::fixtures::serve();
    let fixture = Any::of(&fixtures);
    let differences = RefCell::new(BTreeMap::<&str, u32>::new());
    let checked = Cell::new(0_u32);
    holds(messages(), |json| {
        checked.set(checked.get() + 1);
        let by_schema = validator.is_valid(&json);
        let compact = json.to_string();
        let (status, body) = runtime.block_on(any.push(&token, compact.clone()));
        let is_accepted = status == 200;
        prop_assert!(is_accepted || matches!(status, 400 | 403), "{status}: {body}");
        // White space makes no difference.
        let pretty = serde_json::to_string_pretty(&json).unwrap();
        let spaced = runtime.block_on(any.push(&token, pretty));
        prop_assert_eq!(spaced.0, status, "with space: {} / {}", compact, spaced.1);
        prop_assert!(
            by_schema || !is_accepted,
            "the mock accepts a message that the schema rejects: {compact}"
        );
        if by_schema && !is_accepted {
            let response: Value = serde_json::from_str(&body).unwrap();
            let errors = response["Meta"]["Errors"].as_array().unwrap();
            prop_assert!(!errors.is_empty(), "{body}");
            for error in errors {
                let problem = error["Text"].as_str().unwrap();
                let rule = RULES.iter().find(|(text, _)| problem.contains(text));
                prop_assert!(rule.is_some(), "no rule of the reference: {problem} for {compact}");
                *differences.borrow_mut().entry(rule.unwrap().1).or_default() += 1;
            }
        }
        // The fixtures check only the event type, and name the destinations in their response.
        let destinations = json["Meta"]["Destinations"].as_array();
        if !destinations.is_some_and(|list| list.iter().all(|each| each["ID"].is_string())) {
            return Ok(());
        }
        let (status, body) = runtime.block_on(fixture.push("plain", compact.clone()));
        let is_event = json["Meta"]["EventType"] == "PushSlots";
        prop_assert_eq!(status, if is_event { 200 } else { 404 }, "{} for {}", body, compact);
        Ok(())
    });
    println!(
        "{} messages; rejections by the mock of messages that the schema allows, by rule:",
        checked.get()
    );
    for (rule, count) in differences.into_inner() {
        println!("{count:6}  {rule}");
    }
}

#[tokio::test]
async fn values_are_checked_by_their_own_path_and_spelling() {
    let service = MockService::start().unwrap();
    let any = Any::of(&service);
    let token = token(&service, &any).await;
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let deep_slot = format!(r#""Extensions":{{"a":{deep}}}"#);
    let large = r#""x":1e400"#;
    let slot = |members: &str| (members.to_owned(), String::new());
    let meta = |members: &str| (String::new(), members.to_owned());
    for ((slot, meta), reason) in [
        (slot(r#""Location":{"FacilityIdentifiers":[{"ID":null},{"ID":"x"}]}"#), None),
        (
            slot(r#""Location":{"FacilityIdentifiers":[{},{"ID":5}]}"#),
            Some(
                "Slots[0].Location.FacilityIdentifiers[1].ID: a number, but the model expects a string",
            ),
        ),
        (
            slot(r#""Provider":null"#),
            Some("Slots[0].Provider: null, but the model expects an object"),
        ),
        (
            slot(r#""Location":null"#),
            Some("Slots[0].Location: null, but the model expects an object"),
        ),
        (
            slot(r#""Provider":{"Address":null}"#),
            Some("Provider.Address: null, but the model expects an object"),
        ),
        (
            slot(r#""Provider":{"PhoneNumber":null}"#),
            Some("Provider.PhoneNumber: null, but the model expects an object"),
        ),
        (
            slot(r#""Provider":{"Credentials":null}"#),
            Some("Provider.Credentials: null, but the model expects a list"),
        ),
        (
            slot(r#""Provider":{"EmailAddresses":null}"#),
            Some("Provider.EmailAddresses: null, but the model expects a list"),
        ),
        (slot(r#""Provider":{"ID":null}"#), None),
        (
            slot(r#""Reason":{}"#),
            Some("Slots[0].Reason: an object, but the model expects a string"),
        ),
        (slot(r#""Provider":{}"#), None),
        (slot(r#""Extensions":[]"#), Some("Slots[0].Extensions")),
        (slot(&deep_slot), None),
        (slot(large), None),
        (meta(r#""Source":null"#), Some("Meta.Source: null, but the model expects an object")),
        (meta(r#""Test":"true""#), Some("Meta.Test: a string, but the model expects a boolean")),
        (
            meta(r#""BatchID":"b","CurrentBatch":" 2 ""#),
            Some("Meta.CurrentBatch: a string, but the model expects a string with a whole number"),
        ),
        (
            meta(r#""BatchID":"b","CurrentBatch":2"#),
            Some("Meta.CurrentBatch: a number, but the model expects a string with a whole number"),
        ),
        (meta(r#""BatchID":7"#), Some("Meta.BatchID: a number, but the model expects a string")),
        (
            meta(r#""EventDateTime":" 2016-1-5 09:00-05 ""#),
            Some("Meta.EventDateTime: a string, but the model expects a string with a time"),
        ),
        (
            meta(r#""Source":{"ID":"urn:uuid:af394f14-b34a-464f-8d24-895f370af4c9"}"#),
            Some("Meta.Source.ID: a string, but the model expects a string with a UUID"),
        ),
        (
            meta(r#""Source":{"ID":"{af394f14-b34a-464f-8d24-895f370af4c9}"}"#),
            Some("a string with a UUID"),
        ),
        (
            meta(r#""Source":{"ID":"af394f14b34a464f8d24895f370af4c9"}"#),
            Some("a string with a UUID"),
        ),
        (
            meta(r#""Source":{"ID":" af394f14-b34a-464f-8d24-895f370af4c9"}"#),
            Some("a string with a UUID"),
        ),
    ] {
        let comma =
            |members: &str| if members.is_empty() { String::new() } else { format!(",{members}") };
        let compact = format!(
            r#"{{"Meta":{{"DataModel":"Scheduling","EventType":"PushSlots","Destinations":[{{"ID":"{}"}}]{}}},"Slots":[{{"DateTime":"2026-12-01T09:00:00Z","Duration":15{}}}]}}"#,
            support::DESTINATION,
            comma(&meta),
            comma(&slot)
        );
        // The same message with white space, and with its members in another order.
        let (head, slots) = compact.split_once(r#","Slots":"#).unwrap();
        let slots = slots.strip_suffix('}').unwrap();
        let reordered = format!("{{\"Slots\":{slots},{}}}", head.strip_prefix('{').unwrap());
        let spaced =
            compact.replace("{\"", "{ \n\"").replace("],\"", "] ,\t\"").replace(":{", " : {");
        for body in [&compact, &spaced, &reordered] {
            let (status, response) = any.push(&token, body.as_bytes()).await;
            assert_eq!(status, if reason.is_some() { 400 } else { 200 }, "{body}: {response}");
            if let Some(reason) = reason {
                assert!(response.contains(reason), "{body}: {response}");
            }
        }
    }
}
