//! The options of a publication.

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use super::Client;
use crate::chance::fresh_id;
use crate::error::Error;
use crate::message::{Envelope, Meta, Problem};
use crate::publish::{
    Batch, Limits, OnInvalid, OnProgress, Progress, Publication, PublishError, PublishHandle, PublishReport,
    ResumePoint, Source, USUAL_PATIENCE,
};
use crate::text;

/// A publication and its options, made by [`Client::publish`] or [`Client::publish_stream`]; `.await` starts it.
///
/// A panic in a function that is passed to it costs no message: the publication stops, messages in flight come to their end, and
/// then the panic goes on.
///
/// ```no_run
/// # use pushslots::{Client, Meta, PublishError, Slot};
/// # async fn example(client: Client, slots: Vec<Slot>) -> Result<(), PublishError> {
/// let report = client
///     .publish(&slots)
///     .batch_id("slots-2026-12-01")
///     .meta(Meta::new().test(true))
///     .on_progress(|progress| println!("{} slots so far", progress.batch.accepted_slots))
///     .skip_invalid(|index, problems| eprintln!("slot {index}: {problems:?}"))
///     .await?;
/// println!("{} accepted, {} skipped", report.run().accepted_slots, report.run().skipped_slots);
/// # Ok(()) }
/// ```
#[must_use = "nothing is sent until this is awaited"]
pub struct PublishBuilder<'a> {
    client: &'a Client,
    source: Source<'a>,
    limits: Limits,
    meta: Meta,
    batch_id: Option<String>,
    start: ResumePoint,
    patience: Duration,
    concurrency: usize,
    on_progress: Option<OnProgress<'a>>,
    on_invalid: Option<OnInvalid<'a>>,
    handle: PublishHandle,
}

impl<'a> PublishBuilder<'a> {
    pub(super) fn new(client: &'a Client, source: Source<'a>) -> Self {
        Self {
            client,
            source,
            limits: client.0.limits,
            meta: Meta::new(),
            batch_id: None,
            start: ResumePoint::START,
            patience: USUAL_PATIENCE,
            concurrency: 1,
            on_progress: None,
            on_invalid: None,
            handle: PublishHandle::default(),
        }
    }

    /// Sets the most slots that one message holds, at least 1. Defaults to
    /// [the client's](crate::ClientBuilder::slots_per_message).
    pub fn slots_per_message(mut self, slots: usize) -> Self {
        self.limits.slots = slots;
        self
    }

    /// Sets the most bytes that one message takes. Defaults to [the client's](crate::ClientBuilder::bytes_per_message).
    ///
    /// It must be above the size of a message without slots, some hundred bytes. Room is kept for batch numbers as if they were the
    /// longest. A slot that takes more by itself is invalid.
    pub fn bytes_per_message(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// Sets the id of the batch: any text that isn't blank. Defaults to a fresh UUID.
    ///
    /// White space and byte-order marks around it don't count, so that it can be read from a file. A run that resumes the batch needs
    /// the same id.
    pub fn batch_id(mut self, id: impl Into<String>) -> Self {
        self.batch_id = Some(id.into());
        self
    }

    /// Sets the `Meta` of all messages, except for their place in the batch: such as `Test`, `FacilityCode` or destinations
    /// other than the client's.
    ///
    /// A `BatchID` in it counts as [given](Self::batch_id). Other batch numbers in it are replaced, even if they are invalid.
    pub fn meta(mut self, meta: Meta) -> Self {
        self.meta = meta;
        self
    }

    /// Resumes a batch that was not published to its end, at the [point](PublishReport::resume_point) of its report, or at a message
    /// number.
    ///
    /// ```no_run
    /// # use pushslots::{Client, PublishError, ResumePoint, Slot};
    /// # async fn example(client: Client, slots: Vec<Slot>, kept: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// // The text of a point that another process stored, such as `7@6000.1f2e3d4c5b6a7988`.
    /// let point: ResumePoint = kept.parse()?;
    /// client.publish(&slots).batch_id("slots-2026-12-01").resume_from(point).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// Pass **all** slots again in the same order, and the same [`batch_id`](Self::batch_id). The slots before the point are checked
    /// and not sent again. If they or the destinations differ, the publication ends before its first message with
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration). A skipped slot before the point that was corrected meanwhile
    /// counts as another; publish corrected slots on their own.
    ///
    /// Limits and `Meta` may differ. A message that may have been accepted goes out again with its old extent, so that it has the same
    /// bytes and the same message id. If `Meta` or a slot in it has changed, it goes out under another id, and the report counts its
    /// slots as [possibly repeated](crate::RunCounts::possibly_repeated_slots).
    pub fn resume_from(mut self, point: impl Into<ResumePoint>) -> Self {
        self.start = point.into();
        self
    }

