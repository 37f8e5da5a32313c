//! How bytes travel: a request goes out, an answer or a failure comes back.
//!
//! A transport decides nothing. When it fails it says whether the request may have reached the service.

mod body;
mod failure;
mod http;
mod pace;
mod retry_after;
mod settings;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::{ACCEPT, CONTENT_TYPE};
use ::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use bytes::Bytes;
use tokio::time::timeout;

pub(crate) use self::http::HttpTransport;
pub(crate) use pace::{Pace, Paced, Place, Rate};
pub(crate) use retry_after::retry_after;
pub(crate) use settings::HttpSettings;

pub use failure::{Failure, FailureKind};

/// A request that posts `body`, which is JSON, and asks for JSON.
pub(crate) fn post_json(uri: &Uri, body: Bytes) -> Request<Bytes> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.clone();
    // With those that are added on the way there are seven, for which an empty map would grow twice.
    *request.headers_mut() = HeaderMap::with_capacity(8);
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(ACCEPT, json.clone());
    request.headers_mut().insert(CONTENT_TYPE, json);
    request
}

/// Carries requests to the service, token requests as well as messages, and brings answers back.
///
/// A client has one of its own. Implement this trait to [bring another](crate::ClientBuilder::transport): an HTTP
/// stack that your system has already, or a script that plays the service in a test. Every request, for a token or with a
/// message, is one call, and the certainty that the client tells is no better than what this says:
///
/// * it sends a request at most once: it neither retries nor follows a redirect, which would carry the token elsewhere;
/// * a [`Failure`] says truly whether anything of the request may have left;
/// * a status line that was read is an [`Answer`], even when what should follow it is lost;
/// * the future can be dropped at any point, and nothing of the request leaves after that.
///
/// The header `Authorization` is marked sensitive, and the bodies of token requests hold secrets.
///
/// ```
/// use pushslots::bytes::Bytes;
/// use pushslots::http::{HeaderMap, Request, StatusCode};
/// use pushslots::{AccessToken, Answer, AuthError, Client, Credentials, Failure, TokenSource, Transport};
/// use std::time::Duration;
///
/// /// Accepts everything.
/// struct Yes;
///
/// impl Transport for Yes {
///     async fn send(&self, _: Request<Bytes>, _: Duration) -> Result<Answer, Failure> {
///         Ok(Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: Ok(Bytes::new()) })
///     }
/// }
/// # struct Fixed;
/// # impl TokenSource for Fixed {
/// #     async fn token(&self, _: Option<&AccessToken>) -> Result<AccessToken, AuthError> {
/// #         Ok(AccessToken::new("token"))
/// #     }
/// # }
///
/// let client = Client::builder().transport(Yes).credentials(Credentials::token_source(Fixed)).build()?;
/// # Ok::<(), pushslots::Error>(())
/// ```
pub trait Transport: Send + Sync + 'static {
    /// Sends `request` and waits at most `timeout` for the whole answer.
    ///
    /// # Errors
    ///
    /// What kept an answer from coming. When `timeout` passes and this does not end, the exchange is
    /// [unknown](Failure::unknown) and the future is dropped.
    fn send(
        &self,
        request: Request<Bytes>,
        timeout: Duration,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send;
}

impl<T: Transport> Transport for Arc<T> {
    fn send(
        &self,
        request: Request<Bytes>,
        timeout: Duration,
    ) -> impl Future<Output = Result<Answer, Failure>> + Send {
        (**self).send(request, timeout)
    }
}

/// What carries requests, of whatever kind: what it does is what [`Transport`] asks for, and it minds its time.
pub(crate) trait AnyTransport: Send + Sync {
    fn send(&self, request: Request<Bytes>, time: Duration) -> Exchanging<'_>;

    /// The same for a request that may have a place in the pace already.
    fn send_from(&self, _: Option<Place>, request: Request<Bytes>, time: Duration) -> Exchanging<'_> {
        self.send(request, time)
    }
}

pub(crate) type Exchanging<'a> = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + Send + 'a>>;

/// A transport of somebody else's, which may not mind its time.
pub(crate) struct Timed<T>(pub(crate) T);

/// What a transport gets beyond its time, since it knows better than the clock whether the request left.
const GRACE: Duration = Duration::from_millis(50);

impl<T: Transport> AnyTransport for Timed<T> {
    fn send(&self, request: Request<Bytes>, time: Duration) -> Exchanging<'_> {
        Box::pin(async move {
            if time.is_zero() {
                return Err(Failure::not_sent(FailureKind::Timeout));
            }
            let exchange = timeout(time.saturating_add(GRACE), self.0.send(request, time));
            exchange.await.unwrap_or_else(|_| Err(Failure::unknown(FailureKind::Timeout)))
        })
    }
}

/// An answer whose status line arrived, though its body may have been lost on the way.
///
/// Its `Debug` shows neither headers nor body: they may hold a token, or repeat what was sent.
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers, of which `Retry-After` and `Date` are read.
    pub headers: HeaderMap,
    /// The body, or why it did not arrive whole.
    pub body: Result<Bytes, Failure>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.body.as_ref().map(Bytes::len);
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("body_length", &body)
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// What arrived of the body; nothing where it was lost.
    pub(crate) fn body(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }
}
