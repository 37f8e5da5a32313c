//! Writing messages as JSON, and reading them from JSON.

use pushslots::chrono::{DateTime, FixedOffset, TimeZone, Utc};
use pushslots::uuid::uuid;
use pushslots::{
    Address, Destination, Identifier, Location, Meta, Provider, PushSlots, Slot, Source,
};
use serde_json::{Value, json};
use support::pruned::pruned;

fn nine() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 12, 1, 9, 0, 0).unwrap()
}

fn written(message: &PushSlots) -> Value {
    serde_json::from_slice(&message.to_json()).unwrap()
}

fn read(json: &Value) -> PushSlots {
    PushSlots::from_json(json.to_string()).unwrap()
}

/// Returns a message with one slot, at 9:00, that has these additional members.
fn with_slot(slot: Value) -> Value {
    let mut whole = json!({"DateTime": "2026-12-01T09:00:00Z", "Duration": 15});
    whole.as_object_mut().unwrap().extend(slot.as_object().unwrap().clone());
    json!({"Meta": {"DataModel": "Scheduling", "EventType": "PushSlots"}, "Slots": [whole]})
}

#[test]
fn every_field_is_written_under_its_key() {
    let madrid = FixedOffset::east_opt(3600).unwrap();
    let provider = Provider::new()
        .id("4356789876", "NPI")
        .name("Pat", "Granite")
        .credential("MD")
        .credential("PhD")
        .address(
            Address::new()
                .street_address("123 Main St.")
                .city("Madison")
                .state("WI")
                .zip("53703")
                .county("Dane")
                .country("USA"),
        )
        .email_address("pat@example.org")
        .office_phone("+16085551234");
    let location = Location::new()
        .kind("Clinic")
        .facility("RES General Hospital")
        .facility_identifier(Identifier::new("F1", "Facility ID"))
        .department("3N")
        .department_identifier(Identifier::new("D1", "2.16.840.1"))
        .room("136");
    let slot = Slot::new(madrid.with_ymd_and_hms(2026, 12, 1, 10, 0, 0).unwrap(), 15)
        .id("1")
        .reason("Office Visit")
        .provider(provider)
        .location(location);
    let meta = Meta::new()
        .event_date_time(Utc.timestamp_millis_opt(1_731_964_988_746).unwrap())
        .test(true)
        .source(Source::new(uuid!("7ce6f387-c33c-417d-8682-81e83628cbd9")).name("Dev Tools"))
        .destination(Destination::new(uuid!("af394f14-b34a-464f-8d24-895f370af4c9")).name("EMR"))
        .facility_code("RES")
        .batch_id("tuesday")
        .current_batch(1)
        .total_batches(2);
    let message = PushSlots::builder().meta(meta).slot(slot).build().unwrap();

    let expected = json!({
        "Meta": {
            "DataModel": "Scheduling",
            "EventType": "PushSlots",
            "EventDateTime": "2024-11-18T21:23:08.746Z",
            "Test": true,
            "Source": {"ID": "7ce6f387-c33c-417d-8682-81e83628cbd9", "Name": "Dev Tools"},
            "Destinations": [{"ID": "af394f14-b34a-464f-8d24-895f370af4c9", "Name": "EMR"}],
            "FacilityCode": "RES",
            "BatchID": "tuesday",
            "CurrentBatch": "1",
            "TotalBatches": "2"
        },
        "Slots": [{
            "ID": "1",
            "DateTime": "2026-12-01T09:00:00Z",
            "Duration": 15,
            "Reason": "Office Visit",
            "Provider": {
                "ID": "4356789876",
                "IDType": "NPI",
                "FirstName": "Pat",
                "LastName": "Granite",
                "Credentials": ["MD", "PhD"],
                "Address": {
                    "StreetAddress": "123 Main St.",
                    "City": "Madison",
                    "State": "WI",
                    "ZIP": "53703",
                    "County": "Dane",
                    "Country": "USA"
                },
                "EmailAddresses": ["pat@example.org"],
                "PhoneNumber": {"Office": "+16085551234"}
            },
            "Location": {
                "Type": "Clinic",
                "Facility": "RES General Hospital",
                "FacilityIdentifiers": [{"ID": "F1", "IDType": "Facility ID"}],
                "Department": "3N",
                "DepartmentIdentifiers": [{"ID": "D1", "IDType": "2.16.840.1"}],
                "Room": "136"
            }
        }]
    });
    assert_eq!(written(&message), expected);
    assert_eq!(read(&expected), message, "the written JSON reads as the same message");
}

