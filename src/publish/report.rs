//! The result of a publication, during it and after.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{BatchCounts, ResumePoint, RunCounts};
use crate::message::{PermittedProblems, Problem};
use crate::receipt::{self, Attempt, Receipt, StoredAttempt, StoredReceipt, milliseconds};

/// The result of a publication: what was accepted, and where it resumes if that isn't everything.
///
/// Serializes to `{"batch_id", "batch": {"accepted_messages", "accepted_slots", "messages",
/// "slots"}, "run": {"accepted_messages", "accepted_slots", "skipped_slots",
/// "possibly_repeated_slots", "requests"}, "elapsed_ms", "waited_ms", "resume_point", "too_large",
/// "problems", "omitted_problems", "receipts"}`, where `too_large` and the problems are left out if
/// there are none.
#[derive(Clone, Debug, Default)]
pub struct PublishReport {
    pub(super) batch_id: String,
    pub(super) batch: BatchCounts,
    pub(super) run: RunCounts,
    pub(super) receipts: Arc<Vec<Receipt>>,
    pub(super) elapsed: Duration,
    pub(super) waited: Duration,
    pub(super) too_large: Vec<Attempt>,
    pub(super) resume_point: Option<ResumePoint>,
    pub(super) problems: PermittedProblems,
    /// The highest number of a message that was sent, or before which the run resumed.
    pub(super) last_begun: u64,
}

impl PublishReport {
    /// The id of the batch: `Meta.BatchID` of its messages, unless it is a single one that was
    /// given none.
    ///
    /// Empty before the publication began.
    #[must_use]
    pub fn batch_id(&self) -> &str {
        &self.batch_id
    }

    /// The counts of this run: of messages and slots since the publication began or resumed.
    #[must_use]
    pub fn run(&self) -> &RunCounts {
        &self.run
    }

    /// The counts of the whole batch, including the runs before.
    #[must_use]
    pub fn batch(&self) -> &BatchCounts {
        &self.batch
    }

    /// The receipts of the messages that this run sent and the service accepted, in the order in
    /// which they were accepted.
    ///
    /// With one message in flight at a time that is the order of the slots.
    #[must_use]
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    /// How long this run took so far.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// How much of that passed while the [rate limit](crate::ClientBuilder::rate_limit) left no
    /// room for a message.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// The attempts at messages that the service found too large; their slots went out in smaller
    /// ones.
    #[must_use]
    pub fn too_large(&self) -> &[Attempt] {
        &self.too_large
    }

    /// The point from which the batch resumes; `None` if everything was accepted, and before it
    /// began.
    ///
    /// Pass it to [`resume_from`](crate::client::PublishBuilder::resume_from), with the same
    /// [batch id](crate::client::PublishBuilder::batch_id) and all slots.
    #[must_use]
    pub fn resume_point(&self) -> Option<&ResumePoint> {
        self.resume_point.as_ref()
    }

    /// Returns the first 1,000 problems of slots and `Meta` that the
    /// [`Validation`](crate::Validation) permitted. They include those of values that were left
    /// out.
    ///
    /// Paths count all slots that came, such as `Slots[2500].Provider.PhoneNumber.Office`. Slots
    /// that were skipped aren't listed.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        self.problems.list()
    }

    /// Returns the number of problems beyond the first 1,000.
    #[must_use]
    pub fn omitted_problems(&self) -> usize {
        self.problems.omitted()
    }

    pub(super) fn count_requests(&mut self, attempts: &[Attempt]) {
        self.run.requests += attempts.iter().filter(|attempt| attempt.token_age.is_some()).count();
    }
}

/// Compares what a report shows.
impl PartialEq for PublishReport {
    fn eq(&self, other: &Self) -> bool {
        let shown = |report: &Self| (report.batch, report.run, report.elapsed, report.waited);
        self.batch_id == other.batch_id
            && shown(self) == shown(other)
            && self.resume_point == other.resume_point
            && self.too_large == other.too_large
            && self.problems == other.problems
            && self.receipts == other.receipts
    }
}

impl Serialize for PublishReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct ReportJson<'a> {
            batch_id: Option<&'a str>,
            batch: &'a BatchCounts,
            run: &'a RunCounts,
            #[serde(with = "milliseconds")]
            elapsed_ms: &'a Duration,
            #[serde(with = "milliseconds")]
            waited_ms: &'a Duration,
            resume_point: Option<&'a ResumePoint>,
            #[serde(skip_serializing_if = "<[Attempt]>::is_empty")]
            too_large: &'a [Attempt],
            #[serde(skip_serializing_if = "<[Problem]>::is_empty")]
            problems: &'a [Problem],
            #[serde(skip_serializing_if = "Option::is_none")]
            omitted_problems: Option<usize>,
            receipts: &'a [Receipt],
        }
        let Self { batch_id, batch, run, elapsed, waited, .. } = self;
        let shown = ReportJson {
            batch_id: Some(&**batch_id).filter(|id| !id.is_empty()),
            batch,
            run,
            elapsed_ms: elapsed,
            waited_ms: waited,
            resume_point: self.resume_point.as_ref(),
            too_large: &self.too_large,
            problems: self.problems(),
            omitted_problems: Some(self.omitted_problems()).filter(|omitted| *omitted > 0),
            receipts: &self.receipts,
        };
        shown.serialize(serializer)
    }
}

/// The JSON of a report.
#[derive(Deserialize)]
struct StoredReport {
    batch_id: Option<String>,
    batch: BatchCounts,
    run: RunCounts,
    #[serde(with = "milliseconds")]
    elapsed_ms: Duration,
    #[serde(with = "milliseconds")]
    waited_ms: Duration,
    resume_point: Option<ResumePoint>,
    #[serde(default)]
    too_large: Vec<StoredAttempt>,
    #[serde(default)]
    problems: Vec<Problem>,
    #[serde(default)]
    omitted_problems: usize,
    receipts: Vec<StoredReceipt>,
}

impl<'de> Deserialize<'de> for PublishReport {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored: StoredReport = receipt::read(deserializer)?;
        Ok(Self {
            batch_id: stored.batch_id.unwrap_or_default(),
            batch: stored.batch,
            run: stored.run,
            receipts: Arc::new(stored.receipts.into_iter().map(Receipt::from).collect()),
            elapsed: stored.elapsed_ms,
            waited: stored.waited_ms,
            too_large: stored.too_large.into_iter().map(|stored| stored.0).collect(),
            resume_point: stored.resume_point,
            problems: PermittedProblems::of_parts([
                (&stored.problems, stored.omitted_problems),
                (&[], 0),
            ]),
            last_begun: 0,
        })
    }
}
