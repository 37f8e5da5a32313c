//! HTTP exchanges: a request goes out, and a response or a failure comes back.
//!
//! A transport makes no decisions. On failure it reports whether the request may have reached the
//! service.

mod body;
mod causes;
mod connections;
mod epoch;
mod handover;
mod http;
mod permit;
mod permit_source;
mod proxies;
mod rate_limited;
mod rate_limiter;
mod retry_after;
mod rolling_window;
mod settings;
mod span;
mod tls;
mod transport_error;
mod waits;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use ::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use bytes::Bytes;
use tokio::time::timeout;

pub(crate) use proxies::{Proxies, is_loopback, read as read_proxy};
pub(crate) use rate_limited::RateLimitedTransport;
pub(crate) use retry_after::{date, read_seconds, retry_after};
pub(crate) use rolling_window::Rate;
pub(crate) use settings::HttpSettings;
pub(crate) use span::{ResendCount, fail, record};

pub use self::http::HttpTransport;
pub use permit::Permit;
pub use permit_source::{PermitError, PermitRequest, PermitSource};
pub use rate_limiter::RateLimiter;
pub use transport_error::{TransportError, TransportErrorKind};

/// Returns a POST request with a JSON body that accepts a JSON response.
pub(crate) fn post_json(uri: &Uri, body: Bytes) -> Request<Bytes> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.clone();
    // A complete request has eight headers.
    *request.headers_mut() = HeaderMap::with_capacity(10);
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(ACCEPT, json.clone());
    request.headers_mut().insert(CONTENT_TYPE, json);
    refuse_codings(request.headers_mut());
    request
}

/// Asks for a response without a content coding. Without this header, the service may use any
/// coding (RFC 9110, section 12.5.3).
pub(crate) fn refuse_codings(headers: &mut HeaderMap) {
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
}

/// Sends messages and token requests to the service, and returns its responses.
///
/// Each client has a transport of its own by default. Implement this trait to [set
/// another](crate::ClientBuilder::transport), such as your system's existing HTTP stack or a
/// scripted service for a test. The client makes one call for each request. It can be only as
/// certain about a message as the transport is, so an implementation must follow these rules:
///
/// * Send a request at most once. Don't retry, and don't follow redirects, which would carry the
///   token elsewhere.
/// * In a [`TransportError`], report correctly whether any part of the request may have left.
/// * Once the status line was read, return a [`Response`], even if the rest is lost. Set
///   [`is_early`](Response::is_early) if it arrived before the whole request was sent.
/// * After a 421, use another connection when the request is sent again (RFC 9110, section
///   15.5.20).
/// * Allow the future to be dropped at any point. Nothing of the request may leave after that.
///
/// The header `Authorization` is marked sensitive, and the bodies of token requests contain
/// secrets.
///
/// ```
/// use pushslots::bytes::Bytes;
/// use pushslots::http::{HeaderMap, Request, StatusCode};
/// use pushslots::{
///     AccessToken, AuthError, Client, Credentials, Response, TokenRequest, TokenSource, Transport,
///     TransportContext, TransportError,
/// };
/// use std::time::Duration;
///
/// /// A transport that accepts everything.
/// struct Yes;
///
/// impl Transport for Yes {
///     async fn send(&self, _: Request<Bytes>, _: TransportContext) -> Result<Response, TransportError> {
///         Ok(Response::new(StatusCode::OK, HeaderMap::new(), Ok(Bytes::new())))
///     }
/// }
/// # struct Fixed;
/// # impl TokenSource for Fixed {
/// #     async fn token(&self, _: TokenRequest<'_>) -> Result<AccessToken, AuthError> {
/// #         Ok(AccessToken::new("token"))
/// #     }
/// # }
///
/// let client = Client::builder().transport(Yes).credentials(Credentials::token_source(Fixed)).build()?;
/// # Ok::<(), pushslots::Error>(())
/// ```
///
/// A transport that wraps another, such as the client's own [`HttpTransport`], must keep the
/// request's extensions. Through them the rate limiter learns when the request leaves.
///
/// ```
/// use pushslots::bytes::Bytes;
/// use pushslots::http::{HeaderValue, Request};
/// use pushslots::{HttpTransport, Response, Transport, TransportContext, TransportError};
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use std::time::Duration;
///
/// /// A transport that numbers all requests, for the log of a gateway.
/// struct Numbering {
///     inner: HttpTransport,
///     requests: AtomicUsize,
/// }
///
/// impl Transport for Numbering {
///     async fn send(&self, mut request: Request<Bytes>, context: TransportContext) -> Result<Response, TransportError> {
///         let number = self.requests.fetch_add(1, Ordering::Relaxed);
///         request.headers_mut().insert("X-Request-Number", HeaderValue::from(number));
///         self.inner.send(request, context).await
///     }
/// }
/// ```
pub trait Transport: Send + Sync + 'static {
    /// Sends `request` and waits for the whole response, at most for the context's timeout.
    ///
    /// # Errors
    ///
    /// Returns a [`TransportError`] if no response arrived. If the future is still pending after
    /// the timeout, the client drops it, and the outcome is [unknown](TransportError::unknown).
    fn send(
        &self,
        request: Request<Bytes>,
        context: TransportContext,
    ) -> impl Future<Output = Result<Response, TransportError>> + Send;
}

