//! A handle to a running publication.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{PublishReport, ResumePoint};

/// A handle that stops a publication and returns its report, even after the publication was
/// dropped.
///
/// [`PublishBuilder::handle`](crate::client::PublishBuilder::handle) returns one. Clones belong to
/// the same publication.
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

    /// Stops the publication. Messages in flight are completed, and no others are sent.
    ///
    /// A wait of the publication ends at once. If some slots aren't accepted by then, the
    /// publication returns an error with [`ErrorKind::Stopped`](crate::ErrorKind::Stopped). Its
    /// report contains the [resume point](PublishReport::resume_point).
    pub fn stop(&self) {
        self.0.is_stopped.store(true, Ordering::Release);
        self.0.stopped.notify_one();
    }

    /// Returns the current report, or the last one if the publication has ended or was dropped.
    ///
    /// If the publication was dropped, a message that was in flight isn't in the report, but may
    /// have been accepted. The [resume point](PublishReport::resume_point) records it, so that a
    /// resumed publication sends it again with the same bytes and message id.
    #[must_use]
    pub fn report(&self) -> PublishReport {
        self.look().clone()
    }

    pub(super) fn look(&self) -> MutexGuard<'_, PublishReport> {
        // A panic while the lock is held can at most leave single counts out of date.
        self.0.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.0.is_stopped.load(Ordering::Acquire)
    }

    /// Completes when the publication has to stop.
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
