//! The one error that callers meet when they set up a client or send.

mod kind;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::auth::KeyError;
use crate::message::{ExtensionError, InvalidMessage, Log, Problem, ReadError, write_problems};
use crate::receipt::{self, Attempt, Delivery, OAuthError};

pub use kind::ErrorKind;

/// Why a client could not be made, or a message is not known to be accepted.
///
/// It reports [what kind](Self::kind) of failure it is, [how certain](Self::delivery) it is that
/// the service does not have the message, and every [attempt](Self::attempts). Its `Display`,
/// `Debug` and serialized form hold no value of the message, no text of the message endpoint, and
/// no secret, so that they can be logged. That text is available through
/// [`service_text`](Self::service_text) and [`with_service_text`](Self::with_service_text) alone.
/// If the token endpoint rejects the credentials, the `Display` has its URL, the client id, [its
/// reason](Self::oauth_error) and what to check.
///
/// Its [`source`](std::error::Error::source) is the error that caused it, if there is one: the
/// [`TransportError`](crate::TransportError) of the last attempt, the
/// [`AuthError`](crate::AuthError) of a signer or token source, the
/// [`PermitError`](crate::PermitError) of a rate limiter, or the error that was converted. The
/// `Display` contains its text, so that a log needs only one of the two.
///
/// ```
/// use pushslots::{Delivery, Error};
/// use std::time::Duration;
///
/// fn what_now(error: &Error) -> String {
///     let pause = error.retry_after().unwrap_or(Duration::from_secs(60));
///     match (error.delivery(), error.is_retryable()) {
///         (Delivery::Unknown, true) => format!("it may have arrived; send it again in {pause:?}, or look for it"),
///         (Delivery::Unknown, false) => format!("one attempt may have arrived; look for its logs, then fix: {error}"),
///         (_, true) => format!("it did not arrive; send it again in {pause:?}"),
///         (_, false) => format!("it did not arrive; mend what is wrong: {error}"),
///     }
/// }
/// ```
///
/// Serializes to `{"kind", "error", "message_id", "delivery", "attempts", "logs", "retry_after_s",
/// "oauth_error", "is_retryable", "problems", "omitted_problems"}`; the seconds are rounded up.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    /// The failure, without the problems.
    text: String,
    send: FailedSend,
    problems: Vec<Problem>,
    omitted_problems: usize,
    source: Option<Cause>,
}

/// The error that caused another one.
pub(crate) type Cause = Arc<dyn StdError + Send + Sync>;

