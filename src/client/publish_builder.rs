//! The options of a publication.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Client;
#[cfg(doc)]
use crate::PublishError;
#[cfg(doc)]
use crate::PublishReport;
use crate::message::{Meta, Problem, Validation};
use crate::publish::{
    AcceptedMessage, AnyCheckpoint, Checkpoint, CheckpointFile, DEFAULT_PATIENCE, Limits,
    OnAccepted, OnInvalid, OnProgress, Progress, PublishHandle, ResumePoint, SlotSource,
};
use crate::retry::{OnUnknown, Policy};

/// A publication and its options, made by [`Client::publish`] or [`Client::publish_stream`];
/// `.await` starts it.
///
/// A panic in a function that is passed to it costs no message: the publication stops, messages in
/// flight come to their end, and then the panic continues.
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
    pub(super) client: &'a Client,
    pub(super) source: SlotSource<'a>,
    pub(super) limits: Limits,
    pub(super) meta: Meta,
    pub(super) batch_id: Option<String>,
    pub(super) start: Option<ResumePoint>,
    pub(super) checkpoint: Option<Arc<dyn AnyCheckpoint>>,
    pub(super) restarts_if_changed: bool,
    pub(super) patience: Duration,
    pub(super) concurrency: usize,
    pub(super) on_progress: Option<OnProgress<'a>>,
    pub(super) on_invalid: Option<OnInvalid<'a>>,
    pub(super) on_accepted: Option<OnAccepted<'a>>,
    pub(super) policy: Policy,
    pub(super) validation: Validation,
    pub(super) handle: PublishHandle,
}

impl<'a> PublishBuilder<'a> {
    pub(super) fn new(client: &'a Client, source: SlotSource<'a>) -> Self {
        Self {
            client,
            source,
            limits: client.0.limits,
            meta: Meta::new(),
            batch_id: None,
            start: None,
            checkpoint: None,
            restarts_if_changed: false,
            patience: DEFAULT_PATIENCE,
            concurrency: 1,
            on_progress: None,
            on_invalid: None,
            on_accepted: None,
            policy: client.0.policy.clone(),
            validation: client.0.validation,
            handle: PublishHandle::default(),
        }
    }

    /// Sets the most slots that one message holds, at least 1. Defaults to
    /// [the client's](crate::ClientBuilder::slots_per_message).
    pub fn slots_per_message(mut self, slots: usize) -> Self {
        self.limits.slots = slots;
        self
    }

    /// Sets the most bytes that one message takes. Defaults to [the
    /// client's](crate::ClientBuilder::bytes_per_message).
    ///
    /// It must be above the size of a message without slots, some hundred bytes. Room is kept for
    /// batch numbers as if they were the longest. A slot that takes more by itself is invalid.
    pub fn bytes_per_message(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// Sets the id of the batch: any text that isn't blank. Defaults to a fresh UUID.
    ///
    /// White space and byte-order marks around it don't count, so that it can be read from a file.
    /// A run that resumes the batch needs the same id.
    pub fn batch_id(mut self, id: impl Into<String>) -> Self {
        self.batch_id = Some(id.into());
        self
    }

    /// Sets the `Meta` of all messages, except for their place in the batch: such as `Test`,
    /// `FacilityCode` or destinations other than the client's.
    ///
    /// A `BatchID` in it counts as [given](Self::batch_id). Other batch numbers in it are replaced,
    /// even if they are invalid.
    pub fn meta(mut self, meta: Meta) -> Self {
        self.meta = meta;
        self
    }

    /// Resumes a batch that was not published to its end, at the
    /// [point](PublishReport::resume_point) of its report, or at a message number.
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
    /// Pass **all** slots again in the same order, and the same [`batch_id`](Self::batch_id). The
    /// slots before the point are checked and not sent again. If they or the destinations differ,
    /// the publication ends before its first message with
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration). A skipped slot before the
    /// point that was corrected meanwhile counts as another; publish corrected slots on their own.
    ///
    /// Limits and `Meta` may differ. A message that may have been accepted goes out again with its
    /// old extent, so that it has the same bytes and the same message id. If `Meta` or a slot in it
    /// has changed, it goes out under another id, and the report counts its slots as [possibly
    /// repeated](crate::RunCounts::possibly_repeated_slots).
    pub fn resume_from(mut self, point: impl Into<ResumePoint>) -> Self {
        self.start = Some(point.into());
        self
    }

