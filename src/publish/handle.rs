//! A handle to a publication that is being made.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{PublishReport, ResumePoint};

/// Stops a publication, and has its report, even after it was dropped; see
/// [`PublishBuilder::handle`](crate::client::PublishBuilder::handle).
///
/// Clones belong to the same publication.
#[derive(Clone, Default)]
pub struct PublishHandle(Arc<PublishState>);

#[derive(Default)]
struct PublishState {
    report: Mutex<PublishReport>,
    is_stopped: AtomicBool,
    stopped: Notify,
}

impl PublishHandle {
    pub(crate) fn begin(&self, batch_id: &str, start: &ResumePoint) {
        let mut report = self.look();
        batch_id.clone_into(&mut report.batch_id);
        report.resume_point = Some(start.clone());
    }

    /// Lets the messages in flight come to their end, and sends no other.
    ///
    /// Unless everything was accepted by then, the publication ends with an error of
    /// [`ErrorKind::Stopped`](crate::ErrorKind::Stopped), whose report has the [resume
    /// point](PublishReport::resume_point). A wait of the publication ends at once.
    pub fn stop(&self) {
        self.0.is_stopped.store(true, Ordering::Release);
        self.0.stopped.notify_one();
    }

    /// Returns the report so far; after the end, and after the publication was dropped, the last
    /// one.
    ///
    /// A message that was in flight when the publication was dropped is not in it, and may be
    /// accepted. The [resume point](PublishReport::resume_point) knows it, so that it goes out
    /// again with the same bytes and message id.
    #[must_use]
    pub fn report(&self) -> PublishReport {
        self.look().clone()
    }

    pub(super) fn look(&self) -> MutexGuard<'_, PublishReport> {
        // A panic while the lock is held leaves single figures changed at most.
        self.0.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.0.is_stopped.load(Ordering::Acquire)
    }

    /// Completes once the publication is to stop.
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