#[test]
fn smallest_message_is_written_byte_for_byte() {
    let message = PushSlots::builder().slot(Slot::new(nine(), 15)).build().unwrap();
    let expected = r#"{"Meta":{"DataModel":"Scheduling","EventType":"PushSlots"},"Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":15}]}"#;
    assert_eq!(String::from_utf8(message.to_json()).unwrap(), expected);
}

#[test]
fn message_inside_other_json_is_written_as_it_is_sent() {
    let message = PushSlots::builder().slot(Slot::new(nine(), 15)).build().unwrap();
    let sent = serde_json::to_string(&[&message]).unwrap();
    assert_eq!(sent.as_bytes(), [b"[", &*message.to_json(), b"]"].concat());
}

#[test]
fn whole_durations_are_written_without_a_fraction() {
    for (minutes, text) in [(15.0, "15"), (12.5, "12.5"), (0.25, "0.25"), (1440.0, "1440")] {
        let message = PushSlots::builder().slot(Slot::new(nine(), minutes)).build().unwrap();
        let json = String::from_utf8(message.to_json()).unwrap();
        assert!(json.contains(&format!("\"Duration\":{text}}}")), "{minutes}: {json}");
    }
}

#[test]
fn official_sample_round_trips() {
    let sample = include_str!("../data/official-push-slots.json");
    let message = PushSlots::from_json(sample).unwrap();
    message.validate().unwrap();
    assert_eq!(message.slots().len(), 4);
    assert_eq!(
        message.slots()[3].date_time,
        Some(Utc.with_ymd_and_hms(2016, 8, 1, 14, 45, 0).unwrap())
    );

    let rfc3339 = sample.replace("2016-08-01 ", "2016-08-01T");
    let expected = pruned(serde_json::from_str(&rfc3339).unwrap());
    assert_eq!(written(&message), expected);
}

#[test]
fn byte_order_mark_is_skipped() {
    for marks in ["\u{feff}", "\u{feff}\u{feff}", "\r\n\u{feff} "] {
        let message = format!("{marks}{}\r\n", with_slot(json!({})));
        PushSlots::from_json(message).unwrap().validate().unwrap();
    }
    let error = PushSlots::from_json("\u{feff}\r\n {]").unwrap_err();
    assert_eq!((error.line(), error.column()), (2, 3));
}

