//! Permits from a rate limiter of the user's own.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::Permit;
use crate::display::debug_as_display;

/// The maximum time before a source is asked again. It is short enough to be added to any
/// `Instant`.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A rate limiter of your own, such as one shared by several machines behind the same address.
///
/// Pass it to [`RateLimiter::from_source`](crate::RateLimiter::from_source) to create a limiter.
/// The client requests a permit before every request, including token requests.
///
/// ```
/// use pushslots::{Permit, PermitError, PermitRequest, PermitSource, RateLimiter};
/// use std::sync::Arc;
/// use std::time::Duration;
/// use tokio::sync::Semaphore;
///
/// /// A limit on the number of requests in flight.
/// struct AtOnce(Arc<Semaphore>);
///
/// impl PermitSource for AtOnce {
///     async fn permit(&self, _: &PermitRequest) -> Result<Permit, PermitError> {
///         let held = self.0.clone().acquire_owned().await;
///         let held = held.map_err(|_| PermitError::failed("the semaphore was closed"))?;
///         // The semaphore's permit is released when the request has ended.
///         Ok(Permit::new().on_release(move |_| drop(held)))
///     }
/// }
///
/// let limiter = RateLimiter::from_source(AtOnce(Arc::new(Semaphore::new(8))));
/// ```
pub trait PermitSource: Send + Sync + 'static {
    /// Returns a permit for one request, waiting for one if necessary.
    ///
    /// The future can be dropped at any point. The client may return a permit unused, for example
    /// when a message has to wait for an access token. The message then requests another permit
    /// afterwards.
    ///
    /// # Errors
    ///
    /// * Returns [`PermitError::no_room`] if there is no room within [`PermitRequest::timeout`].
    ///   The send then ends with [`ErrorKind::Throttled`](crate::ErrorKind::Throttled).
    /// * Returns [`PermitError::failed`] if the source can't decide. The send then ends with
    ///   [`ErrorKind::RateLimiter`](crate::ErrorKind::RateLimiter).
    ///
    /// In both cases nothing is sent, and a publication [waits](crate::PublishBuilder::patience).
    fn permit(
        &self,
        request: &PermitRequest,
    ) -> impl Future<Output = Result<Permit, PermitError>> + Send;

    /// Handles a 429 from the service. Clients should send nothing for `delay`.
    ///
    /// By default it does nothing, and other requests still get permits. It must not block. A panic
    /// in it is caught.
    fn throttled(&self, delay: Duration) {
        let _ = delay;
    }
}

/// The request that needs a permit.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PermitRequest {
    /// The maximum time to wait for the permit, or `None` for no limit.
    pub timeout: Option<Duration>,
    /// Whether it is a token request. Messages wait for these.
    pub is_for_token: bool,
}

/// An error from a [`PermitSource`] that gives no permit.
#[derive(Clone, PartialEq, Eq)]
pub struct PermitError {
    text: String,
    retry_after: Option<Duration>,
}

impl PermitError {
    /// Creates an error for a limit that has no room before the timeout. There may be room after
    /// `retry_after`, which is capped at a day.
    #[must_use]
    pub fn no_room(retry_after: Duration) -> Self {
        Self {
            text: "the rate limit has no room".to_owned(),
            retry_after: Some(retry_after.min(LONGEST_WAIT)),
        }
    }

    /// Creates an error for a source that failed, such as one that can't reach its database. Logs
    /// and errors show `reason`.
    #[must_use]
    pub fn failed(reason: impl Into<String>) -> Self {
        Self { text: reason.into(), retry_after: None }
    }

    /// Returns the time after which there may be room, or `None` if the source failed.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for PermitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

debug_as_display!(PermitError);

impl std::error::Error for PermitError {}

/// The dyn-compatible form of [`PermitSource`].
pub(super) trait AnyPermitSource: Send + Sync {
    fn permit<'a>(&'a self, request: &'a PermitRequest) -> PermitFuture<'a>;

    fn throttled(&self, delay: Duration);
}

type PermitFuture<'a> = Pin<Box<dyn Future<Output = Result<Permit, PermitError>> + Send + 'a>>;

impl<S: PermitSource> AnyPermitSource for S {
    fn permit<'a>(&'a self, request: &'a PermitRequest) -> PermitFuture<'a> {
        Box::pin(PermitSource::permit(self, request))
    }

    fn throttled(&self, delay: Duration) {
        PermitSource::throttled(self, delay);
    }
}

impl<S: PermitSource> PermitSource for Arc<S> {
    fn permit(
        &self,
        request: &PermitRequest,
    ) -> impl Future<Output = Result<Permit, PermitError>> + Send {
        (**self).permit(request)
    }

    fn throttled(&self, delay: Duration) {
        (**self).throttled(delay);
    }
}
