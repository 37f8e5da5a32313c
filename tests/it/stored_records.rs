//! Receipts, attempts, reports, progress and resume points can be stored as JSON and read again.
//!
//! `tests/data/stored` has one golden file for each type. A change of this JSON is a change of the
//! API.

use pushslots::{
    Attempt, Classification, Delivery, ErrorKind, NextStep, ProblemCode, Progress, PublishReport,
    Receipt, ResumePoint, Severity, WaitReason,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use support::repository;

fn golden(name: &str) -> String {
    let path = repository("tests/data/stored").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// Adds a member, as a later version might, to every object.
fn with_unknown_members(json: &mut Value) {
    match json {
        Value::Object(members) => {
            members.values_mut().for_each(with_unknown_members);
            members.insert("added_later".to_owned(), json!({ "deep": [1] }));
        }
        Value::Array(elements) => elements.iter_mut().for_each(with_unknown_members),
        _ => {}
    }
}

fn assert_unchanged<T: Serialize + DeserializeOwned>(name: &str) {
    let text = golden(name);
    let json: Value = serde_json::from_str(&text).unwrap();
    let from_text: T = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_value(&from_text).unwrap(), json, "{name}");
    let from_value: T = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&from_value).unwrap(), json, "{name}");
    let mut later = json.clone();
    with_unknown_members(&mut later);
    let from_later: T = serde_json::from_value(later).unwrap();
    assert_eq!(serde_json::to_value(&from_later).unwrap(), json, "{name} with unknown members");
}

#[test]
fn golden_files_are_read_and_written_unchanged() {
    assert_unchanged::<Attempt>("attempt.json");
    assert_unchanged::<Receipt>("receipt.json");
    assert_unchanged::<PublishReport>("publish-report.json");
    assert_unchanged::<Progress>("progress.json");
    assert_unchanged::<ResumePoint>("resume-point.json");
    assert_unchanged::<Delivery>("delivery.json");
}

#[test]
fn as_str_of_a_variant_is_its_json_and_its_display() {
    macro_rules! check {
        ($type:ident: $($variant:ident)*) => {$(
            let word = $type::$variant.as_str();
            assert_eq!(json!($type::$variant), word);
            assert_eq!(format!("{:>24}", $type::$variant), format!("{word:>24}"));
        )*};
    }
    check!(Delivery: Accepted Rejected NotSent Unknown);
    check!(ErrorKind: Configuration InvalidMessage Input Checkpoint Stopped Callback Credentials
        Rejected Throttled RateLimiter Unavailable Connection Timeout Other);
    check!(NextStep: Backoff RetryAfter TokenCooldown NewToken Done NotRetryable AttemptsExhausted
        Deadline RetryAfterTooLong RetryBudgetExhausted StoppedOnUnknown RateLimiterFailed Dropped
        Other);
    check!(Classification: Accepted Rejected Throttled Transient Unauthorized Unknown Partial
        NotSent);
    check!(Severity: Error Warning Other);
    check!(ProblemCode: Missing Empty WrongType Repeated OutOfRange NotE164 NotUuid InvalidBatch
        LoneSurrogate TooLarge Unreadable InvalidSetting Other);
}

#[test]
fn stored_records_keep_their_values() {
    let report: PublishReport = serde_json::from_str(&golden("publish-report.json")).unwrap();
    assert_eq!((report.batch_id(), report.batch().accepted_slots), ("2026-12-01", 6_600));
    assert_eq!(report.resume_point().map(ResumePoint::number), Some(8));
    assert_eq!((report.problems()[0].slot_count(), report.omitted_problems()), (12, 7));
    let receipt = &report.receipts()[0];
    assert_eq!((receipt.slots(), receipt.attempts().len()), (1_000..2_000, 2));
    assert_eq!(receipt.logs()[0].id.as_deref(), Some("d9f5d293-7110-461e-a875-3beb089e79f3"));
    let progress: Progress = serde_json::from_str(&golden("progress.json")).unwrap();
    assert_eq!(progress.wait.unwrap().reason, WaitReason::Failure(ErrorKind::Timeout));
    assert_eq!(progress.receipt.as_ref(), Some(receipt));
}

