//! What came, newest first.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::ANSWERS;
use crate::clock;
use crate::mock::answer::Answer;
use crate::mock::inbox::{Counts, ReceivedRequest};
use crate::mock::ledger::{Ledger, Send};
use crate::mock::service::Service;

/// How many token requests are shown.
const TOKENS: usize = 10;

#[derive(Serialize)]
struct Page<'a> {
    /// Another one after each change; the end of an outage is one too.
    version: (u64, bool),
    now: DateTime<Utc>,
    counts: ShownCounts,
    is_down: bool,
    next: Vec<&'a str>,
    next_tokens: Vec<&'a str>,
    answers: Vec<ShownAnswer>,
    messages: Vec<Shown<'a>>,
    tokens: Vec<Attempt<'a>>,
    all_messages: usize,
}

#[derive(Serialize)]
struct ShownCounts {
    requests: usize,
    token_requests: usize,
    accepted: usize,
    refused: usize,
    unanswered: usize,
    slots: usize,
}

#[derive(Serialize)]
struct ShownAnswer {
    name: &'static str,
    label: &'static str,
}

#[derive(Serialize)]
struct Shown<'a> {
    number: usize,
    message_id: Option<&'a str>,
    state: &'static str,
    batch: Option<Batch<'a>>,
    destinations: Vec<Uuid>,
    slots: usize,
    /// How often it was accepted.
    arrived: usize,
    logs: Vec<Log<'a>>,
    attempts: Vec<Attempt<'a>>,
}

#[derive(Serialize)]
struct Batch<'a> {
    id: Option<&'a str>,
    current: Option<u64>,
    total: Option<u64>,
}

#[derive(Serialize)]
struct Log<'a> {
    id: Option<&'a str>,
    attempt_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Attempt<'a> {
    number: usize,
    at: DateTime<Utc>,
    elapsed_ms: Option<f64>,
    status: Option<u16>,
    outcome: &'a str,
    reason: Option<&'a str>,
}

/// The newest messages up to `limit`, and everything around them.
pub(super) fn json(service: &Service, limit: usize) -> Vec<u8> {
    let state = service.state();
    let ledger = &state.ledger;
    let Counts { requests, token_requests, accepted, refused, unanswered, slots, .. } = ledger.counts;
    let is_down = state.script.is_down();
    let newest = ledger.sends.iter().enumerate().rev().take(limit);
    let page = Page {
        version: (ledger.version, is_down),
        now: clock::now(),
        counts: ShownCounts { requests, token_requests, accepted, refused, unanswered, slots },
        is_down,
        next: names(&state.script.messages, limit),
        next_tokens: names(&state.script.tokens, limit),
        answers: ANSWERS.iter().map(|&(name, label, _)| ShownAnswer { name, label }).collect(),
        messages: newest.map(|(index, send)| message(ledger, index + 1, send)).collect(),
        tokens: token_requests_of(ledger),
        all_messages: ledger.sends.len(),
    };
    // Text and numbers under fixed keys always have a JSON form.
    serde_json::to_vec(&page).unwrap_or_default()
}

/// What the next requests are answered.
fn names(answers: &VecDeque<Answer>, limit: usize) -> Vec<&str> {
    answers.iter().flat_map(|answer| (0..answer.times).map(|_| answer.name)).take(limit).collect()
}

/// The newest few.
fn token_requests_of(ledger: &Ledger) -> Vec<Attempt<'_>> {
    let newest = ledger.token_requests.iter().enumerate().rev().take(TOKENS);
    newest.filter_map(|(index, place)| Some(attempt(index + 1, ledger.requests.get(*place)?))).collect()
}

fn message<'a>(ledger: &'a Ledger, number: usize, send: &'a Send) -> Shown<'a> {
    let accepted = send.accepted.and_then(|place| ledger.messages.get(place));
    let requests = send.attempts.iter().filter_map(|place| ledger.requests.get(*place));
    let attempts: Vec<_> = requests.enumerate().map(|(index, request)| attempt(index + 1, request)).collect();
    let content = send.content.as_ref();
    let meta = content.map(|content| &content.meta);
    Shown {
        number,
        message_id: send.key.as_deref(),
        state: match (accepted, attempts.last()) {
            (Some(_), _) => "accepted",
            (None, Some(Attempt { status: None, .. })) => "unanswered",
            (None, _) => "refused",
        },
        batch: meta.and_then(|meta| {
            let is_in_one = meta.batch_id.is_some() || meta.current_batch.is_some();
            is_in_one.then_some(Batch {
                id: meta.batch_id.as_deref(),
                current: meta.current_batch,
                total: meta.total_batches,
            })
        }),
        destinations: meta.iter().flat_map(|meta| &meta.destinations).filter_map(|to| to.id).collect(),
        slots: content.map_or(0, |content| content.slots),
        arrived: send.copies,
        logs: accepted
            .iter()
            .flat_map(|message| message.logs.iter())
            .map(|log| Log { id: log.id.as_deref(), attempt_id: log.attempt_id.as_deref() })
            .collect(),
        attempts,
    }
}

fn attempt(number: usize, request: &ReceivedRequest) -> Attempt<'_> {
    Attempt {
        number,
        at: request.at,
        elapsed_ms: request.elapsed.map(|elapsed| elapsed.as_secs_f64() * 1_000.0),
        status: request.status.map(|status| status.as_u16()),
        outcome: &request.outcome,
        reason: request.reason.as_deref(),
    }
}
