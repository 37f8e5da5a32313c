use std::time::{Duration, SystemTime};

use super::{Class, Exchange, retry_after};
use crate::transport::{Failure, FailureKind};

#[test]
fn every_status_has_its_class() {
    for (class, statuses) in [
        (Class::Accepted, [200, 201, 202, 204, 299].as_slice()),
        (
            Class::Refused,
            &[100, 199, 300, 301, 307, 400, 402, 403, 404, 408, 413, 422, 428, 430, 499, 600, 999],
        ),
        (Class::Unauthorized, &[401]),
        (Class::Throttled, &[429]),
        (Class::Transient, &[503]),
        (Class::Unknown, &[500, 501, 502, 504, 599]),
    ] {
        for &status in statuses {
            assert_eq!(Exchange::answered(status, false, None).class(), class, "{status}");
            let class = if class == Class::Accepted { Class::Refused } else { class };
            assert_eq!(Exchange::answered(status, true, None).class(), class, "{status} with errors");
        }
    }
    for kind in [FailureKind::Request, FailureKind::Connect, FailureKind::Timeout, FailureKind::Interrupted] {
        assert_eq!(Exchange::failed(&Failure::unknown(kind)).class(), Class::Unknown);
        assert_eq!(Exchange::failed(&Failure::not_sent(kind)).class(), Class::NotSent);
    }
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
