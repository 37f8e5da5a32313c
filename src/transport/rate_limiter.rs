//! The limit on requests, shared by any number of clients.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::Permit;
use super::permit_source::{AnyPermitSource, PermitError, PermitRequest, PermitSource};
use super::rolling_window::{Rate, RollingWindow, TICK};
use super::waits::{WaitCounter, Waits};

/// The maximum delay of all requests after a 429.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// A limit on requests that any number of clients can share.
///
/// The service counts requests per IP address, regardless of the credentials. All clients behind
/// one address therefore need one limiter. Either pass the same limiter to each with
/// [`ClientBuilder::rate_limiter`](crate::ClientBuilder::rate_limiter), or derive the clients from
/// one another with [`Client::with_credentials`](crate::Client::with_credentials). Clones share the
/// same limit.
///
/// ```
/// use pushslots::{
///     AccessToken, AuthError, Client, Credentials, RateLimiter, TokenRequest, TokenSource,
/// };
/// use std::time::Duration;
/// # struct North; struct South;
/// # impl TokenSource for North { async fn token(&self, _: TokenRequest<'_>) -> Result<AccessToken, AuthError> { Ok(AccessToken::new("n")) } }
/// # impl TokenSource for South { async fn token(&self, _: TokenRequest<'_>) -> Result<AccessToken, AuthError> { Ok(AccessToken::new("s")) } }
///
/// let limiter = RateLimiter::new(7_500, Duration::from_secs(300));
/// let client = |credentials| Client::builder().credentials(credentials).rate_limiter(limiter.clone()).build();
/// let north = client(Credentials::token_source(North))?;
/// let south = client(Credentials::token_source(South))?;
/// # Ok::<(), pushslots::Error>(())
/// ```
#[derive(Clone)]
pub struct RateLimiter(LimiterKind);

#[derive(Clone)]
enum LimiterKind {
    /// A limit within this process.
    Window(Arc<RollingWindow>),
    /// A limit from a [`PermitSource`].
    Source(Arc<ExternalPermits>),
}

struct ExternalPermits {
    permits: Box<dyn AnyPermitSource>,
    waits: WaitCounter,
}

impl RateLimiter {
    /// Creates a limiter that allows `requests` requests in any rolling `window`. At least 2
    /// requests are required, and a window above 0 and up to a day. With other values,
    /// [`ClientBuilder::build`](crate::ClientBuilder::build) and [`permit`](Self::permit) return an
    /// error.
    ///
    /// A request counts from when it leaves until one window after its end, because the service may
    /// count it at any time in between. A request that never left doesn't count.
    ///
    /// After a 429 all requests wait for its `Retry-After`, up to 120 s. Without that header they
    /// wait for 1 s.
    #[must_use]
    pub fn new(requests: u32, window: Duration) -> Self {
        Self::of_rate(Rate { requests, window })
    }

    /// Creates a limiter that gets its permits from `source`, such as a database shared by several
    /// machines.
    #[must_use]
    pub fn from_source(source: impl PermitSource) -> Self {
        Self(LimiterKind::Source(Arc::new(ExternalPermits {
            permits: Box::new(source),
            waits: WaitCounter::default(),
        })))
    }

    pub(crate) fn of_rate(rate: Rate) -> Self {
        Self::of_window(Arc::new(RollingWindow::new(rate)))
    }

    pub(super) fn of_window(window: Arc<RollingWindow>) -> Self {
        Self(LimiterKind::Window(window))
    }

    /// Waits until the limit has room, and takes a permit in advance for a
    /// [send](crate::SendBuilder::permit).
    ///
    /// # Errors
    ///
    /// Returns an error if a [`PermitSource`] can't decide, or if the rate given to
    /// [`new`](Self::new) is out of range. A limiter with a valid rate never fails.
    pub async fn permit(&self) -> Result<Permit, PermitError> {
        let asked = Instant::now();
        let permit = self.wait_for_permit().await;
        self.counter().add(asked.elapsed());
        permit
    }

    async fn wait_for_permit(&self) -> Result<Permit, PermitError> {
        self.check()?;
        let source = match &self.0 {
            LimiterKind::Window(window) => return Ok(window.permit().await),
            LimiterKind::Source(source) => source,
        };
        let request = PermitRequest { timeout: None, is_for_token: false };
        loop {
            match source.permits.permit(&request).await {
                Ok(permit) => return Ok(permit.of(self.clone())),
                // The source doesn't have to wait itself.
                Err(error) => match error.retry_after() {
                    Some(delay) => sleep(delay.max(TICK)).await,
                    None => return Err(error),
                },
            }
        }
    }

