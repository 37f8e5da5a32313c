//! Permits: the right to send one request.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::handover::Handover;
use super::rate_limiter::RateLimiter;

type Release = Box<dyn FnOnce(bool) + Send + Sync>;

/// The right to send one request, from a [`RateLimiter`].
///
/// Dropping a permit returns it to the limiter. If its request never left, another request can use
/// it at once.
#[must_use = "the permit returns to its limiter when it is dropped"]
pub struct Permit {
    /// The limiter, or `None` until a limiter gives the permit.
    limiter: Option<RateLimiter>,
    handover: Arc<Handover>,
    release: Option<Release>,
}

impl Permit {
    /// Creates a permit, for use in a [`PermitSource`](crate::PermitSource).
    #[expect(
        clippy::new_without_default,
        reason = "a permit comes from a limiter and has no meaningful default"
    )]
    pub fn new() -> Self {
        Self { limiter: None, handover: Arc::default(), release: None }
    }

    /// Sets a function that is called once, when the request has ended. Its argument is whether the
    /// request may have left this machine. If so, the service may count the request at any time
    /// from when it left until the call. The function must not block. A panic in it is caught.
    pub fn on_release(mut self, release: impl FnOnce(bool) + Send + Sync + 'static) -> Self {
        self.release = Some(Box::new(release));
        self
    }

    /// Returns the permit as one of `limiter`. If another limiter gave it before, such as one in a
    /// source, that limiter gets it back too.
    pub(super) fn of(mut self, limiter: RateLimiter) -> Self {
        if self.limiter.is_none() {
            self.limiter = Some(limiter);
            return self;
        }
        let handover = self.handover.clone();
        Self { limiter: Some(limiter), handover, release: Some(Box::new(move |_| drop(self))) }
    }

    /// Returns whether `limiter` gave the permit.
    pub(crate) fn is_of(&self, limiter: &RateLimiter) -> bool {
        self.limiter.as_ref().is_some_and(|own| own.is_same(limiter))
    }

    /// Returns the record of whether the request has left.
    pub(super) fn handover(&self) -> &Arc<Handover> {
        &self.handover
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let may_have_left = self.handover.may_have_left();
        if let Some(limiter) = &self.limiter {
            limiter.release(may_have_left);
        }
        if let Some(release) = self.release.take() {
            // A panic in the function must not cost a message its response.
            let _ = catch_unwind(AssertUnwindSafe(|| release(may_have_left)));
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}
