//! Permits from elsewhere.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::Permit;

/// A rate limiter of your own, such as one that several machines behind the same address share.
///
/// [`RateLimiter::from_source`](crate::RateLimiter::from_source) makes a limiter of it. The client asks for a permit before every
/// request, token requests included.
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
    /// A message may hold one permit while the client requests a token with another: there must be room for at least two. The
    /// future can be dropped at any point.
    ///
    /// # Errors
    ///
    /// Returns [`PermitError::wait`] if there is no room within [`PermitRequest::timeout`], and [`PermitError::failed`] if the source
    /// can't decide. Then nothing is sent: a send ends with [`ErrorKind::Throttled`](crate::ErrorKind::Throttled) or
    /// [`ErrorKind::RateLimiter`](crate::ErrorKind::RateLimiter), and a publication [waits](crate::PublishBuilder::patience).
    fn permit(&self, request: &PermitRequest) -> impl Future<Output = Result<Permit, PermitError>> + Send;

    /// The service responded with 429, and nobody is to send anything for this time.
    ///
    /// By default nothing happens, and others go on sending. It must not block.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermitError {
    text: String,
    wait: Option<Duration>,
}

impl PermitError {
    /// There is no room within the time of the request, but there may be after `delay`.
    #[must_use]
    pub fn wait(delay: Duration) -> Self {
        Self { text: "the rate limit leaves no room".to_owned(), wait: Some(delay) }
    }

    /// The source can't decide, such as a database that can't be reached. `reason` is shown in logs and errors.
    #[must_use]
    pub fn failed(reason: impl Into<String>) -> Self {
        Self { text: reason.into(), wait: None }
    }

    /// The time after which there may be room; `None` if the source can't decide.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        self.wait
    }
}

impl fmt::Display for PermitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for PermitError {}

/// A [`PermitSource`] of any type.
pub(super) trait AnyPermitSource: Send + Sync {
    fn permit<'a>(&'a self, request: &'a PermitRequest) -> Asking<'a>;

    fn throttled(&self, delay: Duration);
}

type Asking<'a> = Pin<Box<dyn Future<Output = Result<Permit, PermitError>> + Send + 'a>>;

impl<S: PermitSource> AnyPermitSource for S {
    fn permit<'a>(&'a self, request: &'a PermitRequest) -> Asking<'a> {
        Box::pin(PermitSource::permit(self, request))
    }

    fn throttled(&self, delay: Duration) {
        PermitSource::throttled(self, delay);
    }
}

impl<S: PermitSource> PermitSource for Arc<S> {
    fn permit(&self, request: &PermitRequest) -> impl Future<Output = Result<Permit, PermitError>> + Send {
        (**self).permit(request)
    }

    fn throttled(&self, delay: Duration) {
        (**self).throttled(delay);
    }
}
