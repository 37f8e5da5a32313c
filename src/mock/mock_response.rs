//! The scripted responses of the mock.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::json::{error_json, fresh_log};

const RATE_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");

/// The end of a response on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transmission {
    /// The response is valid HTTP.
    Whole,
    /// The connection is reset before the first byte of the response.
    Reset,
    /// The connection is closed before the first byte of the response.
    Closed,
    /// Nothing is sent until the client disconnects.
    Stall,
    /// The connection is closed in the middle of the body.
    Truncated,
    /// A status line is followed by bytes that aren't HTTP.
    MalformedChunk,
    /// No byte of the response is HTTP.
    Garbage,
    /// The response is complete, with header lines that violate HTTP.
    OddHeaders,
}

/// The handling of the message in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handling {
    /// The message is handled as usual, and the service's own response is sent.
    Default,
    /// The message is handled as usual. If it is accepted, this response is sent.
    Accept,
    /// The message is ignored.
    Ignore,
}

/// A scripted response of the [`MockService`](super::MockService).
///
/// ```
/// use std::time::Duration;
/// use pushslots::http::StatusCode;
/// use pushslots::mock::{MockResponse, MockService};
///
/// let service = MockService::start()?;
/// service.respond_next(MockResponse::throttled().retry_after(2).times(3));
/// service.respond_next(MockResponse::new(StatusCode::BAD_GATEWAY).delay(Duration::from_millis(200)));
/// // The message is in the inbox, but the client can't know that.
/// service.respond_next(MockResponse::reset_after_read().after_accepting());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// The `Debug` output doesn't contain the body.
#[derive(Clone)]
#[must_use = "a response has no effect until it is passed to `MockService::respond_next`"]
pub struct MockResponse {
    pub(super) name: &'static str,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) delay: Duration,
    pub(super) transmission: Transmission,
    pub(super) handling: Handling,
    pub(super) times: u32,
    /// The text of an entry in `Meta.Errors` that is added to the usual response.
    pub(super) error: Option<String>,
    pub(super) is_compressed: bool,
}

impl MockResponse {
    /// Creates a response with this status and an empty body. The message isn't accepted.
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

    /// Creates the response that the service would send anyway. Use it to [delay](Self::delay) that
    /// response, or to let a request succeed between failures.
    pub fn usual() -> Self {
        Self { name: "usual", handling: Handling::Default, ..Self::new(StatusCode::OK) }
    }

    /// Creates a 429 response with `X-RateLimit-Limit`. It has no `Retry-After`, which the service
    /// doesn't document, unless you [add it](Self::retry_after).
    pub fn throttled() -> Self {
        let response = Self { name: "throttled", ..Self::new(StatusCode::TOO_MANY_REQUESTS) };
        response.header(RATE_LIMIT, HeaderValue::from_static("10000")).text("Too many requests")
    }

    /// Creates a 200 response with the page of a firewall that blocks the message. The message
    /// isn't accepted.
    ///
    /// With [`after_accepting`](Self::after_accepting), the message is accepted and the page
    /// replaces the service's response.
    pub fn block_page() -> Self {
        let page = "<html><head><title>Request Rejected</title></head><body>Your support ID is: \
                    123</body></html>";
        Self { name: "block page", ..Self::new(StatusCode::OK) }.content("text/html", page.into())
    }

    /// Creates a response that accepts the message, with this text in an entry of `Meta.Errors`
    /// next to the log ids. It means that one transmission failed.
    ///
    /// A [body](Self::body) of your own replaces both.
    pub fn accepted_with_errors(text: impl Into<String>) -> Self {
        Self { name: "errors", error: Some(text.into()), ..Self::usual() }
    }

    /// Creates a response that accepts the message, but has header lines that violate HTTP:
    ///
    /// * a value with a control character,
    /// * a name with a space in it, and one with a space after it,
    /// * a value that is folded over two lines.
    ///
    /// Common HTTP clients read such a response anyway.
    pub fn odd_headers() -> Self {
        Self { name: "odd headers", transmission: Transmission::OddHeaders, ..Self::usual() }
    }

