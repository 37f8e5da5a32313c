//! Validation reports all problems of a message at once, each with its path.

use pushslots::chrono::{NaiveDate, Utc};
use pushslots::uuid::Uuid;
use pushslots::{Meta, Provider, PushSlots, Slot};
use serde_json::{Value, json};

fn problems(message: &PushSlots) -> Vec<String> {
    let error = message.validate().expect_err("the message is invalid");
    error.problems().iter().map(ToString::to_string).collect()
}

fn paths(json: &Value) -> Vec<String> {
    let message = PushSlots::from_json(json.to_string()).unwrap();
    let error = message.validate().expect_err("the message is invalid");
    error.problems().iter().map(|problem| problem.path().to_owned()).collect()
}

fn slot() -> Value {
    json!({"DateTime": "2026-12-01T09:00:00Z", "Duration": 15})
}

#[test]
fn all_problems_are_reported_at_once_with_their_paths() {
    let json = json!({
        "Meta": {
            "DataModel": "Results", "EventType": "New", "EventDateTime": "yesterday", "Test": "maybe",
            "Source": {"ID": "x72i2ec6-de0b-471a-a6d5-41b786c93c17"},
            "Destinations": [{"ID": "nowhere"}, {"Name": "EMR"}, {"ID": null}, null],
            "CurrentBatch": "three", "TotalBatches": "0"
        },
        "Slots": [
            {"Duration": 15},
            {"DateTime": "2016-10-08", "Duration": 0},
            slot(),
            {"DateTime": "2026-02-30T09:00:00Z", "Duration": "soon",
             "Provider": {"ID": {"a": 1}, "PhoneNumber": {"Office": "608-555-1234"}, "Credentials": ["MD", [1]]}},
            null,
            17
        ]
    });
    assert_eq!(
        paths(&json),
        [
            "Meta.DataModel",
            "Meta.EventType",
            "Meta.EventDateTime",
            "Meta.Test",
            "Meta.Source.ID",
            "Meta.Destinations[0].ID",
            "Meta.Destinations[1].ID",
            "Meta.Destinations[2].ID",
            "Meta.Destinations[3].ID",
            "Meta.CurrentBatch",
            "Meta.TotalBatches",
            "Meta.BatchID",
            "Slots[0].DateTime",
            "Slots[1].DateTime",
            "Slots[1].Duration",
            "Slots[3].DateTime",
            "Slots[3].Duration",
            "Slots[3].Provider.ID",
            "Slots[3].Provider.Credentials[1]",
            "Slots[3].Provider.PhoneNumber.Office",
            "Slots[4].DateTime",
            "Slots[4].Duration",
            "Slots[5]",
        ]
    );
}

#[test]
fn problem_text_names_the_expected_value() {
    let json = json!({"Slots": [{"DateTime": "2016-10-08", "Duration": [1]}]});
    let message = PushSlots::from_json(json.to_string()).unwrap();
    assert_eq!(
        problems(&message),
        [
            "Slots[0].DateTime: expected a date and time of day with its UTC offset, such as \
             2016-08-01T14:00:00Z; this string isn't one",
            "Slots[0].Duration: expected a number of minutes above 0; this list isn't one",
        ]
    );
}

