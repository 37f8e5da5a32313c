//! The settings that limit the load on the service.

use std::time::Duration;

use super::ClientBuilder;
use super::builder::RateLimit;
use super::setting::Setting;
use crate::transport::{Rate, RateLimiter};

impl ClientBuilder {
    /// Sets the size of the retry budget, in units. Defaults to 500. With 0, only free retries are
    /// made.
    ///
    /// The budget is a token bucket that all clones of the client share. It starts full:
    ///
    /// * A retry takes 14 units, or 5 after a 429. If the retry succeeds, they are returned.
    /// * A message that is accepted on the first attempt adds 1 unit.
    /// * A retry is free if it waited for an access token, or if the service rejected the access
    ///   token.
    /// * A retry is also free if the connection was closed before the service took the request.
    ///
    /// Occasional failures don't empty the budget, but an outage soon does. Sends then end after
    /// their first attempt, and the service receives only about one request per message.
    #[must_use]
    pub fn retry_budget(mut self, size: u32) -> Self {
        self.retry_budget = Some(size);
        self
    }

    /// Removes the retry budget. In an outage, the service then receives up to
    /// [`max_attempts`](Self::max_attempts) times the load.
    #[must_use]
    pub fn without_retry_budget(mut self) -> Self {
        self.retry_budget = None;
        self
    }

    /// Sets the maximum number of requests in any rolling window of this length, including token
    /// requests. Defaults to 7,500 in 5 minutes, the lower of the two limits per IP address that
    /// the service publishes.
    ///
    /// The limit must be at least 2 requests, because one may be for a token. The window must be
    /// above 0 and at most a day.
    ///
    /// * All clones of the client share the limit, and are served roughly in the order of their
    ///   requests.
    /// * A burst may use all requests of a window at once.
    /// * A request counts from its start until one window after its end. A request that was never
    ///   sent, because no connection was made, doesn't count.
    /// * After a 429, all requests wait for the time in its `Retry-After`, up to 120 s, or for 1 s
    ///   without that header.
    ///
    /// If its [deadline](Self::deadline) leaves no time to wait for the rate limit, a send ends
    /// with [`ErrorKind::Throttled`]. The error contains the [time to
    /// wait](crate::Error::retry_after). A publication waits as long as necessary.
    ///
    /// [`ErrorKind::Throttled`]: crate::ErrorKind::Throttled
    #[must_use]
    pub fn rate_limit(mut self, requests: u32, window: Duration) -> Self {
        self.rate_limit = Some(RateLimit::Rate(Rate { requests, window }));
        self.given(Setting::RateLimit)
    }

    /// Sets a rate limiter that several clients share, instead of one for this client.
    ///
    /// The service counts requests per IP address. If one process sends for many customers, pass
    /// the same limiter to all their clients, or create them with
    /// [`Client::with_credentials`](crate::Client::with_credentials). Together, the clients then
    /// stay within the [limit](Self::rate_limit).
    #[must_use]
    pub fn rate_limiter(mut self, limiter: RateLimiter) -> Self {
        self.rate_limit = Some(RateLimit::Shared(limiter));
        self.given(Setting::RateLimit)
    }

    /// Sets the maximum number of messages in flight, at least 1. Defaults to 100.
    ///
    /// All clones of the client share the limit, and are served in the order in which their sends
    /// begin. Token requests don't count, because there is at most one at a time.
    ///
    /// The limit bounds the number of connections. Over HTTP/1.1, each message in flight needs its
    /// own connection. Over HTTP/2, messages share connections, and at most two connections to a
    /// host are opened at the same time.
    ///
    /// # Waiting sends
    ///
    /// A waiting send uses no connection. The wait isn't an attempt and doesn't count towards the
    /// [attempt timeout](Self::attempt_timeout), but it counts towards the
    /// [deadline](Self::deadline). After the wait, enough time must be left for an attempt: the
    /// attempt timeout or half of the deadline, whichever is shorter. Otherwise the send ends with
    /// [`ErrorKind::Throttled`]. A publication waits as long as necessary.
    ///
    /// A send that isn't polled still counts as in flight. An example is a send in a
    /// `buffer_unordered` while its consumer awaits another send. If such sends use up the limit
    /// for longer than an attempt may take, they no longer count, and other sends proceed.
    ///
    /// [`ErrorKind::Throttled`]: crate::ErrorKind::Throttled
    #[must_use]
    pub fn max_in_flight(mut self, max_in_flight: u32) -> Self {
        self.max_in_flight = max_in_flight;
        self.given(Setting::MaxInFlight)
    }

    /// Removes the rate limit, including the wait after a 429. Use it if something else keeps the
    /// requests within the service's limits.
    #[must_use]
    pub fn without_rate_limit(mut self) -> Self {
        self.rate_limit = None;
        self.given(Setting::RateLimit)
    }
}