#[test]
fn values_of_a_later_version_are_read_as_unknown_or_other() {
    let mut json: Value = serde_json::from_str(&golden("attempt.json")).unwrap();
    json["delivery"] = json!("half_accepted");
    json["next_step"] = json!("asked_a_person");
    let attempt: Attempt = serde_json::from_value(json).unwrap();
    assert_eq!((attempt.delivery, attempt.next_step), (Delivery::Unknown, NextStep::Other));
    let mut json: Value = serde_json::from_str(&golden("progress.json")).unwrap();
    json["wait"]["reason"] = json!("moon");
    json["receipt"]["problems"][0]["severity"] = json!("grave");
    let progress: Progress = serde_json::from_value(json).unwrap();
    assert_eq!(progress.wait.unwrap().reason, WaitReason::Other);
    assert_eq!(progress.receipt.unwrap().problems()[0].severity(), Severity::Other);
}

/// Replaces the value at `pointer` in a golden file. Returns the error from reading the result.
fn damaged<T: DeserializeOwned>(name: &str, pointer: &str, value: Value) -> String {
    let mut json: Value = serde_json::from_str(&golden(name)).unwrap();
    *json.pointer_mut(pointer).unwrap() = value;
    let Err(error) = serde_json::from_value::<T>(json) else {
        panic!("{name} was read with a damaged {pointer}")
    };
    error.to_string()
}

#[test]
fn damage_is_reported_with_its_path() {
    for (name, pointer, value, expected) in [
        ("receipt.json", "/message_id", json!("x"), "message_id: "),
        (
            "receipt.json",
            "/delivery",
            json!("rejected"),
            "delivery: invalid value: string \"rejected\", expected",
        ),
        ("receipt.json", "/slots/end", json!(-1), "slots.end: "),
        ("receipt.json", "/slots/start", json!(2_001), "slots: the range ends before its start"),
        ("receipt.json", "/attempts", json!([]), "attempts: the last attempt isn't accepted"),
        ("receipt.json", "/attempts/1/status", json!(5), "attempts[1].status: "),
        ("receipt.json", "/attempts/0/elapsed_ms", json!("1"), "attempts[0].elapsed_ms: "),
        ("receipt.json", "/problems/0/code", json!(7), "problems[0].code: "),
    ] {
        let error = damaged::<Receipt>(name, pointer, value);
        assert!(error.starts_with(expected), "{pointer}: {error}");
    }
    for (pointer, value, expected) in [
        ("/resume_point", json!("8@"), "resume_point: not a resume point"),
        ("/receipts/0/attempts/0/started", json!("yesterday"), "receipts[0].attempts[0].started: "),
        ("/run/requests", json!(null), "run.requests: "),
    ] {
        let error = damaged::<PublishReport>("publish-report.json", pointer, value);
        assert!(error.starts_with(expected), "{pointer}: {error}");
    }
    let error = damaged::<Attempt>("attempt.json", "/status", json!(5));
    assert!(error.starts_with("status: "), "{error}");
    let error = damaged::<Progress>("progress.json", "/wait/remaining_ms", json!("soon"));
    assert!(error.starts_with("wait.remaining_ms: "), "{error}");
    let error = damaged::<Progress>("progress.json", "/receipt/attempts/0/status", json!(5));
    assert!(error.starts_with("receipt.attempts[0].status: "), "{error}");
}

#[test]
fn records_of_another_kind_are_errors() {
    for name in ["attempt.json", "receipt.json", "progress.json", "resume-point.json"] {
        assert!(serde_json::from_str::<PublishReport>(&golden(name)).is_err(), "{name}");
    }
    for name in ["attempt.json", "publish-report.json", "progress.json", "resume-point.json"] {
        assert!(serde_json::from_str::<Receipt>(&golden(name)).is_err(), "{name}");
    }
    for text in ["7", "null", "{}", "\"0\"", "\"7@x\""] {
        let error = serde_json::from_str::<ResumePoint>(text).unwrap_err();
        assert!(error.to_string().len() < 300, "{error}");
    }
}