#[test]
fn invalid_times_are_problems() {
    for text in [
        "",
        "2016-10-08",
        "2016-10-5",
        "20120807",
        "2016-08-01T14:00:00",
        "2016-08-01T25:00:00Z",
        "2016-02-30T14:00:00Z",
        "2016-13-01T14:00:00Z",
        "14:00:00Z",
        "tomorrow at nine",
        "2016-08-01T14:00:00Zulu",
        "-016-08-01T14:00:00Z",
        "日本語日本語",
        "2016-08-01T14:30:60Z",
        "2012087T143000Z",
        "20120807T14305Z",
        "20120807143000Z",
        "2016-08-114:00:00Z",
        "2016-08-0114:00:00Z",
        "2016-08-01T4:00:00Z",
        "2016-08-01T14:00:00+1",
        "2016-08-01T14:00:00+01:0",
        "2016-08-01T14:00:00:Z",
        "2016-08-01T14:00:00:5Z",
        "2016-+8-01T14:00:00Z",
        "2016--01T14:00:00Z",
        "02016-08-01T14:00:00Z",
        "16-08-01T14:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "0000-01-01T00:00:00+01:00",
    ] {
        let json = json!({"Slots": [{"DateTime": text, "Duration": 15}]});
        assert_eq!(paths(&json), ["Slots[0].DateTime"], "{text}");
    }
    let json = json!({"Slots": [{"DateTime": 1_470_060_000, "Duration": 15}]});
    assert_eq!(paths(&json), ["Slots[0].DateTime"], "a number");
}

#[test]
fn year_without_four_digits_is_a_problem() {
    let far = NaiveDate::from_ymd_opt(12_026, 1, 1).unwrap().and_hms_opt(9, 0, 0).unwrap();
    let error =
        PushSlots::builder().slot(Slot::new(far.and_local_timezone(Utc).unwrap(), 15)).build();
    assert_eq!(error.unwrap_err().problems()[0].path(), "Slots[0].DateTime");
}

#[test]
fn invalid_durations_are_problems() {
    for duration in [
        json!(null),
        json!(0),
        json!(-15),
        json!(""),
        json!("soon"),
        json!("inf"),
        json!("NaN"),
        json!(true),
        json!({}),
        json!({"minutes": 15}),
    ] {
        let json = json!({"Slots": [{"DateTime": "2026-12-01T09:00:00Z", "Duration": duration}]});
        assert_eq!(paths(&json), ["Slots[0].Duration"], "{duration}");
    }
    let infinite = r#"{"Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":1e400}]}"#;
    let message = PushSlots::from_json(infinite).unwrap();
    assert_eq!(
        problems(&message),
        ["Slots[0].Duration: expected a number of minutes above 0; this number isn't one"]
    );
    for minutes in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let slot = Slot::new(Utc::now(), minutes);
        let error = PushSlots::builder().slot(slot).build().unwrap_err();
        assert_eq!(error.problems()[0].path(), "Slots[0].Duration", "{minutes}");
    }
}

#[test]
fn message_without_slots_is_a_problem() {
    for json in [json!({}), json!({"Slots": []}), json!({"Slots": null})] {
        assert_eq!(paths(&json), ["Slots"], "{json}");
    }
    assert_eq!(PushSlots::builder().build().unwrap_err().problems()[0].path(), "Slots");
    assert_eq!(paths(&json!({"Slots": "none"})), ["Slots"]);
    assert_eq!(paths(&json!({"Slots": [slot()], "Meta": 5})), ["Meta"]);
}

#[test]
fn repeated_key_of_the_model_is_a_problem() {
    let json = r#"{"Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":15,"Duration":30,"x":1,"x":2}]}"#;
    let message = PushSlots::from_json(json).unwrap();
    assert_eq!(
        problems(&message),
        ["Slots[0].Duration: the key is repeated; keep one of its values"]
    );
}

#[test]
fn telephone_numbers_must_be_e164() {
    let with = |number: &str| {
        let slot = Slot::new(Utc::now(), 15).provider(Provider::new().office_phone(number));
        PushSlots::builder().slot(slot).build()
    };
    for number in ["+16085551234", "+4930901820", "+123456789012345"] {
        assert!(with(number).is_ok(), "{number}");
    }
    for number in [
        "",
        "+",
        "16085551234",
        "+06085551234",
        "+1 608 555 1234",
        "+1234567890123456",
        "+1",
        "+1٣",
    ] {
        let error = with(number).unwrap_err();
        assert_eq!(error.problems()[0].path(), "Slots[0].Provider.PhoneNumber.Office", "{number}");
    }
}

