//! What is known of a publication under way, also to those who look on from outside.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{PublishReport, ResumePoint};

/// Stops a publication, and tells what it came to, also once it was dropped; see
/// [`PublishBuilder::handle`](crate::client::PublishBuilder::handle).
///
/// Clones are of the same publication.
#[derive(Clone, Default)]
pub struct PublishHandle(Arc<Ledger>);

#[derive(Default)]
struct Ledger {
    report: Mutex<PublishReport>,
    is_stopped: AtomicBool,
    stopped: Notify,
}

impl PublishHandle {
    pub(crate) fn begin(&self, batch_id: &str, start: ResumePoint) {
        let mut report = self.look();
        (report.batch_id, report.resume_point) = (batch_id.to_owned(), Some(start));
    }

    /// Lets the message that is on its way come to its end, and sends no other: the publication ends with a report of what was
    /// accepted, whose [resume point](PublishReport::resume_point) says where it goes on.
    pub fn stop(&self) {
        self.0.is_stopped.store(true, Ordering::Release);
        self.0.stopped.notify_one();
    }

    /// What is known so far; after the end, and after the publication was dropped, what it came to.
    ///
    /// A message that was on its way when the publication was dropped is not in it, and may be accepted: it is the one at
    /// which the publication [goes on](PublishReport::resume_point), under the same message id.
    #[must_use]
    pub fn report(&self) -> PublishReport {
        self.look().clone()
    }

    pub(super) fn look(&self) -> MutexGuard<'_, PublishReport> {
        // Whoever panics while it holds the lock has changed single figures at most.
        self.0.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.0.is_stopped.load(Ordering::Acquire)
    }

    /// Ends once the publication is to stop.
    pub(super) async fn stopped(&self) {
        while !self.is_stopped() {
            self.0.stopped.notified().await;
        }
    }
}

impl fmt::Debug for PublishHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.look();
        f.debug_struct("PublishHandle")
            .field("batch_id", &report.batch_id)
            .field("accepted", &report.receipts.len())
            .field("is_stopped", &self.is_stopped())
            .finish_non_exhaustive()
    }
}
