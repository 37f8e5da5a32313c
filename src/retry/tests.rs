use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;

use super::{BodyKind, Classification, Exchange, ResponseFacts};
use crate::transport::{TransportError, TransportErrorKind};

/// Classifies a successful response of the service after `change` has modified it.
fn class(change: impl FnOnce(&mut ResponseFacts<'_>)) -> Classification {
    let mut facts = ResponseFacts {
        status: StatusCode::OK,
        body: BodyKind::Service,
        has_errors: false,
        has_logs: false,
        retry_after: None,
        is_early: false,
        service_text: None,
    };
    change(&mut facts);
    Exchange::of_response(facts).classification()
}

#[test]
fn every_status_has_its_class() {
    for (expected, statuses) in [
        (Classification::Accepted, [200, 201, 202, 204, 299].as_slice()),
        (
            Classification::Rejected,
            &[100, 199, 300, 301, 307, 400, 402, 403, 404, 407, 413, 422, 428, 430, 499, 600, 999],
        ),
        (Classification::Unauthorized, &[401]),
        (Classification::Throttled, &[429]),
        (Classification::Transient, &[408, 421, 425]),
        (Classification::Unknown, &[500, 501, 502, 503, 504, 599]),
    ] {
        for &number in statuses {
            let status = StatusCode::from_u16(number).unwrap();
            assert_eq!(class(|facts| facts.status = status), expected, "{status}");
            let waits = class(|facts| {
                facts.status = status;
                facts.retry_after = Some(Duration::ZERO);
            });
            assert_eq!(
                waits,
                if number == 503 { Classification::Transient } else { expected },
                "{status}, Retry-After"
            );
            if expected != Classification::Accepted {
                let other = class(|facts| {
                    facts.status = status;
                    facts.body = BodyKind::Other;
                    facts.has_errors = true;
                    facts.has_logs = true;
                    facts.is_early = true;
                });
                assert_eq!(other, expected, "{status}, whatever the body");
            }
        }
    }
    for kind in [
        TransportErrorKind::InvalidRequest,
        TransportErrorKind::Connect,
        TransportErrorKind::Timeout,
        TransportErrorKind::Interrupted,
    ] {
        assert_eq!(
            Exchange::of_failure(Cow::Owned(TransportError::unknown(kind))).classification(),
            Classification::Unknown
        );
        assert_eq!(
            Exchange::of_failure(Cow::Owned(TransportError::not_sent(kind))).classification(),
            Classification::NotSent
        );
    }
}

#[test]
fn success_needs_a_response_that_the_service_can_have_written() {
    for (body, expected) in [
        (BodyKind::Service, Classification::Accepted),
        (BodyKind::Empty, Classification::Accepted),
        (BodyKind::Lost, Classification::Accepted),
        (BodyKind::Encoded, Classification::Unknown),
        (BodyKind::Other, Classification::Unknown),
    ] {
        assert_eq!(class(|facts| facts.body = body), expected, "{body:?}");
        let early = class(|facts| (facts.body, facts.is_early) = (body, true));
        assert_eq!(early, Classification::Unknown, "{body:?} before the request was sent");
    }
    for body in [BodyKind::Service, BodyKind::KnownError] {
        for (has_logs, expected) in
            [(false, Classification::Rejected), (true, Classification::Partial)]
        {
            let with_errors = class(|facts| {
                facts.body = body;
                facts.has_errors = true;
                facts.has_logs = has_logs;
            });
            assert_eq!(with_errors, expected, "{body:?}, logs: {has_logs}");
            let early = class(|facts| {
                facts.body = body;
                facts.has_errors = true;
                facts.has_logs = has_logs;
                facts.is_early = true;
            });
            assert_eq!(
                early,
                if has_logs { Classification::Partial } else { Classification::Unknown }
            );
        }
    }
}