    /// Sets how long temporary failures are waited out. Defaults to 15 minutes; with zero, the first message that fails ends the
    /// publication.
    ///
    /// Temporary are failures of connections, timeouts, 5xx, 408, 421, 425 and 429, a lack of an access token for now, and an
    /// empty retry budget. Not temporary are rejected messages and credentials, responses that aren't the service's, and with
    /// [`OnUnknown::Stop`](crate::OnUnknown::Stop) unknown outcomes.
    ///
    /// The time counts from the start, or from the last message that was accepted. After a send has failed, nothing is sent for a
    /// while. Then one attempt finds out whether the service is there again. The delay between such attempts grows from about 5 s to
    /// 60 s, or is the time that the service asks for by `Retry-After`. If that is longer than the patience that is left, the
    /// publication ends at once. The message keeps its id and bytes, and its receipt has all attempts.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets how many messages may be in flight at a time, at least 1. Defaults to 1, which keeps the order of the messages.
    ///
    /// With more, messages may be accepted in another order than that of the slots. At most eight times as many messages are begun
    /// after the first that isn't accepted. Up to `concurrency` + 1 encoded messages are in memory. The client's
    /// [rate limit](crate::ClientBuilder::pace) and its limit on
    /// [messages in flight](crate::ClientBuilder::max_in_flight) apply as well.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Sets a function that is called with the progress of the publication. There is none by default.
    ///
    /// It is called after each message that was accepted, when the publication begins to wait, and once a second. The task that
    /// publishes calls it, and continues when it returns.
    pub fn on_progress(mut self, on_progress: impl FnMut(&Progress) + Send + 'a) -> Self {
        self.on_progress = Some(Box::new(on_progress));
        self
    }

    /// Skips slots that are invalid or too large, instead of ending the publication.
    ///
    /// `on_invalid` is called with the index of each among all slots, starting at 0, and its problems. The
    /// [report](crate::RunCounts::skipped_slots) counts them. A publication that [resumes](Self::resume_from) checks all slots
    /// again, and calls it again for those before the point.
    pub fn skip_invalid(mut self, on_invalid: impl FnMut(usize, &[Problem]) + Send + 'a) -> Self {
        self.on_invalid = Some(Box::new(on_invalid));
        self
    }

    /// Returns a handle that stops the publication from elsewhere, and has its report even when it is dropped.
    ///
    /// ```no_run
    /// # use pushslots::{Client, PublishError, Slot};
    /// # use std::time::Duration;
    /// # async fn example(client: Client, slots: Vec<Slot>) -> Result<(), PublishError> {
    /// let publication = client.publish(&slots);
    /// let handle = publication.handle();
    /// if tokio::time::timeout(Duration::from_secs(60), publication).await.is_err() {
    ///     println!("{} slots in a minute", handle.report().run().accepted_slots);
    /// }
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn handle(&self) -> PublishHandle {
        self.handle.clone()
    }

    async fn publish(self) -> Result<PublishReport, PublishError> {
        let given = self.batch_id.as_ref().or(self.meta.batch_id.as_ref());
        let given = given.map(|id| text::trimmed(id).to_owned());
        let batch = Batch { is_named: given.is_some(), id: given.unwrap_or_else(|| fresh_id().to_string()) };
        let invalid = |error| Err(PublishError::new(PublishReport::default(), error, None, None));
        let problems = self.problems(&batch);
        if !problems.is_empty() {
            return invalid(Error::configuration(problems));
        }
        let client = &*self.client.0;
        let mut meta = self.meta;
        meta.clear_batch_place();
        meta.batch_id = Some(batch.id.clone());
        let envelope = match Envelope::new(&meta, client.source, &client.destinations) {
            Ok(envelope) => envelope,
            Err(problems) => return invalid(problems.into()),
        };
        let empty = envelope.length(&batch.id);
        if empty >= self.limits.bytes {
            let text = format!("must be above {empty}, which a message takes without slots");
            return invalid(Error::configuration(vec![Problem::new("bytes_per_message", text)]));
        }
        self.handle.begin(&batch.id, &self.start);
        let publication = Publication {
            courier: &client.courier,
            policy: client.policy.clone(),
            source: self.source,
            envelope,
            batch,
            limits: self.limits,
            concurrency: self.concurrency,
            patience: self.patience,
            on_invalid: self.on_invalid,
            on_progress: self.on_progress,
            handle: self.handle,
        };
        publication.run(&self.start).await
    }

    fn problems(&self, batch: &Batch) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut need = |met: bool, name: &str, text: &str| {
            if !met {
                problems.push(Problem::new(name, text));
            }
        };
        need(self.limits.slots > 0, "slots_per_message", "must be at least 1");
        need(self.limits.bytes > 0, "bytes_per_message", "must be at least 1");
        need(self.concurrency > 0, "concurrency", "must be at least 1");
        need(!batch.id.is_empty(), "batch_id", "empty; leave it out for a fresh one");
        let number = self.start.number();
        need(number > 0, "resume_from", "must be at least 1, the first message");
        need(number <= 1 || batch.is_named, "batch_id", "missing; give that of the batch to go on with");
        problems
    }
}

impl fmt::Debug for PublishBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishBuilder")
            .field("limits", &self.limits)
            .field("batch_id", &self.batch_id)
            .field("resume_from", &self.start)
            .finish_non_exhaustive()
    }
}

impl<'a> IntoFuture for PublishBuilder<'a> {
    type Output = Result<PublishReport, PublishError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.publish())
    }
}
