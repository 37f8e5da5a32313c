//! Requests over reqwest; the only file that names it.

use std::error::Error as StdError;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::Reason;
use http::header::CONTENT_LENGTH;
use http::{Request, StatusCode, Uri, Version};
use reqwest::{Body, Certificate, Client, Identity, Proxy, Response, Url, redirect, retry};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use super::body::{SendGuard, TrackedBody};
use super::{Answer, AnyTransport, Exchanging, Failure, FailureKind, HttpSettings};
use crate::message::Problem;

/// An answer of the service takes a few hundred bytes for each destination; more than this is none.
const LONGEST_BODY: usize = 4 * 1024 * 1024;

/// The most header lines of a response. Those of a chain of gateways are rarely more than 100, hyper's own limit, but one
/// more must not cost a delivered message.
const MOST_HEADERS: usize = 1_000;

/// The longest header list over HTTP/2, which counts names, values, and 32 bytes for each line: RFC 9113, section 6.5.2.
const LONGEST_HEADERS: u32 = 256 * 1024;

/// A connection idle for longer may have been closed by a gateway on the way: the shortest limit among the usual ones is
/// that of an AWS load balancer, 60 s.
const LONGEST_IDLE: Duration = Duration::from_secs(30);

/// The time after an exchange from which the runtime may have missed that a connection was closed, in microseconds.
const RESTED: u64 = 100;

/// Longer than anybody waits, and still a moment that can be told.
const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// An HTTP/2 connection on which nothing came for this long is asked for a sign of life, also while it is idle.
const PING_AFTER: Duration = Duration::from_secs(10);

/// One that gives none within this time is dead.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct HttpTransport {
    settings: HttpSettings,
    connections: Mutex<Connections>,
    /// The last address, as reqwest wants it: nearly all requests go to the same.
    last_url: Mutex<Option<(Uri, Url)>>,
    created: Instant,
    /// When the last exchange ended, in microseconds after `created`.
    last_exchange: AtomicU64,
}

/// Connections that requests may share.
#[derive(Clone)]
struct Connections {
    client: Client,
    generation: u64,
}

impl HttpTransport {
    /// # Errors
    ///
    /// Each setting that can't be used, and why.
    pub(crate) fn new(settings: HttpSettings) -> Result<Self, Vec<Problem>> {
        let connections = Connections { client: connect(&settings)?, generation: 0 };
        Ok(Self {
            settings,
            connections: Mutex::new(connections),
            last_url: Mutex::default(),
            created: Instant::now(),
            last_exchange: AtomicU64::new(0),
        })
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Microseconds from the creation of this transport until `now`.
    fn age(&self, now: Instant) -> u64 {
        u64::try_from((now - self.created).as_micros()).unwrap_or(u64::MAX)
    }

    /// Whether no exchange ended lately: when one does, the runtime also notices connections that were closed.
    fn is_rested(&self, now: Instant) -> bool {
        self.age(now).saturating_sub(self.last_exchange.load(Ordering::Relaxed)) > RESTED
    }

    fn url(&self, uri: &Uri) -> Result<Url, Failure> {
        let mut last = self.last_url.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, url)) = last.as_ref().filter(|(known, _)| known == uri) {
            return Ok(url.clone());
        }
        let url = Url::parse(&uri.to_string())
            .map_err(|error| Failure::not_sent(FailureKind::Request).detail(error.to_string()))?;
        *last = Some((uri.clone(), url.clone()));
        Ok(url)
    }

    /// Keeps the next request off the connections of `hung`. What is under way on them goes on.
    fn abandon(&self, hung: &Connections) {
        if self.connections().generation != hung.generation {
            return;
        }
        // Certificates are read here, which no other send must wait for.
        let Ok(client) = connect(&self.settings) else {
            // The files of the system's certificates may be gone meanwhile.
            return tracing::warn!("connections that may hang stay in use, since no others can be set up");
        };
        let mut connections = self.connections();
        if connections.generation == hung.generation {
            *connections = Connections { client, generation: hung.generation + 1 };
        }
    }
}

impl AnyTransport for HttpTransport {
    fn send(&self, request: Request<Bytes>, time: Duration) -> Exchanging<'_> {
        Box::pin(async move {
            if time.is_zero() {
                return Err(Failure::not_sent(FailureKind::Timeout));
            }
            let url = self.url(request.uri())?;
            let began = Instant::now();
            if self.is_rested(began) {
                // The service may have closed an idle connection while this thread was busy. The runtime mostly notices that
                // now, before the message goes out there and it is unknown whether it arrived.
                yield_now().await;
            }
            let time = time.saturating_sub(began.elapsed());
            let connections = self.connections().clone();
            let answer = exchange(&connections.client, url, request, time).await;
            let is_unusable = match &answer {
                // Only over another connection can the same request be served: RFC 9110, section 15.5.20.
                Ok(answer) if answer.status == StatusCode::MISDIRECTED_REQUEST => true,
                // Over HTTP/2 the next request would go over the same connection, and hang as well.
                Err(failure) | Ok(Answer { body: Err(failure), .. }) => {
                    failure.kind() == FailureKind::Timeout
                }
                Ok(_) => false,
            };
            if is_unusable {
                self.abandon(&connections);
            }
            self.last_exchange.store(self.age(Instant::now()), Ordering::Relaxed);
            answer
        })
    }
}

