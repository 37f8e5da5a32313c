//! The counters and gauges of a client.

use std::time::Duration;

use super::Client;
use crate::transport::RateLimiter;

/// A snapshot of the counters and gauges of a client, to build metrics on.
///
/// Counters grow as long as the client lives, and all its clones share them. Attempts and their
/// outcomes are counted by an [`AttemptObserver`](crate::AttemptObserver).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientMetrics {
    /// How many access tokens were requested. A request that is made again at once, by another
    /// clock or without a refresh token, counts once.
    pub token_requests: u64,
    /// How many of these requests failed.
    pub failed_token_requests: u64,
    /// How many requests waited for the rate limit for at least a millisecond, which with a
    /// [`PermitSource`](crate::PermitSource) includes its own work. Clients with the same limiter
    /// share the number.
    pub rate_limit_waits: u64,
    /// How long these waited altogether.
    pub rate_limit_wait_time: Duration,
    /// How many requests the rate limit allows now; `None` without a limit, or if it is kept
    /// elsewhere.
    pub rate_limit_remaining: Option<u32>,
    /// How much of the [retry budget](crate::ClientBuilder::retry_budget) is left; `None` without a
    /// budget.
    pub retry_budget_remaining: Option<u32>,
    /// How many messages are in flight.
    pub messages_in_flight: u32,
}

impl Client {
    /// Returns the client's counters and gauges as they are now.
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
