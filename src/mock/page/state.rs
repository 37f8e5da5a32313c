//! The received messages, newest first.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::buttons::BUTTONS;
use crate::clock;
use crate::mock::inbox::{Counts, ReceivedRequest};
use crate::mock::mock_response::MockResponse;
use crate::mock::request_log::{RequestLog, SendRecord};
use crate::mock::service::Service;

/// The maximum number of token requests that are shown.
const TOKENS: usize = 10;

#[derive(Serialize)]
struct Page<'a> {
    /// A value that changes with every update, and when an outage ends.
    version: (u64, bool),
    now: DateTime<Utc>,
    counts: ShownCounts,
    is_down: bool,
    next: Vec<&'a str>,
    next_tokens: Vec<&'a str>,
    responses: Vec<ShownResponse>,
    messages: Vec<ShownMessage<'a>>,
    tokens: Vec<ShownAttempt<'a>>,
    all_messages: usize,
}

#[derive(Serialize)]
struct ShownCounts {
    requests: usize,
    token_requests: usize,
    accepted: usize,
    rejected: usize,
    without_response: usize,
    slots: usize,
}

#[derive(Serialize)]
struct ShownResponse {
    name: &'static str,
    label: &'static str,
    explanation: &'static str,
}

#[derive(Serialize)]
struct ShownMessage<'a> {
    number: usize,
    message_id: Option<&'a str>,
    state: &'static str,
    batch: Option<ShownBatch<'a>>,
    destinations: Vec<Uuid>,
    slots: usize,
    /// The number of times that the message was accepted.
    arrived: usize,
    logs: Vec<ShownLog<'a>>,
    attempts: Vec<ShownAttempt<'a>>,
}

#[derive(Serialize)]
struct ShownBatch<'a> {
    id: Option<&'a str>,
    current: Option<u64>,
    total: Option<u64>,
}

#[derive(Serialize)]
struct ShownLog<'a> {
    id: Option<&'a str>,
    attempt_id: Option<&'a str>,
}

#[derive(Serialize)]
struct ShownAttempt<'a> {
    number: usize,
    at: DateTime<Utc>,
    elapsed_ms: Option<f64>,
    status: Option<u16>,
    outcome: &'a str,
    reason: Option<&'a str>,
}

/// Returns the newest messages up to `limit`, and the rest of the page's data.
pub(super) fn json(service: &Service, limit: usize) -> Vec<u8> {
    let state = service.state();
    let log = &state.log;
    let Counts { requests, token_requests, accepted, rejected, without_response, slots, .. } =
        log.counts;
    let is_down = state.script.is_down();
    let newest = log.sends.iter().enumerate().rev().take(limit);
    let page = Page {
        version: (log.version, is_down),
        now: clock::now(),
        counts: ShownCounts {
            requests,
            token_requests,
            accepted,
            rejected,
            without_response,
            slots,
        },
        is_down,
        next: names(&state.script.messages, limit),
        next_tokens: names(&state.script.tokens, limit),
        responses: BUTTONS
            .iter()
            .map(|button| ShownResponse {
                name: button.name,
                label: button.label,
                explanation: button.explanation,
            })
            .collect(),
        messages: newest.map(|(index, send)| message(log, index + 1, send)).collect(),
        tokens: token_requests_of(log),
        all_messages: log.sends.len(),
    };
    // Strings and numbers under fixed keys can always be written as JSON.
    serde_json::to_vec(&page).unwrap_or_default()
}

/// Returns the names of the next scripted responses.
fn names(responses: &VecDeque<MockResponse>, limit: usize) -> Vec<&str> {
    responses
        .iter()
        .flat_map(|response| (0..response.times).map(|_| response.name))
        .take(limit)
        .collect()
}

/// Returns the newest token requests.
fn token_requests_of(log: &RequestLog) -> Vec<ShownAttempt<'_>> {
    let newest = log.token_requests.iter().enumerate().rev().take(TOKENS);
    newest
        .filter_map(|(index, place)| Some(attempt(index + 1, log.requests.get(*place)?)))
        .collect()
}

fn message<'a>(log: &'a RequestLog, number: usize, send: &'a SendRecord) -> ShownMessage<'a> {
    let accepted = send.accepted.and_then(|place| log.messages.get(place));
    let requests = send.attempts.iter().filter_map(|place| log.requests.get(*place));
    let attempts: Vec<_> =
        requests.enumerate().map(|(index, request)| attempt(index + 1, request)).collect();
    let content = send.content.as_ref();
    let meta = content.map(|content| &content.meta);
    ShownMessage {
        number,
        message_id: send.key.as_deref(),
        state: match (accepted, attempts.last()) {
            (Some(_), _) => "accepted",
            (None, Some(ShownAttempt { status: None, .. })) => "no response",
            (None, _) => "rejected",
        },
        batch: meta.and_then(|meta| {
            let is_in_one = meta.batch_id.is_some() || meta.current_batch.is_some();
            is_in_one.then_some(ShownBatch {
                id: meta.batch_id.as_deref(),
                current: meta.current_batch,
                total: meta.total_batches,
            })
        }),
        destinations: meta
            .iter()
            .flat_map(|meta| &meta.destinations)
            .filter_map(|to| to.id)
            .collect(),
        slots: content.map_or(0, |content| content.slots),
        arrived: send.copies,
        logs: accepted
            .iter()
            .flat_map(|message| message.logs.iter())
            .map(|log| ShownLog { id: log.id.as_deref(), attempt_id: log.attempt_id.as_deref() })
            .collect(),
        attempts,
    }
}

fn attempt(number: usize, request: &ReceivedRequest) -> ShownAttempt<'_> {
    ShownAttempt {
        number,
        at: request.at,
        elapsed_ms: request.elapsed.map(|elapsed| elapsed.as_secs_f64() * 1_000.0),
        status: request.status.map(|status| status.as_u16()),
        outcome: &request.outcome,
        reason: request.reason.as_deref(),
    }
}
