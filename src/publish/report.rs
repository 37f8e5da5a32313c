//! The report of a publication, while it runs and after it ends.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{BatchCounts, ResumePoint, RunCounts};
use crate::message::{PermittedProblems, Problem};
use crate::receipt::{self, Attempt, Receipt, StoredAttempt, StoredReceipt, milliseconds};

/// The result of a publication: the accepted messages and, unless everything was accepted, the
/// resume point.
///
/// Serializes to `{"batch_id", "batch": {"accepted_messages", "accepted_slots", "messages",
/// "slots"}, "run": {"accepted_messages", "accepted_slots", "skipped_slots",
/// "possibly_repeated_slots", "requests"}, "elapsed_ms", "waited_ms", "resume_point", "too_large",
/// "problems", "omitted_problems", "receipts"}`. The members `too_large`, `problems` and
/// `omitted_problems` are omitted if empty or 0.
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
    /// The highest message number that this run or an earlier one began; 0 if there is none.
    pub(super) last_begun: u64,
}

impl PublishReport {
    /// Returns the batch id, which the messages carry as `Meta.BatchID`.
    ///
    /// If the batch is a single message, it carries the id only if you set one. Before the
    /// publication begins, the id is empty.
    #[must_use]
    pub fn batch_id(&self) -> &str {
        &self.batch_id
    }

    /// Returns the counts of this run, which began when the publication started or resumed.
    #[must_use]
    pub fn run(&self) -> &RunCounts {
        &self.run
    }

    /// Returns the counts of the whole batch, including earlier runs.
    #[must_use]
    pub fn batch(&self) -> &BatchCounts {
        &self.batch
    }

    /// Returns the receipts of the messages that the service accepted in this run, in order of
    /// acceptance.
    ///
    /// If one message is in flight at a time, that is also the order of the slots.
    #[must_use]
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    /// Returns the time that this run has taken so far.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Returns the part of [`elapsed`](Self::elapsed) in which the publication waited for the [rate
    /// limit](crate::ClientBuilder::rate_limit).
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Returns the attempts to send messages that the service found too large. The client split
    /// their slots into smaller messages.
    #[must_use]
    pub fn too_large(&self) -> &[Attempt] {
        &self.too_large
    }

    /// Returns the point at which the batch resumes.
    ///
    /// Pass it to [`resume_from`](crate::client::PublishBuilder::resume_from), with the same [batch
    /// id](crate::client::PublishBuilder::batch_id) and all slots. It is `None` if everything was
    /// accepted, or if the publication hasn't begun.
    #[must_use]
    pub fn resume_point(&self) -> Option<&ResumePoint> {
        self.resume_point.as_ref()
    }

    /// Returns the first 1,000 problems in slots and `Meta` that the
    /// [`Validation`](crate::Validation) permitted. They include the problems of dropped values.
    ///
    /// The index in a path counts all slots, including skipped ones, as in
    /// `Slots[2500].Provider.PhoneNumber.Office`. The problems of skipped slots aren't listed.
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

/// Compares the values that the accessors return.
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

/// The JSON form of a report.
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
