//! The error of a publication.

use std::error::Error as StdError;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::PublishReport;
use crate::error::{Error, ErrorKind};
use crate::receipt::Delivery;

/// An error from a publication that ended before all slots were accepted.
///
/// Its [report](Self::report) contains the receipts of the messages accepted until then. `Display`
/// and `Debug` contain no values of slots and no text from the service or from a stream.
///
/// Serializes to the members of the [report](PublishReport) and
/// `{"error", "failed_message", "failure"}`. These three are the text of this error, the number of
/// the failed message, and the [error](Self::error).
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
    /// The number of the message that wasn't accepted. `None` if the error isn't about a message.
    failed: Option<u64>,
    total: Option<u64>,
    /// Whether the outcome of the failed message is unknown because of any of its attempts,
    /// including those of earlier runs.
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

    /// Returns the report, with the receipts of accepted messages and the resume point.
    #[must_use]
    pub fn report(&self) -> &PublishReport {
        &self.0.report
    }

    /// Returns the error that ended the publication.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.0.error
    }

    /// Returns the error without the report.
    #[must_use]
    pub fn into_error(self) -> Error {
        self.0.error
    }

    /// Returns the kind of failure, like [`Error::kind`]. It is [`ErrorKind::Stopped`] if the
    /// publication was stopped.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.error.kind()
    }

    /// Returns whether the publication may succeed if it is resumed later without changes.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.error.is_retryable()
    }

    /// Returns the time to wait before the publication is resumed, like [`Error::retry_after`].
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.error.retry_after()
    }

    /// Returns the service's own error text, like [`Error::service_text`]. It may repeat parts of
    /// the message.
    #[must_use]
    pub fn service_text(&self) -> Option<&str> {
        self.0.error.service_text()
    }

    /// Returns a value that serializes like this error, but includes the [service's own
    /// text](Self::service_text) in `failure`.
    #[must_use]
    pub fn with_service_text(&self) -> impl Serialize + '_ {
        self.json(self.0.error.with_service_text())
    }

    /// Returns the [delivery](Delivery) of the failed message.
    ///
    /// It is [`Error::delivery`], or [`Delivery::Unknown`] if an earlier send of the message had an
    /// unknown outcome, in this run or an earlier one.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        if self.0.was_unknown { Delivery::Unknown } else { self.0.error.delivery() }
    }

    /// Returns the number of the failed message within the batch, starting at 1. It is `None` if no
    /// single message failed, for example because an option is invalid.
    #[must_use]
    pub fn failed_message(&self) -> Option<u64> {
        self.0.failed
    }

    /// Returns the numbers of the messages in the batch that were never sent.
    ///
    /// It is `None` if the number of messages is unknown, because the slots come from a stream or
    /// weren't split into messages yet.
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

/// Writes the same text as `Display`, so that an error returned from `main` is readable. `{:#?}`
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

/// The JSON form of the error. `failure` is an [`Error`] with or without the service's text.
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