/// One request to `url` over `client`.
async fn exchange(
    client: &Client,
    url: Url,
    request: Request<Bytes>,
    time: Duration,
) -> Result<Answer, Failure> {
    let began = Instant::now();
    let end = began.checked_add(time).unwrap_or_else(|| began + FOREVER);
    let (head, body) = request.into_parts();
    let (body, guard) = TrackedBody::new(body);
    let mut request = reqwest::Request::new(head.method, url);
    *request.headers_mut() = head.headers;
    *request.body_mut() = Some(Body::wrap(body));
    let mut response = timeout_at(end, client.execute(request))
        .await
        .map_err(|_| guard.failure(FailureKind::Timeout))?
        .map_err(|error| failure(&error, &guard))?;
    let is_stuck = response.version() == Version::HTTP_2 && !guard.is_written();
    let is_early = is_stuck || !guard.is_handed_over();
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let body = timeout_at(end, read_body(response, length, &guard)).await;
    let body = body.unwrap_or_else(|_| Err(Failure::unknown(FailureKind::Timeout)));
    Ok(Answer { is_early, ..Answer::new(status, headers, body) })
}

/// Sets up connections, none of which is made yet.
fn connect(settings: &HttpSettings) -> Result<Client, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut wrong = |setting: &str, cause: &str| {
        problems.push(Problem::new(setting, format!("can't be used: {cause}")));
    };
    let mut builder = Client::builder()
        // Every request on the wire is an attempt that is recorded: reqwest itself must not resend
        // one, nor carry a token to where a redirect points.
        .retry(retry::never())
        .redirect(redirect::Policy::none())
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(LONGEST_IDLE)
        .http2_keep_alive_interval(PING_AFTER)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .http2_keep_alive_while_idle(true)
        // A response that other clients can read must not cost a delivered message.
        .http1_max_headers(MOST_HEADERS)
        .http2_max_header_list_size(LONGEST_HEADERS)
        .http1_ignore_invalid_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .user_agent(concat!("pushslots/", env!("CARGO_PKG_VERSION")));
    if settings.bypass_environment_proxies {
        builder = builder.no_proxy();
    }
    if let Some(url) = &settings.proxy {
        match Proxy::all(url) {
            Ok(proxy) => builder = builder.proxy(proxy),
            Err(error) => wrong("proxy", &root_cause(&error)),
        }
    }
    for pem in &settings.root_certificates {
        match Certificate::from_pem_bundle(pem) {
            Ok(none) if none.is_empty() => wrong("root_certificate", "the PEM holds no certificate"),
            Ok(certificates) => builder = builder.tls_certs_merge(certificates),
            Err(error) => wrong("root_certificate", &root_cause(&error)),
        }
    }
    if let Some(pem) = &settings.client_certificate {
        match Identity::from_pem(pem) {
            Ok(identity) => builder = builder.identity(identity),
            Err(error) => wrong("client_certificate", &root_cause(&error)),
        }
    }
    let client = builder.build().map_err(|error| wrong("certificates", &root_cause(&error)));
    match client {
        Ok(client) if problems.is_empty() => Ok(client),
        _ => Err(problems),
    }
}

async fn read_body(
    mut response: Response,
    length: Option<usize>,
    guard: &SendGuard,
) -> Result<Bytes, Failure> {
    let (mut body, is_http2) = (BytesMut::new(), response.version() == Version::HTTP_2);
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error, guard))? {
        if body.len() + chunk.len() > LONGEST_BODY {
            return Err(Failure::unknown(FailureKind::TooLong));
        }
        body.extend_from_slice(&chunk);
    }
    // hyper takes a stream that HTTP/2 resets without an error for one that ended.
    let is_cut = is_http2 && length.is_some_and(|length| body.len() < length);
    if is_cut {
        return Err(Failure::unknown(FailureKind::Interrupted));
    }
    Ok(body.freeze())
}

/// Explains a failure. What kept a connection from coming about is quoted in full; of what came after only the kind is,
/// because the words could be the service's or hold a part of the request.
fn failure(error: &reqwest::Error, guard: &SendGuard) -> Failure {
    let h2 = chain(error).find_map(|cause| cause.downcast_ref::<h2::Error>());
    if let Some(kind) = h2.and_then(unprocessed) {
        return Failure::not_sent(kind).detail(h2_reason(h2).unwrap_or_default());
    }
    let (kind, cause) = match () {
        () if error.is_builder() => (FailureKind::Request, Some(root_cause(error))),
        () if error.is_dns() => (FailureKind::Lookup, Some(root_cause(error))),
        () if error.is_connect() && !error.is_timeout() => (FailureKind::Connect, Some(root_cause(error))),
        () if error.is_timeout() => (FailureKind::Timeout, None),
        () => (FailureKind::Interrupted, h2_reason(h2).or_else(|| Some(io_kind(error)?.to_string()))),
    };
    let failure = guard.failure(kind);
    let host = error.url().and_then(|url| url.host_str()).filter(|_| !failure.may_have_arrived());
    let detail = [host.map(str::to_owned), cause].into_iter().flatten().collect::<Vec<_>>().join(": ");
    failure.detail(detail)
}

/// The kind of failure if the service reported that it didn't process the request: RFC 9113, section 8.7. After a GOAWAY, h2
/// ends only the streams above its last stream id with that error.
fn unprocessed(error: &h2::Error) -> Option<FailureKind> {
    match error.reason().filter(|_| error.is_remote())? {
        // The service only closes the connection, such as after a number of requests.
        Reason::NO_ERROR if error.is_go_away() => Some(FailureKind::Interrupted),
        Reason::REFUSED_STREAM => Some(FailureKind::NotProcessed),
        _ if error.is_go_away() => Some(FailureKind::NotProcessed),
        _ => None,
    }
}

/// The error code of HTTP/2 that ended a stream or connection: RFC 9113, section 7.
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

fn root_cause(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    chain(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind)
}

/// An error and what caused it, down to the root.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}
