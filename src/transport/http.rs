//! Requests over reqwest; the only file that names it.

use std::error::Error as StdError;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Uri};
use reqwest::{Body, Certificate, Client, Identity, Proxy, Response, Url, redirect, retry};
use tokio::time::{Instant, timeout_at};

use super::body::{BodyInWaiting, Departure};
use super::{Answer, AnyTransport, Exchanging, Failure, FailureKind, HttpSettings};
use crate::message::Problem;

/// An answer of the service takes a few hundred bytes for each destination; more than this is none.
const LONGEST_BODY: usize = 4 * 1024 * 1024;

/// A connection idle for longer may have been closed by a gateway on the way: the shortest limit among the usual ones is
/// that of an AWS load balancer, 60 s.
const LONGEST_IDLE: Duration = Duration::from_secs(30);

/// An HTTP/2 connection on which nothing came for this long is asked for a sign of life, also while it is idle.
const PING_AFTER: Duration = Duration::from_secs(10);

/// Longer than anybody waits, and still a moment that can be told.
const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// One that gives none within this time is dead.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct HttpTransport {
    settings: HttpSettings,
    connections: Mutex<Connections>,
    /// The last address, as reqwest wants it: nearly all requests go to the same.
    last_url: Mutex<Option<(Uri, Url)>>,
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
        Ok(Self { settings, connections: Mutex::new(connections), last_url: Mutex::default() })
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
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
            let connections = self.connections().clone();
            let url = self.url(request.uri())?;
            let answer = exchange(&connections.client, url, request, time).await;
            // Over HTTP/2 the next request would go over the same connection, and hang as well.
            if matches!(&answer, Err(failure) | Ok(Answer { body: Err(failure), .. }) if failure.kind() == FailureKind::Timeout)
            {
                self.abandon(&connections);
            }
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
    let (body, departure) = BodyInWaiting::new(body);
    let mut request = reqwest::Request::new(head.method, url);
    *request.headers_mut() = head.headers;
    *request.body_mut() = Some(Body::wrap(body));
    let mut response = timeout_at(end, client.execute(request))
        .await
        .map_err(|_| departure.failure(FailureKind::Timeout))?
        .map_err(|error| failure(&error, &departure))?;
    Ok(Answer {
        status: response.status(),
        headers: std::mem::take(response.headers_mut()),
        body: timeout_at(end, read_body(response, &departure))
            .await
            .unwrap_or_else(|_| Err(Failure::unknown(FailureKind::Timeout))),
    })
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

async fn read_body(mut response: Response, departure: &Departure) -> Result<Bytes, Failure> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error, departure))? {
        if body.len() + chunk.len() > LONGEST_BODY {
            return Err(Failure::unknown(FailureKind::TooLong));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Says what failed. What kept a connection from coming about is told in full; of what came after only the
/// kind is, since the words could be the service's or hold a part of the request.
fn failure(error: &reqwest::Error, departure: &Departure) -> Failure {
    let (kind, cause) = match () {
        () if error.is_builder() => (FailureKind::Request, Some(root_cause(error))),
        () if error.is_dns() => (FailureKind::Lookup, Some(root_cause(error))),
        () if error.is_connect() && !error.is_timeout() => (FailureKind::Connect, Some(root_cause(error))),
        () if error.is_timeout() => (FailureKind::Timeout, None),
        () => (FailureKind::Interrupted, io_kind(error).map(|kind| kind.to_string())),
    };
    let failure = departure.failure(kind);
    let host = error.url().and_then(|url| url.host_str()).filter(|_| !failure.may_have_arrived());
    let detail = [host.map(str::to_owned), cause].into_iter().flatten().collect::<Vec<_>>().join(": ");
    failure.detail(detail)
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
