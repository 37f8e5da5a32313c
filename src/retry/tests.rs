use std::time::Duration;

use super::{Answered, BodyKind, Class, Exchange};
use crate::transport::{Failure, FailureKind};

/// The class of a response of the service's own kind, changed so.
fn class(change: impl FnOnce(&mut Answered<'_>)) -> Class {
    let mut answered = Answered {
        status: 200,
        body: BodyKind::Service,
        has_errors: false,
        has_logs: false,
        retry_after: None,
        is_early: false,
        service_text: None,
    };
    change(&mut answered);
    Exchange::answered(answered).class()
}

#[test]
fn every_status_has_its_class() {
    for (expected, statuses) in [
        (Class::Accepted, [200, 201, 202, 204, 299].as_slice()),
        (
            Class::Refused,
            &[100, 199, 300, 301, 307, 400, 402, 403, 404, 407, 413, 422, 428, 430, 499, 600, 999],
        ),
        (Class::Unauthorized, &[401]),
        (Class::Throttled, &[429]),
        (Class::Transient, &[408, 421, 425]),
        (Class::Unknown, &[500, 501, 502, 503, 504, 599]),
    ] {
        for &status in statuses {
            assert_eq!(class(|answered| answered.status = status), expected, "{status}");
            let waits = class(|answered| {
                (answered.status, answered.retry_after) = (status, Some(Duration::ZERO));
            });
            assert_eq!(
                waits,
                if status == 503 { Class::Transient } else { expected },
                "{status}, Retry-After"
            );
            if expected != Class::Accepted {
                let other = class(|answered| {
                    (answered.status, answered.body) = (status, BodyKind::Other);
                    (answered.has_errors, answered.has_logs, answered.is_early) = (true, true, true);
                });
                assert_eq!(other, expected, "{status}, whatever the body");
            }
        }
    }
    for kind in [FailureKind::Request, FailureKind::Connect, FailureKind::Timeout, FailureKind::Interrupted] {
        assert_eq!(Exchange::failed(&Failure::unknown(kind)).class(), Class::Unknown);
        assert_eq!(Exchange::failed(&Failure::not_sent(kind)).class(), Class::NotSent);
    }
}

#[test]
fn success_needs_a_response_that_the_service_can_have_written() {
    for (body, expected) in [
        (BodyKind::Service, Class::Accepted),
        (BodyKind::Empty, Class::Accepted),
        (BodyKind::Lost, Class::Accepted),
        (BodyKind::Encoded, Class::Unknown),
        (BodyKind::Other, Class::Unknown),
    ] {
        assert_eq!(class(|answered| answered.body = body), expected, "{body:?}");
        let early = class(|answered| (answered.body, answered.is_early) = (body, true));
        assert_eq!(early, Class::Unknown, "{body:?} before the request was sent");
    }
    for body in [BodyKind::Service, BodyKind::KnownError] {
        for (has_logs, expected) in [(false, Class::Refused), (true, Class::Partial)] {
            let with_errors = class(|answered| {
                (answered.body, answered.has_errors, answered.has_logs) = (body, true, has_logs);
            });
            assert_eq!(with_errors, expected, "{body:?}, logs: {has_logs}");
            let early = class(|answered| {
                (answered.body, answered.has_errors, answered.has_logs) = (body, true, has_logs);
                answered.is_early = true;
            });
            assert_eq!(early, if has_logs { Class::Partial } else { Class::Unknown });
        }
    }
}
