//! The transport on reqwest, and the classification of its failures.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::Reason;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Request, StatusCode, Uri, Version};
use reqwest::{Body, Url};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use super::body::{SendGuard, TrackedBody};
use super::causes::{chain, root_cause};
use super::connections::{Connections, Share};
use super::epoch::Epoch;
use super::handover::Handover;
use super::{
    AnyTransport, Exchanging, HttpSettings, Proxies, Response, Transport, TransportContext,
    TransportError, TransportErrorKind, tls,
};
use crate::message::Problem;

/// The maximum size of a response body in bytes. The service sends a few hundred bytes for each
/// destination.
const LONGEST_BODY: usize = 4 * 1024 * 1024;

/// The time since the last exchange, in microseconds, after which the runtime may not have noticed
/// yet that a connection was closed.
const RESTED: u64 = 100;

/// The time beyond the connect timeout in which a connection must take a request. Otherwise the
/// request is called off.
const SLACK: Duration = Duration::from_secs(1);

/// A duration longer than any timeout, but short enough to be added to an [`Instant`].
const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// The client's own transport: HTTP/1.1 and HTTP/2 over rustls, with pooled connections.
///
/// A client creates one unless it is [given another transport](crate::ClientBuilder::transport).
/// Create one yourself to share its connections between clients, to change settings that
/// `ClientBuilder` lacks, or to wrap it in a [`Transport`] of your own. Clones share their
/// connections.
///
/// ```
/// use pushslots::{
///     AccessToken, AuthError, Client, Credentials, HttpTransport, TokenRequest, TokenSource,
///     TransportContext,
/// };
/// # struct Fixed;
/// # impl TokenSource for Fixed { async fn token(&self, _: TokenRequest<'_>) -> Result<AccessToken, AuthError> { Ok(AccessToken::new("t")) } }
///
/// let transport = HttpTransport::builder().user_agent("acme-scheduler/4.2").header("X-Gateway-Tenant", "north").build()?;
/// let client = Client::builder().transport(transport).credentials(Credentials::token_source(Fixed)).build()?;
/// # Ok::<(), pushslots::Error>(())
/// ```
#[derive(Clone)]
pub struct HttpTransport(Arc<Http>);

struct Http {
    connections: Connections,
    identity: Arc<tls::ClientIdentity>,
    connect_timeout: Duration,
    /// The last URL in reqwest's form, because nearly all requests have the same.
    last_url: Mutex<Option<(Uri, Url)>>,
    epoch: Epoch,
    /// The end of the last exchange, in microseconds since `epoch`.
    last_exchange: AtomicU64,
}

impl HttpTransport {
    /// Creates a transport that uses `proxies`. The system's root certificates are needed only if
    /// `uses_tls`.
    ///
    /// # Errors
    ///
    /// Returns a [`Problem`] for each invalid setting.
    pub(crate) fn new(
        settings: &HttpSettings,
        proxies: Proxies,
        uses_tls: bool,
    ) -> Result<Self, Vec<Problem>> {
        let (tls, identity) = tls::config(settings, uses_tls || proxies.use_tls())?;
        Ok(Self(Arc::new(Http {
            connections: Connections::new(settings, proxies, tls)?,
            identity,
            connect_timeout: settings.connect_timeout,
            last_url: Mutex::default(),
            epoch: Epoch::new(),
            last_exchange: AtomicU64::new(0),
        })))
    }

    /// Replaces the client certificate. The PEM holds the certificate, its intermediates and its
    /// private key.
    pub(crate) fn replace_client_certificate(&self, pem: &[u8]) -> Result<(), Problem> {
        self.0.identity.rotate(pem)
    }
}

impl Http {
    /// Returns whether no exchange ended recently. When an exchange ends, the runtime also notices
    /// closed connections.
    fn is_rested(&self, now: Instant) -> bool {
        self.epoch.age(now).saturating_sub(self.last_exchange.load(Ordering::Relaxed)) > RESTED
    }

