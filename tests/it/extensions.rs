//! Extensions: members beyond the model that sender and receiver agree on, in any object.

use std::collections::HashMap;

use pushslots::chrono::{TimeZone, Utc};
use pushslots::{Address, Extensions, Identifier, Location, Meta, Provider, PushSlots, Slot};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Telehealth {
    url: String,
    string: String,
}

fn telehealth() -> Telehealth {
    Telehealth { url: "https://example.org/telehealth".to_owned(), string: "video".to_owned() }
}

fn slot() -> Slot {
    Slot::new(Utc.with_ymd_and_hms(2026, 12, 1, 9, 0, 0).unwrap(), 15)
}

#[test]
fn every_object_has_its_own_extensions() {
    fn mark(extensions: &mut Extensions, place: &str) {
        extensions.insert("place", place).unwrap();
    }
    let mut address = Address::new();
    mark(address.extensions_mut(), "address");
    let mut provider = Provider::new().address(address).office_phone("+16085551234");
    mark(provider.extensions_mut(), "provider");
    mark(provider.phone_number.as_mut().unwrap().extensions_mut(), "phone");
    let mut identifier = Identifier::new("F1", "Facility ID");
    mark(identifier.extensions_mut(), "identifier");
    let mut location = Location::new().facility_identifier(identifier);
    mark(location.extensions_mut(), "location");
    let mut slot = slot().provider(provider).location(location);
    mark(slot.extensions_mut(), "slot");
    let mut meta =
        Meta::new().source(pushslots::uuid::Uuid::nil()).destination(pushslots::uuid::Uuid::nil());
    mark(meta.extensions_mut(), "meta");
    mark(meta.source.as_mut().unwrap().extensions_mut(), "source");
    mark(meta.destinations[0].extensions_mut(), "destination");
    let mut message = PushSlots::builder().meta(meta).slot(slot).build().unwrap();
    mark(message.extensions_mut(), "message");

    let json: Value = serde_json::from_slice(&message.to_json()).unwrap();
    for (pointer, place) in [
        ("", "message"),
        ("/Meta", "meta"),
        ("/Meta/Source", "source"),
        ("/Meta/Destinations/0", "destination"),
        ("/Slots/0", "slot"),
        ("/Slots/0/Provider", "provider"),
        ("/Slots/0/Provider/Address", "address"),
        ("/Slots/0/Provider/PhoneNumber", "phone"),
        ("/Slots/0/Location", "location"),
        ("/Slots/0/Location/FacilityIdentifiers/0", "identifier"),
    ] {
        assert_eq!(
            json.pointer(pointer).unwrap()["Extensions"],
            json!({"place": place}),
            "{pointer}"
        );
    }
    let read = PushSlots::from_json(message.to_json()).unwrap();
    assert_eq!(read, message);
    let slot = &read.slots()[0];
    let meta = read.meta();
    let provider = slot.provider.as_ref().unwrap();
    let location = slot.location.as_ref().unwrap();
    for (extensions, place) in [
        (read.extensions(), "message"),
        (meta.extensions(), "meta"),
        (meta.source.as_ref().unwrap().extensions(), "source"),
        (meta.destinations[0].extensions(), "destination"),
        (slot.extensions(), "slot"),
        (provider.extensions(), "provider"),
        (provider.address.as_ref().unwrap().extensions(), "address"),
        (provider.phone_number.as_ref().unwrap().extensions(), "phone"),
        (location.extensions(), "location"),
        (location.facility_identifiers[0].extensions(), "identifier"),
    ] {
        assert_eq!(extensions.get("place"), Ok(Some(place.to_owned())));
    }
}

#[test]
fn values_are_read_and_written_as_user_types() {
    let json = r#"{"Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":15,"Extensions":{"n":1.10,"tele\u0068ealth":{"url":"https://example.org/telehealth","string":"video"},"x":null}}]}"#;
    let mut message = PushSlots::from_json(json).unwrap();
    let extensions = message.slots_mut()[0].extensions_mut();
    assert_eq!(extensions.names().collect::<Vec<_>>(), ["n", "telehealth", "x"]);
    assert_eq!(extensions.get("telehealth"), Ok(Some(telehealth())));
    assert_eq!(extensions.get::<f64>("n"), Ok(Some(1.1)));
    assert_eq!(extensions.get::<Option<u8>>("x"), Ok(Some(None)));
    assert_eq!(extensions.get::<u8>("y"), Ok(None));

    extensions.insert("telehealth", "none").unwrap();
    extensions.insert("a \"new\" one\n", &telehealth()).unwrap();
    assert!(extensions.remove("x"));
    assert!(!extensions.remove("x"));
    let written = String::from_utf8(message.to_json()).unwrap();
    let expected = r#""Extensions":{"n":1.10,"telehealth":"none","a \"new\" one\n":{"url":"https://example.org/telehealth","string":"video"}}}]}"#;
    assert!(written.ends_with(expected), "{written}");
    let read = PushSlots::from_json(&written).unwrap();
    assert_eq!(read.slots()[0].extensions().get("a \"new\" one\n"), Ok(Some(telehealth())));
}

