//! The spans and events of a send: one span per send and per attempt, one event per retry, and one
//! at the end.
//!
//! The transport opens the spans of the requests themselves. Fields that OpenTelemetry's
//! conventions define have those names. Fields of this crate begin with `pushslots.`.

use tracing::field::{Empty, display};
use tracing::{Span, error, info, info_span, warn};
use uuid::Uuid;

use crate::error::{Error, ErrorKind};
use crate::message::PreparedMessage;
use crate::receipt::{Attempt, Delivery, Receipt, whole_milliseconds};
use crate::retry::NextStep;
use crate::transport::{fail, record};

pub(super) fn send(message: &PreparedMessage) -> Span {
    let PreparedMessage { message_id, slot_count, destination_count, .. } = message;
    info_span!(
        "send",
        "pushslots.message_id" = %message_id,
        "pushslots.slots" = slot_count,
        "pushslots.destinations" = destination_count,
        "pushslots.attempts" = Empty,
        "pushslots.delivery" = Empty,
        "error.type" = Empty,
        "otel.status_code" = Empty,
        "otel.status_description" = Empty,
    )
}

pub(super) fn attempt(number: u32) -> Span {
    info_span!(
        "attempt",
        "pushslots.attempt" = number,
        "pushslots.delivery" = Empty,
        "pushslots.next_step" = Empty,
        "error.type" = Empty,
        "otel.status_code" = Empty,
        "otel.status_description" = Empty,
    )
}

/// Completes the span of an attempt.
pub(super) fn ended(span: &Span, attempt: &Attempt, kind: ErrorKind) {
    record(span, "pushslots.delivery", &display(attempt.delivery));
    record(span, "pushslots.next_step", &display(attempt.next_step));
    let Some(error) = &attempt.error else { return };
    match attempt.status.map(|status| status.as_u16()) {
        Some(status @ 400..) => record(span, "error.type", &display(status)),
        _ if attempt.next_step == NextStep::Dropped => {
            record(span, "error.type", &display(attempt.next_step));
        }
        _ => record(span, "error.type", &display(kind)),
    }
    fail(span, error);
}

/// Completes the span of an attempt that made no request and is postponed.
pub(super) fn postponed(span: &Span) {
    record(span, "pushslots.next_step", &"postponed");
}

/// Completes the span of a send.
fn sent(span: &Span, attempts: usize, delivery: Delivery) {
    record(span, "pushslots.attempts", &attempts);
    record(span, "pushslots.delivery", &display(delivery));
}

pub(super) fn retrying(attempt: &Attempt) {
    let delay = attempt.delay.map(whole_milliseconds);
    warn!(
        "pushslots.message_id" = %attempt.message_id,
        "pushslots.attempt" = attempt.number,
        "http.response.status_code" = attempt.status.map(|status| status.as_u16()),
        "pushslots.delivery" = %attempt.delivery,
        "error.message" = attempt.error,
        "pushslots.delay_ms" = delay,
        "pushslots.next_step" = %attempt.next_step,
        "attempt failed, retrying"
    );
}

pub(super) fn accepted(span: &Span, receipt: &Receipt) {
    sent(span, receipt.attempts().len(), Delivery::Accepted);
    info!(
        "pushslots.message_id" = %receipt.message_id(),
        "pushslots.attempts" = receipt.attempts().len(),
        "pushslots.delivery" = %Delivery::Accepted,
        "pushslots.logs" = receipt.logs().len(),
        "message accepted"
    );
}

pub(super) fn abandoned(span: &Span, error: &Error, next_step: NextStep) {
    let last = error.attempts().last();
    error!(
        "pushslots.message_id" = error.message_id().map(display),
        "pushslots.attempts" = last.map_or(0, |last| last.number),
        "pushslots.delivery" = %error.delivery(),
        "error.message" = last.and_then(|last| last.error.as_deref()).unwrap_or_default(),
        "error.type" = %error.kind(),
        "pushslots.next_step" = %next_step,
        "message abandoned"
    );
    sent(span, error.attempts().len(), error.delivery());
    record(span, "error.type", &display(error.kind()));
    fail(span, error);
}

pub(super) fn dropped(span: &Span, message_id: Uuid, attempts: usize, delivery: Delivery) {
    sent(span, attempts, delivery);
    record(span, "error.type", &"dropped");
    info!(
        "pushslots.message_id" = %message_id,
        "pushslots.attempts" = attempts,
        "pushslots.delivery" = %delivery,
        "send dropped before it ended"
    );
}
