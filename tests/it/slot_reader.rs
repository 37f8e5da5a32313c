//! Reading slots one at a time from an input.

use std::io::{self, Read};

use pushslots::{PushSlots, ReadError, Slot, SlotReader};
use support::reading::Pieces;

const SLOTS: [&str; 3] = [
    r#"{"ID":"1","DateTime":"2026-12-01T09:00:00Z","Duration":15,"Provider":{"ID":"é\u00e9"},"x":[1.10,"}"]}"#,
    r#"{"ID":2,"DateTime":"2026-12-01 09:15:00Z","Duration":"15","Provider":{ "ID" : "éé" }}"#,
    r#"{"ID":"3","DateTime":"nonsense","Extensions":{"a":{"b":"ü"}}}"#,
];

fn pieces(text: &str, length: usize) -> SlotReader<Pieces<'_>> {
    SlotReader::new(Pieces { bytes: text.as_bytes(), length })
}

fn read(text: &str) -> Vec<Result<Slot, ReadError>> {
    SlotReader::new(text.as_bytes()).collect()
}

fn expected() -> Vec<Slot> {
    let message = PushSlots::from_json(format!("{{\"Slots\":[{}]}}", SLOTS.join(","))).unwrap();
    message.slots().to_vec()
}

/// Returns the slots and errors of `text`, which must be the same in pieces of any size.
fn outcome(text: &str) -> Vec<Result<Slot, String>> {
    let with_text = |read: Result<Slot, ReadError>| read.map_err(|error| error.to_string());
    let whole: Vec<_> = read(text).into_iter().map(with_text).collect();
    for length in [1, 2, 3, 7, 64] {
        let parts: Vec<_> = pieces(text, length).map(with_text).collect();
        assert_eq!(parts, whole, "pieces of {length} bytes of {text}");
    }
    whole
}

#[test]
fn every_input_format_gives_the_same_slots() {
    let [list, lines] = [",", "\n"].map(|separator| SLOTS.join(separator));
    for text in [
        format!("[{list}]"),
        format!(" [ \n{} ]\n", SLOTS.join(" , ")),
        format!("{{\"Slots\":[{list}]}}"),
        format!("{{\"Meta\":{{\"Test\":true}},\"x\":[{list}],\"Slots\":[{list}],\"y\":{{}}}}"),
        lines.clone(),
        format!("\n{}\r\n\r\n", SLOTS.join("\r\n")),
        SLOTS.concat(),
        format!("\u{feff}{lines}\n"),
        format!("\u{feff}[{list}]"),
    ] {
        let slots: Vec<_> = outcome(&text).into_iter().map(Result::unwrap).collect();
        assert_eq!(slots, expected(), "{text}");
    }
}

#[test]
fn input_without_slots_gives_no_slots() {
    for text in [
        "",
        " \n",
        "\u{feff}",
        "[]",
        " [ ] ",
        "{\"Slots\":[]}",
        "{\"Slots\":null}",
        "{\"Meta\":{},\"Slots\":[]}",
    ] {
        assert_eq!(outcome(text), [], "{text:?}");
    }
}

#[test]
fn meta_of_a_message_is_available() {
    let slots = SLOTS.join(",");
    let before = format!("{{\"Meta\":{{\"BatchID\":\"b\"}},\"Slots\":[{slots}]}}");
    let after = format!("{{\"Slots\":[{slots}],\"Meta\":{{\"BatchID\":\"b\"}}}}");
    let mut reader = pieces(&before, 1000);
    let slot = reader.next().unwrap().unwrap();
    let mut message =
        PushSlots::builder().meta(reader.meta().unwrap().clone()).slot(slot).build().unwrap();
    message.meta_mut().batch_id = None;
    let expected = br#"{"Meta":{"DataModel":"Scheduling","EventType":"PushSlots"},"Slots""#;
    assert!(
        message.to_json().starts_with(expected),
        "the builder adds the data model and the event type"
    );

    for length in [1, 1000] {
        let mut reader = pieces(&before, length);
        assert!(reader.meta().is_none());
        reader.next().unwrap().unwrap();
        assert_eq!(reader.meta().unwrap().batch_id.as_deref(), Some("b"));

        let mut reader = pieces(&after, length);
        assert_eq!(reader.by_ref().count(), 3);
        assert_eq!(reader.meta().unwrap().batch_id.as_deref(), Some("b"));
    }
}

