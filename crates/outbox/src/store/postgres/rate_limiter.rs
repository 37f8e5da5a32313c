//! A rate limit that processes on any number of machines share.

mod task;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pushslots::{Permit, PermitError, PermitRequest, PermitSource, RateLimiter};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use self::task::PermitTask;
use super::config::PostgresConfig;
use super::link::Link;
use crate::error::OutboxError;

/// The range of the delay before another try to take permits.
const DELAYS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// The maximum delay of all requests after a 429.
const LONGEST_THROTTLE: Duration = Duration::from_secs(120);

/// The time that is left for the error of a request that gets no permit.
const MARGIN: Duration = Duration::from_millis(20);

/// A rate limit in PostgreSQL that processes on any number of machines share. Requires the feature
/// `postgres`.
///
/// The service counts requests per IP address. Use one limit, with one name, for all processes
/// behind an address: workers of an outbox, and clients that send directly. Token requests count
/// too. After a 429 all processes wait.
///
/// A request counts from when its permit is given until one window after its end. If a process ends
/// without reporting that, its permits count for 10 minutes and one window. While the database is
/// unavailable, no permits are given: sends wait, up to their deadlines.
///
/// ```no_run
/// use pushslots::{Client, RateLimiter};
/// use pushslots_outbox::{PgRateLimiter, PostgresConfig};
/// use std::time::Duration;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = PostgresConfig::from_env()?;
/// let limiter = PgRateLimiter::open(&config, 7_500, Duration::from_secs(300)).await?;
/// let client = Client::builder().rate_limiter(limiter.into()).build()?;
/// # Ok(())
/// # }
/// ```
pub struct PgRateLimiter {
    events: mpsc::UnboundedSender<Event>,
    /// The last failure of the database, until an operation succeeds.
    failure: Arc<Mutex<Option<String>>>,
}

/// A limit in the database.
struct Limit {
    name: String,
    requests: i32,
    window: Duration,
}

/// An event for the task that takes permits.
enum Event {
    Wanted(Wanted),
    /// A permit is back. Its request may have left.
    Released {
        block: i64,
        has_left: bool,
    },
    /// The service responded with 429.
    Throttled(Duration),
}

/// A request that waits for a permit.
struct Wanted {
    is_for_token: bool,
    reply: oneshot::Sender<Permit>,
}

impl PgRateLimiter {
    /// Opens the limit with the name `default`: at most `requests` requests in any rolling `window`.
    ///
    /// # Errors
    ///
    /// Returns an error if there are fewer than 2 requests, the window is zero or longer than a day,
    /// the database can't be reached, or its schema is missing or has another version.
    pub async fn open(
        config: &PostgresConfig,
        requests: u32,
        window: Duration,
    ) -> Result<Self, OutboxError> {
        Self::open_named(config, "default", requests, window).await
    }

    /// Opens a limit of another name, such as that of another IP address. All processes must give
    /// the same rate for a name.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`open`](Self::open), and an error if the name is empty or longer than
    /// 200 bytes.
    pub async fn open_named(
        config: &PostgresConfig,
        name: impl Into<String>,
        requests: u32,
        window: Duration,
    ) -> Result<Self, OutboxError> {
        let name = name.into();
        crate::enqueue::check_name("the name of a rate limit", &name)?;
        let day = Duration::from_secs(24 * 60 * 60);
        let requests = i32::try_from(requests).ok().filter(|requests| *requests >= 2);
        let (Some(requests), false) = (requests, window.is_zero() || window > day) else {
            let text =
                "a rate limit needs at least 2 requests, and a window above 0 and up to a day";
            return Err(OutboxError::Configuration(text.to_owned()));
        };
        let link = Link::new(config.prepare()?);
        link.check().await?;
        let (events, received) = mpsc::unbounded_channel();
        let failure = Arc::default();
        let limit = Limit { name, requests, window };
        let task = PermitTask::new(link, limit, events.downgrade(), Arc::clone(&failure));
        tokio::spawn(task.run(received));
        Ok(Self { events, failure })
    }
}

impl From<PgRateLimiter> for RateLimiter {
    fn from(limiter: PgRateLimiter) -> Self {
        Self::from_source(limiter)
    }
}

impl PermitSource for PgRateLimiter {
    async fn permit(&self, request: &PermitRequest) -> Result<Permit, PermitError> {
        let (reply, given) = oneshot::channel();
        let wanted = Wanted { is_for_token: request.is_for_token, reply };
        let _ = self.events.send(Event::Wanted(wanted));
        let ended = || PermitError::failed("the task of the shared rate limit has ended");
        let Some(time) = request.timeout else { return given.await.map_err(|_| ended()) };
        match timeout(time.saturating_sub(MARGIN), given).await {
            Ok(given) => given.map_err(|_| ended()),
            Err(_) => Err(match &*lock(&self.failure) {
                Some(failure) => PermitError::failed(format!("the shared rate limit: {failure}")),
                None => PermitError::no_room(DELAYS.1),
            }),
        }
    }

    fn throttled(&self, delay: Duration) {
        let _ = self.events.send(Event::Throttled(delay.min(LONGEST_THROTTLE)));
    }
}

impl fmt::Debug for PgRateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgRateLimiter").finish_non_exhaustive()
    }
}

fn lock(failure: &Mutex<Option<String>>) -> std::sync::MutexGuard<'_, Option<String>> {
    failure.lock().unwrap_or_else(PoisonError::into_inner)
}
