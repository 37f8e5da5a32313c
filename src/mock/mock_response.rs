//! What the mock answers when it is told to.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::json::{error_json, fresh_log};

const RATE_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");

/// How a response ends on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transmission {
    /// As HTTP says.
    Whole,
    /// The connection is cut before a byte of the response.
    Reset,
    /// The connection is closed before a byte of the response.
    Closed,
    /// Nothing comes until the client goes away.
    Stall,
    /// The connection is closed within the body.
    Truncated,
    /// A status line, and then no HTTP.
    MalformedChunk,
    /// No HTTP from the first byte.
    Garbage,
    /// Whole, with header lines that break the rules of HTTP.
    OddHeaders,
}

/// What becomes of the message that is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handling {
    /// It is checked and taken, and the service's own response is given.
    Default,
    /// It is checked and taken, and this response is given.
    Accept,
    /// It is not looked at.
    Ignore,
}

/// A response of the [`MockService`](super::MockService) that a test asks for.
///
/// ```
/// use std::time::Duration;
/// use pushslots::http::StatusCode;
/// use pushslots::mock::{MockResponse, MockService};
///
/// let service = MockService::start()?;
/// service.respond_next(MockResponse::throttled().retry_after(2).times(3));
/// service.respond_next(MockResponse::new(StatusCode::BAD_GATEWAY).delay(Duration::from_millis(200)));
/// // The message is in the inbox, and the client can't know.
/// service.respond_next(MockResponse::reset_after_read().after_accepting());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Its `Debug` shows no body.
#[derive(Clone)]
#[must_use = "a response is given once `MockService::respond_next` has it"]
pub struct MockResponse {
    pub(super) name: &'static str,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) delay: Duration,
    pub(super) transmission: Transmission,
    pub(super) handling: Handling,
    pub(super) times: u32,
    /// The text of an entry of `Meta.Errors` in the usual response.
    pub(super) error: Option<String>,
    pub(super) is_compressed: bool,
}

impl MockResponse {
    /// A response with this status and an empty body; the message is not taken.
    pub fn new(status: StatusCode) -> Self {
        Self {
            name: status.canonical_reason().unwrap_or("status"),
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            delay: Duration::ZERO,
            transmission: Transmission::Whole,
            handling: Handling::Ignore,
            times: 1,
            error: None,
            is_compressed: false,
        }
    }

    /// What the service answers anyway, such as to [`delay`](Self::delay) it or to let one through
    /// between failures.
    pub fn usual() -> Self {
        Self { name: "usual", handling: Handling::Default, ..Self::new(StatusCode::OK) }
    }

    /// 429 with `X-RateLimit-Limit`; no `Retry-After`, which the service does not document, unless
    /// [it is added](Self::retry_after).
    pub fn throttled() -> Self {
        let response = Self { name: "throttled", ..Self::new(StatusCode::TOO_MANY_REQUESTS) };
        response.header(RATE_LIMIT, HeaderValue::from_static("10000")).text("Too many requests")
    }

    /// 200 with the page of a firewall that blocks the message; the message is not taken.
    ///
    /// With [`after_accepting`](Self::after_accepting) the page hides the response of the service.
    pub fn block_page() -> Self {
        let page = "<html><head><title>Request Rejected</title></head><body>Your support ID is: \
                    123</body></html>";
        Self { name: "block page", ..Self::new(StatusCode::OK) }.content("text/html", page.into())
    }

    /// The message is accepted, and the response has an entry in `Meta.Errors` with this text next
    /// to the log ids: one transmission failed.
    ///
    /// A [body](Self::body) of your own replaces both.
    pub fn accepted_with_errors(text: impl Into<String>) -> Self {
        Self { name: "errors", error: Some(text.into()), ..Self::usual() }
    }

    /// The message is accepted, and the response has header lines that break the rules of HTTP: a
    /// control character in a value, a space in a name and one after it, and a value that is folded
    /// over two lines.
    ///
    /// Common HTTP clients read such a response all the same.
    pub fn odd_headers() -> Self {
        Self { name: "odd headers", transmission: Transmission::OddHeaders, ..Self::usual() }
    }

