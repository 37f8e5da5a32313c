//! The received messages, newest first.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
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
    /// The mock's own destination, which is always known.
    destination: Uuid,
    /// The other known destinations, or `None` if any is known.
    known_destinations: Option<&'a [Uuid]>,
    /// The newest messages in the requested state.
    messages: Vec<ShownMessage<'a>>,
    /// The number of messages in the requested state.
    matching: usize,
    /// The number of messages in each state.
    states: StateCounts,
    /// The batches of `messages`.
    batches: Vec<ShownBatch<'a>>,
    tokens: Vec<ShownAttempt<'a>>,
}

/// A number of messages in each state.
#[derive(Default, Serialize)]
struct StateCounts {
    accepted: usize,
    rejected: usize,
    no_response: usize,
}

impl StateCounts {
    fn add(&mut self, state: SendState) {
        *match state {
            SendState::Accepted => &mut self.accepted,
            SendState::Rejected => &mut self.rejected,
            SendState::NoResponse => &mut self.no_response,
        } += 1;
    }

    fn of(&self, state: Option<SendState>) -> usize {
        match state {
            Some(SendState::Accepted) => self.accepted,
            Some(SendState::Rejected) => self.rejected,
            Some(SendState::NoResponse) => self.no_response,
            None => self.accepted + self.rejected + self.no_response,
        }
    }
}

/// The state of a message after its last attempt.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SendState {
    Accepted,
    Rejected,
    NoResponse,
}

impl SendState {
    fn of(log: &RequestLog, send: &SendRecord) -> Self {
        let last = send.attempts.last().and_then(|place| log.requests.get(*place));
        match last {
            _ if send.accepted.is_some() => Self::Accepted,
            Some(request) if request.status.is_none() => Self::NoResponse,
            _ => Self::Rejected,
        }
    }
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
    state: SendState,
    batch: Option<BatchPart<'a>>,
    destinations: Vec<Uuid>,
    slots: usize,
    /// The number of times that the message was accepted.
    arrived: usize,
    logs: Vec<ShownLog<'a>>,
    attempts: Vec<ShownAttempt<'a>>,
}

/// The position of a message in its batch.
#[derive(Serialize)]
struct BatchPart<'a> {
    id: Option<&'a str>,
    current: Option<u64>,
    total: Option<u64>,
}

/// All messages of a batch that arrived, in any state.
#[derive(Serialize)]
struct ShownBatch<'a> {
    id: &'a str,
    /// The number of messages that the batch has, if a message contains it.
    total: Option<u64>,
    states: StateCounts,
    slots: usize,
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

/// Returns the newest messages in a state, up to `limit`, and the rest of the page's data.
pub(super) fn json(service: &Service, limit: usize, wanted: Option<SendState>) -> Vec<u8> {
    let state = service.state();
    let log = &state.log;
    let Counts { requests, token_requests, accepted, rejected, without_response, slots, .. } =
        log.counts;
    let is_down = state.script.is_down();
    let mut states = StateCounts::default();
    for send in &log.sends {
        states.add(SendState::of(log, send));
    }
    let messages: Vec<_> = log
        .sends
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, send)| wanted.is_none_or(|wanted| wanted == SendState::of(log, send)))
        .take(limit)
        .map(|(index, send)| message(log, index + 1, send))
        .collect();
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
        destination: service.destination,
        known_destinations: state.known_destinations.as_deref(),
        batches: batches(log, &messages),
        messages,
        matching: states.of(wanted),
        states,
        tokens: token_requests_of(log),
    };
    // Strings and numbers under fixed keys can always be written as JSON.
    serde_json::to_vec(&page).unwrap_or_default()
}

/// Returns the batches of the shown messages. Their counts include messages that aren't shown.
fn batches<'a>(log: &'a RequestLog, shown: &[ShownMessage<'a>]) -> Vec<ShownBatch<'a>> {
    let ids = shown.iter().filter_map(|message| message.batch.as_ref()?.id);
    let mut batches: BTreeMap<_, _> = ids
        .map(|id| (id, ShownBatch { id, total: None, states: StateCounts::default(), slots: 0 }))
        .collect();
    for send in &log.sends {
        let Some(content) = &send.content else { continue };
        let id = content.meta.batch_id.as_deref();
        let Some(batch) = id.and_then(|id| batches.get_mut(id)) else { continue };
        batch.total = content.meta.total_batches.or(batch.total);
        batch.states.add(SendState::of(log, send));
        batch.slots += content.slots;
    }
    batches.into_values().collect()
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
        state: SendState::of(log, send),
        batch: meta.and_then(|meta| {
            let is_in_one = meta.batch_id.is_some() || meta.current_batch.is_some();
            is_in_one.then_some(BatchPart {
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