    /// Keeps the state of the publication in a file, and resumes the batch that the file is of, if
    /// there is one.
    ///
    /// With this line a publication can be started again after a crash, a stop or an error, in any
    /// process:
    ///
    /// ```no_run
    /// # use pushslots::{Client, PublishError, Slot};
    /// # async fn example(client: Client, slots: Vec<Slot>) -> Result<(), PublishError> {
    /// let report = client.publish(&slots).checkpoint("slots.checkpoint").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// Pass **all** slots again each time. The file has the batch id, the limits, the `Meta` of the
    /// messages, with the warnings that were permitted, and the [resume
    /// point](PublishReport::resume_point). They count instead of the settings of the client and of
    /// this publication, so that a message in flight goes out again with the same bytes and id. The
    /// file is written before the first send and after each accepted message, and removed when the
    /// batch is complete. A message counts as in flight until its acceptance is written; one write
    /// may cover several. If the process is killed, only messages in flight go out again.
    ///
    /// Each write replaces the file as a whole and is synced to the disk. A file next to it, with
    /// the ending `.lock`, is locked while a publication uses the checkpoint, so that a second one
    /// fails. That file stays.
    ///
    /// # Errors
    ///
    /// The publication ends with [`ErrorKind::Checkpoint`](crate::ErrorKind::Checkpoint) before its
    /// first send, and leaves the file as it is, if
    /// * the file or its folder can't be read or written;
    /// * another publication uses it;
    /// * it is damaged, was written by a newer version, or isn't a checkpoint;
    /// * it is of another batch: by [`batch_id`](Self::batch_id), by the destinations, or by the
    ///   slots before the resume point, unless [`restart_if_changed`](Self::restart_if_changed) was
    ///   called;
    /// * [`resume_from`](Self::resume_from) asks for another point.
    ///
    /// If it can't be written later, such as on a full disk, the publication ends when the messages
    /// in flight have ended, and can be resumed.
    pub fn checkpoint(self, path: impl Into<PathBuf>) -> Self {
        self.checkpoint_in(CheckpointFile::new(path.into()))
    }

    /// Keeps the state of the publication in a place of your own, such as a database; otherwise as
    /// [`checkpoint`](Self::checkpoint).
    pub fn checkpoint_in(mut self, checkpoint: impl Checkpoint) -> Self {
        self.checkpoint = Some(Arc::new(checkpoint));
        self
    }

    /// Starts a new batch if the [checkpoint](Self::checkpoint) is of a batch with other slots,
    /// other destinations or another batch id.
    ///
    /// A nightly job needs it, because otherwise it would stop for ever at an unfinished batch of
    /// the day before. The checkpoint of that batch is kept in a file next to it, with the ending
    /// `.replaced-1` or the next free number, and the log has a warning.
    ///
    /// The slots of a stream have passed when the change is found. The publication then ends with
    /// [`ErrorKind::Checkpoint`](crate::ErrorKind::Checkpoint) after the old checkpoint was moved;
    /// publish the stream again.
    pub fn restart_if_changed(mut self) -> Self {
        self.restarts_if_changed = true;
        self
    }

    /// Sets how long temporary failures are waited out. Defaults to 15 minutes; with zero, the
    /// first message that fails ends the publication.
    ///
    /// Temporary are failures of connections, timeouts, 5xx, 408, 421, 425 and 429, a lack of an
    /// access token for now, and an empty retry budget. Not temporary are rejected messages and
    /// credentials, responses that aren't the service's, and with
    /// [`OnUnknown::Stop`](crate::OnUnknown::Stop) unknown outcomes.
    ///
    /// The time counts from the last message that was accepted, or from when the next went out if
    /// there was nothing to send in between. After a send has failed, nothing is sent for a while.
    /// Then one attempt finds out whether the service is there again. The delay between such
    /// attempts grows from about 5 s to 60 s, or is the time that the service asks for by
    /// `Retry-After`. If that is longer than the patience that is left, the publication ends at
    /// once. The message keeps its id and bytes, and its receipt has all attempts.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets how many messages may be in flight at a time, at least 1. Defaults to 1, which keeps
    /// the order of the messages.
    ///
    /// With more, messages may be accepted in another order than that of the slots. At most eight
    /// times as many messages are begun after the first that isn't accepted. Up to `concurrency` +
    /// 1 encoded messages are in memory. The client's [rate
    /// limit](crate::ClientBuilder::rate_limit) and its limit on [messages in
    /// flight](crate::ClientBuilder::max_in_flight) apply as well.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Sets a function that is called with the progress of the publication. There is none by
    /// default.
    ///
    /// It is called when the slots before the first message are checked, after each accepted
    /// message, when the publication begins to wait, and once a second. The task that publishes
    /// calls it, and continues when it returns.
    pub fn on_progress(mut self, on_progress: impl FnMut(&Progress) + Send + 'a) -> Self {
        self.on_progress = Some(Box::new(on_progress));
        self
    }