#[test]
fn slot_may_have_its_own_meta() {
    let text = r#"{"ID":"1","Meta":5}
{"ID":"2","Meta":{"Test":true}}"#;
    let mut reader = SlotReader::new(text.as_bytes());
    let ids: Vec<_> = reader.by_ref().map(|slot| slot.unwrap().id.unwrap()).collect();
    assert_eq!(ids, ["1".into(), "2".into()]);
    assert!(reader.meta().is_none());
}

#[test]
fn empty_slot_is_not_skipped() {
    for text in ["[{},null]", "{}\nnull\n"] {
        let slots: Vec<_> = outcome(text).into_iter().map(Result::unwrap).collect();
        assert_eq!(slots.len(), 2);
        let error = PushSlots::builder().slots(slots).build().unwrap_err();
        assert_eq!(error.problems()[3].path(), "Slots[1].Duration");
    }
}

#[test]
fn value_that_is_not_a_slot_does_not_affect_its_neighbors() {
    for (text, (line, column)) in [
        (format!("[{0},\n 17,{0}]", SLOTS[0]), (2, 2)),
        (
            format!("{{\"Slots\":[{0},\"x\",{0}]}}", SLOTS[0]),
            (1, "{\"Slots\":[,".len() + SLOTS[0].len() + 1),
        ),
        (format!("{0}\n17\n{0}", SLOTS[0]), (2, 1)),
    ] {
        let [first, second, third] = <[_; 3]>::try_from(outcome(&text)).unwrap();
        assert_eq!(
            (first.unwrap(), third.unwrap()),
            (expected()[0].clone(), expected()[0].clone())
        );
        let expected = format!("expected an object at line {line} column {column}, in Slots[1]");
        assert_eq!(second.unwrap_err(), expected, "{text}");
    }
    assert_eq!(outcome("{}\n17").len(), 2, "a number at the very end");
}

#[test]
fn broken_line_does_not_affect_its_neighbors() {
    let lines = [
        SLOTS[0],
        r#"{"ID":"1","Prov"#,
        SLOTS[1],
        r#"{"ID":"1","#,
        SLOTS[2],
        "17",
        "}",
        "",
        SLOTS[0],
        r#"{"a":["#,
        r#"{}"#,
        "null",
        r#"{"ID":"1"#,
    ];
    let text = lines.join("\n");
    let expected: Vec<Result<Slot, &str>> = vec![
        Ok(expected()[0].clone()),
        Err(
            "control character in a string; write it as an escape at line 2 column 16, in Slots[1]",
        ),
        Ok(expected()[1].clone()),
        Err("the line ends before the JSON does at line 4 column 11, in Slots[3]"),
        Ok(expected()[2].clone()),
        Err("expected an object at line 6 column 1, in Slots[5]"),
        Err("expected a value at line 7 column 1, in Slots[6]"),
        Ok(expected()[0].clone()),
        Err("the line ends before the JSON does at line 10 column 7, in Slots[8]"),
        Ok(SlotReader::new(&b"{}"[..]).next().unwrap().unwrap()),
        Ok(SlotReader::new(&b"{}"[..]).next().unwrap().unwrap()),
        Err("the input ends before the JSON does at line 13 column 9, in Slots[11].ID"),
    ];
    let expected: Vec<_> = expected.into_iter().map(|slot| slot.map_err(str::to_owned)).collect();
    assert_eq!(outcome(&text), expected);

    let mut reader = pieces(&text, 5);
    let mut starts = Vec::new();
    while reader.next().is_some() {
        starts.push(reader.line());
    }
    assert_eq!(starts, [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13]);
}