    /// Waits for a permit, at most for `time`.
    ///
    /// # Errors
    ///
    /// * Returns [`PermitError::no_room`] if `time` isn't enough, without waiting if that is
    ///   already known. The error holds the minimum time until there may be a permit.
    /// * Returns the error of a source.
    pub(crate) async fn permit_within(
        &self,
        time: Duration,
        is_for_token: bool,
    ) -> Result<Permit, PermitError> {
        self.check()?;
        let waiting = async {
            match &self.0 {
                LimiterKind::Window(window) if is_for_token => Ok(window.next_permit().await),
                LimiterKind::Window(window) => Ok(window.permit().await),
                LimiterKind::Source(source) => {
                    let request = PermitRequest { timeout: Some(time), is_for_token };
                    Ok(source.permits.permit(&request).await?.of(self.clone()))
                }
            }
        };
        let wait = self.wait();
        if wait > time {
            return Err(PermitError::no_room(wait));
        }
        let asked = Instant::now();
        let permit = timeout(time, waiting).await;
        self.counter().add(asked.elapsed());
        permit.unwrap_or_else(|_| Err(PermitError::no_room(self.wait().max(TICK))))
    }

    fn counter(&self) -> &WaitCounter {
        match &self.0 {
            LimiterKind::Window(window) => &window.waits,
            LimiterKind::Source(source) => &source.waits,
        }
    }

    /// Returns the waits for permits so far, of all clients.
    pub(crate) fn waits(&self) -> Waits {
        self.counter().get()
    }

    /// Returns the number of requests that may go out now, or `None` if only the source knows.
    pub(crate) fn remaining(&self) -> Option<u32> {
        match &self.0 {
            LimiterKind::Window(window) => Some(window.remaining()),
            LimiterKind::Source(_) => None,
        }
    }

    /// Returns a permit if one is free and no send waits for it. A source never has one
    /// immediately.
    pub(crate) fn free_permit(&self) -> Option<Permit> {
        match &self.0 {
            LimiterKind::Window(window) => window.free_permit(),
            LimiterKind::Source(_) => None,
        }
    }

    /// Returns the minimum time until there is a permit, or zero if only the source knows.
    pub(crate) fn wait(&self) -> Duration {
        match &self.0 {
            LimiterKind::Window(window) => window.wait(),
            LimiterKind::Source(_) => Duration::ZERO,
        }
    }

    /// Returns whether both share the same limit.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (LimiterKind::Window(one), LimiterKind::Window(other)) => Arc::ptr_eq(one, other),
            (LimiterKind::Source(one), LimiterKind::Source(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Returns the rate, or `None` for a source.
    pub(crate) fn rate(&self) -> Option<Rate> {
        match &self.0 {
            LimiterKind::Window(window) => Some(window.rate),
            LimiterKind::Source(_) => None,
        }
    }

    /// Gives no permits for `delay`, at most 120 s, because the service responded with 429.
    ///
    /// The limiter's clients call it themselves. Call it to report a 429 that another program
    /// received, or that a [`PermitSource`] using this limiter learns of.
    pub fn throttled(&self, delay: Duration) {
        let delay = delay.min(LONGEST_WAIT);
        match &self.0 {
            LimiterKind::Window(window) => window.throttled(delay),
            LimiterKind::Source(source) => {
                // A panic in the source must not cost a message its response.
                let _ = catch_unwind(AssertUnwindSafe(|| source.permits.throttled(delay)));
            }
        }
    }

    /// Counts requests that an earlier process sent from the same address, and that ended `age`
    /// ago.
    ///
    /// A new limiter assumes that nothing was sent before it. A process that keeps a record of its
    /// requests can pass them here after a restart, so that both processes together stay within the
    /// limit. Requests older than the window don't count. A [`PermitSource`] keeps its own record,
    /// so the call has no effect there.
    ///
    /// ```
    /// # use pushslots::RateLimiter;
    /// # use std::time::Duration;
    /// let limiter = RateLimiter::new(7_500, Duration::from_secs(300));
    /// limiter.count_earlier(120, Duration::from_secs(90));
    /// ```
    pub fn count_earlier(&self, requests: u32, age: Duration) {
        if let LimiterKind::Window(window) = &self.0 {
            window.count_earlier(requests, age);
        }
    }

    fn check(&self) -> Result<(), PermitError> {
        match self.rate().and_then(|rate| rate.problems().next()) {
            Some(problem) => Err(PermitError::failed(format!("the rate {problem}"))),
            None => Ok(()),
        }
    }

    /// Records that a request with a permit has ended.
    pub(super) fn release(&self, may_have_left: bool) {
        if let LimiterKind::Window(window) = &self.0 {
            window.release(may_have_left);
        }
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter").field("rate", &self.rate()).finish_non_exhaustive()
    }
}