#[test]
fn batch_numbers_start_at_1_and_need_a_batch_id() {
    let with = |meta: Meta| PushSlots::builder().meta(meta).slot(Slot::new(Utc::now(), 15)).build();
    let batch = || Meta::new().batch_id("tuesday");
    for meta in [
        batch(),
        batch().current_batch(1),
        batch().current_batch(3).total_batches(3),
        batch().total_batches(1),
    ] {
        assert!(with(meta).is_ok());
    }
    for (meta, path) in [
        (Meta::new().current_batch(1), "Meta.BatchID"),
        (Meta::new().total_batches(1), "Meta.BatchID"),
        (Meta::new().batch_id("").current_batch(1), "Meta.BatchID"),
        (batch().current_batch(0), "Meta.CurrentBatch"),
        (batch().total_batches(0), "Meta.TotalBatches"),
        (batch().current_batch(3).total_batches(2), "Meta.CurrentBatch"),
    ] {
        assert_eq!(with(meta).unwrap_err().problems()[0].path(), path);
    }
    for text in ["1.5", "-1", "+1", "one", "99999999999999999999", "-1.0", ".0"] {
        let json = json!({"Meta": {"BatchID": "b", "CurrentBatch": text}, "Slots": [slot()]});
        assert_eq!(paths(&json), ["Meta.CurrentBatch"], "{text}");
    }
}

#[test]
fn assigned_value_replaces_one_that_cannot_be_read() {
    let json = json!({"Slots": [{"DateTime": "2026-12-01T09:00:00Z", "Duration": "soon"}]});
    let wrong = PushSlots::from_json(json.to_string()).unwrap();
    let mut slot = wrong.slots()[0].clone();
    slot.duration = Some(20.into());
    let message = PushSlots::builder().slot(slot).build().unwrap();
    let json = String::from_utf8(message.to_json()).unwrap();
    assert!(
        json.ends_with(r#""Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":20}]}"#),
        "{json}"
    );
}

#[test]
fn a_message_that_was_read_can_be_corrected() {
    let json = r#"{"Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":0}],"x":1}"#;
    let mut message = PushSlots::from_json(json).unwrap();
    message.slots_mut()[0].duration = Some(15.into());
    message.meta_mut().test = Some(true);
    message.validate().unwrap();
    let expected = r#"{"Meta":{"DataModel":"Scheduling","EventType":"PushSlots","Test":true},"Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":15}],"x":1}"#;
    assert_eq!(String::from_utf8(message.to_json()).unwrap(), expected);
}

#[test]
fn element_added_to_a_list_does_not_hide_unreadable_ones() {
    let known = "af394f14-b34a-464f-8d24-895f370af4c9";
    let json = json!({"Meta": {"Destinations": [{"ID": known}, 5]}, "Slots": [slot()]});
    let mut message = PushSlots::from_json(json.to_string()).unwrap();
    message.meta_mut().destinations.push(Uuid::nil().into());
    assert_eq!(
        problems(&message),
        ["Meta.Destinations[1]: expected an object; this number isn't one"]
    );
    let json = String::from_utf8(message.to_json()).unwrap();
    assert!(json.contains(known) && json.contains(&Uuid::nil().to_string()), "{json}");

    let json = json!({"Slots": [slot(), 17]});
    let mut message = PushSlots::from_json(json.to_string()).unwrap();
    message.slots_mut().push(Slot::new(Utc::now(), 15));
    assert_eq!(problems(&message), ["Slots[1]: expected an object; this number isn't one"]);
    assert!(message.to_json().windows(2).any(|bytes| bytes == b"17"));
}

#[test]
fn destination_without_an_id_is_a_problem() {
    let with = |meta: Meta| PushSlots::builder().meta(meta).slot(Slot::new(Utc::now(), 15)).build();
    let mut meta = Meta::new().destination(Uuid::nil());
    assert!(with(meta.clone()).is_ok());
    meta.destinations[0].id = None;
    meta.destinations[0].name = Some("EMR".to_owned());
    assert_eq!(with(meta).unwrap_err().problems()[0].path(), "Meta.Destinations[0].ID");
}
