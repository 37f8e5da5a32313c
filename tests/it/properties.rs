//! Properties of every message: no value is lost or added on the way to JSON and back.
//!
//! Each property is tried on 256 cases, or the number in `PROPTEST_CASES`. The seed is printed, and
//! `PUSHSLOTS_TEST_SEED` repeats it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use pushslots::{PushSlots, Slot};
use serde_json::Value;

use support::holds::holds;
use support::pruned::pruned;
use support::{compared, generate, reading, repository};

const SAMPLE: &str = include_str!("../data/official-push-slots.json");

fn schema() -> Value {
    serde_json::from_str(include_str!("../data/push-slots.schema-draft04.json")).unwrap()
}

fn parsed(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap()
}

#[test]
fn written_message_reads_as_the_same_message() {
    holds(generate::message(), |message| {
        let json = message.to_json();
        let read = PushSlots::from_json(&json).unwrap();
        prop_assert!(read == message, "{}", String::from_utf8_lossy(&json));
        prop_assert_eq!(read.validate(), Ok(()));
        prop_assert!(read.to_json() == json, "it is written as the same JSON again");
        // The exact length of a slot is known before it is written.
        for slot in message.slots() {
            let json = slot.to_json();
            prop_assert_eq!(json.len(), json.capacity());
        }
        Ok(())
    });
}

#[test]
fn every_message_fits_the_schema_of_the_service() {
    let validator = jsonschema::draft4::new(&schema()).unwrap();
    holds(generate::message(), |message| {
        let json = parsed(&message.to_json());
        let errors: Vec<_> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
        prop_assert!(errors.is_empty(), "{errors:?} in {json}");
        Ok(())
    });
    for wrong in [
        "{}",
        r#"{"Meta":{"DataModel":"Scheduling","EventType":"PushSlots"},"Slots":[{"DateTime":1}]}"#,
    ] {
        assert!(!validator.is_valid(&parsed(wrong.as_bytes())), "the schema rejects {wrong}");
    }
}

/// Returns the JSON without empty strings that count as missing: those in members of other types,
/// and empty phone numbers.
fn without_empty_strings(mut json: Value) -> Value {
    let clear_if_blank = |value: &mut Value| {
        if value.as_str().is_some_and(|text| text.trim().is_empty()) {
            *value = Value::Null;
        }
    };
    let all = |value: &mut Value, pointers: &[&str]| {
        for pointer in pointers {
            value.pointer_mut(pointer).map(clear_if_blank);
        }
    };
    let elements = |list: Option<&mut Value>| match list {
        Some(Value::Array(elements)) => std::mem::take(elements),
        _ => Vec::new(),
    };
    all(
        &mut json,
        &["/Meta/EventDateTime", "/Meta/CurrentBatch", "/Meta/TotalBatches", "/Meta/Source/ID"],
    );
    for (list, pointers) in [
        ("/Meta/Destinations", &["/ID"][..]),
        ("/Slots", &["/DateTime", "/Provider/PhoneNumber/Office"]),
    ] {
        let mut changed = elements(json.pointer_mut(list));
        changed.iter_mut().for_each(|element| all(element, pointers));
        if let Some(list) = json.pointer_mut(list).filter(|list| list.is_array()) {
            *list = Value::Array(changed);
        }
    }
    json
}

#[test]
fn message_that_was_read_is_written_as_the_same_json() {
    let validator = jsonschema::draft4::new(&schema()).unwrap();
    holds(generate::of_schema(&schema()), |json| {
        prop_assert!(validator.is_valid(&json), "the schema allows {json}");
        let text = json.to_string();
        let message = PushSlots::from_json(&text).unwrap();
        let written = parsed(&message.to_json());
        prop_assert_eq!(pruned(written.clone()), pruned(without_empty_strings(json)));
        if message.validate().is_ok() {
            prop_assert!(
                validator.is_valid(&written),
                "a valid message fits the schema: {written}"
            );
        }
        prop_assert!(PushSlots::from_json(message.to_json()).unwrap() == message);
        Ok(())
    });
}

/// Replaces values of a message with arbitrary JSON, including values of the wrong type and unknown
/// members.
#[test]
fn every_entry_point_keeps_every_value() {
    let replaced = vec((any::<Index>(), generate::json()), 0..3);
    let message = prop_oneof![
        generate::message().prop_map(|message| parsed(&message.to_json())),
        generate::of_schema(&schema()),
    ];
    holds((message, replaced).boxed(), |(mut json, replaced)| {
        for (index, value) in replaced {
            let pointer = index.get(&generate::pointers(&json)).clone();
            *json.pointer_mut(&pointer).unwrap() = value;
        }
        compared::reads_alike(json.to_string().as_bytes());
        Ok(())
    });
}

