//! Tests of the state of a send alone: no runtime, no spans.

use super::super::outcome::Outcome;
use super::super::send_state::{AdmissionError, AttemptTimes, SendDecision, SendState};
use super::*;
use crate::random::Jitter;
use crate::receipt::Attempt;
use crate::retry::{AttemptDelays, Exchange, NextStep, RetryBudget};
use crate::transport::PermitError;

const LONG: Duration = Duration::from_secs(3_600);

fn state<'a>(policy: &'a Policy, budget: Option<&'a RetryBudget>) -> SendState<'a> {
    let delays = AttemptDelays::new(&Jitter::new(Some(7)));
    SendState::new(Uuid::from_u128(7), policy, budget, delays, Vec::new())
}

fn responded(status: u16) -> Outcome {
    let body = if status == 200 { r#"{"Meta":{"Logs":[{"ID":"1"}]}}"# } else { "" };
    let classify = |exchange: &Exchange<'_>| exchange.classification();
    Outcome::of_response(&response(status, body), &classify)
}

fn times() -> AttemptTimes {
    let started = crate::clock::now();
    AttemptTimes { started, elapsed: Duration::ZERO, token_age: Some(Duration::ZERO) }
}

fn failed(decision: SendDecision) -> (Error, NextStep) {
    let SendDecision::Failed { error, next_step } = decision else { panic!("the send continues") };
    (error, next_step)
}

#[test]
fn temporary_failure_is_retried_and_then_accepted() {
    let policy = Policy::default();
    let budget = RetryBudget::new(100);
    let mut send = state(&policy, Some(&budget));
    let decision = send.decide(responded(503), times(), LONG);
    assert!(
        matches!(decision, SendDecision::Retry { after } if after <= Duration::from_millis(250))
    );
    assert_eq!((send.next_number(), send.requests(), budget.left()), (2, 1, 86));
    let SendDecision::Accepted(attempts) = send.decide(responded(200), times(), LONG) else {
        panic!("it is accepted")
    };
    let steps: Vec<_> = attempts.iter().map(|attempt| attempt.next_step).collect();
    assert_eq!((steps, budget.left()), (vec![NextStep::Backoff, NextStep::Done], 100));
}

#[test]
fn last_attempt_ends_the_send() {
    let policy = Policy { max_attempts: 2, ..Policy::default() };
    let mut send = state(&policy, None);
    let decision = send.decide(responded(500), times(), LONG);
    assert!(matches!(decision, SendDecision::Retry { .. }));
    let (error, next_step) = failed(send.decide(responded(503), times(), LONG));
    assert_eq!((next_step, error.attempts().len()), (NextStep::AttemptsExhausted, 2));
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::Unknown));
    assert!(error.is_retryable() && error.message_id() == Some(Uuid::from_u128(7)));
}

#[test]
fn too_little_time_ends_the_send() {
    let policy = Policy::default();
    let (error, next_step) =
        failed(state(&policy, None).decide(responded(503), times(), Duration::ZERO));
    assert_eq!((next_step, error.kind()), (NextStep::Deadline, ErrorKind::Unavailable));
}

#[test]
fn rejected_message_is_not_retryable() {
    let policy = Policy::default();
    let (error, next_step) = failed(state(&policy, None).decide(responded(400), times(), LONG));
    assert_eq!((next_step, error.delivery()), (NextStep::NotRetryable, Delivery::Rejected));
    assert!(!error.is_retryable());
}

#[test]
fn limit_without_room_ends_the_send_before_an_attempt() {
    let policy = Policy::default();
    let (error, next_step) = state(&policy, None).not_admitted(AdmissionError::RateLimit(LONG));
    assert_eq!((next_step, error.kind()), (NextStep::Deadline, ErrorKind::Throttled));
    assert_eq!((error.retry_after(), error.delivery()), (Some(LONG), Delivery::NotSent));
    let failed = AdmissionError::LimiterFailed(PermitError::failed("down"));
    let (error, next_step) = state(&policy, None).not_admitted(failed);
    assert_eq!((next_step, error.kind()), (NextStep::RateLimiterFailed, ErrorKind::RateLimiter));
}

#[test]
fn numbers_go_on_after_an_earlier_send_and_its_attempts_do_not_count() {
    let policy = Policy { max_attempts: 2, ..Policy::default() };
    let (error, _) = failed(state(&policy, None).decide(responded(400), times(), LONG));
    let earlier: Vec<Attempt> = error.attempts().to_vec();
    let delays = AttemptDelays::new(&Jitter::new(Some(7)));
    let mut send = SendState::new(Uuid::from_u128(7), &policy, None, delays, earlier);
    assert_eq!(send.next_number(), 2);
    let decision = send.decide(responded(503), times(), LONG);
    assert!(matches!(decision, SendDecision::Retry { .. }), "it is the first attempt of this send");
    let (error, _) = failed(send.decide(responded(503), times(), LONG));
    let numbers: Vec<_> = error.attempts().iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
}
