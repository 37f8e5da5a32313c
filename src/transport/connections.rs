//! Connections: choosing one for a request, and abandoning them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use reqwest::{Client, Url, Version, redirect, retry};
use rustls::ClientConfig;
use tokio::runtime::Id;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::causes::root_cause;
use super::epoch::Epoch;
use super::{HttpSettings, Proxies, is_loopback};
use crate::message::Problem;
use crate::runtime;

/// The most header lines of a response. Those of a chain of gateways are rarely more than 100,
/// hyper's own limit, but one more must not cost a delivered message.
const MOST_HEADERS: usize = 1_000;

/// The longest header list over HTTP/2, which counts names, values, and 32 bytes for each line: RFC
/// 9113, section 6.5.2.
const LONGEST_HEADERS: u32 = 256 * 1024;

/// A connection idle for longer may have been closed by a gateway on the way: the shortest limit
/// among the usual ones is that of an AWS load balancer, 60 s.
const LONGEST_IDLE: Duration = Duration::from_secs(30);

/// An HTTP/2 connection on which nothing arrived for this long is pinged, even if it is idle.
const PING_AFTER: Duration = Duration::from_secs(10);

/// A connection that doesn't respond to a ping within this time is dead. Together with
/// [`PING_AFTER`] that takes 35 s.
const PING_TIMEOUT: Duration = Duration::from_secs(25);

/// The most bytes in flight over connections that are pinged.
///
/// A ping waits after them, in this machine's buffers. Even over a line of 6 KB/s they arrive
/// within [`PING_TIMEOUT`]. Longer uploads go over connections of their own without pings, so that
/// none is cut off while it makes progress.
const PINGED_BYTES: usize = 128 * 1024;

/// The time before the first TCP keep-alive probe of an idle connection, and between two of them.
/// The connection is closed after two without a response, on Linux after [`UNACKNOWLEDGED`].
const PROBE_AFTER: Duration = Duration::from_secs(10);

/// The longest time in which the other side acknowledges nothing, or takes nothing more: RFC 5482.
/// A slow service may leave a long message unread for a while.
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// How many requests to one host may wait for a connection at the same time, as long as it may
/// speak HTTP/2. Each of them opens a connection, although one can carry them all.
const WAITING_AT_ONCE: usize = 2;

/// Silence on connections for a shorter time, in microseconds, doesn't show that they hang.
const SHORTEST_SILENCE: u64 = 500_000;

/// The time at which no request waits for something to arrive.
const NEVER: u64 = u64::MAX;

/// The most runtimes that have connections of their own; those of the least recently used one are
/// closed.
const MOST_RUNTIMES: usize = 64;

/// The connections of a client, for each runtime that it is used in.
///
/// A connection is driven by the runtime that opened it. In another one, a request would wait on it
/// for as long as the first runtime stands still.
pub(super) struct Connections {
    connect_timeout: Duration,
    headers: HeaderMap,
    user_agent: HeaderValue,
    is_http1_only: bool,
    proxies: Proxies,
    tls: ClientConfig,
    /// The last one used first.
    runtimes: Mutex<Vec<Runtime>>,
}

struct Runtime {
    /// `None` until the first request.
    id: Option<Id>,
    /// Connections that are pinged.
    pinged: Arc<Pool>,
    /// Connections for long uploads.
    unpinged: Arc<Pool>,
}

/// Connections that requests share.
pub(super) struct Pool {
    client: Client,
    /// The bytes of requests that have no response yet.
    bytes: AtomicUsize,
    epoch: Epoch,
    /// When something arrived last.
    last_received: AtomicU64,
    /// When the first request began after that, or [`NEVER`].
    waiting_since: AtomicU64,
    /// Permits to wait for a connection, for each host. Closed once the host responds over
    /// HTTP/1.1.
    gates: Mutex<Vec<(String, Arc<Semaphore>)>>,
}

/// A request's share of the connections in a pool.
pub(super) struct Share {
    pool: Arc<Pool>,
    length: usize,
}

impl Connections {
    /// # Errors
    ///
    /// Returns each setting that can't be used, and why.
    pub(super) fn new(
        settings: &HttpSettings,
        proxies: Proxies,
        tls: ClientConfig,
    ) -> Result<Self, Vec<Problem>> {
        let connections = Self {
            connect_timeout: settings.connect_timeout,
            headers: settings.headers.clone(),
            user_agent: settings.user_agent.clone(),
            is_http1_only: settings.is_http1_only,
            proxies,
            tls,
            runtimes: Mutex::default(),
        };
        let first = connections.open(None).map_err(|error| {
            vec![Problem::new("connections", format!("can't be set up: {}", root_cause(&error)))]
        })?;
        connections.runtimes().push(first);
        Ok(connections)
    }

    /// The connections for a request that begins now, and whose body has this length.
    ///
    /// # Errors
    ///
    /// Returns the reason why no connections can be set up.
    pub(super) fn share(&self, length: usize, now: Instant) -> reqwest::Result<Share> {
        let id = runtime::current();
        let mut runtimes = self.runtimes();
        let known = runtimes.iter().position(|runtime| runtime.id == id || runtime.id.is_none());
        let mut runtime = match known {
            Some(position) => runtimes.remove(position),
            None => self.open(id)?,
        };
        runtime.id = id;
        let waiting = runtime.pinged.bytes.load(Ordering::Relaxed);
        let is_long = waiting.saturating_add(length) > PINGED_BYTES;
        let pool = if is_long { runtime.unpinged.clone() } else { runtime.pinged.clone() };
        pool.bytes.fetch_add(length, Ordering::Relaxed);
        pool.begin(now);
        runtimes.truncate(MOST_RUNTIMES - 1);
        runtimes.insert(0, runtime);
        Ok(Share { pool, length })
    }

