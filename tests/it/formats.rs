//! Messages and records through serde, in any position and in formats other than JSON.

use proptest::prelude::*;
use pushslots::{Address, Destination, Extensions, Identifier, Location, Log, Meta, Provider};
use pushslots::{PhoneNumber, PushSlots, Shared, Slot, Source};
use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize, forward_to_deserialize_any};
use serde_json::Value;

use support::generate;
use support::holds::holds;

// Types that embed a message in each position that serde offers.

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flattened {
    before: u8,
    #[serde(flatten)]
    message: PushSlots,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Message(PushSlots),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u8),
    Message(Box<PushSlots>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content")]
enum Adjacent {
    Message(Vec<PushSlots>),
}

fn schema() -> Value {
    serde_json::from_str(include_str!("../data/push-slots.schema-draft04.json")).unwrap()
}

/// Generates valid messages, and messages with unreadable values and arbitrary keys.
fn messages() -> BoxedStrategy<PushSlots> {
    let unreadable = generate::of_schema(&schema())
        .prop_map(|json| PushSlots::from_json(json.to_string()).unwrap());
    prop_oneof![generate::message(), unreadable].boxed()
}

/// Generates messages with durations of at most 15 digits, for positions in which serde passes on
/// numbers as floats.
fn messages_of_floats() -> BoxedStrategy<PushSlots> {
    let shorten = |mut message: PushSlots| {
        for slot in &mut **message.slots_mut() {
            if slot.duration > Some(9e15.into()) {
                slot.duration = Some(15.into());
            }
        }
        message
    };
    messages().prop_map(shorten).boxed()
}

fn through_json<T: Serialize + DeserializeOwned>(value: &T) -> (String, T) {
    let json = serde_json::to_string(value).unwrap();
    let read = serde_json::from_str(&json).unwrap();
    (json, read)
}

#[test]
fn serde_json_writes_and_reads_the_same_as_the_methods() {
    holds(messages(), |message| {
        let json = message.to_json();
        prop_assert_eq!(serde_json::to_vec(&message).unwrap(), json.clone());
        prop_assert!(serde_json::from_slice::<PushSlots>(&json).unwrap() == message);
        prop_assert!(serde_json::from_reader::<_, PushSlots>(&json[..]).unwrap() == message);
        let tree = serde_json::to_value(&message).unwrap();
        prop_assert_eq!(&tree, &serde_json::from_slice::<Value>(&json).unwrap());
        // A tree orders its keys differently.
        let read: PushSlots = serde_json::from_value(tree.clone()).unwrap();
        prop_assert_eq!(serde_json::to_value(&read).unwrap(), tree);
        for slot in message.slots() {
            let json = slot.to_json();
            prop_assert_eq!(serde_json::to_vec(slot).unwrap(), json.clone());
            prop_assert!(serde_json::from_slice::<Slot>(&json).unwrap() == *slot);
        }
        Ok(())
    });
}

#[test]
fn message_is_the_same_in_any_position() {
    holds(messages_of_floats(), |message| {
        let json = String::from_utf8(message.to_json()).unwrap();
        let members = json.strip_prefix('{').unwrap();

        let (written, read) = through_json(&Flattened { before: 1, message: message.clone() });
        prop_assert_eq!(written, format!("{{\"before\":1,{members}"));
        prop_assert!(read.message == message, "{json}");

        let (written, read) = through_json(&Tagged::Message(message.clone()));
        prop_assert_eq!(written, format!("{{\"kind\":\"Message\",{members}"));
        prop_assert!(read == Tagged::Message(message.clone()), "{json}");

        let (written, read) = through_json(&Untagged::Message(Box::new(message.clone())));
        prop_assert_eq!(written, json.clone());
        prop_assert!(read == Untagged::Message(Box::new(message.clone())), "{json}");

        let (written, read) =
            through_json(&Adjacent::Message(vec![message.clone(), message.clone()]));
        prop_assert_eq!(written, format!("{{\"kind\":\"Message\",\"content\":[{json},{json}]}}"));
        prop_assert!(read == Adjacent::Message(vec![message.clone(), message]), "{json}");
        Ok(())
    });
}

#[test]
fn message_round_trips_through_message_pack_and_yaml() {
    holds(messages_of_floats(), |message| {
        let packed = rmp_serde::to_vec_named(&message).unwrap();
        let read: PushSlots = rmp_serde::from_slice(&packed).unwrap();
        prop_assert_eq!(
            serde_json::to_value(&read).unwrap(),
            serde_json::to_value(&message).unwrap(),
            "through MessagePack"
        );
        let yaml = yaml_serde::to_string(&message).unwrap();
        let read: PushSlots = yaml_serde::from_str(&yaml).unwrap();
        prop_assert_eq!(
            serde_json::to_value(&read).unwrap(),
            serde_json::to_value(&message).unwrap(),
            "through YAML: {}",
            yaml
        );
        Ok(())
    });
}

/// Passes each record through JSON, MessagePack and YAML.
#[test]
fn every_record_round_trips_through_every_format() {
    fn assert_round_trips<T>(json: &str)
    where
        T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        let value: T = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&value).unwrap(), json);
        let packed = rmp_serde::to_vec_named(&value).unwrap();
        assert_eq!(rmp_serde::from_slice::<T>(&packed).unwrap(), value, "MessagePack of {json}");
        let yaml = yaml_serde::to_string(&value).unwrap();
        assert_eq!(yaml_serde::from_str::<T>(&yaml).unwrap(), value, "{yaml}");
    }
    assert_round_trips::<Slot>(
        r#"{"ID":"007","DateTime":"2026-12-01T09:00:00.500Z","Duration":15,"Reason":"Visit","Provider":{"ID":"1"},"Location":{"Room":"7"},"Extensions":{"a":[1.5,null]},"x":true}"#,
    );
    assert_round_trips::<Provider>(
        r#"{"Credentials":["MD","007"],"Address":{"ZIP":"01234"},"EmailAddresses":["a@example.org"],"PhoneNumber":{"Office":"+1"}}"#,
    );
    assert_round_trips::<Shared<Provider>>(r#"{"ID":"1"}"#);
    assert_round_trips::<Shared<Location>>(r#"{"Room":"1"}"#);
    assert_round_trips::<Address>(r#"{"City":"Madison"}"#);
    assert_round_trips::<PhoneNumber>(r#"{"Office":"+16085551234"}"#);
    assert_round_trips::<Location>(
        r#"{"Type":"Clinic","FacilityIdentifiers":[{"ID":"1","IDType":"NPI"}],"Room":"136"}"#,
    );
    assert_round_trips::<Identifier>(r#"{"ID":"1","IDType":"NPI"}"#);
    assert_round_trips::<Meta>(
        r#"{"DataModel":"Scheduling","EventType":"PushSlots","Test":true,"Source":{"ID":"00000000-0000-0000-0000-000000000000"},"BatchID":"b","CurrentBatch":"1","TotalBatches":"18446744073709551615"}"#,
    );
    assert_round_trips::<Source>(r#"{"ID":"00000000-0000-0000-0000-000000000000","Name":"n"}"#);
    assert_round_trips::<Destination>(r#"{"ID":"00000000-0000-0000-0000-000000000000"}"#);
    assert_round_trips::<Log>(r#"{"ID":"1","AttemptID":"2"}"#);
    assert_round_trips::<Extensions>(r#"{"a":{"b":1},"c":"d"}"#);
    assert_round_trips::<Vec<Slot>>(r#"[{"ID":"1"},{"ID":"2"}]"#);
}

/// Uses values that a tree of numbers would change.
#[test]
fn numbers_and_strings_are_kept_as_written() {
    let slot = r#"{"ID":"1","DateTime":"2026-12-01T09:00:00Z","Duration":15,"Extensions":{"a":1e400,"b":123456789012345678901234567890},"c":1.10,"d":"\ud800"}"#;
    let json = format!(
        r#"{{"Meta":{{"DataModel":"Scheduling","EventType":"PushSlots"}},"Slots":[{slot}],"e":1E+2}}"#
    );
    let message: PushSlots = serde_json::from_str(&json).unwrap();
    assert_eq!(serde_json::to_string(&message).unwrap(), json);
    assert_eq!(serde_json::from_str::<Vec<Slot>>(&format!("[{slot}]")).unwrap(), message.slots());
    let identified: Slot =
        serde_json::from_str(r#"{"ID":123456789012345678901234567890}"#).unwrap();
    assert_eq!(identified.id.as_deref(), Some("123456789012345678901234567890"));
}

#[test]
fn escaped_keys_are_written_in_one_form() {
    let slot = r#"{"ID":"1","\u0041b":1,"a\/b":2,"Extensions":{"gr\u00f6\u00dfe":3}}"#;
    let slot: Slot = serde_json::from_str(slot).unwrap();
    assert_eq!(
        slot.to_json(),
        "{\"ID\":\"1\",\"Extensions\":{\"gr\u{f6}\u{df}e\":3},\"Ab\":1,\"a/b\":2}".as_bytes()
    );
    assert_eq!(serde_json::to_vec(&slot).unwrap(), slot.to_json());
    assert_eq!(serde_json::from_slice::<Slot>(&slot.to_json()).unwrap(), slot);
    let member = slot.unread_members().next().unwrap();
    assert_eq!(member.key(), "Ab");

    // serde passes on keys as strings, and half of a surrogate pair isn't a valid string.
    for json in [r#"{"\ud800":1}"#, r#"{"Extensions":{"a\ud800":1}}"#] {
        let slot: Slot = serde_json::from_str(json).unwrap();
        assert_eq!(slot.to_json(), json.as_bytes());
        let error = serde_json::to_vec(&slot).unwrap_err();
        assert!(error.to_string().contains("half of a surrogate pair"), "{error}");
    }
}

#[test]
fn repeated_lists_round_trip() {
    let json = r#"{"Provider":{"Credentials":["a"],"Credentials":["b"]}}"#;
    let slot: Slot = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::from_slice::<Slot>(&slot.to_json()).unwrap(), slot);
}

#[derive(Debug, Deserialize)]
struct Holder<T> {
    #[serde(flatten)]
    _value: T,
}

#[test]
fn value_that_a_format_cannot_represent_is_a_clear_error() {
    // In a flattened position, serde passes on numbers as floats, so the last digits are lost.
    let error = serde_json::from_str::<Holder<Slot>>(r#"{"ID":123456789012345678901234567890}"#)
        .unwrap_err();
    assert!(error.to_string().contains("was given as a float"), "{error}");
    // The first whole number with the same float as its neighbor.
    let error = serde_json::from_str::<Holder<Slot>>(r#"{"ID":9007199254740993.0}"#).unwrap_err();
    assert!(error.to_string().contains("was given as a float"), "{error}");
    assert!(serde_json::from_str::<Holder<Slot>>(r#"{"ID":9007199254740991.0}"#).is_ok());

    for (extension, text) in [
        ("1e400", "more digits than this format can hold"),
        ("0.12345678901234567890", "more digits than this format can hold"),
        ("\"\\ud800\"", "can't be written in this format"),
        ("123456789012345678901234567890", "more digits than this format can hold"),
    ] {
        let slot = format!(r#"{{"Extensions":{{"a":{extension}}}}}"#);
        let slot: Slot = serde_json::from_str(&slot).unwrap();
        let error = rmp_serde::to_vec_named(&slot).unwrap_err();
        assert!(error.to_string().contains(text), "{extension}: {error}");
    }

    // {"ID": NaN}
    let error = rmp_serde::from_slice::<Slot>(b"\x81\xa2ID\xca\x7f\xc0\0\0").unwrap_err();
    assert!(error.to_string().contains("a number that isn't finite"), "{error}");

    let error = yaml_serde::from_str::<Slot>("19800101: 2\n").unwrap_err();
    assert!(
        error.to_string().contains("a key that isn't a string can't be written as JSON"),
        "{error}"
    );
    assert!(!error.to_string().contains("1980"), "{error}");
    // {19800101: 1}
    let error = rmp_serde::from_slice::<Slot>(b"\x81\xce\x01\x2e\x20\x25\x01").unwrap_err();
    assert!(
        error.to_string().contains("a key that isn't a string can't be written as JSON"),
        "{error}"
    );
    // {null: 1}
    let error = rmp_serde::from_slice::<Slot>(b"\x81\xc0\x01").unwrap_err();
    assert!(error.to_string().contains("expected a string"), "{error}");
}

/// A format that marks each value as present or as a newtype, as some binary formats do.
struct Marked<D> {
    inner: D,
    is_newtype: bool,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Marked<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        match self.is_newtype {
            true => visitor.visit_newtype_struct(self.inner),
            false => visitor.visit_some(self.inner),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

#[test]
fn option_and_newtype_markers_around_a_value_are_ignored() {
    let json = serde_json::json!({"ID": "1", "Provider": {"ID": "2"}, "x": [1]});
    let slot: Slot = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(slot.provider.as_ref().unwrap().id.as_deref(), Some("2"));
    for is_newtype in [true, false] {
        assert_eq!(Slot::deserialize(Marked { inner: &json, is_newtype }).unwrap(), slot);
    }
}

#[test]
fn json_that_is_not_an_object_is_the_same_error_at_every_entry_point() {
    for json in ["5", "\"a\"", "[]", "null", "true"] {
        let kind = match json {
            "5" => "number",
            "[]" => "list",
            "null" => "null",
            "true" => "boolean",
            _ => "string",
        };
        let expected = format!("expected an object; this {kind} isn't one");
        let error = serde_json::from_str::<Slot>(json).unwrap_err().to_string();
        assert!(error.starts_with(&expected), "{error}");
        let error = serde_json::from_str::<Shared<Provider>>(json).unwrap_err().to_string();
        assert!(error.starts_with(&expected), "{error}");
        let error = serde_json::from_str::<Extensions>(json).unwrap_err().to_string();
        assert!(error.starts_with(&expected), "{error}");
        let error = serde_json::from_str::<PushSlots>(json).unwrap_err().to_string();
        assert!(error.starts_with(&expected), "{error}");
        let lines = format!("[{{}},\n\n {json}, {{}}\n]");
        let error = serde_json::from_str::<Vec<PushSlots>>(&lines).unwrap_err();
        assert_eq!(error.line(), 3, "{error}");
        assert!(yaml_serde::from_str::<Meta>(json).unwrap_err().to_string().contains(&expected));
    }
    // An empty object is an empty record.
    assert!(serde_json::from_str::<Slot>("{}").unwrap().validate().is_err());
    assert_eq!(serde_json::from_str::<Provider>(r#"{"Address":{}}"#).unwrap(), Provider::new());
}

#[test]
fn internal_keys_of_serde_json_inject_nothing() {
    let attacks = [
        r#"{"x":{"$serde_json::private::RawValue":"1},\"Duration\":{"}}"#,
        r#"{"x":{"$serde_json::private::RawValue":"1,\"Duration\":15"}}"#,
        r#"{"x":{"$serde_json::private::Number":"1,\"Duration\":15"}}"#,
    ];
    for json in attacks {
        let direct: Slot = serde_json::from_str(json).unwrap();
        assert_eq!(direct.to_json(), json.as_bytes());
        assert!(serde_json::from_str::<Holder<Slot>>(json).is_err(), "{json}");
        let number =
            json.split_once(":\"").map(|(key, _)| format!("{key}:4356789876}}}}")).unwrap();
        let error = serde_json::from_str::<Holder<Slot>>(&number).unwrap_err();
        assert!(!error.to_string().contains("4356789876"), "{error}");
        // The value is written as it is, and no format reads it back as something else.
        let packed = rmp_serde::to_vec_named(&direct).unwrap();
        assert!(rmp_serde::from_slice::<Slot>(&packed).is_err());
    }
    for yaml in [
        "a: 1\n$serde_json::private::RawValue: '{}'\n",
        "$serde_json::private::RawValue: '{}'\na: 1\n",
        "x:\n  $serde_json::private::Number: '1'\n  b: 2\n",
    ] {
        let error = yaml_serde::from_str::<Slot>(yaml).unwrap_err();
        assert!(error.to_string().contains("stands next to others"), "{yaml}: {error}");
    }
}