    /// Sets an async function that is called after each accepted message, such as to store its
    /// receipt in a database. It completes before the next message goes out.
    ///
    /// ```no_run
    /// # use pushslots::{AcceptedMessage, Client, PublishError, Slot};
    /// # struct Database;
    /// # impl Database { async fn store(&self, _: &AcceptedMessage) -> Result<(), std::io::Error> { Ok(()) } }
    /// # async fn example(client: Client, slots: Vec<Slot>, database: &Database) -> Result<(), PublishError> {
    /// let publication = client.publish(&slots).batch_id("slots-2026-12-01");
    /// publication.on_accepted(|accepted| async move { database.store(&accepted).await }).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// The calls come one after the other. Messages that are in flight [at the same
    /// time](Self::concurrency) go on meanwhile, and the [checkpoint](Self::checkpoint) is written
    /// after the call: if the process ends in between, the message goes out again under its id, and
    /// the function is called for it again.
    ///
    /// If the future returns an error, the publication ends with
    /// [`ErrorKind::Callback`](crate::ErrorKind::Callback) when the messages in flight have ended,
    /// and the function was called for those of them that were accepted. The first error is the
    /// [source](std::error::Error::source) of the [`PublishError`]. The messages stay accepted: a
    /// run that resumes doesn't report them again, and their receipts are in the
    /// [report](PublishError::report).
    pub fn on_accepted<F, E>(
        mut self,
        mut on_accepted: impl FnMut(AcceptedMessage) -> F + Send + 'a,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'a,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.on_accepted = Some(Box::new(move |accepted| {
            let done = on_accepted(accepted);
            Box::pin(async move { done.await.map_err(Into::into) })
        }));
        self
    }

    /// Sets the longest time for one send of a message. Defaults to [the
    /// client's](crate::ClientBuilder::deadline).
    ///
    /// It doesn't cover waiting for the rate limit. After it a temporary failure is [waited
    /// out](Self::patience).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.policy.deadline = deadline;
        self
    }

    /// Sets the longest time for one attempt at a message, above 0. Defaults to
    /// [the client's](crate::ClientBuilder::attempt_timeout).
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.policy.attempt_timeout = timeout;
        self
    }

    /// Sets whether to send a message again that the service may have. Defaults to [the
    /// client's](crate::ClientBuilder::on_unknown).
    pub fn on_unknown(mut self, on_unknown: OnUnknown) -> Self {
        self.policy.on_unknown = on_unknown;
        self
    }

    /// Sets the maximum number of attempts per send, at least 1, including the first. Defaults to
    /// [the client's](crate::ClientBuilder::max_attempts). A temporary failure is [waited
    /// out](Self::patience) after them.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.policy.max_attempts = attempts;
        self
    }

    /// Sets whether slots with problems are published. Defaults to [the
    /// client's](crate::ClientBuilder::validation).
    ///
    /// The [report](PublishReport::problems) lists the problems that were permitted. Resume a batch
    /// with the same setting, because values that are left out change the slots and where messages
    /// begin.
    pub fn validation(mut self, validation: Validation) -> Self {
        self.validation = validation;
        self
    }

    /// Skips slots that are invalid, too large or unreadable, instead of ending the publication.
    ///
    /// `on_invalid` is called with the index of each among all slots, starting at 0, and its
    /// problems. The [report](crate::RunCounts::skipped_slots) counts them. A publication that
    /// [resumes](Self::resume_from) checks all slots again, and calls it again for those before the
    /// point.
    pub fn skip_invalid(mut self, on_invalid: impl FnMut(usize, &[Problem]) + Send + 'a) -> Self {
        self.on_invalid = Some(Box::new(on_invalid));
        self
    }

    /// Returns a handle that stops the publication from elsewhere, and has its report even when it
    /// is dropped.
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