#[test]
fn problem_of_a_slot_is_reported_with_its_line() {
    let text = "[\n{\"Duration\":15},\n\n  {\"DateTime\":\"2026-12-01T09:00:00Z\",\n\"Duration\":\"soon\"}]";
    let mut reader = SlotReader::new(text.as_bytes());
    let mut problems = Vec::new();
    while let Some(slot) = reader.next() {
        let wrong = slot.unwrap().validate().unwrap_err();
        problems.push(format!("line {}: {}", reader.line(), wrong.problems()[0]));
    }
    let missing = "line 2: DateTime: missing; set the start of the slot";
    let unreadable =
        "line 4: Duration: expected a number of minutes above 0; this string isn't one";
    assert_eq!(problems, [missing, unreadable]);
}

#[test]
fn slots_written_as_lines_are_read_unchanged() {
    let mut lines = Vec::new();
    for slot in expected() {
        lines.extend(slot.to_json());
        lines.push(b'\n');
    }
    let read: Vec<_> = SlotReader::new(&*lines).map(Result::unwrap).collect();
    assert_eq!(read, expected());
}

#[test]
fn invalid_json_ends_the_reader_with_its_path() {
    let one = SLOTS[0];
    for (text, slots, error) in [
        ("x".to_owned(), 0, "expected a value at line 1 column 1, in Slots[0]"),
        ("17".to_owned(), 0, "expected an object at line 1 column 1, in Slots[0]"),
        (
            format!("[{one}\n"),
            1,
            "the input ends before the JSON does at line 2 column 1, in Slots",
        ),
        (
            format!("[{one},\n{{\"Provider\":{{\"ID\":1,}}}}]"),
            1,
            "expected a key in quotes at line 2 column 21, in Slots[1].Provider",
        ),
        (
            format!("{one}\n{{\"Duration\":"),
            1,
            "the input ends before the JSON does at line 2 column 13, in Slots[1].Duration",
        ),
        (format!("{one}\n,{one}"), 1, "expected a value at line 2 column 1, in Slots[1]"),
        (
            format!("[{one}]\n{one}"),
            1,
            "unexpected text after the end of the JSON at line 2 column 1",
        ),
        (
            format!("{{\"Slots\":[{one}]\n,\"Slots\":[]}}"),
            1,
            "given more than once at line 2 column 10, in Slots",
        ),
        ("{\"Slots\":\n{}}".to_owned(), 0, "expected a list at line 2 column 1, in Slots"),
        ("{\"Slots\":17}".to_owned(), 0, "expected a list at line 1 column 10, in Slots"),
        ("{\"Slots\":17e}".to_owned(), 0, "not a JSON number at line 1 column 13, in Slots"),
        (
            "{\"Meta\":\n5,\"Slots\":[]}".to_owned(),
            0,
            "expected an object at line 2 column 1, in Meta",
        ),
        (
            "{\"Meta\":{\"Test\":tru},\"Slots\":[]}".to_owned(),
            0,
            "expected a value at line 1 column 20, in Meta.Test",
        ),
        (
            format!("{{\"Meta\":{{\"Test\":true}},\"Slots\":[{one}],\n\"Meta\":{{}}}}"),
            1,
            "given more than once at line 2 column 8, in Meta",
        ),
    ] {
        let mut outcome = outcome(&text);
        assert_eq!(outcome.pop().unwrap().unwrap_err(), error, "{text}");
        assert_eq!(outcome.into_iter().map(Result::unwrap).count(), slots, "{text}");
    }
}

#[test]
fn invalid_utf8_ends_the_reader_after_the_slots_before_it() {
    let one = SLOTS[0];
    for bytes in [&b"\xff"[..], b"\xc3", b"\xe2\x82\n"] {
        let text = [one.as_bytes(), b"\n{\"ID\":\"", bytes].concat();
        for length in [1, 2, 1000] {
            let mut reader = SlotReader::new(Pieces { bytes: &text, length });
            assert_eq!(reader.next().unwrap().unwrap(), expected()[0]);
            let error = reader.next().unwrap().unwrap_err();
            assert_eq!(error.to_string(), "the input isn't UTF-8 at line 2 column 8");
            assert!(reader.next().is_none());
        }
    }
}

