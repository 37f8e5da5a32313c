//! The limit on requests, whoever sends them.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::Permit;
use super::permit_source::{AnyPermitSource, PermitError, PermitRequest, PermitSource};
use super::rolling_window::{Rate, RollingWindow, TICK};
use super::waits::{WaitCounter, Waits};

/// The longest time for which nothing is sent after a 429.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// A limit on requests that any number of clients share.
///
/// The service counts requests per IP address, whatever the credentials are. So all clients behind
/// one address need one limiter: pass the same to each by
/// [`ClientBuilder::rate_limiter`](crate::ClientBuilder::rate_limiter), or make the clients of one
/// another by [`Client::with_credentials`](crate::Client::with_credentials). Clones are the same
/// limiter.
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
    /// In this process.
    Window(Arc<RollingWindow>),
    /// Elsewhere.
    Source(Arc<ExternalPermits>),
}

struct ExternalPermits {
    permits: Box<dyn AnyPermitSource>,
    waits: WaitCounter,
}

impl RateLimiter {
    /// Creates a limiter that allows `requests` requests in any rolling `window`: at least 2
    /// requests, and a window above 0 and up to a day. Other values are an error of the client that
    /// it is passed to, and of [`permit`](Self::permit).
    ///
    /// A request counts from when it leaves until one window after its end, because the service may
    /// see it at any time in between. A request that never left doesn't count. After a 429 all
    /// requests wait for the time that its `Retry-After` asks for, up to 120 s, or for a second if
    /// it asks for none.
    #[must_use]
    pub fn new(requests: u32, window: Duration) -> Self {
        Self::of_rate(Rate { requests, window })
    }

    /// Creates a limiter whose permits come from elsewhere, such as a database that several
    /// machines share.
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

    /// Takes a permit ahead, for a [send](crate::SendBuilder::permit): waits until the limit has
    /// room.
    ///
    /// # Errors
    ///
    /// Returns the error of a [`PermitSource`] that can't decide, and an error for a rate out of
    /// its range. Another limiter from [`new`](Self::new) doesn't fail.
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
                // It need not wait itself.
                Err(error) => match error.retry_after() {
                    Some(delay) => sleep(delay.max(TICK)).await,
                    None => return Err(error),
                },
            }
        }
    }

    /// Waits for a permit, but at most for `time`.
    ///
    /// # Errors
    ///
    /// Returns the shortest time until there may be a permit, at once if that is too long; or the
    /// error of a source.
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

    /// The waits for permits so far, of all clients.
    pub(crate) fn waits(&self) -> Waits {
        self.counter().get()
    }

    /// How many requests may go out now, if that is known here.
    pub(crate) fn remaining(&self) -> Option<u32> {
        match &self.0 {
            LimiterKind::Window(window) => Some(window.remaining()),
            LimiterKind::Source(_) => None,
        }
    }

    /// A permit, if one is free and nobody waits for it. A source elsewhere never has one at once.
    pub(crate) fn free_permit(&self) -> Option<Permit> {
        match &self.0 {
            LimiterKind::Window(window) => window.free_permit(),
            LimiterKind::Source(_) => None,
        }
    }

    /// How long it is at least until there is a permit; zero if that is known elsewhere.
    pub(crate) fn wait(&self) -> Duration {
        match &self.0 {
            LimiterKind::Window(window) => window.wait(),
            LimiterKind::Source(_) => Duration::ZERO,
        }
    }

    /// Whether both have the same state.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (LimiterKind::Window(one), LimiterKind::Window(other)) => Arc::ptr_eq(one, other),
            (LimiterKind::Source(one), LimiterKind::Source(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// The rate, if it is known here.
    pub(crate) fn rate(&self) -> Option<Rate> {
        match &self.0 {
            LimiterKind::Window(window) => Some(window.rate),
            LimiterKind::Source(_) => None,
        }
    }

    /// Gives no permit for this time, up to 120 s, because the service responded with 429.
    ///
    /// The clients of the limiter call it. Call it yourself to pass on a 429 that something else
    /// got from the service, or that a [`PermitSource`] in front of this limiter hears of.
    pub fn throttled(&self, delay: Duration) {
        let delay = delay.min(LONGEST_WAIT);
        match &self.0 {
            LimiterKind::Window(window) => window.throttled(delay),
            LimiterKind::Source(source) => {
                // A panic there must not cost a message its response.
                let _ = catch_unwind(AssertUnwindSafe(|| source.permits.throttled(delay)));
            }
        }
    }

    fn check(&self) -> Result<(), PermitError> {
        match self.rate().and_then(|rate| rate.problems().next()) {
            Some(problem) => Err(PermitError::failed(format!("the rate {problem}"))),
            None => Ok(()),
        }
    }

    /// A request with a permit has ended.
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
