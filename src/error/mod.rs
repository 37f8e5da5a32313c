//! The error that callers receive when they set up a client, send or publish.

mod json;
mod kind;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde::Serialize;
use uuid::Uuid;

use crate::auth::KeyError;
use crate::message::{ExtensionError, InvalidMessage, Log, Problem, ReadError, write_problems};
use crate::receipt::{self, Attempt, Delivery, OAuthError};

pub use kind::ErrorKind;

/// An error from building a client, or from sending or publishing messages.
///
/// It contains the [kind](Self::kind) of the failure, the [certainty](Self::delivery) of the
/// outcome, and all [attempts](Self::attempts).
///
/// ```
/// use pushslots::{Delivery, Error};
/// use std::time::Duration;
///
/// fn advice(error: &Error) -> String {
///     let delay = error.retry_after().unwrap_or(Duration::from_secs(60));
///     match (error.delivery(), error.is_retryable()) {
///         (Delivery::Unknown, true) => format!("it may have arrived; send it again in {delay:?}, or look for it"),
///         (Delivery::Unknown, false) => format!("one attempt may have arrived; look for its logs, then fix: {error}"),
///         (_, true) => format!("it did not arrive; send it again in {delay:?}"),
///         (_, false) => format!("it did not arrive; fix the cause: {error}"),
///     }
/// }
/// ```
///
/// # Logging
///
/// You can log an error. Its `Display`, `Debug` and serialized form contain no values of the
/// message, no text of the message endpoint, and no secrets. Only
/// [`service_text`](Self::service_text) and [`with_service_text`](Self::with_service_text) return
/// the message endpoint's text.
///
/// If the token endpoint rejects the credentials, the `Display` output contains its URL, the client
/// id, the [endpoint's reason](Self::oauth_error), and what to check.
///
/// # Source
///
/// The [`source`](std::error::Error::source) is the error that caused this one, if any:
///
/// * the [`TransportError`](crate::TransportError) of the last attempt;
/// * the [`AuthError`](crate::AuthError) of a signer or token source;
/// * the [`PermitError`](crate::PermitError) of a rate limiter;
/// * the error of a checkpoint, of a stream of slots, or of an
///   [`on_accepted`](crate::PublishBuilder::on_accepted) function;
/// * the error that was converted to this one.
///
/// The `Display` output already contains the text of the source, so you don't need to log both. It
/// omits the errors of streams and `on_accepted` functions, because they may contain personal data.
///
/// # Serialization
///
/// The JSON form is `{"kind", "error", "message_id", "delivery", "attempts", "logs",
/// "retry_after_s", "oauth_error", "is_retryable", "problems", "omitted_problems"}`. The member
/// `retry_after_s` is in whole seconds, rounded up.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    /// The description of the failure, without the problems.
    text: String,
    send: FailedSend,
    problems: Vec<Problem>,
    omitted_problems: usize,
    source: Option<Cause>,
}

/// An error that caused another one.
pub(crate) type Cause = Arc<dyn StdError + Send + Sync>;

/// The outcome of a send that failed.
#[derive(Clone, Serialize)]
pub(crate) struct FailedSend {
    pub(crate) message_id: Option<Uuid>,
    pub(crate) delivery: Delivery,
    pub(crate) attempts: Vec<Attempt>,
    #[serde(with = "receipt::logs")]
    pub(crate) logs: Vec<Log>,
    #[serde(rename = "retry_after_s", with = "receipt::whole_seconds")]
    pub(crate) retry_after: Option<Duration>,
    #[serde(skip)]
    pub(crate) service_text: Option<String>,
    pub(crate) oauth_error: Option<OAuthError>,
    pub(crate) is_retryable: bool,
}

impl FailedSend {
    /// Creates the outcome of a send that ended before anything was sent.
    #[cold]
    fn not_begun(message_id: Option<Uuid>) -> Self {
        Self {
            message_id,
            delivery: Delivery::NotSent,
            attempts: Vec::new(),
            logs: Vec::new(),
            retry_after: None,
            service_text: None,
            oauth_error: None,
            is_retryable: false,
        }
    }
}

impl Error {
    #[cold]
    pub(crate) fn configuration(problems: Vec<Problem>) -> Self {
        let text = "invalid configuration".to_owned();
        Self::new(ErrorKind::Configuration, text, problems, FailedSend::not_begun(None))
    }

