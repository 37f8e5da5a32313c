//! How far a publication has come.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::ResumePoint;
use crate::error::ErrorKind;
use crate::receipt::{self, Receipt, StoredReceipt, milliseconds};

/// How far a publication has come, as [`on_progress`](crate::client::PublishBuilder::on_progress)
/// is called with it.
///
/// Serializes to `{"batch_id", "run", "batch", "resume_point", "receipt", "elapsed_ms", "wait":
/// {"reason", "error_kind", "remaining_ms"}}`, where the reason is `"rate_limit"` or `"failure"`,
/// and only a failure has a kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// The id of the batch.
    pub batch_id: String,
    /// The counts of this run: of messages and slots since the publication began or resumed.
    pub run: RunCounts,
    /// The counts of the whole batch, including the runs before.
    pub batch: BatchCounts,
    /// Where the batch resumes if this run ends now; `None` before its slots are checked.
    pub resume_point: Option<ResumePoint>,
    /// The receipt of the message that was just accepted; `None` in between.
    pub receipt: Option<Receipt>,
    /// How long this run took so far.
    #[serde(rename = "elapsed_ms", with = "milliseconds")]
    pub elapsed: Duration,
    /// Why no message goes out now; `None` if messages go out.
    pub wait: Option<Wait>,
}

/// The JSON of progress.
#[derive(Deserialize)]
struct StoredProgress {
    batch_id: String,
    run: RunCounts,
    batch: BatchCounts,
    resume_point: Option<ResumePoint>,
    receipt: Option<StoredReceipt>,
    #[serde(with = "milliseconds")]
    elapsed_ms: Duration,
    wait: Option<Wait>,
}

impl<'de> Deserialize<'de> for Progress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored: StoredProgress = receipt::read(deserializer)?;
        Ok(Self {
            batch_id: stored.batch_id,
            run: stored.run,
            batch: stored.batch,
            resume_point: stored.resume_point,
            receipt: stored.receipt.map(Receipt::from),
            elapsed: stored.elapsed_ms,
            wait: stored.wait,
        })
    }
}

/// Counts of one run of a publication: since it began or resumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunCounts {
    /// How many messages were accepted.
    pub accepted_messages: u64,
    /// How many slots these carried.
    pub accepted_slots: usize,
    /// How many slots were [skipped](crate::client::PublishBuilder::skip_invalid), including those
    /// before the resume point, which a run that resumes checks again.
    pub skipped_slots: usize,
    /// How many of the slots that this run sent may arrive twice: an attempt at them with unknown
    /// outcome was made under another message id.
    ///
    /// After a process that was killed, a message that was in flight is known only if it was sent
    /// before the last write of its checkpoint. If its slots changed since then, it goes out under
    /// another id without being counted here.
    pub possibly_repeated_slots: usize,
    /// How many requests with messages went out, including those that failed; neither token
    /// requests nor those of messages in flight.
    pub requests: usize,
}

/// Counts of a whole batch, including the runs before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BatchCounts {
    /// How many messages were accepted.
    pub accepted_messages: u64,
    /// How many slots these carried.
    pub accepted_slots: usize,
    /// How many messages the batch has; `None` for a stream, until it has ended.
    pub messages: Option<u64>,
    /// How many slots the batch has, without those that are skipped; `None` for a stream, until it
    /// has ended.
    pub slots: Option<usize>,
}

/// A wait in which a publication sends nothing new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredWait")]
#[non_exhaustive]
pub struct Wait {
    /// Why it waits.
    #[serde(flatten)]
    pub reason: WaitReason,
    /// How long it still waits, at least.
    #[serde(rename = "remaining_ms", with = "milliseconds")]
    pub remaining: Duration,
}

/// Why a publication waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", content = "error_kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitReason {
    /// The [rate limit](crate::ClientBuilder::rate_limit), or a 429, leaves no room.
    RateLimit,
    /// A message failed for now, in this way. It goes out again within the
    /// [patience](crate::client::PublishBuilder::patience).
    Failure(ErrorKind),
    /// A reason that this version does not know, in JSON that a later version wrote.
    Other,
}

/// The JSON of a wait.
#[derive(Deserialize)]
struct StoredWait {
    reason: String,
    error_kind: Option<ErrorKind>,
    #[serde(with = "milliseconds")]
    remaining_ms: Duration,
}

impl From<StoredWait> for Wait {
    fn from(stored: StoredWait) -> Self {
        let reason = match (stored.reason.as_str(), stored.error_kind) {
            ("rate_limit", _) => WaitReason::RateLimit,
            ("failure", Some(kind)) => WaitReason::Failure(kind),
            _ => WaitReason::Other,
        };
        Self { reason, remaining: stored.remaining_ms }
    }
}

/// The function that is called with progress.
pub(crate) type OnProgress<'a> = Box<dyn FnMut(&Progress) + Send + 'a>;
