//! The counters and gauges of a client.

use std::time::Duration;

use super::Client;
use crate::transport::RateLimiter;

/// A snapshot of a client's counters and gauges, for building metrics.
///
/// The counters grow during the lifetime of the client, and all its clones share them. To count
/// attempts and their outcomes, use an [`AttemptObserver`](crate::AttemptObserver).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientMetrics {
    /// The number of access tokens requested. A request that is repeated immediately, with the
    /// endpoint's time or without a refresh token, counts once.
    pub token_requests: u64,
    /// The number of token requests that failed.
    pub failed_token_requests: u64,
    /// The number of requests that waited at least 1 ms for the rate limit. With a
    /// [`PermitSource`](crate::PermitSource), the time for its own work counts as well. Clients
    /// with the same limiter share this counter.
    pub rate_limit_waits: u64,
    /// The total duration of these waits.
    pub rate_limit_wait_time: Duration,
    /// The number of requests that the rate limit allows now; `None` without a limit, or with a
    /// [`PermitSource`](crate::PermitSource).
    pub rate_limit_remaining: Option<u32>,
    /// The remainder of the [retry budget](crate::ClientBuilder::retry_budget); `None` without a
    /// budget.
    pub retry_budget_remaining: Option<u32>,
    /// The number of messages in flight.
    pub messages_in_flight: u32,
}

impl Client {
    /// Returns the current values of the client's counters and gauges.
    ///
    /// ```
    /// # use pushslots::Client;
    /// fn scrape(client: &Client) -> String {
    ///     let metrics = client.metrics();
    ///     format!("token_requests_total {}\nrate_limit_waits_total {}", metrics.token_requests, metrics.rate_limit_waits)
    /// }
    /// ```
    #[must_use]
    pub fn metrics(&self) -> ClientMetrics {
        let sender = &self.0.sender;
        let (token_requests, failed_token_requests) = sender.tokens.request_counts();
        let limiter = sender.limiter.as_ref();
        let waits = limiter.map(RateLimiter::waits).unwrap_or_default();
        ClientMetrics {
            token_requests,
            failed_token_requests,
            rate_limit_waits: waits.count,
            rate_limit_wait_time: waits.time,
            rate_limit_remaining: limiter.and_then(RateLimiter::remaining),
            retry_budget_remaining: sender.budget.as_ref().map(|budget| budget.left()),
            messages_in_flight: sender.in_flight.count(),
        }
    }
}
