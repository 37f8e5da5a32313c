//! The messages and requests that arrived at the mock.

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
/// The `Debug` output contains no names and no slots.
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
    /// Returns the position of the message in the inbox, starting at 1.
    ///
    /// The page numbers sends instead, including those without an accepted message.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Returns when the message was accepted.
    #[must_use]
    pub fn at(&self) -> DateTime<Utc> {
        self.at
    }

    /// Returns the message id that the client chose: the header `Idempotency-Key` if it is a UUID.
    #[must_use]
    pub fn message_id(&self) -> Option<Uuid> {
        self.message_id
    }

    /// Returns the ids in the response, one log for each destination.
    #[must_use]
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }

    /// Returns the message.
    #[must_use]
    pub fn message(&self) -> &PushSlots {
        &self.message
    }

    /// Returns the `Meta` of the message.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        self.message.meta()
    }

    /// Returns the slots of the message, in order.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        self.message.slots()
    }

    /// Returns the body of the request.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns whether the message is for this destination.
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

/// A request to the [`MockService`](super::MockService), and its response.
///
/// The `Debug` output contains neither headers nor body.
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
    /// Creates a request from its head, without a body.
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

    /// Returns when the head of the request arrived.
    #[must_use]
    pub fn at(&self) -> DateTime<Utc> {
        self.at
    }

    /// Returns the method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the headers, including `Authorization`.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the body, up to the [size limit](super::MockServiceBuilder::max_bytes).
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns the status of the response, or `None` if none was sent, or not yet.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// Returns the outcome in a few words, such as `accepted`, `token issued` or `rejected`. For a
    /// scripted response it is, for example, `stall` or `accepted, then reset after read`.
    #[must_use]
    pub fn outcome(&self) -> &str {
        &self.outcome
    }

    /// Returns the reason for a rejection, such as `the token was revoked`. It is `None` if the
    /// request was accepted, or got a scripted response.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Returns the message id that the client chose: the header `Idempotency-Key` if it is a UUID.
    #[must_use]
    pub fn message_id(&self) -> Option<Uuid> {
        Uuid::try_parse(self.key()?).ok()
    }

    /// Returns the client's name for the message, whether it is a UUID or not. The header's draft
    /// requires quotes, but most clients send none.
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

/// The number of requests and messages at the [`MockService`](super::MockService) so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// The number of requests of every kind, except those for the page.
    pub requests: usize,
    /// The number of requests for an access token.
    pub token_requests: usize,
    /// The number of requests with a message.
    pub message_requests: usize,
    /// The number of accepted messages.
    pub accepted: usize,
    /// The number of messages that weren't accepted again, because they were accepted before under
    /// the same message id.
    pub duplicates: usize,
    /// The number of requests with a message that got a whole response, of any status, without the
    /// message being accepted.
    pub rejected: usize,
    /// The number of requests without a whole response.
    pub without_response: usize,
    /// The number of slots in accepted messages.
    pub slots: usize,
}