#[test]
fn error_names_the_extension_without_showing_its_value() {
    let mut slot = slot();
    let extensions = slot.extensions_mut();
    extensions.insert("who", "Granite").unwrap();
    let error = extensions.get::<u8>("who").unwrap_err();
    assert_eq!(error.name(), "who");
    assert_eq!(
        error.to_string(),
        "the extension \"who\" isn't of the requested type: line 1 column 9 of its value"
    );

    #[derive(Debug, Deserialize)]
    #[serde(try_from = "String")]
    struct Never;
    impl TryFrom<String> for Never {
        type Error = String;
        fn try_from(text: String) -> Result<Self, String> {
            Err(text)
        }
    }
    let error = extensions.get::<Vec<u8>>("who").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the extension \"who\" isn't of the requested type: line 1 column 9 of its value"
    );
    let error = extensions.get::<Never>("who").unwrap_err();
    assert_eq!(error.to_string(), "the extension \"who\" isn't of the requested type");

    extensions.insert("object", &telehealth()).unwrap();
    let error = extensions.get::<Vec<u8>>("object").unwrap_err();
    assert_eq!(error.to_string(), "the extension \"object\" isn't of the requested type");

    let unwritable = HashMap::from([(vec!["Granite"], 1)]);
    let error = extensions.insert("who", &unwritable).unwrap_err();
    assert_eq!(error.to_string(), "the value of the extension \"who\" can't be written as JSON");
    assert_eq!(
        extensions.get::<String>("who"),
        Ok(Some("Granite".to_owned())),
        "the previous value is kept"
    );
    assert!(!format!("{:?} {slot:?} {error:?}", slot.extensions()).contains("Granite"));
    assert_eq!(format!("{:?}", slot.extensions()), "Extensions { len: 2, .. }");
}

#[test]
fn extensions_that_are_not_an_object_are_kept_and_reported() {
    for (extensions, kind) in [("[1]", "list"), ("\"x\"", "string"), ("5", "number")] {
        let json = format!(
            r#"{{"Slots":[{{"DateTime":"2026-12-01T09:00:00Z","Duration":15,"Extensions":{extensions}}}],"Extensions":{extensions}}}"#
        );
        let mut message = PushSlots::from_json(&json).unwrap();
        let problems = message.validate().unwrap_err();
        let problems: Vec<_> = problems.problems().iter().map(ToString::to_string).collect();
        let text = format!("Extensions: expected an object; this {kind} isn't one");
        assert_eq!(problems, [format!("Slots[0].{text}"), text]);
        assert!(
            String::from_utf8(message.to_json())
                .unwrap()
                .ends_with(json.split_once("\"Slots\"").unwrap().1)
        );

        message.extensions_mut().insert("a", &1).unwrap();
        message.slots_mut()[0].extensions_mut().insert("a", &1).unwrap();
        message.validate().unwrap();
        assert!(message.to_json().ends_with(br#""Extensions":{"a":1}}],"Extensions":{"a":1}}"#));
    }
}

#[test]
fn repeated_extensions_are_kept_and_reported() {
    let json = r#"{"Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":15,"Extensions":{"a":1},"Extensions":{"b":2}}]}"#;
    let message = PushSlots::from_json(json).unwrap();
    let problems = message.validate().unwrap_err();
    assert_eq!(
        problems.problems()[0].to_string(),
        "Slots[0].Extensions: the key is repeated; keep one of its values"
    );
    // The key is written once. Both values are kept, but not as valid extensions.
    let written = message.to_json();
    assert!(written.ends_with(br#""Extensions":[{"a":1},{"b":2}]}]}"#));
    assert!(PushSlots::from_json(written).unwrap().validate().is_err());
}

#[test]
fn empty_extensions_are_not_written() {
    for extensions in ["{}", "null"] {
        let json = format!(
            r#"{{"Slots":[{{"DateTime":"2026-12-01T09:00:00Z","Duration":15,"Extensions":{extensions}}}],"Extensions":{extensions}}}"#
        );
        let mut message = PushSlots::from_json(json).unwrap();
        assert!(
            message.extensions_mut().is_empty()
                && message.slots_mut()[0].extensions_mut().is_empty()
        );
        let expected = PushSlots::builder().slot(slot()).build().unwrap();
        assert_eq!(message.to_json(), expected.to_json());
        assert_eq!(message, expected);
    }
}

#[test]
fn last_of_two_extensions_with_the_same_name_counts() {
    let json =
        r#"{"DateTime":"2026-12-01T09:00:00Z","Duration":15,"Extensions":{"a":1,"b":2,"a":3}}"#;
    let slot: Slot = serde_json::from_str(json).unwrap();
    assert_eq!(slot.extensions().get::<u32>("a").unwrap(), Some(3));
    assert!(String::from_utf8(slot.to_json()).unwrap().ends_with(r#""Extensions":{"b":2,"a":3}}"#));
}
