//! Permits from elsewhere.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::Permit;
use crate::debug::debug_as_display;

/// The longest time after which a source is asked again. It can be added to any moment.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A rate limiter of your own, such as one that several machines behind the same address share.
///
/// [`RateLimiter::from_source`](crate::RateLimiter::from_source) makes a limiter of it. The client
/// asks for a permit before every request, token requests included.
///
/// ```
/// use pushslots::{Permit, PermitError, PermitRequest, PermitSource, RateLimiter};
/// use std::sync::Arc;
/// use std::time::Duration;
/// use tokio::sync::Semaphore;
///
/// /// Allows so many requests at the same time.
/// struct AtOnce(Arc<Semaphore>);
///
/// impl PermitSource for AtOnce {
///     async fn permit(&self, _: &PermitRequest) -> Result<Permit, PermitError> {
///         let held = self.0.clone().acquire_owned().await;
///         let held = held.map_err(|_| PermitError::failed("the semaphore was closed"))?;
///         // The permit is free again when the request has ended.
///         Ok(Permit::new().on_release(move |_| drop(held)))
///     }
/// }
///
/// let limiter = RateLimiter::from_source(AtOnce(Arc::new(Semaphore::new(8))));
/// ```
pub trait PermitSource: Send + Sync + 'static {
    /// Gives a permit for one request, or waits for one.
    ///
    /// The future can be dropped at any point. A permit may be given back unused, such as when a
    /// message has to wait for an access token: it asks again afterwards.
    ///
    /// # Errors
    ///
    /// Returns [`PermitError::no_room`] if there is no room within [`PermitRequest::timeout`], and
    /// [`PermitError::failed`] if the source can't decide. Then nothing is sent: a send ends with
    /// [`ErrorKind::Throttled`](crate::ErrorKind::Throttled) or
    /// [`ErrorKind::RateLimiter`](crate::ErrorKind::RateLimiter), and a publication
    /// [waits](crate::PublishBuilder::patience).
    fn permit(
        &self,
        request: &PermitRequest,
    ) -> impl Future<Output = Result<Permit, PermitError>> + Send;

    /// Called after a 429. Clients should send nothing for `delay`.
    ///
    /// By default it does nothing, and other requests still get permits. It must not block. A panic
    /// in it is caught.
    fn throttled(&self, delay: Duration) {
        let _ = delay;
    }
}

/// The request that a permit is for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PermitRequest {
    /// How long it can wait for the permit; `None` if it waits as long as it takes.
    pub timeout: Option<Duration>,
    /// Whether it is a token request, which the messages wait for.
    pub is_for_token: bool,
}

/// The error of a [`PermitSource`] that gives no permit.
#[derive(Clone, PartialEq, Eq)]
pub struct PermitError {
    text: String,
    retry_after: Option<Duration>,
}

impl PermitError {
    /// Creates the error for a limit without room before the timeout. There may be room after
    /// `retry_after`, which counts as at most a day.
    #[must_use]
    pub fn no_room(retry_after: Duration) -> Self {
        Self {
            text: "the rate limit leaves no room".to_owned(),
            retry_after: Some(retry_after.min(LONGEST_WAIT)),
        }
    }

    /// Creates the error for a source that failed, such as one whose database can't be reached.
    /// `reason` is shown in logs and errors.
    #[must_use]
    pub fn failed(reason: impl Into<String>) -> Self {
        Self { text: reason.into(), retry_after: None }
    }

    /// Returns the time after which there may be room; `None` if the source failed.
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

/// A [`PermitSource`] of any type.
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
