//! The waiting time for temporary failures.

use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::random::Jitter;
use crate::receipt::{Attempt, Delivery};
use crate::retry::{Backoff, NextStep, OnUnknown, asks_again};

/// The default patience: longer than most restarts and releases of a service, and short enough for
/// a nightly job to report an outage.
pub(crate) const DEFAULT_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// The maximum share of `Retry-After` that is added to it, so that publications with the same value
/// don't all resume at the same time.
const RETRY_AFTER_JITTER: f64 = 0.1;

/// Decides whether to wait out a failure, and until when.
pub(super) struct Patience {
    limit: Duration,
    /// The start of the time that counts towards `limit`. It is the last acceptance, or the next
    /// send after a time without messages.
    since: Instant,
    backoff: Backoff,
    jitter: Jitter,
    pub(super) outage: Option<Outage>,
}

/// A time in which messages fail. It ends when one is accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    /// The time of the next probe, a single attempt that checks whether the outage is over.
    pub(super) until: Instant,
    pub(super) reason: ErrorKind,
    /// Whether the probe is in flight.
    pub(super) is_probing: bool,
}

impl Patience {
    pub(super) fn new(limit: Duration, jitter: &Jitter) -> Self {
        Self {
            limit,
            since: Instant::now(),
            backoff: Backoff::of_outages(jitter),
            jitter: jitter.clone(),
            outage: None,
        }
    }

    /// Records that a message is sent while no other is in flight. The time before it, in which
    /// there was nothing to send, doesn't count.
    pub(super) fn begins(&mut self) {
        if self.outage.is_none() {
            self.since = Instant::now();
        }
    }

    /// Records an accepted message, which ends an outage.
    pub(super) fn accepted(&mut self) {
        self.since = Instant::now();
        if self.outage.take().is_some() {
            self.backoff.reset();
        }
    }

    /// Records a temporary failure. Returns whether to wait it out.
    pub(super) fn waits_out(&mut self, error: &Error, was_probe: bool) -> bool {
        let now = Instant::now();
        let left = self.limit.saturating_sub(now - self.since);
        let retry_after = error.retry_after().filter(|retry_after| !retry_after.is_zero());
        if left.is_zero() || retry_after.is_some_and(|retry_after| retry_after > left) {
            return false;
        }
        let wait = match retry_after {
            Some(retry_after) => retry_after
                .saturating_add(self.jitter.sample(retry_after.mul_f64(RETRY_AFTER_JITTER), 0.0)),
            // Messages that were in flight when the first one failed don't prolong the wait.
            None if self.outage.is_some() && !was_probe => Duration::ZERO,
            None => self.backoff.next_delay(),
        };
        let until = now + wait.min(left);
        let before = self.outage.filter(|_| !was_probe);
        self.outage = Some(Outage {
            until: before.map_or(until, |outage| outage.until.max(until)),
            reason: error.kind(),
            is_probing: before.is_some_and(|outage| outage.is_probing),
        });
        true
    }
}

/// Returns whether a failed message may be accepted later without changes, and may be sent again.
pub(super) fn is_temporary(error: &Error, on_unknown: OnUnknown) -> bool {
    if !error.is_retryable()
        || (on_unknown == OnUnknown::Stop && error.delivery() == Delivery::Unknown)
    {
        return false;
    }
    match error.attempts() {
        [.., before, last] if is_unauthorized(before) && is_unauthorized(last) => false,
        [.., last] => last.next_step != NextStep::NotRetryable && !is_foreign(last),
        [] => true,
    }
}

fn is_unauthorized(attempt: &Attempt) -> bool {
    attempt.status == Some(StatusCode::UNAUTHORIZED)
}

/// Returns whether the outcome is unknown because the response isn't the service's or can't be
/// read.
///
/// Every further copy could be accepted and get the same response.
fn is_foreign(attempt: &Attempt) -> bool {
    let is_for_now = |status: StatusCode| {
        status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || asks_again(status)
    };
    attempt.delivery == Delivery::Unknown
        && attempt.status.is_some_and(|status| !is_for_now(status))
}