#[test]
fn reader_ends_after_a_failed_read() {
    struct Failing<'a>(&'a [u8], bool);
    impl Read for Failing<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match (self.0, self.1) {
                (_, false) => {
                    self.1 = true;
                    Err(io::ErrorKind::Interrupted.into())
                }
                ([], _) => Err(io::Error::other("the disk is gone")),
                _ => self.0.read(buffer),
            }
        }
    }
    let text = format!("{}\n{{", SLOTS[0]);
    let mut reader = SlotReader::new(Failing(text.as_bytes(), false));
    assert_eq!(
        reader.next().unwrap().unwrap(),
        expected()[0],
        "an interrupted read isn't a failure"
    );
    let error = reader.next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the input can't be read any further at line 2 column 2");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the disk is gone");
    assert!(reader.next().is_none() && reader.next().is_none());
}

#[test]
fn long_slot_is_read_and_an_endless_one_is_an_error() {
    let slot = |length: usize| {
        format!(
            r#"{{"DateTime":"2026-12-01T09:00:00Z","Duration":15,"Reason":"{}"}}"#,
            "é".repeat(length / 2)
        )
    };
    let long = slot(8_000_000);
    let text = format!("{long}\n{}", SLOTS[0]);
    let slots: Vec<_> = read(&text).into_iter().map(Result::unwrap).collect();
    assert_eq!(slots[0].reason.as_ref().unwrap().len(), 8_000_000);
    assert_eq!(slots[1], expected()[0]);

    let endless =
        io::Cursor::new(format!("{}[{{\"ID\":\"", " ".repeat(100))).chain(io::repeat(b'x'));
    let mut reader = SlotReader::new(endless);
    let error = reader.next().unwrap().unwrap_err();
    assert!(
        error.to_string().starts_with("a slot or `Meta` of more than 8 MiB at line 1"),
        "{error}"
    );
    assert!(reader.next().is_none());

    for (before, after, count) in
        [("[", "]", 0), ("[{},", "{}]", 2), ("{\"Slots\":[{}", ",{}]}", 2), ("{}", "{}", 2)]
    {
        let spaces = io::repeat(b' ').take(20_000_000);
        let input = before.as_bytes().chain(spaces).chain(after.as_bytes());
        let slots: Vec<_> = SlotReader::new(input).map(Result::unwrap).collect();
        assert_eq!(slots.len(), count, "the spaces after {before} are skipped");
    }
}

#[test]
fn too_long_slot_is_an_error_in_pieces_of_any_size() {
    let text = format!("{{\"ID\":\"{}\"}}", "x".repeat(10 << 20));
    for length in [4 << 10, 64 << 10, 1 << 20, usize::MAX] {
        let error = pieces(&text, length).next().unwrap().unwrap_err();
        assert!(
            error.to_string().starts_with("a slot or `Meta` of more than 8 MiB"),
            "{length}: {error}"
        );
    }
}

#[test]
fn slots_before_a_failed_read_are_not_lost() {
    struct Failing<'a>(Vec<&'a [u8]>);
    impl Read for Failing<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some(piece) = self.0.first_mut() else {
                return Err(io::Error::other("the disk is gone"));
            };
            let count = piece.read(buffer)?;
            if piece.is_empty() {
                self.0.remove(0);
            }
            Ok(count)
        }
    }
    let long = format!("{{\"ID\":\"{}\"}}", "x".repeat(150_000));
    let (first, second) = long.split_at(80_000);
    let rest = [second, "\n", SLOTS[0], "\n", SLOTS[1], "\n{"].concat();
    let mut reader = SlotReader::new(Failing(vec![first.as_bytes(), rest.as_bytes()]));
    assert_eq!(reader.next().unwrap().unwrap().id.unwrap().len(), 150_000);
    assert_eq!(reader.next().unwrap().unwrap(), expected()[0]);
    assert_eq!(reader.next().unwrap().unwrap(), expected()[1]);
    let error = reader.next().unwrap().unwrap_err();
    assert_eq!((error.line(), error.column()), (4, 2), "{error}");
    assert!(reader.next().is_none());
}

#[test]
fn input_that_overstates_its_length_does_not_panic() {
    struct Wrong(bool);
    impl Read for Wrong {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(b' ');
            Ok(if std::mem::replace(&mut self.0, true) { 0 } else { buffer.len() + 1 })
        }
    }
    assert_eq!(SlotReader::new(Wrong(false)).count(), 0);
}