    /// The proxy on the way to `address`.
    pub(super) fn proxy(&self, address: &Url) -> Option<String> {
        self.proxies.on_the_way_to(address)
    }

    /// Whether plain http to this machine would pass through a proxy on another one.
    pub(super) fn sends_away(&self, address: &Url) -> bool {
        address.scheme() == "http"
            && is_loopback(address)
            && self.proxies.send_plain_http_away()
            && self.proxy(address).is_some()
    }

    pub(super) fn is_http1_only(&self) -> bool {
        self.is_http1_only
    }

    /// Keeps further requests off the connections of `share`. Its requests in flight go on.
    pub(super) fn abandon(&self, share: &Share) {
        let mut runtimes = self.runtimes();
        for Runtime { pinged, unpinged, .. } in &mut *runtimes {
            for (pool, is_pinged) in [(pinged, true), (unpinged, false)] {
                if Arc::ptr_eq(pool, &share.pool) {
                    match self.pool(is_pinged) {
                        Ok(fresh) => *pool = fresh,
                        Err(error) => tracing::warn!(
                            "error.message" = root_cause(&error),
                            "connections that may hang stay in use because no others can be set up"
                        ),
                    }
                    return;
                }
            }
        }
    }

    fn open(&self, id: Option<Id>) -> reqwest::Result<Runtime> {
        Ok(Runtime { id, pinged: self.pool(true)?, unpinged: self.pool(false)? })
    }

    /// A pool without a connection.
    fn pool(&self, is_pinged: bool) -> reqwest::Result<Arc<Pool>> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            // Every request on the wire is an attempt that is recorded: reqwest itself must not
            // resend one, nor carry a token to a redirect target.
            .retry(retry::never())
            .redirect(redirect::Policy::none())
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(LONGEST_IDLE)
            .tcp_keepalive(PROBE_AFTER)
            .tcp_keepalive_interval(PROBE_AFTER)
            .tcp_keepalive_retries(2)
            // A response that other clients can read must not cost a delivered message.
            .http1_max_headers(MOST_HEADERS)
            .http2_max_header_list_size(LONGEST_HEADERS)
            .http1_ignore_invalid_headers_in_responses(true)
            .http1_allow_spaces_after_header_name_in_responses(true)
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            .default_headers(self.headers.clone())
            .user_agent(self.user_agent.clone());
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        {
            builder = builder.tcp_user_timeout(UNACKNOWLEDGED);
        }
        if self.is_http1_only {
            builder = builder.http1_only();
        }
        if is_pinged {
            builder = builder
                .http2_keep_alive_interval(PING_AFTER)
                .http2_keep_alive_timeout(PING_TIMEOUT)
                .http2_keep_alive_while_idle(true);
        }
        Ok(Arc::new(Pool {
            client: self.proxies.apply(builder)?.build()?,
            bytes: AtomicUsize::new(0),
            epoch: Epoch::new(),
            last_received: AtomicU64::new(0),
            waiting_since: AtomicU64::new(NEVER),
            gates: Mutex::default(),
        }))
    }

    fn runtimes(&self) -> MutexGuard<'_, Vec<Runtime>> {
        self.runtimes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    pub(super) fn client(&self) -> &Client {
        &self.pool.client
    }

    /// Notes that a part of a response arrived.
    pub(super) fn received(&self, now: Instant) {
        self.pool.last_received.store(self.pool.epoch.age(now), Ordering::Relaxed);
        self.pool.waiting_since.store(NEVER, Ordering::Relaxed);
    }

    /// Whether nothing arrived on any of the connections since `began`, and requests have waited
    /// long enough for that to mean something: a caller may just be in a hurry.
    pub(super) fn is_silent_since(&self, began: Instant) -> bool {
        let waiting_since = self.pool.waiting_since.load(Ordering::Relaxed);
        let waited = self.pool.epoch.age(Instant::now()).saturating_sub(waiting_since);
        waited >= SHORTEST_SILENCE
            && self.pool.last_received.load(Ordering::Relaxed) <= self.pool.epoch.age(began)
    }

    /// Waits for the permit to wait for a connection, at most for `time`. After that, the others
    /// wait for something else.
    pub(super) async fn permit(&self, url: &Url, time: Duration) -> Option<OwnedSemaphorePermit> {
        timeout(time, self.pool.gate(url).acquire_owned()).await.ok()?.ok()
    }

    /// Notes the version that the host responds with.
    pub(super) fn speaks(&self, url: &Url, version: Version) {
        if url.scheme() == "https" && version != Version::HTTP_2 {
            self.pool.gate(url).close();
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pool.bytes.fetch_sub(self.length, Ordering::Relaxed);
    }
}

impl Pool {
    /// Notes that a request begins.
    fn begin(&self, now: Instant) {
        if self.waiting_since.load(Ordering::Relaxed) == NEVER {
            self.waiting_since.store(self.epoch.age(now), Ordering::Relaxed);
        }
    }

    fn gate(&self, url: &Url) -> Arc<Semaphore> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let authority = url.authority();
        if let Some((_, gate)) = gates.iter().find(|(known, _)| known == authority) {
            return gate.clone();
        }
        let gate = Arc::new(Semaphore::new(WAITING_AT_ONCE));
        gates.push((authority.to_owned(), gate.clone()));
        gate
    }
}
