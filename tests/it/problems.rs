//! Problems of a message: their maximum number, their counts for shared records, and their codes.

use pushslots::chrono::{DateTime, TimeDelta, Utc};
use pushslots::mock::MockService;
use pushslots::uuid::uuid;
use pushslots::{
    AuthError, Client, Destination, Error, InvalidMessage, Location, Meta, PermitError,
    PreparedMessage, Problem, ProblemCode, Provider, PushSlots, ResumePoint, Severity, SigningKey,
    Slot, SlotReader, TransportError, TransportErrorKind,
};
use support::any::{Any, token};

const LIMIT: usize = 1_000;

fn nine_o_clock() -> DateTime<Utc> {
    "2026-12-01T09:00:00Z".parse().unwrap()
}

fn invalid(json: &str) -> InvalidMessage {
    PushSlots::from_json(json).unwrap().validate().unwrap_err()
}

/// Returns slots that share a provider. Its phone number has no country code.
fn with_one_provider(count: usize) -> Vec<Slot> {
    let provider = Provider::new().id("1", "NPI").office_phone("608-555-1234").share();
    let at =
        |number: usize| nine_o_clock() + TimeDelta::minutes(15 * i64::try_from(number).unwrap());
    (0..count).map(|number| Slot::new(at(number), 15).provider(&provider)).collect()
}