#[test]
fn times_are_read_in_many_forms_and_written_in_one() {
    for (input, expected) in [
        ("2016-08-01T14:00:00Z", "2016-08-01T14:00:00Z"),
        ("2016-08-01 14:00:00Z", "2016-08-01T14:00:00Z"),
        ("2016-08-01t14:00:00z", "2016-08-01T14:00:00Z"),
        ("2019-04-26T20:03:00.25Z", "2019-04-26T20:03:00.250Z"),
        ("2019-04-26T20:03:00.304Z", "2019-04-26T20:03:00.304Z"),
        ("2019-04-26T20:03:00.304866Z", "2019-04-26T20:03:00.304866Z"),
        ("2019-04-26T20:03:00.304866123Z", "2019-04-26T20:03:00.304866123Z"),
        ("2019-04-26T20:03:00.000Z", "2019-04-26T20:03:00Z"),
        ("2020-10-27T17:25:16-04:00", "2020-10-27T21:25:16Z"),
        ("2020-10-27T17:25:16+0530", "2020-10-27T11:55:16Z"),
        ("2020-10-27 17:25:16.5+02:00", "2020-10-27T15:25:16.500Z"),
        ("2005-07-02T04:00:00:000Z", "2005-07-02T04:00:00Z"),
        ("2005-07-02T04:00:00:125Z", "2005-07-02T04:00:00.125Z"),
        ("2005-07-02T04:00:00:125-04:00", "2005-07-02T08:00:00.125Z"),
        ("2016-10-5T09:00:00Z", "2016-10-05T09:00:00Z"),
        ("2016-10-05T09:00Z", "2016-10-05T09:00:00Z"),
        ("20120807T143000Z", "2012-08-07T14:30:00Z"),
        ("20120807T143000.5+02", "2012-08-07T12:30:00.500Z"),
        ("2016-1-5 09:00-05", "2016-01-05T14:00:00Z"),
        (" 2016-08-01T14:00:00Z ", "2016-08-01T14:00:00Z"),
    ] {
        let message = read(&with_slot(json!({"DateTime": input})));
        assert_eq!(message.validate(), Ok(()), "{input}");
        assert_eq!(written(&message)["Slots"][0]["DateTime"], expected, "{input}");
    }
}

#[test]
fn values_of_another_type_are_converted() {
    let input = json!({
        "Meta": {
            "DataModel": "Scheduling", "EventType": "PushSlots",
            "Test": "true", "FacilityCode": 12,
            "BatchID": 7, "CurrentBatch": 1, "TotalBatches": " 2 ",
            "Source": {"ID": "7CE6F387-C33C-417D-8682-81E83628CBD9", "Name": null},
            "Destinations": [{"ID": "af394f14-b34a-464f-8d24-895f370af4c9", "Name": null}],
            "Logs": [{"ID": 1_234_567_890_u64, "AttemptID": 987_654_321}]
        },
        "Slots": [{
            "ID": 18_446_744_073_709_551_615_u64,
            "DateTime": "2026-12-01T09:00:00Z", "Duration": "30", "Reason": true,
            "Provider": {
                "ID": 4_356_789_876_u64, "Credentials": ["MD", null, 5], "Address": {"ZIP": 53703},
                "EmailAddresses": null, "PhoneNumber": {}
            },
            "Location": {"FacilityIdentifiers": [{"ID": 1.5}], "Room": 136}
        }]
    });
    let expected = json!({
        "Meta": {
            "DataModel": "Scheduling", "EventType": "PushSlots",
            "Test": true, "FacilityCode": "12",
            "BatchID": "7", "CurrentBatch": "1", "TotalBatches": "2",
            "Source": {"ID": "7ce6f387-c33c-417d-8682-81e83628cbd9"},
            "Destinations": [{"ID": "af394f14-b34a-464f-8d24-895f370af4c9"}],
            "Logs": [{"ID": "1234567890", "AttemptID": "987654321"}]
        },
        "Slots": [{
            "ID": "18446744073709551615",
            "DateTime": "2026-12-01T09:00:00Z", "Duration": 30, "Reason": "true",
            "Provider": {
                "ID": "4356789876", "Credentials": ["MD", "5"], "Address": {"ZIP": "53703"}
            },
            "Location": {"FacilityIdentifiers": [{"ID": "1.5"}], "Room": "136"}
        }]
    });
    let message = read(&input);
    assert_eq!(message.validate(), Ok(()));
    assert_eq!(written(&message), expected);
}

#[test]
fn numbers_read_as_strings_keep_every_digit() {
    let digits = "123456789012345678901234567890.10";
    let json = with_slot(json!({"ID": "@"})).to_string().replace("\"@\"", digits);
    let message = PushSlots::from_json(json).unwrap();
    assert_eq!(message.slots()[0].id.as_deref(), Some(digits));
}

