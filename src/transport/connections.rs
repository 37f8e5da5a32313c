//! Connection pools: chooses one for each request, and abandons those that hang.

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

/// The maximum number of header lines in a response. Even after a chain of gateways there are
/// rarely more than 100, hyper's own limit. But one line more must not cost a delivered message.
/// hyper prepares memory for all lines before it reads a response, so a higher limit slows down
/// every send.
const MOST_HEADERS: usize = 256;

/// The maximum size of a header list over HTTP/2 in bytes: names, values, and 32 bytes for each
/// line (RFC 9113, section 6.5.2).
const LONGEST_HEADERS: u32 = 256 * 1024;

/// The maximum idle time of a connection. A gateway may close it after a longer time. The shortest
/// common limit is an AWS load balancer's, 60 s.
const LONGEST_IDLE: Duration = Duration::from_secs(30);

/// The time without incoming data after which an HTTP/2 connection is pinged, even if it is idle.
const PING_AFTER: Duration = Duration::from_secs(10);

/// The time after which a connection that doesn't respond to a ping counts as dead. Together with
/// [`PING_AFTER`], detection takes 35 s.
const PING_TIMEOUT: Duration = Duration::from_secs(25);

/// The maximum number of bytes in flight over pinged connections.
///
/// A ping waits after these bytes in this machine's buffers. Even at 6 KB/s they are sent within
/// [`PING_TIMEOUT`]. Longer uploads use separate connections without pings, so that none is cut off
/// while it makes progress.
const PINGED_BYTES: usize = 128 * 1024;

/// The time before the first TCP keep-alive probe of an idle connection, and between two probes.
/// The connection is closed after two probes without a response, on Linux after [`UNACKNOWLEDGED`].
const PROBE_AFTER: Duration = Duration::from_secs(10);

/// The maximum time in which the peer acknowledges nothing or accepts no more data (RFC 5482). A
/// slow service may leave a long message unread for a while.
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// The maximum number of requests to one host that wait for a connection at the same time, as long
/// as the host may speak HTTP/2. Each of them opens a connection, although one can carry them all.
const WAITING_AT_ONCE: usize = 2;

/// The shortest silence, in microseconds, that shows that connections hang.
const SHORTEST_SILENCE: u64 = 500_000;

/// The value of [`Pool::waiting_since`] while no request waits for incoming data.
const NEVER: u64 = u64::MAX;

/// The maximum number of runtimes with connections of their own. Beyond it, the connections of the
/// least recently used runtime are closed.
const MOST_RUNTIMES: usize = 64;

/// The connections of a client, separate for each runtime that uses it.
///
/// The runtime that opened a connection also drives it. In another runtime, a request on that
/// connection would stall whenever the first runtime doesn't run.
pub(super) struct Connections {
    connect_timeout: Duration,
    headers: HeaderMap,
    user_agent: HeaderValue,
    is_http1_only: bool,
    proxies: Proxies,
    tls: ClientConfig,
    /// The runtimes, most recently used first.
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

/// Connections shared by several requests.
pub(super) struct Pool {
    client: Client,
    /// The total length of the request bodies that have no response yet.
    bytes: AtomicUsize,
    epoch: Epoch,
    /// The time of the last incoming data, in microseconds since `epoch`.
    last_received: AtomicU64,
    /// The start of the first request after `last_received`, in microseconds since `epoch`, or
    /// [`NEVER`].
    waiting_since: AtomicU64,
    /// The permits to wait for a connection, for each host. A semaphore is closed once its host
    /// responds over HTTP/1.1.
    gates: Mutex<Vec<(String, Arc<Semaphore>)>>,
}

/// A request's share of the connections in a pool.
pub(super) struct Share {
    pool: Arc<Pool>,
    length: usize,
}

impl Connections {
    /// Prepares connections without opening any.
    ///
    /// # Errors
    ///
    /// Returns a [`Problem`] for each invalid setting.
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

    /// Returns a share of the connections for a request that begins at `now`, with a body of
    /// `length` bytes.
    ///
    /// # Errors
    ///
    /// Returns an error if no connections can be set up.
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

    /// Returns the proxy for `address`.
    pub(super) fn proxy(&self, address: &Url) -> Option<String> {
        self.proxies.on_the_way_to(address)
    }

    /// Returns whether plain http to this machine would pass through a proxy on another one.
    pub(super) fn sends_away(&self, address: &Url) -> bool {
        address.scheme() == "http"
            && is_loopback(address)
            && self.proxies.send_plain_http_away()
            && self.proxy(address).is_some()
    }

    pub(super) fn is_http1_only(&self) -> bool {
        self.is_http1_only
    }

    /// Prevents further requests from using the connections of `share`. Its requests in flight
    /// continue.
    pub(super) fn abandon(&self, share: &Share) {
        let mut runtimes = self.runtimes();
        for Runtime { pinged, unpinged, .. } in &mut *runtimes {
            for (pool, is_pinged) in [(pinged, true), (unpinged, false)] {
                if Arc::ptr_eq(pool, &share.pool) {
                    match self.pool(is_pinged) {
                        Ok(fresh) => *pool = fresh,
                        Err(error) => tracing::warn!(
                            "error.message" = root_cause(&error),
                            "failed to open new connections; connections that may hang stay in use"
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

    /// Creates a pool without opening a connection.
    fn pool(&self, is_pinged: bool) -> reqwest::Result<Arc<Pool>> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            // Every request on the wire is recorded as an attempt. So reqwest itself must not
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

    /// Records that a part of a response arrived.
    pub(super) fn received(&self, now: Instant) {
        self.pool.last_received.store(self.pool.epoch.age(now), Ordering::Relaxed);
        self.pool.waiting_since.store(NEVER, Ordering::Relaxed);
    }

    /// Returns whether nothing arrived on any of the connections since `began`, although requests
    /// have waited for [`SHORTEST_SILENCE`]. Without that minimum, a short timeout would make
    /// connections look stuck.
    pub(super) fn is_silent_since(&self, began: Instant) -> bool {
        let waiting_since = self.pool.waiting_since.load(Ordering::Relaxed);
        let waited = self.pool.epoch.age(Instant::now()).saturating_sub(waiting_since);
        waited >= SHORTEST_SILENCE
            && self.pool.last_received.load(Ordering::Relaxed) <= self.pool.epoch.age(began)
    }

    /// Waits for a permit to wait for a connection, at most for `time`. After that, the requests
    /// with permits must be waiting for something else.
    pub(super) async fn permit(&self, url: &Url, time: Duration) -> Option<OwnedSemaphorePermit> {
        timeout(time, self.pool.gate(url).acquire_owned()).await.ok()?.ok()
    }

    /// Records the HTTP version of the host's response.
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
    /// Records that a request begins.
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
