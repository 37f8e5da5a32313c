use std::time::{Duration, SystemTime};

use super::{Class, classify_failure, classify_status, retry_after};

#[test]
fn every_status_has_its_class() {
    for status in 100..=999 {
        let expected = match status {
            200..=299 => Class::Accepted,
            401 => Class::Unauthorized,
            429 => Class::Throttled,
            503 => Class::Unavailable,
            500..=599 => Class::Failed,
            _ => Class::Refused,
        };
        assert_eq!(classify_status(status), expected, "{status}");
    }
    assert_eq!(classify_failure(true), Class::Lost);
    assert_eq!(classify_failure(false), Class::NotSent);
}

#[test]
fn retry_after_is_read_in_seconds_and_in_all_three_forms_of_a_date() {
    // Sun, 06 Nov 1994 08:49:37 GMT
    let date = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let earlier = date - Duration::from_secs(90);
    for (value, expected) in [
        ("0", Some(0)),
        (" 120 ", Some(120)),
        ("99999999999999999999999", Some(u64::MAX)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(90)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", Some(90)),
        ("Sun Nov  6 08:49:37 1994", Some(90)),
        ("Sun, 06 Nov 1994 08:40:00 GMT", Some(0)),
        ("", None),
        ("1.5", None),
        ("-1", None),
        ("soon", None),
    ] {
        assert_eq!(retry_after(value, earlier), expected.map(Duration::from_secs), "{value}");
    }
}