    pub(crate) fn invalid_message(invalid: InvalidMessage, message_id: Uuid) -> Self {
        let text = "the message breaks the PushSlots data model and was not sent".to_owned();
        let send = FailedSend::not_begun(Some(message_id));
        Self::invalid(text, invalid, send)
    }

    pub(crate) fn invalid_slots(invalid: InvalidMessage) -> Self {
        let text = "some slots can't be published".to_owned();
        Self::invalid(text, invalid, FailedSend::not_begun(None))
    }

    fn invalid(text: String, invalid: InvalidMessage, send: FailedSend) -> Self {
        let (problems, omitted_problems) = invalid.into_parts();
        let kind = ErrorKind::InvalidMessage;
        Self(Arc::new(Inner { kind, text, send, problems, omitted_problems, source: None }))
    }

    /// Creates the error for a publication without slots, or with skipped slots only.
    pub(crate) fn no_slots(skipped: usize) -> Self {
        let text = match skipped {
            0 => "empty; add at least one slot".to_owned(),
            _ => format!("no slots are left to publish: all {skipped} were skipped as invalid"),
        };
        Self::new(
            ErrorKind::InvalidMessage,
            "there is nothing to publish".to_owned(),
            vec![Problem::new("Slots", text)],
            FailedSend::not_begun(None),
        )
    }

    pub(crate) fn unreadable_slots() -> Self {
        let text = "the stream of slots failed before its end".to_owned();
        Self::new(ErrorKind::Input, text, Vec::new(), FailedSend::not_begun(None))
    }

    pub(crate) fn checkpoint(text: String) -> Self {
        Self::new(ErrorKind::Checkpoint, text, Vec::new(), FailedSend::not_begun(None))
    }

    /// Creates the error for a publication that was stopped. It can be resumed.
    pub(crate) fn stopped() -> Self {
        let send = FailedSend { is_retryable: true, ..FailedSend::not_begun(None) };
        Self::new(ErrorKind::Stopped, "the publication was stopped".to_owned(), Vec::new(), send)
    }

    /// Creates the error for a checkpoint that can't be read, written or moved.
    pub(crate) fn of_checkpoint(cause: Box<dyn StdError + Send + Sync>) -> Self {
        Self::checkpoint(cause.to_string()).with_source(Some(cause.into()))
    }

    pub(crate) fn callback() -> Self {
        let text = "the on_accepted function failed; the message stays accepted, and its receipt \
                    is in the report";
        Self::new(ErrorKind::Callback, text.to_owned(), Vec::new(), FailedSend::not_begun(None))
    }

    pub(crate) fn send(kind: ErrorKind, text: String, send: FailedSend) -> Self {
        Self::new(kind, text, Vec::new(), send)
    }

    #[cold]
    fn new(kind: ErrorKind, text: String, problems: Vec<Problem>, send: FailedSend) -> Self {
        Self(Arc::new(Inner { kind, text, send, problems, omitted_problems: 0, source: None }))
    }

    /// Sets the error that caused this one.
    #[cold]
    pub(crate) fn with_source(self, source: Option<Cause>) -> Self {
        Self(Arc::new(Inner { source, ..Arc::unwrap_or_clone(self.0) }))
    }

