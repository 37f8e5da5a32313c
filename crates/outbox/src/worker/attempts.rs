//! The attempts of a send, which are known even if it is dropped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pushslots::Attempt;

/// The attempts of a send so far.
#[derive(Default)]
pub(crate) struct Attempts(Arc<Mutex<Vec<Attempt>>>);

impl Attempts {
    /// Returns an observer that adds attempts.
    pub(crate) fn observer(&self) -> impl Fn(&Attempt) + Send + Sync + 'static {
        let attempts = self.0.clone();
        move |attempt| lock(&attempts).push(attempt.clone())
    }

    pub(crate) fn take(&self) -> Vec<Attempt> {
        std::mem::take(&mut lock(&self.0))
    }
}

fn lock(attempts: &Mutex<Vec<Attempt>>) -> MutexGuard<'_, Vec<Attempt>> {
    attempts.lock().unwrap_or_else(PoisonError::into_inner)
}