/// What is known of a send that failed.
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
    /// A send that ended before anything went out.
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
    pub(crate) fn configuration(problems: Vec<Problem>) -> Self {
        let text = "these settings can't be used".to_owned();
        Self::new(ErrorKind::Configuration, text, problems, FailedSend::not_begun(None))
    }

    pub(crate) fn invalid_message(invalid: InvalidMessage, message_id: Uuid) -> Self {
        let text = "the message breaks the PushSlots data model, and was not sent".to_owned();
        let send = FailedSend::not_begun(Some(message_id));
        Self::invalid(text, invalid, send)
    }

    pub(crate) fn invalid_slots(invalid: InvalidMessage) -> Self {
        let text = "there are slots that can't be published".to_owned();
        Self::invalid(text, invalid, FailedSend::not_begun(None))
    }

    fn invalid(text: String, invalid: InvalidMessage, send: FailedSend) -> Self {
        let (problems, omitted_problems) = invalid.into_parts();
        let kind = ErrorKind::InvalidMessage;
        Self(Arc::new(Inner { kind, text, send, problems, omitted_problems, source: None }))
    }

    /// There are no slots to publish, or none but these.
    pub(crate) fn no_slots(skipped: usize) -> Self {
        let text = match skipped {
            0 => "empty; give at least one slot".to_owned(),
            _ => format!("none is left to publish: all {skipped} were skipped"),
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

    /// The publication was stopped. It can be resumed.
    pub(crate) fn stopped() -> Self {
        let send = FailedSend { is_retryable: true, ..FailedSend::not_begun(None) };
        Self::new(ErrorKind::Stopped, "the publication was stopped".to_owned(), Vec::new(), send)
    }

    /// A checkpoint can't be read, written or moved.
    pub(crate) fn of_checkpoint(cause: Box<dyn StdError + Send + Sync>) -> Self {
        Self::checkpoint(cause.to_string()).with_source(Some(cause.into()))
    }

    pub(crate) fn callback() -> Self {
        let text = "the function that on_accepted set failed; the message stays accepted, and its \
                    receipt is in the report";
        Self::new(ErrorKind::Callback, text.to_owned(), Vec::new(), FailedSend::not_begun(None))
    }

    pub(crate) fn send(kind: ErrorKind, text: String, send: FailedSend) -> Self {
        Self::new(kind, text, Vec::new(), send)
    }

    fn new(kind: ErrorKind, text: String, problems: Vec<Problem>, send: FailedSend) -> Self {
        Self(Arc::new(Inner { kind, text, send, problems, omitted_problems: 0, source: None }))
    }

    /// Adds the error that caused this one.
    pub(crate) fn with_source(self, source: Option<Cause>) -> Self {
        Self(Arc::new(Inner { source, ..Arc::unwrap_or_clone(self.0) }))
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// How certain it is that the service does not have the message: never [`Delivery::Accepted`].
    ///
    /// It speaks of this send alone. When an earlier send of the same message ended as
    /// [`Delivery::Unknown`], that one may still have arrived, whatever becomes of this one. The
    /// same slots sent twice mean the same.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        self.0.send.delivery
    }

    /// Whether the same message may be accepted when it is sent again later, as it is.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.send.is_retryable
    }

    /// Returns the time to wait before the message is sent again, counted from the end of the send.
    ///
    /// It is the time that the service asked for, the time until the next access token is
    /// requested, or the time until the [rate limit](crate::ClientBuilder::rate_limit) has room. It
    /// is `None` if none of them is known, such as after a wait for other [messages in
    /// flight](crate::ClientBuilder::max_in_flight).
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.send.retry_after
    }

    /// The message id of the send; none where there was no send.
    ///
    /// Sent again with [`message_id`](crate::client::SendBuilder::message_id), the message keeps
    /// it.
    #[must_use]
    pub fn message_id(&self) -> Option<Uuid> {
        self.0.send.message_id
    }

    /// Every attempt, in order; none where the send ended before its first.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.send.attempts
    }

    /// Takes the attempts out.
    pub(crate) fn into_attempts(self) -> Vec<Attempt> {
        match Arc::try_unwrap(self.0) {
            Ok(inner) => inner.send.attempts,
            Err(shared) => shared.send.attempts.clone(),
        }
    }

    /// The status of the response to the last attempt; `None` if no response came.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.attempts().last()?.status
    }

    /// The service's own identifiers, from all answers that held any: with them support can tell
    /// what became of a message whose delivery is unknown.
    #[must_use]
    pub fn logs(&self) -> &[Log] {
        &self.0.send.logs
    }

    /// The service's reason in its own words, cut after 500 characters; `None` if it gave none that
    /// is meant for people, such as a page of HTML.
    ///
    /// It is read in the shapes of the service (`Meta.Errors`, `error` and `error_description`,
    /// `errorDetail`, text) and of gateways (problem details of RFC 9457, `message`, `fault`,
    /// `error` with members, lists of those). Control characters, and characters that change the
    /// direction of text, are shown as escapes such as `\u{1b}`. A JWT is shown as `[token]`.
    ///
    /// The words may repeat parts of what was sent: show them to a person who may see the message,
    /// and do not log them.
    #[must_use]
    pub fn service_text(&self) -> Option<&str> {
        self.0.send.service_text.as_deref()
    }

    /// Returns a value that serializes as the error does, with the member `service_text` as well.
    ///
    /// The default serialization leaves out the [service's own text](Self::service_text), because
    /// it may repeat parts of what was sent.
    #[must_use]
    pub fn with_service_text(&self) -> impl Serialize + '_ {
        self.json(self.service_text())
    }

    /// The error response of the token endpoint, if it rejected the credentials in the form of RFC
    /// 6749, section 5.2.
    ///
    /// The error's `Display` holds its code and explanation.
    #[must_use]
    pub fn oauth_error(&self) -> Option<&OAuthError> {
        self.0.send.oauth_error.as_ref()
    }

    /// The first 1,000 problems of the settings or the message, each with its place; empty for
    /// other kinds.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// The number of problems beyond the first 1,000.
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

/// Shows the same text as `Display`, so that an error returned from `main` is readable; `{:#?}`
/// shows the structure.
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

/// The JSON of an error.
#[derive(Serialize)]
struct ErrorJson<'a> {
    kind: ErrorKind,
    error: String,
    #[serde(flatten)]
    send: &'a FailedSend,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_text: Option<&'a str>,
    problems: &'a [Problem],
    omitted_problems: usize,
}

impl Error {
    fn json<'a>(&'a self, service_text: Option<&'a str>) -> ErrorJson<'a> {
        let Inner { kind, send, problems, omitted_problems, .. } = &*self.0;
        let kind = *kind;
        let omitted_problems = *omitted_problems;
        ErrorJson { kind, error: self.to_string(), send, service_text, problems, omitted_problems }
    }
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json(None).serialize(serializer)
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
