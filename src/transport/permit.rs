//! The right to send one request.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::handover::Handover;
use super::rate_limiter::RateLimiter;

type Release = Box<dyn FnOnce(bool) + Send + Sync>;

/// The right to send one request, from a [`RateLimiter`].
///
/// It is given back when it is dropped. If its request never left, another can have it at once.
#[must_use = "the permit is given back when it is dropped"]
pub struct Permit {
    /// `None` until a limiter gives it.
    limiter: Option<RateLimiter>,
    handover: Arc<Handover>,
    release: Option<Release>,
}

impl Permit {
    /// Creates a permit of a [`PermitSource`](crate::PermitSource).
    #[expect(clippy::new_without_default, reason = "a permit is given, and has no usual value")]
    pub fn new() -> Self {
        Self { limiter: None, handover: Arc::default(), release: None }
    }

    /// Sets a function that is called once when the request has ended, with whether it may have
    /// left this machine. A request that did may count at the service from when it left until now.
    /// The function must not block. A panic in it is caught.
    pub fn on_release(mut self, release: impl FnOnce(bool) + Send + Sync + 'static) -> Self {
        self.release = Some(Box::new(release));
        self
    }

    /// The same, as a permit of this limiter. Another limiter that gave it, such as one in a
    /// source, gets it back too.
    pub(super) fn of(mut self, limiter: RateLimiter) -> Self {
        if self.limiter.is_none() {
            self.limiter = Some(limiter);
            return self;
        }
        let handover = self.handover.clone();
        Self { limiter: Some(limiter), handover, release: Some(Box::new(move |_| drop(self))) }
    }

    /// Whether `limiter` gave it.
    pub(crate) fn is_of(&self, limiter: &RateLimiter) -> bool {
        self.limiter.as_ref().is_some_and(|own| own.is_same(limiter))
    }

    /// Whether its request has left.
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
            // A panic there must not cost a message its response.
            let _ = catch_unwind(AssertUnwindSafe(|| release(may_have_left)));
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}