/// A program prints the `Debug` output of an error that `main` returns.
#[test]
fn debug_of_an_error_is_its_text() {
    fn check(error: impl std::error::Error) {
        assert_eq!(format!("{error:?}"), error.to_string());
    }
    check(SigningKey::from_pem("no PEM", "key-id").unwrap_err());
    check(PushSlots::from_json("x").unwrap_err());
    check(invalid(r#"{"Slots":[{"DateTime":1}]}"#));
    check("x".parse::<ResumePoint>().unwrap_err());
    check(PreparedMessage::from_bytes(b"x").unwrap_err());
    check(AuthError::temporary("the vault is locked"));
    check(PermitError::failed("the database is down"));
    check(TransportError::unknown(TransportErrorKind::Timeout));
    check(Client::builder().build().unwrap_err());
}

#[test]
fn problems_are_counted_beyond_the_first_thousand() {
    let invalid = invalid(&format!("{{\"Slots\":[{}{{}}]}}", "{},".repeat(2_999)));
    assert_eq!((invalid.problems().len(), invalid.omitted()), (LIMIT, 6_000 - LIMIT));
    assert_eq!(invalid.problems()[0].path(), "Slots[0].DateTime");
    assert_eq!(invalid.problems()[LIMIT - 1].path(), "Slots[499].Duration");
    let text = invalid.to_string();
    assert_eq!(text.lines().count(), 1 + LIMIT + 1);
    assert!(text.ends_with("\n  and 5000 more"), "{}", &text[text.len() - 40..]);

    let error = Error::from(invalid);
    assert_eq!((error.problems().len(), error.omitted_problems()), (LIMIT, 5_000));
    assert!(error.to_string().ends_with("\n  and 5000 more"));
    let json = serde_json::to_value(&error).unwrap();
    assert_eq!(
        (json["problems"].as_array().unwrap().len(), &json["omitted_problems"]),
        (LIMIT, &5_000.into())
    );
    assert_eq!(json["error"], error.to_string());
}

#[test]
fn record_that_slots_share_is_counted_once_beyond_the_first_thousand() {
    let mut message =
        PushSlots::from_json(format!("{{\"Slots\":[{}{{}}]}}", "{},".repeat(499))).unwrap();
    message.slots_mut().extend(with_one_provider(5_000));
    let invalid = message.validate().unwrap_err();
    assert_eq!((invalid.problems().len(), invalid.omitted()), (LIMIT, 1));
}

#[test]
fn limit_of_a_message_applies_to_one_slot() {
    let credentials = vec!["{\"x\":1}"; 5_000].join(",");
    let slot = format!(
        r#"{{"DateTime":"2026-12-01T09:00:00Z","Duration":15,"Provider":{{"Credentials":[{credentials}]}}}}"#
    );
    let slot: Slot = serde_json::from_str(&slot).unwrap();
    let invalid = slot.validate().unwrap_err();
    assert_eq!((invalid.problems().len(), invalid.omitted()), (LIMIT, 4_000));
    assert_eq!(invalid.problems()[7].path(), "Provider.Credentials[7]");
}

#[test]
fn problem_of_a_shared_record_is_reported_once_with_the_number_of_slots() {
    let mut slots = with_one_provider(500);
    slots.push(Slot::new(nine_o_clock(), 0));
    let invalid = PushSlots::builder().slots(slots).build().unwrap_err();
    let found: Vec<_> =
        invalid.problems().iter().map(|problem| (problem.path(), problem.slot_count())).collect();
    assert_eq!(found, [("Slots[0].Provider.PhoneNumber.Office", 500), ("Slots[500].Duration", 1)]);
    assert_eq!(invalid.omitted(), 0);
    assert!(
        invalid.problems()[0].to_string().ends_with("up to 15 digits (and in 499 other slots)")
    );

    let two = PushSlots::builder().slots(with_one_provider(2)).build().unwrap_err();
    assert!(two.problems()[0].to_string().ends_with("(and in 1 other slot)"));
    let one = PushSlots::builder().slots(with_one_provider(1)).build().unwrap_err();
    assert!(one.problems()[0].to_string().ends_with("up to 15 digits"));
}

#[test]
fn problems_of_equal_records_are_reported_once() {
    let slot = r#"{"DateTime":"2026-12-01T09:00:00Z","Duration":15,"Location":{"Room":[1],"Department":{"a":1}}}"#;
    let found = invalid(&format!("{{\"Slots\":[{slot},{slot},{slot}]}}"));
    let found: Vec<_> =
        found.problems().iter().map(|problem| (problem.path(), problem.slot_count())).collect();
    assert_eq!(found, [("Slots[0].Location.Department", 3), ("Slots[0].Location.Room", 3)]);
}

#[test]
fn problems_of_separate_records_are_reported_separately() {
    let slots = (0..3).map(|_| {
        Slot::new(nine_o_clock(), 15)
            .provider(Provider::new().office_phone("1"))
            .location(Location::new().room("1"))
    });
    let invalid = PushSlots::builder().slots(slots).build().unwrap_err();
    let found: Vec<_> =
        invalid.problems().iter().map(|problem| (problem.path(), problem.slot_count())).collect();
    let office = |slot: usize| format!("Slots[{slot}].Provider.PhoneNumber.Office");
    assert_eq!(found, [(&*office(0), 1), (&*office(1), 1), (&*office(2), 1)]);
}

#[tokio::test]
async fn publication_reports_the_same_problems_as_a_message() {
    let service = MockService::start().unwrap();
    let client = Client::builder().mock(&service).build().unwrap();
    let error = client.publish(with_one_provider(5_000)).await.unwrap_err();
    let problems = error.error().problems();
    assert_eq!(
        (problems.len(), problems[0].slot_count(), error.error().omitted_problems()),
        (1, 5_000, 0)
    );

    let empty: Vec<_> =
        SlotReader::new("{}\n".repeat(2_000).as_bytes()).map(Result::unwrap).collect();
    let error = client.publish(&empty).await.unwrap_err();
    assert_eq!((error.error().problems().len(), error.error().omitted_problems()), (LIMIT, 3_000));

    let mut skipped = 0;
    let mut problem_count = 0;
    let mixed =
        empty.into_iter().chain(with_one_provider(3)).chain([Slot::new(nine_o_clock(), 15)]);
    let publication = client.publish(mixed.collect::<Vec<_>>()).skip_invalid(|_, problems| {
        skipped += 1;
        problem_count += problems.iter().map(Problem::slot_count).sum::<usize>();
    });
    let report = publication.await.unwrap();
    assert_eq!((report.run().accepted_slots, skipped, problem_count), (1, 2_003, 4_003));
    assert_eq!(service.received().len(), 1);
}

#[tokio::test]
async fn mock_reports_a_bounded_number_of_problems() {
    let service = MockService::start().unwrap();
    let body = format!(
        r#"{{"Meta":{{"DataModel":"Scheduling","EventType":"PushSlots"}},"Slots":[{}{{}}]}}"#,
        "{},".repeat(100_000)
    );
    let any = Any::of(&service);
    let token = token(&service, &any).await;
    let (status, body) = any.push(&token, body).await;
    assert_eq!(status, 400);
    assert!(body.to_string().len() < 200_000);
    assert!(body.to_string().contains("and 199002 more"));
    assert!(service.requests().last().unwrap().reason().unwrap().len() < 1_000);
}

/// Checks the code and the severity of each rule.
#[test]
fn every_problem_has_a_code_and_a_severity() {
    use ProblemCode::{
        Empty, InvalidBatch, Missing, NotE164, NotUuid, OutOfRange, Repeated, WrongType,
    };
    let slot = |members: &str| {
        format!(r#"{{"Slots":[{{"DateTime":"2026-12-01T09:00:00Z","Duration":15,{members}}}]}}"#)
    };
    let meta = |members: &str| {
        format!(
            r#"{{"Meta":{{{members}}},"Slots":[{{"DateTime":"2026-12-01T09:00:00Z","Duration":15}}]}}"#
        )
    };
    for (json, path, code, severity) in [
        ("{}".to_owned(), "Slots", Empty, Severity::Error),
        (r#"{"Slots":5}"#.to_owned(), "Slots", WrongType, Severity::Error),
        (
            r#"{"Slots":[{"DateTime":"2026-12-01T09:00:00Z"}]}"#.to_owned(),
            "Slots[0].Duration",
            Missing,
            Severity::Error,
        ),
        (slot(r#""Reason":[1]"#), "Slots[0].Reason", WrongType, Severity::Error),
        (slot(r#""Reason":"a","Reason":"b""#), "Slots[0].Reason", Repeated, Severity::Error),
        (slot(r#""Extensions":1"#), "Slots[0].Extensions", WrongType, Severity::Error),
        (
            slot(r#""Provider":{"PhoneNumber":{"Office":"1"}}"#),
            "Slots[0].Provider.PhoneNumber.Office",
            NotE164,
            Severity::Warning,
        ),
        (
            r#"{"Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":0}]}"#.to_owned(),
            "Slots[0].Duration",
            OutOfRange,
            Severity::Error,
        ),
        (
            r#"{"Slots":[{"DateTime":"soon","Duration":1}]}"#.to_owned(),
            "Slots[0].DateTime",
            WrongType,
            Severity::Error,
        ),
        (meta(r#""Source":{"ID":"mine"}"#), "Meta.Source.ID", NotUuid, Severity::Warning),
        (meta(r#""Source":{"ID":5}"#), "Meta.Source.ID", WrongType, Severity::Error),
        (
            meta(r#""Destinations":[{"ID":"x"}]"#),
            "Meta.Destinations[0].ID",
            NotUuid,
            Severity::Warning,
        ),
        (meta(r#""Destinations":[{}]"#), "Meta.Destinations[0].ID", Missing, Severity::Error),
        (
            meta(r#""BatchID":"b","CurrentBatch":"three""#),
            "Meta.CurrentBatch",
            InvalidBatch,
            Severity::Warning,
        ),
        (
            meta(r#""BatchID":"b","CurrentBatch":[3]"#),
            "Meta.CurrentBatch",
            WrongType,
            Severity::Error,
        ),
        (
            meta(r#""BatchID":"b","CurrentBatch":0"#),
            "Meta.CurrentBatch",
            InvalidBatch,
            Severity::Warning,
        ),
        (
            meta(r#""BatchID":"b","CurrentBatch":3,"TotalBatches":2"#),
            "Meta.CurrentBatch",
            InvalidBatch,
            Severity::Warning,
        ),
        (meta(r#""CurrentBatch":1"#), "Meta.BatchID", InvalidBatch, Severity::Warning),
    ] {
        let invalid = invalid(&json);
        let found: Vec<_> = invalid
            .problems()
            .iter()
            .map(|each| (each.path(), each.code(), each.severity()))
            .collect();
        assert_eq!(found, [(path, code, severity)], "{json}");
    }
}

#[test]
fn problem_serializes_with_its_code() {
    let message = PushSlots::builder()
        .meta(
            Meta::new()
                .destination(Destination::new(uuid!("af394f14-b34a-464f-8d24-895f370af4c9"))),
        )
        .slots(with_one_provider(2))
        .build();
    let json = serde_json::to_value(message.unwrap_err().problems()).unwrap();
    let text = "not in E.164 form: write `+`, the country code and the number, up to 15 digits";
    assert_eq!(
        json,
        serde_json::json!([{
            "path": "Slots[0].Provider.PhoneNumber.Office",
            "code": "not_e164",
            "severity": "warning",
            "text": text,
            "slot_count": 2,
        }])
    );
    let settings = Client::builder().base_url("nowhere").build().unwrap_err();
    assert!(settings.problems().iter().all(|each| each.code() == ProblemCode::InvalidSetting));
}

#[test]
fn problems_of_slots_in_an_unreadable_list_are_reported() {
    let slot = |provider: &str| {
        format!(r#"{{"DateTime":"2026-12-01T09:00:00Z","Duration":15,"Provider":{provider}}}"#)
    };
    let first = slot(r#"{"PhoneNumber":{"Office":"x"}}"#);
    let second = slot(r#"{"ID":["a"]}"#);
    let found = invalid(&format!("{{\"Slots\":[5,{first},{second},{first}]}}"));
    let found: Vec<_> =
        found.problems().iter().map(|problem| (problem.path(), problem.slot_count())).collect();
    assert_eq!(
        found,
        [("Slots[0]", 1), ("Slots[1].Provider.PhoneNumber.Office", 2), ("Slots[2].Provider.ID", 1),]
    );
}