    /// Creates a 503 response with the page of a gateway. It has no `Retry-After`, unless you [add
    /// it](Self::retry_after).
    pub fn unavailable() -> Self {
        let response = Self { name: "unavailable", ..Self::new(StatusCode::SERVICE_UNAVAILABLE) };
        response.content(
            "text/html",
            "<html><body><h1>503 Service Unavailable</h1></body></html>".into(),
        )
    }

    /// Creates a 400 response with one entry in `Meta.Errors`, with this text.
    pub fn rejected(text: impl Into<String>) -> Self {
        let response = Self { name: "rejected", ..Self::new(StatusCode::BAD_REQUEST) };
        response.json(error_json(None, &[fresh_log()], &[text.into()]))
    }

    /// Creates a response that resets the connection (RST) after the request was read.
    pub fn reset_after_read() -> Self {
        Self {
            name: "reset after read",
            transmission: Transmission::Reset,
            ..Self::new(StatusCode::OK)
        }
    }

    /// Creates a response that closes the connection after the request was read.
    pub fn closed_after_read() -> Self {
        Self {
            name: "closed after read",
            transmission: Transmission::Closed,
            ..Self::new(StatusCode::OK)
        }
    }

    /// Creates a response that never comes. The request is read, and the connection stays open
    /// until the client disconnects.
    pub fn stall() -> Self {
        Self { name: "stall", transmission: Transmission::Stall, ..Self::new(StatusCode::OK) }
    }

    /// Creates a response that accepts the message, but closes the connection in the middle of its
    /// body.
    pub fn truncated() -> Self {
        Self {
            name: "truncated",
            transmission: Transmission::Truncated,
            handling: Handling::Default,
            ..Self::new(StatusCode::OK)
        }
    }

    /// Creates a response with status 200, followed by bytes that aren't a valid chunk of a body.
    ///
    /// The message isn't accepted, unless you [request it](Self::after_accepting). A client may
    /// still trust the status, as this crate's client does.
    pub fn malformed_chunk() -> Self {
        Self {
            name: "malformed chunk",
            transmission: Transmission::MalformedChunk,
            ..Self::new(StatusCode::OK)
        }
    }

    /// Creates a response of bytes that aren't HTTP.
    pub fn garbage() -> Self {
        Self { name: "garbage", transmission: Transmission::Garbage, ..Self::new(StatusCode::OK) }
    }

    /// Sets `Retry-After` to this number of seconds (RFC 9110, section 10.2.3).
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(RETRY_AFTER, seconds.into())
    }

    /// Sets a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the body, instead of the response's own.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        if self.handling == Handling::Default {
            self.handling = Handling::Accept;
        }
        self
    }

    /// Compresses the body with gzip, regardless of the request's `Accept-Encoding`.
    ///
    /// This crate's client can't read such a body. A 2xx then leaves it unknown whether the message
    /// was accepted.
    pub fn gzip(mut self) -> Self {
        self.is_compressed = true;
        self
    }

    /// Sets the delay before the response is sent. There is none by default.
    ///
    /// The message is accepted or rejected before the delay.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Accepts the message before this response is sent. The message is then in the inbox, whatever
    /// the client receives.
    ///
    /// A message that the service would reject gets that rejection instead.
    pub fn after_accepting(mut self) -> Self {
        if self.handling == Handling::Ignore {
            self.handling = Handling::Accept;
        }
        self
    }

    /// Sets the number of consecutive requests that get this response. Defaults to 1. With 0, the
    /// response isn't queued.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Sets `X-RateLimit-Limit` to the mock's limit instead of the service's.
    pub(super) fn rate_limit(self, limit: Option<(u32, Duration)>) -> Self {
        match limit {
            Some((requests, _)) => self.header(RATE_LIMIT, requests.into()),
            None => self,
        }
    }

    pub(super) fn text(self, text: impl Into<Bytes>) -> Self {
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
