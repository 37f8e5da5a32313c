//! What the log tells of a send: a span for it with one for each attempt, an event for each retry, and one at its end.
//!
//! Where OpenTelemetry's semantic conventions name a field of an HTTP client span, it has that name.

use http::Uri;
use tracing::field::{Empty, display};
use tracing::{Span, error, info, info_span, warn};
use uuid::Uuid;

use crate::error::ErrorKind;
use crate::message::PreparedMessage;
use crate::receipt::{Attempt, Delivery, Receipt};
use crate::retry::NextStep;

pub(super) fn send(message: &PreparedMessage) -> Span {
    let PreparedMessage { message_id, slot_count, destination_count, .. } = message;
    info_span!("send", %message_id, slots = slot_count, destinations = destination_count)
}

/// `sent_before` is how many requests with the message went out before.
pub(super) fn attempt(number: u32, sent_before: usize, endpoint: &Uri) -> Span {
    let usual_port = if endpoint.scheme_str() == Some("http") { 80 } else { 443 };
    info_span!(
        "attempt",
        "otel.kind" = "client",
        attempt = number,
        "http.request.method" = "POST",
        "http.request.resend_count" = Some(sent_before).filter(|count| *count > 0),
        "url.full" = %endpoint,
        "server.address" = endpoint.host(),
        "server.port" = endpoint.port_u16().unwrap_or(usual_port),
        "http.response.status_code" = Empty,
        "error.type" = Empty,
        "otel.status_code" = Empty,
        delivery = Empty,
    )
}

/// Completes the span of an attempt.
pub(super) fn ended(span: &Span, attempt: &Attempt, kind: ErrorKind) {
    let status = attempt.status.map(|status| status.as_u16());
    span.record("http.response.status_code", status);
    span.record("delivery", display(attempt.delivery));
    if attempt.error.is_none() {
        return;
    }
    span.record("otel.status_code", "ERROR");
    match status {
        Some(status @ 400..) => span.record("error.type", display(status)),
        _ if attempt.next_step == NextStep::Dropped => span.record("error.type", display(attempt.next_step)),
        _ => span.record("error.type", display(kind)),
    };
}

pub(super) fn retrying(attempt: &Attempt) {
    warn!(
        message_id = %attempt.message_id,
        attempt = attempt.number,
        status = attempt.status.map(|status| status.as_u16()),
        delivery = %attempt.delivery,
        error = attempt.error,
        delay = ?attempt.delay,
        next_step = %attempt.next_step,
        "attempt failed, trying again"
    );
}

pub(super) fn accepted(receipt: &Receipt) {
    let (message_id, logs) = (receipt.message_id(), receipt.logs().len());
    info!(%message_id, attempts = receipt.attempts().len(), delivery = %Delivery::Accepted, logs, "message accepted");
}

pub(super) fn abandoned(
    message_id: Uuid,
    attempts: u32,
    error: &str,
    delivery: Delivery,
    kind: ErrorKind,
    next_step: NextStep,
) {
    error!(%message_id, attempts, %delivery, error, %kind, %next_step, "message abandoned");
}

pub(super) fn dropped(message_id: Uuid, attempts: usize, delivery: Delivery) {
    info!(%message_id, attempts, %delivery, "send dropped before its end");
}
