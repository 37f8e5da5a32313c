//! The count of sends and publications that haven't ended.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A counter of sends and publications that haven't ended.
#[derive(Clone, Default)]
pub(crate) struct InProgress(Arc<Counter>);

#[derive(Default)]
struct Counter {
    count: AtomicUsize,
    /// Notified when the last one has ended.
    all_ended: Notify,
}

/// A send or publication, which ends when this is dropped.
pub(crate) struct InProgressGuard(Arc<Counter>);

impl InProgress {
    pub(crate) fn begin(&self) -> InProgressGuard {
        self.0.count.fetch_add(1, Ordering::AcqRel);
        InProgressGuard(self.0.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.count.load(Ordering::Acquire)
    }

    /// Waits until all sends and publications have ended.
    pub(crate) async fn all_ended(&self) {
        loop {
            let mut ended = pin!(self.0.all_ended.notified());
            ended.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for InProgressGuard {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.all_ended.notify_waiters();
        }
    }
}