/// The context of an exchange.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TransportContext {
    /// The maximum duration of the whole exchange, including the response.
    pub timeout: Duration,
}

impl TransportContext {
    /// Creates a context, for example to test a [`Transport`].
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self { timeout }
    }
}

impl<T: Transport> Transport for Arc<T> {
    fn send(
        &self,
        request: Request<Bytes>,
        context: TransportContext,
    ) -> impl Future<Output = Result<Response, TransportError>> + Send {
        (**self).send(request, context)
    }
}

/// The dyn-compatible form of [`Transport`]. Its exchanges end within their time.
pub(crate) trait AnyTransport: Send + Sync {
    fn send(&self, request: Request<Bytes>, time: Duration) -> Exchanging<'_>;

    /// Sends a request that may already have a permit.
    fn send_with(
        &self,
        _: Option<Permit>,
        request: Request<Bytes>,
        time: Duration,
    ) -> Exchanging<'_> {
        self.send(request, time)
    }
}

pub(crate) type Exchanging<'a> =
    Pin<Box<dyn Future<Output = Result<Response, TransportError>> + Send + 'a>>;

/// A user's transport, which may ignore its timeout.
pub(crate) struct Timed<T>(pub(crate) T);

/// The time that a transport gets beyond its timeout, because it knows better than the timer
/// whether the request left.
const GRACE: Duration = Duration::from_millis(50);

impl<T: Transport> AnyTransport for Timed<T> {
    fn send(&self, request: Request<Bytes>, time: Duration) -> Exchanging<'_> {
        Box::pin(async move {
            if time.is_zero() {
                return Err(TransportError::not_sent(TransportErrorKind::Timeout));
            }
            let exchange = timeout(
                time.saturating_add(GRACE),
                self.0.send(request, TransportContext::new(time)),
            );
            exchange
                .await
                .unwrap_or_else(|_| Err(TransportError::unknown(TransportErrorKind::Timeout)))
        })
    }
}

/// A response whose status line arrived, even if its body was lost.
///
/// A `Content-Encoding` header means that the body is still encoded. A transport that decodes
/// bodies must remove the header.
///
/// The `Debug` output contains neither headers nor body, because they may hold a token or repeat a
/// part of the request.
#[derive(Clone)]
#[non_exhaustive]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers. The client reads `Retry-After`, `Date`, `Content-Encoding` and `Content-Type`.
    pub headers: HeaderMap,
    /// The body, or the reason why it did not arrive completely.
    pub body: Result<Bytes, TransportError>,
    /// Whether the response arrived before the whole request was handed to the connection.
    /// [`new`](Self::new) sets it to `false`.
    ///
    /// The service can't have accepted a message that it doesn't have yet. With a 2xx status, the
    /// outcome is [unknown](crate::Exchange::classification).
    pub is_early: bool,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.body.as_ref().map(Bytes::len);
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("body_length", &body)
            .field("is_early", &self.is_early)
            .finish_non_exhaustive()
    }
}

impl Response {
    /// Creates a response that arrived after the whole request was handed to the connection.
    #[must_use]
    pub fn new(
        status: StatusCode,
        headers: HeaderMap,
        body: Result<Bytes, TransportError>,
    ) -> Self {
        Self { status, headers, body, is_early: false }
    }
}