    fn url(&self, uri: &Uri) -> Result<Url, TransportError> {
        let mut last = self.last_url.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, url)) = last.as_ref().filter(|(known, _)| known == uri) {
            return Ok(url.clone());
        }
        let url = Url::parse(&uri.to_string()).map_err(|error| {
            TransportError::not_sent(TransportErrorKind::InvalidRequest).detail(error.to_string())
        })?;
        *last = Some((uri.clone(), url.clone()));
        Ok(url)
    }

    /// Sends one request over shared connections.
    async fn exchange(
        &self,
        share: &Share,
        url: Url,
        request: Request<Bytes>,
        (began, end): (Instant, Instant),
        handover: Option<Arc<Handover>>,
    ) -> Result<Response, TransportError> {
        // HTTP/2 needs https. Without HTTP/2, each request needs a connection of its own.
        let permit = match url.scheme() {
            "https" if !self.connections.is_http1_only() => {
                Box::pin(share.permit(&url, self.connect_timeout.min((end - began) / 4))).await
            }
            _ => None,
        };
        let began = if permit.is_some() { Instant::now() } else { began };
        let (head, body) = request.into_parts();
        let (body, guard) = TrackedBody::new(body, handover, permit);
        let mut request = reqwest::Request::new(head.method, url);
        *request.headers_mut() = head.headers;
        *request.body_mut() = Some(Body::wrap(body));
        let mut sending = pin!(share.client().execute(request));
        let patience = began.checked_add(self.connect_timeout.saturating_add(SLACK)).unwrap_or(end);
        let mut response = timeout_at(end.min(patience), sending.as_mut()).await;
        if response.is_err() && patience < end {
            if guard.call_off_unless_taken() {
                // The connection that was about to take the request may just have been closed.
                return Err(TransportError::not_taken());
            }
            response = timeout_at(end, sending).await;
        }
        match response {
            Err(_) => Err(guard.failure(TransportErrorKind::Timeout)),
            Ok(Err(error)) => Err(self.failure(&error, &guard)),
            Ok(Ok(response)) => Ok(self.response(share, response, &guard, end).await),
        }
    }

    /// Reads the rest of a response after its head arrived.
    async fn response(
        &self,
        share: &Share,
        mut response: reqwest::Response,
        guard: &SendGuard,
        end: Instant,
    ) -> Response {
        share.received(Instant::now());
        share.speaks(response.url(), response.version());
        let is_stuck = response.version() == Version::HTTP_2 && !guard.is_written();
        let is_early = is_stuck || !guard.is_handed_over();
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let body = timeout_at(end, self.read_body(share, response, length(&headers), guard)).await;
        let body =
            body.unwrap_or_else(|_| Err(TransportError::unknown(TransportErrorKind::Timeout)));
        Response { is_early, ..Response::new(status, headers, body) }
    }

    async fn read_body(
        &self,
        share: &Share,
        mut response: reqwest::Response,
        length: Option<usize>,
        guard: &SendGuard,
    ) -> Result<Bytes, TransportError> {
        let mut body = BytesMut::new();
        let is_http2 = response.version() == Version::HTTP_2;
        while let Some(chunk) =
            response.chunk().await.map_err(|error| self.failure(&error, guard))?
        {
            share.received(Instant::now());
            if body.len() + chunk.len() > LONGEST_BODY {
                return Err(TransportError::unknown(TransportErrorKind::ResponseTooLong));
            }
            body.extend_from_slice(&chunk);
        }
        // hyper reports an HTTP/2 stream that was reset with NO_ERROR as a complete body.
        let is_cut = is_http2 && length.is_some_and(|length| body.len() < length);
        if is_cut {
            return Err(TransportError::unknown(TransportErrorKind::Interrupted));
        }
        Ok(body.freeze())
    }

    /// Describes a failure. If no connection was made, the detail quotes the root cause. A later
    /// failure shows only its kind, because the error's text may come from the service or repeat a
    /// part of the request.
    fn failure(&self, error: &reqwest::Error, guard: &SendGuard) -> TransportError {
        let h2 = chain(error).find_map(|cause| cause.downcast_ref::<h2::Error>());
        if let Some(kind) = h2.and_then(unprocessed) {
            return TransportError::not_sent(kind).detail(h2_reason(h2).unwrap_or_default());
        }
        let (kind, cause) = match () {
            () if error.is_builder() => {
                (TransportErrorKind::InvalidRequest, Some(root_cause(error)))
            }
            () if error.is_dns() => (TransportErrorKind::Dns, Some(root_cause(error))),
            () if error.is_connect() && !error.is_timeout() => {
                (TransportErrorKind::Connect, Some(root_cause(error)))
            }
            () if error.is_connect() => (TransportErrorKind::Timeout, None),
            () if error.is_timeout() => {
                (TransportErrorKind::Interrupted, Some("the peer stopped responding".to_owned()))
            }
            () => (
                TransportErrorKind::Interrupted,
                h2_reason(h2).or_else(|| Some(io_kind(error)?.to_string())),
            ),
        };
        let failure = guard.failure(kind);
        let place = error.url().filter(|_| !failure.may_have_arrived()).and_then(|url| {
            let host = url.host_str()?;
            match self.connections.proxy(url) {
                None => Some(host.to_owned()),
                // Either the proxy or the service closed the tunnel.
                Some(_) if kind == TransportErrorKind::Interrupted => None,
                Some(proxy) if is_about_tls(error) && !proxy.starts_with("https:") => {
                    Some(format!("{host}, through the proxy {proxy}"))
                }
                Some(proxy) => Some(format!("the proxy {proxy}")),
            }
        });
        failure.detail(match (place, cause) {
            (Some(place), Some(cause)) => format!("{place}: {cause}"),
            (place, cause) => place.or(cause).unwrap_or_default(),
        })
    }

    /// Sends a request and ends within `time`.
    async fn send(
        &self,
        mut request: Request<Bytes>,
        time: Duration,
    ) -> Result<Response, TransportError> {
        if time.is_zero() {
            return Err(TransportError::not_sent(TransportErrorKind::Timeout));
        }
        let handover = request.extensions_mut().remove::<Arc<Handover>>();
        if let Some(handover) = &handover {
            handover.waits();
        }
        let began = Instant::now();
        let end = began.checked_add(time).unwrap_or_else(|| began + FOREVER);
        if self.is_rested(began) {
            // The service may have closed an idle connection while this thread was busy. Yielding
            // usually lets the runtime notice that. If the request went out on such a connection,
            // its outcome would be unknown.
            yield_now().await;
        }
        let url = self.url(request.uri())?;
        if self.connections.sends_away(&url) {
            let text = "plain http to this machine would pass through a proxy on another machine; \
                        remove the proxy or use https";
            return Err(TransportError::not_sent(TransportErrorKind::InvalidRequest).detail(text));
        }
        let share = self.connections.share(request.body().len(), began);
        let share = share.map_err(|error| {
            TransportError::not_sent(TransportErrorKind::Connect).detail(root_cause(&error))
        })?;
        let response = self.exchange(&share, url, request, (began, end), handover).await;
        let is_unusable = match &response {
            // The same request can be served only over another connection (RFC 9110, section
            // 15.5.20).
            Ok(response) if response.status == StatusCode::MISDIRECTED_REQUEST => true,
            // Over HTTP/2, the next request would use the same connection. If the connection hangs,
            // that request would hang too.
            Err(failure) => {
                (failure.kind() == TransportErrorKind::Timeout || failure.is_called_off())
                    && share.is_silent_since(began)
            }
            Ok(_) => false,
        };
        if is_unusable {
            self.connections.abandon(&share);
        }
        self.last_exchange.store(self.epoch.age(Instant::now()), Ordering::Relaxed);
        response
    }
}

