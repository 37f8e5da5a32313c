//! What arrived at the mock.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, Method, StatusCode};
use uuid::Uuid;

use crate::message::{Log, Meta, PushSlots, Slot};

/// A message that the [`MockService`](super::MockService) accepted.
///
/// Its `Debug` shows no name and no slot.
#[derive(Clone)]
pub struct ReceivedMessage {
    pub(super) number: usize,
    pub(super) at: DateTime<Utc>,
    pub(super) message_id: Option<Uuid>,
    pub(super) logs: Arc<[Log]>,
    pub(super) message: Arc<PushSlots>,
    pub(super) body: Bytes,
}

impl ReceivedMessage {
    /// Its place in the inbox, from 1.
    ///
    /// The page counts sends instead, also those of which nothing was accepted.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// When it was accepted.
    #[must_use]
    pub fn at(&self) -> DateTime<Utc> {
        self.at
    }

    /// The message id that the client chose: the header `Idempotency-Key`, where it is a UUID.
    #[must_use]
    pub fn message_id(&self) -> Option<Uuid> {
        self.message_id
    }

    /// The ids that the response named, one log for each destination.
    #[must_use]
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &PushSlots {
        &self.message
    }

    /// What it says of itself.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        self.message.meta()
    }

    /// Its slots, in order.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        self.message.slots()
    }

    /// The bytes in which it came.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether it is for this endpoint.
    #[must_use]
    pub fn is_for(&self, destination: Uuid) -> bool {
        self.meta().destinations.iter().any(|to| to.id == Some(destination))
    }
}

impl fmt::Debug for ReceivedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedMessage")
            .field("number", &self.number)
            .field("at", &self.at)
            .field("message_id", &self.message_id)
            .field("logs", &self.logs)
            .field("slots", &self.slots().len())
            .finish_non_exhaustive()
    }
}

/// A request that came to the [`MockService`](super::MockService), and what it was answered.
///
/// Its `Debug` shows neither header nor body.
#[derive(Clone)]
pub struct ReceivedRequest {
    pub(super) at: DateTime<Utc>,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) status: Option<StatusCode>,
    pub(super) outcome: Cow<'static, str>,
    pub(super) reason: Option<String>,
    pub(super) elapsed: Option<Duration>,
}

impl ReceivedRequest {
    /// One whose head has come.
    pub(super) fn new(at: DateTime<Utc>, method: Method, path: &str, headers: HeaderMap) -> Self {
        Self {
            at,
            method,
            path: path.to_owned(),
            headers,
            body: Bytes::new(),
            status: None,
            outcome: "".into(),
            reason: None,
            elapsed: None,
        }
    }

    /// When its head had come.
    #[must_use]
    pub fn at(&self) -> DateTime<Utc> {
        self.at
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The headers; `Authorization` among them.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body, up to the [size limit](super::MockServiceBuilder::max_bytes).
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The status that it was answered; `None` where it was not answered, or not yet.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// What became of it, in a few words: `accepted`, `token issued`, `rejected`, or the response
    /// that was asked for, such as `stall` or `accepted, then reset after read`.
    #[must_use]
    pub fn outcome(&self) -> &str {
        &self.outcome
    }

    /// Why it was rejected, such as `the token was revoked`; nothing for what was accepted or
    /// scripted.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The message id that the client chose: the header `Idempotency-Key`, where it is a UUID.
    #[must_use]
    pub fn message_id(&self) -> Option<Uuid> {
        Uuid::try_parse(self.key()?).ok()
    }

    /// What the client calls the message, UUID or not; in quotes by the draft of the header, and
    /// mostly without.
    pub(super) fn key(&self) -> Option<&str> {
        let key = self.headers.get("idempotency-key")?.to_str().ok()?.trim_matches('"');
        Some(key).filter(|key| !key.is_empty())
    }
}

impl fmt::Debug for ReceivedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedRequest")
            .field("at", &self.at)
            .field("method", &self.method)
            .field("path", &self.path)
            .field("status", &self.status)
            .field("outcome", &self.outcome)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// How much came to the [`MockService`](super::MockService) so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Requests of every kind, those for the page aside.
    pub requests: usize,
    /// Requests for an access token.
    pub token_requests: usize,
    /// Requests with a message.
    pub message_requests: usize,
    /// Messages accepted.
    pub accepted: usize,
    /// Messages that were accepted before under the same message id, and not again.
    pub duplicates: usize,
    /// Requests with a message that were answered, whatever the status, and the message was not
    /// accepted.
    pub rejected: usize,
    /// Requests that got no whole response.
    pub without_response: usize,
    /// Slots in the messages accepted.
    pub slots: usize,
}
