//! The log of everything that arrived, in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::StatusCode;

use super::inbox::{Counts, ReceivedMessage, ReceivedRequest};
use super::script::Endpoint;
use crate::message::{Log, Meta, PushSlots};

/// The size in bytes up to which the body of a rejected message is parsed, so that the page can
/// describe it.
const LOOKED_INTO: usize = 1 << 20;

#[derive(Default)]
pub(super) struct RequestLog {
    pub(super) requests: Vec<ReceivedRequest>,
    pub(super) messages: Vec<ReceivedMessage>,
    pub(super) sends: Vec<SendRecord>,
    /// The indices of token requests in `requests`.
    pub(super) token_requests: Vec<usize>,
    pub(super) counts: Counts,
    /// A number that increases with each change.
    pub(super) version: u64,
    by_key: HashMap<String, usize>,
}

/// All requests with one message.
pub(super) struct SendRecord {
    /// The client's name for the message.
    pub(super) key: Option<String>,
    /// Indices in `requests`.
    pub(super) attempts: Vec<usize>,
    /// The index in `messages` of the last accepted copy.
    pub(super) accepted: Option<usize>,
    /// The number of accepted copies.
    pub(super) copies: usize,
    pub(super) content: Option<MessageSummary>,
}

/// The metadata of a message, and its number of slots.
pub(super) struct MessageSummary {
    pub(super) meta: Meta,
    pub(super) slots: usize,
}

/// A request with the mock's decision.
pub(super) struct JudgedRequest {
    pub(super) endpoint: Endpoint,
    pub(super) request: ReceivedRequest,
    /// The message with its logs, if it was accepted.
    pub(super) accepted: Option<(PushSlots, Arc<[Log]>)>,
    pub(super) is_duplicate: bool,
}

/// A logged request that still waits for its response.
pub(super) struct LoggedRequest {
    place: usize,
    at: DateTime<Utc>,
    /// Whether the request carried a message that was accepted neither now nor before.
    is_in_vain: bool,
}

/// The part of a response that the client received.
pub(super) struct SentResponse {
    pub(super) status: Option<StatusCode>,
    pub(super) is_whole: bool,
}

impl RequestLog {
    /// Returns the last message that was accepted under this key.
    pub(super) fn accepted(&self, key: Option<&str>) -> Option<&ReceivedMessage> {
        let send = self.sends.get(*self.by_key.get(key?)?)?;
        self.messages.get(send.accepted?)
    }

    /// Logs a request before its response is sent.
    pub(super) fn add(&mut self, settled: JudgedRequest) -> LoggedRequest {
        let JudgedRequest { endpoint, request, accepted, is_duplicate } = settled;
        let place = self.requests.len();
        let at = request.at;
        let is_message = endpoint == Endpoint::Message;
        let is_in_vain = is_message && accepted.is_none() && !is_duplicate;
        let counts = &mut self.counts;
        counts.requests += 1;
        counts.message_requests += usize::from(is_message);
        counts.token_requests += usize::from(endpoint.is_for_tokens());
        counts.duplicates += usize::from(is_duplicate);
        if let Some((message, _)) = &accepted {
            counts.accepted += 1;
            counts.slots += message.slots().len();
        }
        if endpoint.is_for_tokens() {
            self.token_requests.push(place);
        }
        if is_message {
            self.add_to_send(place, &request, accepted);
        }
        self.requests.push(request);
        self.version += 1;
        LoggedRequest { place, at, is_in_vain }
    }

    /// Records what the client received, and after how long.
    pub(super) fn ended(&mut self, entry: &LoggedRequest, given: &SentResponse, elapsed: Duration) {
        // The inbox may have been cleared in the meantime.
        let request = self.requests.get_mut(entry.place).filter(|request| request.at == entry.at);
        let Some(request) = request else { return };
        request.status = given.status;
        request.elapsed = Some(elapsed);
        self.counts.without_response += usize::from(!given.is_whole);
        self.counts.rejected += usize::from(given.is_whole && entry.is_in_vain);
        self.version += 1;
    }

    fn add_to_send(
        &mut self,
        place: usize,
        request: &ReceivedRequest,
        accepted: Option<(PushSlots, Arc<[Log]>)>,
    ) {
        let key = request.key();
        let known = key.and_then(|key| self.by_key.get(key).copied());
        let index = known.unwrap_or_else(|| {
            let key = key.map(str::to_owned);
            let attempts = Vec::new();
            let index = self.sends.len();
            self.by_key.extend(key.clone().map(|key| (key, index)));
            self.sends.push(SendRecord { key, attempts, accepted: None, copies: 0, content: None });
            index
        });
        let Some(send) = self.sends.get_mut(index) else { return };
        send.attempts.push(place);
        if send.content.is_none() {
            let content = |message: &PushSlots| MessageSummary {
                meta: message.meta().clone(),
                slots: message.slots().len(),
            };
            send.content = match &accepted {
                Some((message, _)) => Some(content(message)),
                None if request.body.len() <= LOOKED_INTO => {
                    PushSlots::from_json(&request.body).ok().as_ref().map(content)
                }
                None => None,
            };
        }
        if let Some((message, logs)) = accepted {
            send.accepted = Some(self.messages.len());
            send.copies += 1;
            self.messages.push(ReceivedMessage {
                number: self.messages.len() + 1,
                at: request.at,
                message_id: request.message_id(),
                logs,
                message: Arc::new(message),
                body: request.body.clone(),
            });
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self { version: self.version + 1, ..Self::default() };
    }
}
