//! How bytes travel: a request goes out, a response or a failure comes back.
//!
//! A transport decides nothing. When it fails it says whether the request may have reached the
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
pub(crate) use retry_after::{date, retry_after};
pub(crate) use rolling_window::Rate;
pub(crate) use settings::HttpSettings;
pub(crate) use span::{ResendCount, fail};

pub use self::http::HttpTransport;
pub use permit::Permit;
pub use permit_source::{PermitError, PermitRequest, PermitSource};
pub use rate_limiter::RateLimiter;
pub use transport_error::{TransportError, TransportErrorKind};

/// A request that posts `body`, which is JSON, and asks for JSON.
pub(crate) fn post_json(uri: &Uri, body: Bytes) -> Request<Bytes> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.clone();
    // With those that are added later there are eight.
    *request.headers_mut() = HeaderMap::with_capacity(10);
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(ACCEPT, json.clone());
    request.headers_mut().insert(CONTENT_TYPE, json);
    refuse_codings(request.headers_mut());
    request
}

/// Asks for a response without a content coding: without this field any would do (RFC 9110, section
/// 12.5.3).
pub(crate) fn refuse_codings(headers: &mut HeaderMap) {
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
}

/// Carries requests to the service, token requests as well as messages, and brings answers back.
///
/// A client has one of its own. Implement this trait to [bring
/// another](crate::ClientBuilder::transport): an HTTP stack that your system has already, or a
/// script that plays the service in a test. Every request, for a token or with a message, is one
/// call, and the certainty that the client tells is no better than what this says:
///
/// * it sends a request at most once: it neither retries nor follows a redirect, which would carry
///   the token elsewhere;
/// * a [`TransportError`] says truly whether anything of the request may have left;
/// * a status line that was read is a [`Response`], even if the rest is lost, and the response
///   reports whether it came [before the whole request](Response::is_early) was sent;
/// * a request that got 421 goes out over another connection the next time: RFC 9110, section
///   15.5.20;
/// * the future can be dropped at any point, and nothing of the request leaves after that.
///
/// The header `Authorization` is marked sensitive, and the bodies of token requests hold secrets.
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
/// /// Accepts everything.
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
/// A transport that wraps another, such as the client's own [`HttpTransport`], must pass on the
/// request's extensions. They show the rate limiter when the request leaves.
///
/// ```
/// use pushslots::bytes::Bytes;
/// use pushslots::http::{HeaderValue, Request};
/// use pushslots::{HttpTransport, Response, Transport, TransportContext, TransportError};
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use std::time::Duration;
///
/// /// Numbers all requests, for the log of a gateway.
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
    /// Sends `request` and waits for the whole response, at most as long as the context allows.
    ///
    /// # Errors
    ///
    /// Returns the reason why no response came. When the timeout passes and this does not end, the
    /// exchange is [unknown](TransportError::unknown) and the future is dropped.
    fn send(
        &self,
        request: Request<Bytes>,
        context: TransportContext,
    ) -> impl Future<Output = Result<Response, TransportError>> + Send;
}

/// The circumstances of an exchange.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TransportContext {
    /// The longest time for the whole exchange, the response included.
    pub timeout: Duration,
}

impl TransportContext {
    /// Creates a context, such as to test a [`Transport`].
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

/// A [`Transport`] of any type, which ends within its time.
pub(crate) trait AnyTransport: Send + Sync {
    fn send(&self, request: Request<Bytes>, time: Duration) -> Exchanging<'_>;

    /// The same for a request that may have a permit already.
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

/// A transport of somebody else's, which may not mind its time.
pub(crate) struct Timed<T>(pub(crate) T);

/// What a transport gets beyond its time, since it knows better than the clock whether the request
/// left.
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

/// A response whose status line arrived, though its body may have been lost.
///
/// A header `Content-Encoding` means that the body is still encoded: a transport that decodes
/// bodies removes it.
///
/// Its `Debug` shows neither headers nor body: they may hold a token, or repeat what was sent.
#[derive(Clone)]
#[non_exhaustive]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers, of which `Retry-After`, `Date`, `Content-Encoding` and `Content-Type` are read.
    pub headers: HeaderMap,
    /// The body, or why it did not arrive whole.
    pub body: Result<Bytes, TransportError>,
    /// Whether the response arrived before the whole request was handed to the connection; `false`
    /// unless it is set.
    ///
    /// The service can't have taken a message that it doesn't have yet: with a status of 2xx the
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
