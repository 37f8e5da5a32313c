//! How bytes travel: a request goes out, an answer or a failure comes back.
//!
//! A transport decides nothing. When it fails it says whether the request may have reached the service.

mod body;
mod http;
mod settings;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use ::http::header::{ACCEPT, CONTENT_TYPE};
use ::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use bytes::Bytes;

pub(crate) use self::http::HttpTransport;
pub(crate) use settings::HttpSettings;

/// A request that posts `body`, which is JSON, and asks for JSON.
pub(crate) fn post_json(uri: &Uri, body: Bytes) -> Request<Bytes> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.clone();
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(ACCEPT, json.clone());
    request.headers_mut().insert(CONTENT_TYPE, json);
    request
}

/// What comes of one request.
pub(crate) type Exchange<'a> = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send + 'a>>;

/// Sends requests, each once: it neither retries nor follows a redirect.
pub(crate) trait Transport: Send + Sync {
    /// Sends `request` and waits at most `timeout` for the whole answer.
    fn send(&self, request: Request<Bytes>, timeout: Duration) -> Exchange<'_>;
}

/// An answer whose status line arrived, though its body may have been lost on the way.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Result<Bytes, Failure>,
}

impl Answer {
    /// What arrived of the body; nothing where it was lost.
    pub(crate) fn body(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }
}

/// Why there is no answer, or no whole one.
#[derive(Clone)]
pub(crate) struct Failure {
    /// Whether the request may have reached the service.
    pub(crate) may_have_arrived: bool,
    /// What failed.
    pub(crate) kind: FailureKind,
    /// More about it, in words that hold nothing of the request or the answer; may be empty.
    detail: String,
}

/// What failed on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The request could not be made of what was given.
    Request,
    /// The host's name was not found.
    Lookup,
    /// No connection came about, TLS included.
    Connect,
    /// Time ran out.
    Timeout,
    /// The connection was cut.
    Interrupted,
    /// The answer is longer than any the service gives.
    TooLong,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, may_have_arrived: bool) -> Self {
        Self { may_have_arrived, kind, detail: String::new() }
    }

    fn detail(mut self, detail: String) -> Self {
        self.detail = detail;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.kind, self.may_have_arrived) {
            (FailureKind::Request, _) => "the request could not be made",
            (FailureKind::Lookup, _) => "the host was not found",
            (FailureKind::Connect, _) => "no connection could be made",
            (FailureKind::Timeout, false) => "time ran out before the request left",
            (FailureKind::Timeout, true) => "no answer came in time",
            (FailureKind::Interrupted, false) => "the connection was cut before the request left",
            (FailureKind::Interrupted, true) => "the connection was cut before the whole answer came",
            (FailureKind::TooLong, _) => "the answer is too long",
        })?;
        match self.detail.as_str() {
            "" => Ok(()),
            detail => write!(f, " ({detail})"),
        }
    }
}