#[test]
fn durations_are_read_from_strings_and_written_as_numbers() {
    for (input, expected) in [
        (json!("30"), json!(30)),
        (json!(15.0), json!(15)),
        (json!("15.50"), json!(15.5)),
        (json!(" 20 "), json!(20)),
        (json!(1e2), json!(100)),
    ] {
        let message = read(&with_slot(json!({"Duration": input})));
        assert_eq!(message.validate(), Ok(()), "{input}");
        assert_eq!(written(&message)["Slots"][0]["Duration"].to_string(), expected.to_string());
    }
}

#[test]
fn null_and_empty_values_are_not_written() {
    let message = read(&json!({
        "Meta": {"Test": null, "Source": {"Name": null}, "Destinations": []},
        "Slots": [{
            "DateTime": "2026-12-01T09:00:00Z", "Duration": 15, "ID": null,
            "Provider": {"Address": {"City": null}, "Credentials": []}, "Location": {}
        }]
    }));
    assert_eq!(message.slots()[0].provider, None);
    assert_eq!(written(&message), with_slot(json!({})));
}

#[test]
fn empty_record_is_not_written() {
    let mut empty = Identifier::new("", "");
    empty.id = None;
    empty.id_type = None;
    let location = Location::new().facility_identifier(empty);
    let slot =
        Slot::new(nine(), 15).provider(Provider::new().address(Address::new())).location(location);
    let message = PushSlots::builder().slot(slot).build().unwrap();
    assert_eq!(written(&message), with_slot(json!({})));
}

#[test]
fn unknown_keys_are_kept_on_every_object() {
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let json = r#"{"Meta":{"DataModel":"Scheduling","EventType":"PushSlots","Source":{"m":1},"Destinations":[{"d":null}],"Logs":[{"l":true}],"Extensions":{"a":[1.10,1e400]}},"Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":15,"Provider":{"Address":{"x":"y"},"PhoneNumber":{"Mobile":"2"},"NPI":{}},"Location":{"FacilityIdentifiers":[{"i":[]}],"Type":"Clinic","dé\"p":DEEP},"Status":""}],"Message":{"ID":4242}}"#;
    let json = json.replace("DEEP", &deep);
    let json = json.replace(r#""Type":"Clinic","#, "").replace(
        r#""FacilityIdentifiers":[{"i":[]}],"#,
        r#""Type":"Clinic","FacilityIdentifiers":[{"i":[]}],"#,
    );
    let message = PushSlots::from_json(&json).unwrap();
    let text = String::from_utf8(message.to_json()).unwrap();
    assert_eq!(text, json, "unknown values are kept as written, including numbers of any size");
    assert_eq!(PushSlots::from_json(&text).unwrap(), message);
}

#[test]
fn message_without_data_model_and_event_type_gets_them() {
    let message = read(&json!({"Slots": [{"DateTime": "2026-12-01T09:00:00Z", "Duration": 15}]}));
    assert_eq!(written(&message), with_slot(json!({})));
}

#[test]
fn debug_and_problems_show_no_names() {
    let canary = "Granite";
    let provider = Provider::new().name("Pat", canary).office_phone(canary);
    let slot = Slot::new(nine(), 0).reason(canary).provider(provider);
    let shown = format!("{slot:?} {:?}", PushSlots::builder().slot(slot.clone()));
    assert!(!shown.contains(canary), "{shown}");
    let reader = pushslots::SlotReader::new(canary.as_bytes());
    let encoded = PushSlots::builder()
        .slot(Slot::new(nine(), 15).reason(canary))
        .build()
        .unwrap()
        .encode()
        .unwrap();
    let shown = format!("{reader:?} {encoded:?}");
    assert!(!shown.contains(canary) && shown.contains("slots: 1"), "{shown}");
    let error = PushSlots::builder().slot(slot).build().unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("Slots[0].Provider.PhoneNumber.Office"), "{shown}");
    assert!(!shown.contains(canary), "{shown}");
}
