//! The reader never panics, and reports the position of an error in its input.

use pushslots::{PushSlots, ReadError};

fn error(input: impl AsRef<[u8]>) -> ReadError {
    PushSlots::from_json(input).expect_err("this isn't a message")
}

#[test]
fn input_that_is_not_an_object_is_reported_with_line_and_column() {
    for (input, line, column, text) in [
        ("", 1, 1, "the input is empty"),
        (" \n", 2, 1, "the input is empty"),
        ("{\"Slots\": []} x", 1, 15, "unexpected text after the end of the JSON"),
        ("[]", 1, 1, "the input is JSON, but not an object"),
        ("\"Granite\"", 1, 1, "the input is JSON, but not an object"),
    ] {
        let error = error(input);
        assert_eq!((error.line(), error.column()), (line, column), "{input}: {error}");
        assert_eq!(error.to_string(), format!("{text} at line {line} column {column}"));
    }
}

#[test]
fn json_error_is_reported_with_its_path() {
    // The mark `^` is at the position of the error.
    for (marked, path, text) in [
        ("{\n  \"Slots\": [^", "Slots", "the input ends before the JSON does"),
        ("{\n\"Slots\": n^othing}", "Slots", "expected a value"),
        ("{\"Slots\":[{},\n{\"DateTime\": 0^1}]}", "Slots[1].DateTime", "not a JSON number"),
        (
            "{\"Slots\":[{\"Provider\":{\"Credentials\":[\"MD\",^]}}]}",
            "Slots[0].Provider.Credentials[1]",
            "expected a value",
        ),
        (
            "{\"Slots\":[{\"Location\":{\"Granite\":{\"a\":tru^}}}]}",
            "Slots[0].Location",
            "expected a value",
        ),
        ("{\"Slots\":[{\"ID\":\"\\^x\"}]}", "Slots[0].ID", "unknown escape"),
        ("{\"Slots\":[{\"ID\":\"\\u12G^4\"}]}", "Slots[0].ID", "unknown escape"),
        (
            "{\"Slots\":[{\"ID\":\"^\n\"}]}",
            "Slots[0].ID",
            "control character in a string; write it as an escape",
        ),
        ("{\"Slots\":[{\"Duration\":1.^}]}", "Slots[0].Duration", "not a JSON number"),
        ("{\"Slots\":[{\"Duration\" ^1}]}", "Slots[0]", "expected a colon"),
        ("{\"Slots\":[{^Duration:1}]}", "Slots[0]", "expected a key in quotes"),
        ("{\"Slots\":[{}^{}]}", "Slots", "expected a comma or the end of the list"),
        (
            "{\"Meta\":{\"Destinations\":[{},{\"ID\":^}]}}",
            "Meta.Destinations[1].ID",
            "expected a value",
        ),
        ("{\"Granite\":[1,{\"Pat\":^!}]}", "", "expected a value"),
    ] {
        let (before, after) = marked.split_once('^').unwrap();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap().len() + 1;
        let error = error(before.to_owned() + after);
        assert_eq!(
            (error.path(), error.line(), error.column()),
            (path, line, column),
            "{marked}: {error}"
        );
        let suffix = if path.is_empty() { String::new() } else { format!(", in {path}") };
        assert_eq!(error.to_string(), format!("{text} at line {line} column {column}{suffix}"));
    }
}

#[test]
fn input_that_is_not_utf8_is_reported_with_line_and_column() {
    let error = error(b"{\"Slots\":\n[\"\xff\"]}");
    assert_eq!(error.to_string(), "the input isn't UTF-8 at line 2 column 3");
    let error = self::error(b"\xef\xbb\xbf{\"\xff\"}");
    assert_eq!(error.column(), 3, "a byte-order mark doesn't count as a column");
}

#[test]
fn truncated_message_is_an_error() {
    let sample = include_str!("../data/official-push-slots.json").trim_end();
    for end in 0..sample.len() {
        error(&sample[..end]);
    }
    PushSlots::from_json(sample).unwrap();
}

#[test]
fn thousands_of_nested_brackets_do_not_panic() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("{\"Slots\":[{\"Provider\":", "}]}")] {
        let deep = open.repeat(5_000);
        error(&deep);
        let whole = format!("{deep}1{}", close.repeat(5_000));
        for json in [
            whole.clone(),
            format!("{{\"Slots\":{whole}}}"),
            format!("{{\"Slots\":[{{\"DateTime\":{whole},\"Provider\":{whole},\"x\":{whole}}}]}}"),
        ] {
            if let Ok(message) = PushSlots::from_json(&json) {
                let problems = message.validate().unwrap_err();
                assert!(problems.problems().iter().all(|problem| problem.to_string().len() < 200));
            }
        }
    }
}

#[test]
fn message_of_fifty_megabytes_is_read() {
    let slot = r#"{"DateTime":"2026-12-01T09:00:00Z","Duration":15,"Reason":"Office Visit"},"#;
    let count = 50_000_000 / slot.len() + 1;
    let json = format!("{{\"Slots\":[{}]}}", slot.repeat(count).trim_end_matches(','));
    assert!(json.len() > 50_000_000 - slot.len());
    let message = PushSlots::from_json(&json).unwrap();
    assert_eq!(message.slots().len(), count);
    message.validate().unwrap();
    error(&json[..json.len() - 1]);
}

#[test]
fn unusual_values_are_problems_and_are_written_unchanged() {
    for value in [
        r#""\ud800""#,
        r#""\u0000""#,
        "\"\u{1f469}\u{200d}\"",
        "1e99999",
        "-0",
        "[[]]",
        "{\"\\ud800\":1}",
    ] {
        for key in ["DateTime", "Duration", "ID", "Provider", "Location", "x"] {
            let json =
                format!("{{\"Meta\":{{\"{key}\":{value}}},\"Slots\":[{{\"{key}\":{value}}}]}}");
            let message = PushSlots::from_json(&json).unwrap();
            assert!(message.validate().is_err(), "{json}");
            let written = PushSlots::from_json(message.to_json()).unwrap();
            assert_eq!(written, message, "unreadable values are written unchanged: {json}");
        }
    }
}
