//! Why a publication ended before its end.

use std::error::Error as StdError;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::PublishReport;
use crate::error::{Error, ErrorKind};
use crate::receipt::Delivery;

/// Why a publication ended before everything was accepted, and what was accepted until then.
///
/// Its `Display` and `Debug` hold no value of a slot and no text of the service or of a stream.
/// Serializes to what the [report](PublishReport) does, and `{"error", "failed_message",
/// "failure"}`: the text of this, the number, and the [error](Error).
///
/// ```
/// use pushslots::PublishError;
///
/// fn show(error: &PublishError) {
///     let report = error.report();
///     println!("{} slots of the batch are accepted: {error}", report.batch().accepted_slots);
///     match report.resume_point() {
///         Some(point) => println!("batch {} resumes at {point}", report.batch_id()),
///         None => println!("nothing was sent"),
///     }
/// }
/// ```
pub struct PublishError(Box<Inner>);

struct Inner {
    report: PublishReport,
    error: Error,
    /// The number of the message that was not accepted.
    failed: Option<u64>,
    total: Option<u64>,
    /// Whether an earlier run sent the message that failed, with unknown outcome.
    was_unknown: bool,
}

impl PublishError {
    pub(crate) fn new(
        report: PublishReport,
        error: Error,
        failed: Option<u64>,
        total: Option<u64>,
    ) -> Self {
        Self(Box::new(Inner { report, error, failed, total, was_unknown: false }))
    }

    pub(super) fn after_unknown(mut self, was_unknown: bool) -> Self {
        self.0.was_unknown = was_unknown;
        self
    }

    /// The report: what was accepted, and where the batch resumes.
    #[must_use]
    pub fn report(&self) -> &PublishReport {
        &self.0.report
    }

    /// The error of the message that failed, or of the slots or options.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0.error
    }

    /// Takes the error out, without the report.
    #[must_use]
    pub fn into_error(self) -> Error {
        self.0.error
    }

    /// The kind of the failure, as [`Error::kind`]; [`ErrorKind::Stopped`] if the publication was
    /// stopped.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.error.kind()
    }

    /// Whether the publication may succeed when it is resumed later, as it is.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.error.is_retryable()
    }

    /// The time to wait before the publication is resumed, as [`Error::retry_after`].
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.error.retry_after()
    }

    /// The service's reason in its own words, as [`Error::service_text`]: it may repeat parts of
    /// what was sent.
    #[must_use]
    pub fn service_text(&self) -> Option<&str> {
        self.0.error.service_text()
    }

    /// Returns a value that serializes as the error does, with the [service's own
    /// text](Self::service_text) in `failure`.
    #[must_use]
    pub fn with_service_text(&self) -> impl Serialize + '_ {
        self.json(self.0.error.with_service_text())
    }

    /// How certain it is that the service doesn't have the message that failed.
    ///
    /// It is [`Error::delivery`], or [`Delivery::Unknown`] if an earlier run of the batch sent the
    /// message with unknown outcome.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        if self.0.was_unknown { Delivery::Unknown } else { self.0.error.delivery() }
    }

    /// The number in the batch of the message that failed; `None` if it wasn't a message that
    /// failed.
    #[must_use]
    pub fn failed_message(&self) -> Option<u64> {
        self.0.failed
    }

    /// The numbers in the batch of the messages that were never sent.
    ///
    /// `None` if it is unknown how many there would be: for a stream, and for a problem that was
    /// found before the slots were split.
    #[must_use]
    pub fn never_sent(&self) -> Option<Range<u64>> {
        let Inner { report, total, .. } = &*self.0;
        total.map(|total| report.last_begun.saturating_add(1)..total.saturating_add(1))
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { report, error, failed, .. } = &*self.0;
        let run = report.run;
        let batch = report.batch;
        match failed {
            Some(number) => write!(f, "message {number} of batch {}: ", report.batch_id)?,
            None if batch.accepted_messages > 0 => write!(f, "batch {}: ", report.batch_id)?,
            None => {}
        }
        write!(f, "{error}")?;
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        let counted = |messages, slots: usize| {
            let end = plural(messages);
            let slots_end = plural(slots as u64);
            format!("{messages} message{end} with {slots} slot{slots_end}")
        };
        if batch.accepted_messages > 0 {
            let accepted = counted(batch.accepted_messages, batch.accepted_slots);
            write!(f, "; accepted so far: {accepted} of the batch")?;
        }
        if run.accepted_messages < batch.accepted_messages {
            write!(f, ", {} by this run", counted(run.accepted_messages, run.accepted_slots))?;
        }
        Ok(())
    }
}

/// Shows the same text as `Display`, so that an error returned from `main` is readable; `{:#?}`
/// shows the structure.
impl fmt::Debug for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return fmt::Display::fmt(self, f);
        }
        let Inner { report, error, failed, .. } = &*self.0;
        f.debug_struct("PublishError")
            .field("error", error)
            .field("failed_message", failed)
            .field("batch", &report.batch)
            .field("resume_point", &report.resume_point)
            .finish_non_exhaustive()
    }
}

impl StdError for PublishError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.error.source()
    }
}

/// The JSON of the error, in which the failure is an [`Error`] with or without the service's text.
#[derive(Serialize)]
struct PublishErrorJson<'a, F> {
    error: String,
    failed_message: Option<u64>,
    failure: F,
    #[serde(flatten)]
    report: &'a PublishReport,
}

impl PublishError {
    fn json<F>(&self, failure: F) -> PublishErrorJson<'_, F> {
        let Inner { report, failed, .. } = &*self.0;
        PublishErrorJson { error: self.to_string(), failed_message: *failed, failure, report }
    }
}

impl Serialize for PublishError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json(&self.0.error).serialize(serializer)
    }
}
