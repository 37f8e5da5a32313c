//! Data with common irregularities that is still read as intended.

use std::io;

use pushslots::{ProblemCode, PushSlots, Slot, SlotReader};

fn slot(members: &str) -> Slot {
    let slot = format!(r#"{{"DateTime":"2026-12-01T09:00:00Z","Duration":15{members}}}"#);
    serde_json::from_str(&slot).unwrap()
}

fn message(meta: &str, slot: &str) -> PushSlots {
    let json = format!(
        r#"{{"Meta":{{{meta}}},"Slots":[{{"DateTime":"2026-12-01T09:00:00Z","Duration":15{slot}}}]}}"#
    );
    PushSlots::from_json(json).unwrap()
}

fn written(slot: &Slot) -> String {
    String::from_utf8(slot.to_json()).unwrap()
}

#[test]
fn identifiers_and_counts_may_have_a_fraction_of_zero() {
    for (number, id) in [
        ("4356789876.0", "4356789876"),
        ("4356789876.000", "4356789876"),
        ("-7.0", "-7"),
        ("0.0", "0"),
        ("123456789012345678901234567890.0", "123456789012345678901234567890"),
        // These numbers and strings are kept as written.
        ("4356789876", "4356789876"),
        ("1.50", "1.50"),
        ("1e5", "1e5"),
        ("\"4356789876.0\"", "4356789876.0"),
    ] {
        let slot = slot(&format!(r#","ID":{number},"Provider":{{"ID":{number}}}"#));
        assert_eq!(slot.id.as_deref(), Some(id), "{number}");
        assert_eq!(slot.provider.unwrap().id.as_deref(), Some(id), "{number}");
    }
    for count in ["2", "2.0", "\"2\"", "\"2.0\"", "\" 2 \""] {
        let message =
            message(&format!(r#""BatchID":7.0,"CurrentBatch":{count},"TotalBatches":{count}"#), "");
        message.validate().unwrap();
        let meta = message.meta();
        assert_eq!((meta.batch_id.as_deref(), meta.current_batch), (Some("7"), Some(2)), "{count}");
    }
}

#[test]
fn times_are_read_in_the_forms_of_databases_and_spreadsheets() {
    for (text, expected) in [
        ("2026-12-01 09:00:00 -0500", "2026-12-01T14:00:00Z"),
        ("2026-12-01T09:00:00 +01:00", "2026-12-01T08:00:00Z"),
        ("2026-12-01 09:00:00 Z", "2026-12-01T09:00:00Z"),
        ("2026-12-01 09:00:00 UTC", "2026-12-01T09:00:00Z"),
        ("2026-12-01T09:00:00utc", "2026-12-01T09:00:00Z"),
        ("2026-12-01 09:00 UTC", "2026-12-01T09:00:00Z"),
        ("20261201T0900Z", "2026-12-01T09:00:00Z"),
        ("20261201T090000Z", "2026-12-01T09:00:00Z"),
        ("20261201T0900+0100", "2026-12-01T08:00:00Z"),
        ("2026-12-01T09:00:00,5Z", "2026-12-01T09:00:00.500Z"),
        ("20261201T090000,25-05", "2026-12-01T14:00:00.250Z"),
        ("2026-12-01 09:00:00,123456 +0000", "2026-12-01T09:00:00.123456Z"),
    ] {
        let slot: Slot =
            serde_json::from_str(&format!(r#"{{"DateTime":"{text}","Duration":15}}"#)).unwrap();
        assert_eq!(slot.validate(), Ok(()), "{text}");
        assert_eq!(
            written(&slot),
            format!(r#"{{"DateTime":"{expected}","Duration":15}}"#),
            "{text}"
        );
    }
    for text in [
        "UTC",
        "2026-12-01 UTC",
        "2026-12-01 09:00:00",
        "2026-12-01 09:00:00 EST",
        "2026-12-01 09:00:00 Z UTC",
        "2026-12-01 09:00:00 +01:00 UTC",
        "20261201T090Z",
        "2026-12-01T09:00,5Z",
        "2026-12-01T09:00:00,Z",
        "é",
        "2026-12-01 09:00:00 é",
    ] {
        let slot: Slot =
            serde_json::from_str(&format!(r#"{{"DateTime":"{text}","Duration":15}}"#)).unwrap();
        let invalid = slot.validate().unwrap_err();
        assert_eq!(invalid.problems()[0].path(), "DateTime", "{text}");
    }
}

#[test]
fn empty_string_counts_as_missing_in_members_of_other_types() {
    for empty in ["\"\"", "\"  \"", "\"\\t\"", "{}", "[ ]", "null"] {
        let message = message(
            &format!(
                r#""EventDateTime":{empty},"Test":{empty},"CurrentBatch":{empty},"TotalBatches":{empty},"Source":{{"ID":{empty}}}"#
            ),
            &format!(r#","Provider":{{"PhoneNumber":{{"Office":{empty}}}}}"#),
        );
        assert_eq!(message.validate(), Ok(()), "{empty}");
        let expected = self::message("", "");
        assert_eq!(message, expected, "{empty}");
        assert_eq!(message.to_json(), expected.to_json(), "{empty}");
    }
    let invalid =
        serde_json::from_str::<Slot>(r#"{"DateTime":"","Duration":""}"#).unwrap().validate();
    let codes: Vec<_> =
        invalid.unwrap_err().problems().iter().map(|problem| problem.code()).collect();
    assert_eq!(codes, [ProblemCode::Missing; 2]);
    // In a string member, an empty string is a value.
    assert_eq!(written(&slot(r#","Reason":"""#)), written(&slot("").reason("")));
    let credentials = slot(r#","Provider":{"Credentials":["MD",{},""]}"#);
    assert_eq!(credentials.validate(), Ok(()));
    assert_eq!(credentials.provider.unwrap().credentials, ["MD", ""]);
}

#[test]
fn too_long_line_does_not_affect_others() {
    let good = written(&slot(""));
    let long = format!(r#"{{"ID":"{}"}}"#, "x".repeat(9 << 20));
    let huge = format!(r#"{{"ID":"{}"}}"#, "x".repeat(30 << 20));
    let input = [&*good, &long, &good, &huge, "", &good, &long].join("\n");
    let mut reader = SlotReader::new(input.as_bytes());
    let mut read = Vec::new();
    while let Some(next) = reader.next() {
        read.push((
            reader.line(),
            next.map(|slot| written(&slot)).map_err(|error| (error.is_last(), error.to_string())),
        ));
    }
    let ok = |line: usize| (line, Ok(good.clone()));
    assert_eq!([&read[0], &read[2], &read[4]], [&ok(1), &ok(3), &ok(6)]);
    for (index, line) in [(1, 2), (3, 4), (5, 7)] {
        let (found, error) = &read[index];
        let (is_last, text) = error.as_ref().unwrap_err();
        assert_eq!((*found, *is_last), (line, false));
        assert!(text.starts_with("a slot or `Meta` of more than 8 MiB"), "{text}");
    }
    assert_eq!(read.len(), 6);
}

#[test]
fn too_long_first_line_does_not_affect_others() {
    let good = written(&slot(""));
    let long = format!(r#"{{"ID":"{}"}}"#, "x".repeat(9 << 20));
    let input = [&*long, &good, &good].join("\n");
    let read: Vec<_> =
        SlotReader::new(input.as_bytes()).map(|next| next.map(|slot| written(&slot))).collect();
    assert_eq!(read.len(), 3);
    assert!(read[0].as_ref().is_err_and(|error| !error.is_last()));
    assert!(read[1..].iter().all(|next| *next.as_ref().unwrap() == good));
}

/// Such an input may be a message, and its slots must not be lost silently.
#[test]
fn input_of_a_single_too_long_line_is_an_error() {
    let filler = "x".repeat(9 << 20);
    for end in ["", "\n \n"] {
        let input = format!(r#"{{"Filler":"{filler}","Slots":[{}]}}{end}"#, written(&slot("")));
        let read: Vec<_> = SlotReader::new(input.as_bytes()).collect();
        assert_eq!(read.len(), 2);
        assert!(read[0].as_ref().is_err_and(|error| !error.is_last()));
        let error = read[1].as_ref().unwrap_err();
        assert!(
            error.is_last() && error.to_string().contains("after one line of more than 8 MiB"),
            "{error}"
        );
    }
    // An input with line breaks isn't a single line.
    let input = format!("{{\n\"Filler\":\"{filler}\",\n\"Slots\":[{}]}}", written(&slot("")));
    let read: Vec<_> = SlotReader::new(input.as_bytes()).collect();
    assert!(read.len() == 1 && read[0].as_ref().is_err_and(|error| error.is_last()));
}

#[test]
fn byte_order_mark_between_files_is_skipped() {
    let good = written(&slot(""));
    for input in [
        format!("\u{feff}{good}\n\u{feff}{good}\n"),
        format!("{good}\n\u{feff}\u{feff}  \u{feff}{good}"),
        format!("{good}\u{feff}{good}\u{feff}"),
        format!("{good}\nnonsense\n\u{feff}{good}"),
    ] {
        for length in [1, 2, 3, 64, 1 << 20] {
            let slots = SlotReader::new(Pieces { rest: input.as_bytes(), length });
            let slots: Vec<_> = slots.filter_map(Result::ok).map(|slot| written(&slot)).collect();
            assert_eq!(slots, [good.clone(), good.clone()], "{input:?} in pieces of {length}");
        }
    }
}

#[test]
fn byte_order_marks_and_whitespace_before_the_input_are_skipped() {
    let good = written(&slot(""));
    for marks in ["\u{feff}", "\u{feff}\u{feff}", "\r\n\u{feff} ", " \u{feff}\n\u{feff}"] {
        for input in [
            format!("{marks}{good}\n{good}"),
            format!("{marks}[{good},{good}]"),
            format!("{marks}{{\"Slots\":[{good},{good}]}}"),
        ] {
            for length in [1, 64] {
                let slots = SlotReader::new(Pieces { rest: input.as_bytes(), length });
                let slots: Vec<_> = slots.map(|slot| written(&slot.unwrap())).collect();
                assert_eq!(slots, [good.clone(), good.clone()], "{input:?} in pieces of {length}");
            }
        }
    }
}

/// An input that returns its bytes in pieces.
struct Pieces<'a> {
    rest: &'a [u8],
    length: usize,
}

impl io::Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.length.min(buffer.len());
        self.rest.read(&mut buffer[..length])
    }
}

#[test]
fn every_escape_is_read() {
    let read = slot(r#","Reason":"\"\\\/\b\f\n\r\t\u0041\u00e9\uD83D\uDE00\\u0041 end""#);
    assert_eq!(read.validate(), Ok(()));
    let expected = "\"\\/\u{8}\u{c}\n\r\tA\u{e9}\u{1f600}\\u0041 end";
    assert_eq!(read.reason.as_deref(), Some(expected));
}

#[test]
fn half_of_a_surrogate_pair_is_reported_with_its_path() {
    for (members, path) in [
        (r#","ID":"\ud800""#, "ID"),
        (r#","Reason":"a\udc00b""#, "Reason"),
        (r#","Reason":"\ud800\n""#, "Reason"),
        (r#","Reason":"\ud800\u0041""#, "Reason"),
        (r#","Provider":{"FirstName":"\uD83D "}"#, "Provider.FirstName"),
        (r#","Provider":{"Credentials":["MD","\ud800\ud800"]}"#, "Provider.Credentials[1]"),
        (r#","Provider":{"PhoneNumber":{"Office":"\\\ud800"}}"#, "Provider.PhoneNumber.Office"),
        (r#","Extensions":{"a":["\ud800"]}"#, "Extensions"),
        (r#","Extensions":{"\ud800":1}"#, "Extensions"),
        (r#","Provider":{"x":{"y":"\udfff"}}"#, "Provider"),
        (r#","Provider":{"\udfff":1}"#, "Provider"),
    ] {
        let slot = slot(members);
        let invalid = slot.validate().unwrap_err();
        let found: Vec<_> =
            invalid.problems().iter().map(|each| (each.path(), each.code())).collect();
        assert_eq!(found, [(path, ProblemCode::LoneSurrogate)], "{members}");
        assert!(invalid.to_string().contains("half of a surrogate pair"), "{invalid}");
        assert_eq!(
            serde_json::from_slice::<Slot>(&slot.to_json()).unwrap(),
            slot,
            "nothing is lost"
        );
    }
    let both = written(&slot(r#","\ud800":1,"\\ud800":2"#));
    assert!(both.contains(r#""\ud800":1,"\\ud800":2"#), "two keys: {both}");
    let message = PushSlots::from_json(
        r#"{"Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":15}],"x":"\ud800"}"#,
    );
    assert_eq!(
        message.unwrap().validate().unwrap_err().problems()[0].code(),
        ProblemCode::LoneSurrogate
    );
    for members in [
        r#","ID":"\ud83d\ude00""#,
        r#","x":"\\ud800""#,
        r#","x":"\\\\ud800 \ud83d\ude00\ud83d\ude00""#,
        r#","Extensions":{"a":"\ud83d\ude00","\ud83d\ude00":1}"#,
    ] {
        assert_eq!(slot(members).validate(), Ok(()), "{members}");
    }
}

#[test]
fn slot_is_written_on_one_line_and_whitespace_is_ignored() {
    let compact = r#"{"DateTime":"2026-12-01T09:00:00Z","Duration":15,"Provider":{"ID":"1","Extensions":{"a":{"b":[1,"x y\n"]}}},"Extensions":{"c d":"\" {"},"x":[1,{"y":null}],"Reason":[1,2]}"#;
    let spread =
        compact.replace("\":", "\" :\r\n\t ").replace("[1", "[ \n1").replace(",\"", " ,\n\"");
    let compact: Slot = serde_json::from_str(compact).unwrap();
    let spread: Slot = serde_json::from_str(&spread).unwrap();
    assert_eq!(spread, compact);
    assert_eq!(written(&spread), written(&compact));
    assert!(!written(&spread).contains(['\n', '\r', '\t']));

    // Providers that differ only in whitespace are shared.
    let slots = |space: &str| {
        format!(
            r#"{{"DateTime":"2026-12-01T09:00:00Z","Duration":15,"Provider":{{"Extensions":{{"a":{space}[1]}}}}}}"#
        )
    };
    let message =
        PushSlots::from_json(format!("{{\"Slots\":[{},{}]}}", slots(""), slots("\n  "))).unwrap();
    let [first, second] = message.slots() else { panic!("expected two slots") };
    assert!(first.provider.as_ref().unwrap().ptr_eq(second.provider.as_ref().unwrap()));
}

#[test]
fn booleans_are_read_in_any_case() {
    for (text, test) in [("True", true), ("TRUE", true), (" false ", false), ("FALSE", false)] {
        let json = format!(r#"{{"Meta":{{"Test":"{text}"}},"Slots":[]}}"#);
        assert_eq!(PushSlots::from_json(json).unwrap().meta().test, Some(test), "{text}");
    }
    let json =
        r#"{"Meta":{"Test":"yes"},"Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":15}]}"#;
    let problems = PushSlots::from_json(json).unwrap().validate().unwrap_err();
    assert_eq!(problems.problems()[0].path(), "Meta.Test");
}

#[test]
fn milliseconds_after_a_colon_have_three_digits() {
    let read = |text: &str| {
        let json = format!(r#"{{"DateTime":"{text}","Duration":15}}"#);
        serde_json::from_str::<Slot>(&json).unwrap().date_time.map(|time| time.to_rfc3339())
    };
    assert_eq!(read("2026-12-01T09:00:00:120Z").as_deref(), Some("2026-12-01T09:00:00.120+00:00"));
    for text in ["2026-12-01T09:00:00:12Z", "2026-12-01T09:00:00:1200Z", "2026-12-01T09:00:00:Z"] {
        assert_eq!(read(text), None, "{text}");
    }
}
