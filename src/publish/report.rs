//! What is known of a publication, during it and after.

use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::ResumePoint;
use crate::receipt::{Attempt, Receipt, milliseconds};

/// What is known of a publication: what was accepted, and where it goes on if that is not all.
///
/// Serializes to `{"batch_id", "messages", "accepted", "slots", "skipped", "requests", "elapsed_ms", "waited_ms",
/// "resume_from", "too_large", "receipts"}`, where `too_large` is left out when it is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PublishReport {
    pub(super) batch_id: String,
    pub(super) messages: u64,
    pub(super) receipts: Arc<Vec<Receipt>>,
    pub(super) slots: usize,
    pub(super) skipped: usize,
    pub(super) requests: usize,
    pub(super) elapsed: Duration,
    pub(super) waited: Duration,
    pub(super) too_large: Vec<Attempt>,
    pub(super) resume_point: Option<ResumePoint>,
}

impl PublishReport {
    /// Identifies the batch: `Meta.BatchID` of its messages, unless it is a single one that was given none.
    ///
    /// Empty before the publication began.
    #[must_use]
    pub fn batch_id(&self) -> &str {
        &self.batch_id
    }

    /// How many messages the batch has, those of an earlier publication that this one goes on from included; of a stream,
    /// how many have been begun.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// The receipts of the messages that were accepted, in order.
    #[must_use]
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    /// How many slots these messages carried.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// How many slots were [set aside](crate::client::PublishBuilder::skip_invalid).
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// How many requests with messages went out, those that failed included; neither token requests nor those of a message that
    /// is on its way.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests
    }

    /// How long it took so far.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// How much of that passed between messages, while the [pace](crate::ClientBuilder::pace) let none go.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// The attempts at messages that the service found too large; their slots went on in smaller ones.
    #[must_use]
    pub fn too_large(&self) -> &[Attempt] {
        &self.too_large
    }

    /// Where the publication goes on; `None` where everything was accepted, and before it began.
    ///
    /// It goes on with [`resume_from`](crate::client::PublishBuilder::resume_from) and the same
    /// [batch id](crate::client::PublishBuilder::batch_id).
    #[must_use]
    pub fn resume_point(&self) -> Option<ResumePoint> {
        self.resume_point
    }

    pub(super) fn count_requests(&mut self, attempts: &[Attempt]) {
        self.requests += attempts.iter().filter(|attempt| attempt.token_age.is_some()).count();
    }
}

impl Serialize for PublishReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            batch_id: Option<&'a str>,
            messages: u64,
            accepted: usize,
            slots: usize,
            skipped: usize,
            requests: usize,
            #[serde(serialize_with = "milliseconds")]
            elapsed_ms: &'a Duration,
            #[serde(serialize_with = "milliseconds")]
            waited_ms: &'a Duration,
            resume_from: Option<ResumePoint>,
            #[serde(skip_serializing_if = "<[Attempt]>::is_empty")]
            too_large: &'a [Attempt],
            receipts: &'a [Receipt],
        }
        let Self { batch_id, messages, slots, skipped, requests, elapsed, waited, .. } = self;
        let shown = Shown {
            batch_id: Some(&**batch_id).filter(|id| !id.is_empty()),
            messages: *messages,
            accepted: self.receipts.len(),
            slots: *slots,
            skipped: *skipped,
            requests: *requests,
            elapsed_ms: elapsed,
            waited_ms: waited,
            resume_from: self.resume_point,
            too_large: &self.too_large,
            receipts: &self.receipts,
        };
        shown.serialize(serializer)
    }
}