    /// Returns the kind of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the least certain outcome of the attempts, or [`Delivery::NotSent`] if there was no
    /// attempt. It is never [`Delivery::Accepted`].
    ///
    /// The result describes only this send. If an earlier send of the same message ended with
    /// [`Delivery::Unknown`], the message may have arrived then. Sending the same slots twice
    /// doesn't change their meaning.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        self.0.send.delivery
    }

    /// Returns whether the service may accept the same message if it is sent again later without
    /// changes.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.send.is_retryable
    }

    /// Returns the time to wait before the message is sent again, counted from the end of the send.
    ///
    /// This is the time that the service asked for, the time until the next token request, or the
    /// time until the [rate limit](crate::ClientBuilder::rate_limit) has room. It is `None` if no
    /// such time is known, for example after a wait for other [messages in
    /// flight](crate::ClientBuilder::max_in_flight).
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.send.retry_after
    }

    /// Returns the message id of the send; `None` if there was no send.
    ///
    /// To keep the id when you send the message again, pass it to
    /// [`SendBuilder::message_id`](crate::client::SendBuilder::message_id).
    #[must_use]
    pub fn message_id(&self) -> Option<Uuid> {
        self.0.send.message_id
    }

    /// Returns all attempts, in order. The list is empty if the send ended before its first
    /// attempt.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.send.attempts
    }

    /// Returns the attempts, without copying them if possible.
    pub(crate) fn into_attempts(self) -> Vec<Attempt> {
        match Arc::try_unwrap(self.0) {
            Ok(inner) => inner.send.attempts,
            Err(shared) => shared.send.attempts.clone(),
        }
    }

    /// Returns the status of the response to the last attempt; `None` if it had no response.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.attempts().last()?.status
    }

    /// Returns the service's own identifiers, from all responses that contained any.
    ///
    /// With these ids, the service's support can find a message with unknown delivery.
    #[must_use]
    pub fn logs(&self) -> &[Log] {
        &self.0.send.logs
    }

    /// Returns the service's own reason, truncated to 500 characters. It is `None` if the response
    /// contains no readable reason, for example because it is an HTML page.
    ///
    /// Don't log the text, because it may repeat parts of the message. Show it only to people who
    /// may see the message.
    ///
    /// # Formats
    ///
    /// The client recognizes these formats:
    ///
    /// * from the service: `Meta.Errors`, `error` with `error_description`, `errorDetail`, and
    ///   plain text;
    /// * from gateways: problem details of RFC 9457, `message`, `fault`, `error` with members, and
    ///   lists of these.
    ///
    /// It escapes control characters (as in `\u{1b}`) and characters that change the direction of
    /// text. It replaces a JWT with `[token]`.
    #[must_use]
    pub fn service_text(&self) -> Option<&str> {
        self.0.send.service_text.as_deref()
    }

    /// Returns a value that serializes like the error, with the additional member `service_text`.
    ///
    /// The default serialization omits the [service's own text](Self::service_text), because it may
    /// repeat parts of the message.
    #[must_use]
    pub fn with_service_text(&self) -> impl Serialize + '_ {
        self.json(self.service_text())
    }

    /// Returns the error response of the token endpoint. It is `None` unless the endpoint rejected
    /// the credentials in the format of RFC 6749, section 5.2.
    ///
    /// The `Display` output of the error contains its code and description.
    #[must_use]
    pub fn oauth_error(&self) -> Option<&OAuthError> {
        self.0.send.oauth_error.as_ref()
    }

    /// Returns the first 1,000 problems of the settings or the message, each with its path. The
    /// list is empty for other kinds of error.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// Returns the number of problems beyond the first 1,000.
    #[must_use]
    pub fn omitted_problems(&self) -> usize {
        self.0.omitted_problems
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)?;
        write_problems(&self.0.problems, self.0.omitted_problems, f)
    }
}

/// Shows the same text as `Display`, so that an error returned from `main` is readable. The
/// alternate form `{:#?}` shows the structure.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return fmt::Display::fmt(self, f);
        }
        let Inner { kind, send, .. } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("text", &self.to_string())
            .field("delivery", &send.delivery)
            .field("message_id", &send.message_id)
            .field("attempts", &send.attempts)
            .field("retry_after", &send.retry_after)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        let problem = Problem::new("the private key", error.to_string());
        Self::configuration(vec![problem]).with_source(Some(Arc::new(error)))
    }
}

impl From<InvalidMessage> for Error {
    fn from(invalid: InvalidMessage) -> Self {
        let text = "the message breaks the PushSlots data model".to_owned();
        let send = FailedSend::not_begun(None);
        Self::invalid(text, invalid, send)
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        let cause =
            std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
        let text = format!("{error}{cause}");
        Self::new(ErrorKind::InvalidMessage, text, Vec::new(), FailedSend::not_begun(None))
            .with_source(Some(Arc::new(error)))
    }
}

impl From<ExtensionError> for Error {
    fn from(error: ExtensionError) -> Self {
        let text = error.to_string();
        Self::new(ErrorKind::InvalidMessage, text, Vec::new(), FailedSend::not_begun(None))
            .with_source(Some(Arc::new(error)))
    }
}
