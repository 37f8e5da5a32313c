//! A request for an access token that all sends of a client share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, Shared};
use tokio::runtime::Id;
use tokio::time::Instant;

use super::CachedToken;
use super::token_error::TokenError;
use crate::receipt::whole_milliseconds;
use crate::runtime;

/// The maximum time between two polls of a token request by its runtime. After a longer time, other
/// runtimes abandon the request, because its runtime may have stopped.
const MAX_POLL_GAP: Duration = Duration::from_secs(3);

/// A token request, shared by all sends that wait for it.
#[derive(Clone)]
pub(super) struct PendingToken {
    pub(super) outcome: Shared<BoxFuture<'static, TokenOutcome>>,
    pub(super) age: Age,
    pub(super) generation: u64,
    /// Whether it was made because the former token was rejected.
    pub(super) after_rejection: bool,
}

/// The outcome of a token request, and when it ended.
#[derive(Clone)]
pub(super) struct TokenOutcome {
    pub(super) result: Result<CachedToken, TokenError>,
    pub(super) ended: Instant,
}

/// The age of a request, and whether the runtime that drives its connection still runs.
#[derive(Clone)]
pub(super) struct Age {
    began: Instant,
    runtime: Option<Id>,
    /// The time after `began`, in milliseconds, at which a send of that runtime last looked at the
    /// request.
    looked: Arc<AtomicU64>,
}

impl Age {
    /// Creates the age of a request that begins now in the current runtime.
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, runtime: runtime::current(), looked: Arc::default() }
    }

    pub(super) fn of(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }

    /// Returns whether the request is older than `timeout`, or its runtime seems to have stopped. A
    /// call in that runtime counts as a look.
    pub(super) fn is_overdue(&self, now: Instant, timeout: Duration) -> bool {
        let age = self.of(now);
        if self.runtime == runtime::current() {
            self.looked.store(whole_milliseconds(age), Ordering::Relaxed);
            return age > timeout;
        }
        let looked = Duration::from_millis(self.looked.load(Ordering::Relaxed));
        age > timeout || age.saturating_sub(looked) > MAX_POLL_GAP
    }
}