#[test]
fn strings_are_escaped_as_by_serde_json() {
    let at = pushslots::chrono::DateTime::UNIX_EPOCH;
    holds(generate::text(), |text| {
        let message = PushSlots::builder()
            .slot(Slot::new(at, 15).id(text.clone()).reason(text.clone()))
            .build()
            .unwrap();
        let expected = serde_json::to_string(&text).unwrap();
        let expected = format!(
            r#""Slots":[{{"ID":{expected},"DateTime":"1970-01-01T00:00:00Z","Duration":15,"Reason":{expected}}}]}}"#
        );
        let json = String::from_utf8(message.to_json()).unwrap();
        prop_assert!(json.ends_with(&expected), "{json} ends with {expected}");
        Ok(())
    });
}

#[test]
fn a_byte_is_escaped_wherever_it_stands() {
    let at = pushslots::chrono::DateTime::UNIX_EPOCH;
    for length in 1..40 {
        for place in 0..length {
            for byte in [0x00, 0x1f, b' ', b'"', b'\\', 0x7f] {
                let mut text = vec![b'a'; length];
                text[place] = byte;
                let text = String::from_utf8(text).unwrap();
                let expected = format!("\"ID\":{},", serde_json::to_string(&text).unwrap());
                let json = Slot::new(at, 15).id(text).to_json();
                assert_eq!(json.capacity(), json.len(), "{expected}");
                let json = String::from_utf8(json).unwrap();
                assert!(json.contains(&expected), "{json} contains {expected}");
            }
        }
    }
}

#[test]
fn times_and_numbers_are_written_as_by_chrono_and_serde_json() {
    holds((generate::time(), generate::minutes()), |(time, minutes)| {
        let message = PushSlots::builder().slot(Slot::new(time, minutes)).build().unwrap();
        let json = parsed(&message.to_json());
        let expected = time.to_rfc3339_opts(pushslots::chrono::SecondsFormat::AutoSi, true);
        prop_assert_eq!(&json["Slots"][0]["DateTime"], &Value::from(expected));
        prop_assert_eq!(json["Slots"][0]["Duration"].as_f64(), Some(minutes));
        Ok(())
    });
}

/// Generates bytes that are almost a message: a sample with pieces cut out, doubled or replaced.
fn nearly_a_message() -> impl Strategy<Value = Vec<u8>> {
    const JSON: &[u8] = b"{}[]\",:\\0-e nt";
    let edit =
        (any::<prop::sample::Index>(), 0..12_usize, prop::collection::vec(any::<u8>(), 0..6), 0..4);
    let source = prop_oneof![
        Just(SAMPLE.as_bytes().to_vec()),
        generate::of_schema(&schema()).prop_map(|json| json.to_string().into_bytes()),
        generate::message().prop_map(|message| message.to_json()),
    ];
    (source, prop::collection::vec(edit, 0..4)).prop_map(|(mut bytes, edits)| {
        for (position, length, new, kind) in edits {
            let start = position.index(bytes.len() + 1);
            let end = bytes.len().min(start + length);
            let new = match kind {
                0 => new,
                1 => bytes[start..end].repeat(2),
                2 => new.iter().map(|byte| JSON[usize::from(*byte) % JSON.len()]).collect(),
                _ => Vec::new(),
            };
            bytes.splice(start..end, new);
        }
        bytes
    })
}

#[test]
fn no_input_makes_the_reader_panic_or_lose_anything() {
    let bytes = prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..64),
        1 => "[\\[\\]{}\",:0-9a-z\\\\. \n-]{0,48}".prop_map(String::into_bytes),
        6 => nearly_a_message(),
    ];
    holds((bytes, 1..200_usize), |(bytes, length)| {
        reading::loses_nothing(&bytes, length);
        Ok(())
    });
}

#[test]
fn seeds_of_the_fuzzer_are_read_as_the_model_says() {
    let fuzz = repository("fuzz");
    // Inputs that the fuzzer added have a hash as their name.
    let paths = fuzz.join("corpus/read").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let seeds: Vec<_> = paths.filter(|path| path.file_name().unwrap().len() < 40).collect();
    assert!(seeds.len() > 10);
    for seed in seeds {
        println!("{}", seed.display());
        let bytes = std::fs::read(seed).unwrap();
        [1, 7, 64].into_iter().for_each(|length| reading::loses_nothing(&bytes, length));
        compared::reads_alike(&bytes);
    }
}
