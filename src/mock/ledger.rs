//! Everything that arrived, in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::inbox::{Counts, ReceivedMessage, ReceivedRequest};
use super::script::Endpoint;
use crate::message::{Log, Meta, PushSlots};

/// Bodies up to this size are looked into also when the message was not accepted, so that the page can say what it was.
const LOOKED_INTO: usize = 1 << 20;

#[derive(Default)]
pub(super) struct Ledger {
    pub(super) requests: Vec<ReceivedRequest>,
    pub(super) messages: Vec<ReceivedMessage>,
    pub(super) sends: Vec<Send>,
    /// Places in `requests` of those for tokens.
    pub(super) token_requests: Vec<usize>,
    pub(super) counts: Counts,
    /// Another one after each change.
    pub(super) version: u64,
    by_message_id: HashMap<Uuid, usize>,
}

/// All requests with one message.
pub(super) struct Send {
    pub(super) message_id: Option<Uuid>,
    /// Places in `requests`.
    pub(super) attempts: Vec<usize>,
    /// Place in `messages` of the last one that was accepted, and how many were.
    pub(super) accepted: Option<usize>,
    pub(super) copies: usize,
    pub(super) content: Option<Content>,
}

/// What a message says of itself.
pub(super) struct Content {
    pub(super) meta: Meta,
    pub(super) slots: usize,
}

/// What became of a request.
pub(super) struct Settled {
    pub(super) endpoint: Endpoint,
    pub(super) request: ReceivedRequest,
    pub(super) is_answered: bool,
    /// The message, where it was accepted.
    pub(super) accepted: Option<(PushSlots, Arc<[Log]>)>,
    pub(super) is_duplicate: bool,
}

impl Ledger {
    /// The message that was accepted under this id.
    pub(super) fn accepted(&self, message_id: Option<Uuid>) -> Option<&ReceivedMessage> {
        let send = self.sends.get(*self.by_message_id.get(&message_id?)?)?;
        self.messages.get(send.accepted?)
    }

    /// Writes it down; gives its place among the requests.
    pub(super) fn add(&mut self, settled: Settled) -> usize {
        let Settled { endpoint, request, is_answered, accepted, is_duplicate } = settled;
        let counts = &mut self.counts;
        counts.requests += 1;
        counts.token_requests += usize::from(endpoint.is_for_tokens());
        counts.unanswered += usize::from(!is_answered);
        counts.duplicates += usize::from(is_duplicate);
        let place = self.requests.len();
        if endpoint.is_for_tokens() {
            self.token_requests.push(place);
        }
        if endpoint == Endpoint::Message {
            counts.message_requests += 1;
            let is_taken = accepted.is_some();
            counts.refused += usize::from(is_answered && !is_taken && !is_duplicate);
            if let Some((message, _)) = &accepted {
                counts.accepted += 1;
                counts.slots += message.slots().len();
            }
            self.add_to_send(place, &request, accepted);
        }
        self.requests.push(request);
        self.version += 1;
        place
    }

    fn add_to_send(
        &mut self,
        place: usize,
        request: &ReceivedRequest,
        accepted: Option<(PushSlots, Arc<[Log]>)>,
    ) {
        let message_id = request.message_id();
        let known = message_id.and_then(|id| self.by_message_id.get(&id).copied());
        let index = known.unwrap_or_else(|| {
            self.sends.push(Send {
                message_id,
                attempts: Vec::new(),
                accepted: None,
                copies: 0,
                content: None,
            });
            let index = self.sends.len() - 1;
            self.by_message_id.extend(message_id.map(|id| (id, index)));
            index
        });
        let Some(send) = self.sends.get_mut(index) else { return };
        send.attempts.push(place);
        if send.content.is_none() {
            let content =
                |message: &PushSlots| Content { meta: message.meta().clone(), slots: message.slots().len() };
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
                message_id,
                logs,
                message: Arc::new(message),
                body: request.body.clone(),
            });
        }
    }

    /// Notes how long a request took.
    pub(super) fn ended(&mut self, place: usize, at: chrono::DateTime<chrono::Utc>, elapsed: Duration) {
        // The inbox may have been emptied meanwhile.
        if let Some(request) = self.requests.get_mut(place).filter(|request| request.at == at) {
            request.elapsed = Some(elapsed);
            self.version += 1;
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self { version: self.version + 1, ..Self::default() };
    }
}