#[test]
fn slots_share_equal_records() {
    let slots: Vec<_> =
        read(&format!("{}\n{}", SLOTS[0], SLOTS[1])).into_iter().map(Result::unwrap).collect();
    assert!(slots[0].provider.as_ref().unwrap().ptr_eq(slots[1].provider.as_ref().unwrap()));
}

#[test]
fn records_that_are_not_repeated_are_evicted() {
    let line = |n: usize| format!("{{\"Provider\":{{\"ID\":\"{n:0100}\"}}}}\n");
    // Record 0 and record 1, then more records than two generations hold, with record 1 repeated
    // among them. Then both again.
    let records_between =
        (2..30_000).flat_map(|n| [Some(line(n)), (n % 1000 == 0).then(|| line(1))]).flatten();
    let lines = [line(0), line(1)]
        .into_iter()
        .chain(records_between)
        .chain([line(0), line(1)])
        .collect::<String>();
    let providers: Vec<_> =
        read(&lines).into_iter().map(|slot| slot.unwrap().provider.unwrap()).collect();
    let [first, one, .., first_again, one_again] = &*providers else {
        panic!("expected more records")
    };
    assert!(one.ptr_eq(one_again), "a repeated record stays cached");
    assert!(
        first == first_again && !first.ptr_eq(first_again),
        "a record that isn't repeated is evicted"
    );
}

#[test]
fn slots_without_equal_records_are_read() {
    let count = 30_000;
    let lines: String = (0..count)
        .map(|n| format!("{{\"Reason\":\"{n:0100}\",\"Provider\":{{\"ID\":\"{n:0100}\"}},\"Location\":{{\"Room\":\"{n}\"}}}}\n"))
        .collect();
    for (n, slot) in SlotReader::new(lines.as_bytes()).enumerate() {
        let slot = slot.unwrap();
        assert_eq!(slot.provider.unwrap().id, Some(format!("{n:0100}")));
        assert_eq!(slot.reason.as_deref(), Some(&*format!("{n:0100}")));
    }
}

#[test]
fn broken_lines_cost_time_in_proportion_to_their_length() {
    // Each line opens a value that no line closes, or that closes only after the maximum number of
    // lines for one value.
    let broken_often = format!("{}x\n", "[\n".repeat(8_000)).repeat(30);
    for broken in ["[\n".repeat(300_000), "{\"a\":\n".repeat(300_000), broken_often] {
        let input = format!("{}\n{broken}{}", SLOTS[0], SLOTS[1]);
        let read: Vec<_> = SlotReader::new(input.as_bytes()).collect();
        assert_eq!(read.len(), input.lines().count());
        assert_eq!(read.iter().filter(|slot| slot.is_ok()).count(), 2);
    }
}

#[test]
fn invalid_utf8_after_a_broken_line_is_reported() {
    let input = [SLOTS[0].as_bytes(), b"\noops \xff\n", SLOTS[1].as_bytes()].concat();
    let mut reader = SlotReader::new(&input[..]);
    assert!(reader.next().unwrap().is_ok());
    assert!(!reader.next().unwrap().unwrap_err().is_last());
    let last = reader.next().unwrap().unwrap_err();
    assert!(
        last.is_last() && last.to_string().starts_with("the input isn't UTF-8 at line 2"),
        "{last}"
    );
    assert!(reader.next().is_none());
}

#[test]
fn value_of_any_type_that_is_not_a_slot_is_one_error() {
    for value in ["1e999", "\"\\ud800\"", "5", "[[1]]", "true"] {
        for input in [
            format!("[{value},{},{}]", SLOTS[0], SLOTS[1]),
            format!("{}\n{value}\n{}", SLOTS[0], SLOTS[1]),
        ] {
            let read: Vec<_> = SlotReader::new(input.as_bytes()).collect();
            assert_eq!(read.iter().filter(|slot| slot.is_ok()).count(), 2, "{input}");
            assert_eq!(read.len(), 3, "{input}");
        }
        let message = PushSlots::from_json(format!("{{\"Slots\":[{value}]}}")).unwrap();
        assert!(
            message.validate().unwrap_err().problems()[0].path().starts_with("Slots[0]"),
            "{value}"
        );
    }
}
