use super::{Class, Exchange};
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
