//! Snapshots of a running publication.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::ResumePoint;
use crate::error::ErrorKind;
use crate::receipt::{self, Receipt, StoredReceipt, milliseconds};

/// The progress of a publication, as passed to
/// [`on_progress`](crate::client::PublishBuilder::on_progress).
///
/// Serializes to `{"batch_id", "run", "batch", "resume_point", "receipt", "elapsed_ms", "wait":
/// {"reason", "error_kind", "remaining_ms"}}`. The reason is `"rate_limit"` or `"failure"`. Only a
/// failure has an `error_kind`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// The id of the batch.
    pub batch_id: String,
    /// The counts of this run, since the publication began or resumed.
    pub run: RunCounts,
    /// The counts of the whole batch, including earlier runs.
    pub batch: BatchCounts,
    /// The point at which the batch would resume if this run ended now. `None` before the slots are
    /// checked.
    pub resume_point: Option<ResumePoint>,
    /// The receipt of the message that was just accepted. `None` in all other calls.
    pub receipt: Option<Receipt>,
    /// The time that this run has taken so far.
    #[serde(rename = "elapsed_ms", with = "milliseconds")]
    pub elapsed: Duration,
    /// The current wait. `None` while messages are being sent.
    pub wait: Option<Wait>,
}

/// The JSON form of progress.
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

/// The counts of one run of a publication, since it began or resumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunCounts {
    /// The number of accepted messages.
    pub accepted_messages: u64,
    /// The number of slots in the accepted messages.
    pub accepted_slots: usize,
    /// The number of [skipped](crate::client::PublishBuilder::skip_invalid) slots, including those
    /// before the resume point, because a resumed run checks them again.
    pub skipped_slots: usize,
    /// The number of slots in this run that may arrive twice, because an earlier attempt to send
    /// them under another message id had an unknown outcome.
    ///
    /// After a crash, the checkpoint lists only the messages that were in flight when it was last
    /// written. If the slots of another message in flight have changed since then, the resumed run
    /// sends them under another id and doesn't count them here.
    pub possibly_repeated_slots: usize,
    /// The number of requests that carried a message, including failed ones. Token requests and
    /// requests still in flight aren't counted.
    pub requests: usize,
}

/// The counts of a whole batch, including earlier runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BatchCounts {
    /// The number of accepted messages.
    pub accepted_messages: u64,
    /// The number of slots in the accepted messages.
    pub accepted_slots: usize,
    /// The number of messages in the batch. `None` for a stream until it ends.
    pub messages: Option<u64>,
    /// The number of slots in the batch, excluding skipped ones. `None` for a stream until it ends.
    pub slots: Option<usize>,
}

/// A wait during which a publication sends no new message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredWait")]
#[non_exhaustive]
pub struct Wait {
    /// The reason for the wait.
    #[serde(flatten)]
    pub reason: WaitReason,
    /// The minimum remaining time of the wait.
    #[serde(rename = "remaining_ms", with = "milliseconds")]
    pub remaining: Duration,
}

/// The reason why a publication waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", content = "error_kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitReason {
    /// The [rate limit](crate::ClientBuilder::rate_limit) or a 429 leaves no room for a message.
    RateLimit,
    /// A message failed temporarily with this kind of error. The publication sends it again within
    /// its [patience](crate::client::PublishBuilder::patience).
    Failure(ErrorKind),
    /// A reason that this version doesn't know, read from JSON that a later version wrote.
    Other,
}

/// The JSON form of a wait.
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

/// The caller's function for progress.
pub(crate) type OnProgress<'a> = Box<dyn FnMut(&Progress) + Send + 'a>;