    /// 503 with the page of a gateway; no `Retry-After`, unless [it is added](Self::retry_after).
    pub fn unavailable() -> Self {
        let response = Self { name: "unavailable", ..Self::new(StatusCode::SERVICE_UNAVAILABLE) };
        response.content(
            "text/html",
            "<html><body><h1>503 Service Unavailable</h1></body></html>".into(),
        )
    }

    /// 400 with one entry in `Meta.Errors` that says this.
    pub fn rejected(text: impl Into<String>) -> Self {
        let response = Self { name: "rejected", ..Self::new(StatusCode::BAD_REQUEST) };
        response.json(error_json(None, &[fresh_log()], &[text.into()]))
    }

    /// The request is read, and the connection cut (RST).
    pub fn reset_after_read() -> Self {
        Self {
            name: "reset after read",
            transmission: Transmission::Reset,
            ..Self::new(StatusCode::OK)
        }
    }

    /// The request is read, and the connection closed without a response.
    pub fn closed_after_read() -> Self {
        Self {
            name: "closed after read",
            transmission: Transmission::Closed,
            ..Self::new(StatusCode::OK)
        }
    }

    /// The request is read, and nothing comes back until the client goes away.
    pub fn stall() -> Self {
        Self { name: "stall", transmission: Transmission::Stall, ..Self::new(StatusCode::OK) }
    }

    /// The message is accepted, and the connection closed in the middle of the response's body.
    pub fn truncated() -> Self {
        Self {
            name: "truncated",
            transmission: Transmission::Truncated,
            handling: Handling::Default,
            ..Self::new(StatusCode::OK)
        }
    }

    /// Status 200 and then bytes that are no chunk of a body.
    ///
    /// The message is not taken, unless it is [asked for](Self::after_accepting), though a client
    /// may take the status at its word, as this crate's does.
    pub fn malformed_chunk() -> Self {
        Self {
            name: "malformed chunk",
            transmission: Transmission::MalformedChunk,
            ..Self::new(StatusCode::OK)
        }
    }

    /// Bytes that are no HTTP.
    pub fn garbage() -> Self {
        Self { name: "garbage", transmission: Transmission::Garbage, ..Self::new(StatusCode::OK) }
    }

    /// Asks the client to wait for so many seconds: `Retry-After` of RFC 9110, section 10.2.3.
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(RETRY_AFTER, seconds.into())
    }

    /// Sets a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the body, in place of what the response would have.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        if self.handling == Handling::Default {
            self.handling = Handling::Accept;
        }
        self
    }

    /// Compresses the body with gzip, whatever the request asks for.
    ///
    /// This crate's client can't read it: a 2xx leaves open whether the message was taken.
    pub fn gzip(mut self) -> Self {
        self.is_compressed = true;
        self
    }

    /// Waits so long before it answers.
    ///
    /// What becomes of the message is settled before that.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Takes the message before it answers so: it is in the inbox, whatever the client gets to
    /// know.
    ///
    /// One that the service would reject gets that rejection instead.
    pub fn after_accepting(mut self) -> Self {
        if self.handling == Handling::Ignore {
            self.handling = Handling::Accept;
        }
        self
    }

    /// Answers so many requests like this, one after the other; with 0 none.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Names the limit that is kept, in place of the service's.
    pub(super) fn rate_limit(self, limit: Option<(u32, Duration)>) -> Self {
        match limit {
            Some((requests, _)) => self.header(RATE_LIMIT, requests.into()),
            None => self,
        }
    }

    pub(super) fn text(self, text: &'static str) -> Self {
        self.content("text/plain", text.into())
    }

    pub(super) fn json(self, json: Vec<u8>) -> Self {
        self.content("application/json", json.into())
    }

    pub(super) fn content(mut self, kind: &'static str, body: Bytes) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        self.body = body;
        self
    }
}

impl fmt::Debug for MockResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockResponse")
            .field("name", &self.name)
            .field("status", &self.status.as_u16())
            .field("delay", &self.delay)
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}