impl AnyTransport for HttpTransport {
    fn send(&self, request: Request<Bytes>, time: Duration) -> Exchanging<'_> {
        Box::pin(self.0.send(request, time))
    }
}

impl Transport for HttpTransport {
    async fn send(
        &self,
        request: Request<Bytes>,
        context: TransportContext,
    ) -> Result<Response, TransportError> {
        self.0.send(request, context.timeout).await
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").finish_non_exhaustive()
    }
}

fn length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Returns the kind of failure if the service reported that it didn't process the request (RFC
/// 9113, section 8.7). After a GOAWAY, h2 fails only the streams above its last stream id with that
/// error.
fn unprocessed(error: &h2::Error) -> Option<TransportErrorKind> {
    match error.reason().filter(|_| error.is_remote())? {
        // The service only closes the connection, for example after a number of requests.
        Reason::NO_ERROR if error.is_go_away() => Some(TransportErrorKind::Interrupted),
        Reason::REFUSED_STREAM => Some(TransportErrorKind::NotProcessed),
        _ if error.is_go_away() => Some(TransportErrorKind::NotProcessed),
        _ => None,
    }
}

/// Returns the HTTP/2 error code that ended a stream or connection (RFC 9113, section 7).
fn h2_reason(error: Option<&h2::Error>) -> Option<String> {
    let name = match error?.reason()? {
        Reason::NO_ERROR => "NO_ERROR",
        Reason::PROTOCOL_ERROR => "PROTOCOL_ERROR",
        Reason::INTERNAL_ERROR => "INTERNAL_ERROR",
        Reason::FLOW_CONTROL_ERROR => "FLOW_CONTROL_ERROR",
        Reason::SETTINGS_TIMEOUT => "SETTINGS_TIMEOUT",
        Reason::STREAM_CLOSED => "STREAM_CLOSED",
        Reason::FRAME_SIZE_ERROR => "FRAME_SIZE_ERROR",
        Reason::REFUSED_STREAM => "REFUSED_STREAM",
        Reason::CANCEL => "CANCEL",
        Reason::COMPRESSION_ERROR => "COMPRESSION_ERROR",
        Reason::CONNECT_ERROR => "CONNECT_ERROR",
        Reason::ENHANCE_YOUR_CALM => "ENHANCE_YOUR_CALM",
        Reason::INADEQUATE_SECURITY => "INADEQUATE_SECURITY",
        Reason::HTTP_1_1_REQUIRED => "HTTP_1_1_REQUIRED",
        _ => "an unknown error code",
    };
    Some(format!("HTTP/2: {name}"))
}

/// Returns whether TLS failed. Unless the proxy uses https, TLS is between this machine and the
/// service.
fn is_about_tls(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(|cause| {
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause.is::<rustls::Error>()
            || inner.is_some_and(<dyn StdError + Send + Sync>::is::<rustls::Error>)
    })
}

fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    chain(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind)
}
