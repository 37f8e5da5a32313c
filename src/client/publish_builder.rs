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
use crate::retry::Policy;

/// A publication and its options, created by [`Client::publish`] or [`Client::publish_stream`].
/// Await it to start the publication.
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
///
/// # Panics in callbacks
///
/// If a function that you pass to the builder panics, no message is lost. The publication stops,
/// waits for the messages in flight, and then resumes the panic.
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

    /// Sets the maximum number of slots in one message, at least 1. Defaults to [the
    /// client's](crate::ClientBuilder::slots_per_message).
    pub fn slots_per_message(mut self, slots: usize) -> Self {
        self.limits.slots = slots;
        self
    }

    /// Sets the maximum number of bytes in one message. Defaults to [the
    /// client's](crate::ClientBuilder::bytes_per_message).
    ///
    /// The limit must be above the size of a message without slots, which is a few hundred bytes.
    /// The client reserves space for the longest possible batch numbers. A slot that exceeds the
    /// limit by itself is invalid.
    pub fn bytes_per_message(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// Sets the id of the batch, any text that isn't blank. Defaults to a fresh UUID.
    ///
    /// The client trims white space and byte-order marks, so you can read the id from a file. To
    /// resume the batch, pass the same id.
    pub fn batch_id(mut self, id: impl Into<String>) -> Self {
        self.batch_id = Some(id.into());
        self
    }

    /// Sets the `Meta` of all messages, such as `Test`, `FacilityCode`, or destinations that
    /// replace the client's.
    ///
    /// A `BatchID` in it is equivalent to [`batch_id`](Self::batch_id). The client replaces all
    /// other batch numbers in it, even invalid ones.
    pub fn meta(mut self, meta: Meta) -> Self {
        self.meta = meta;
        self
    }

    /// Resumes an incomplete batch at the [resume point](PublishReport::resume_point) of its
    /// report, or at a message number.
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
    /// Pass **all** slots again, in the same order, with the same [`batch_id`](Self::batch_id). The
    /// client checks the slots before the resume point, and doesn't send them again.
    ///
    /// If these slots or the destinations differ, the publication ends with
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) before its first message. A
    /// slot that was skipped and then corrected also counts as different. Publish corrected slots
    /// separately.
    ///
    /// Limits and `Meta` may differ. A message that may have been accepted is sent again with the
    /// same slots, and therefore with the same bytes and message id. If its `Meta` or a slot has
    /// changed, it gets another id, and the report counts its slots as [possibly
    /// repeated](crate::RunCounts::possibly_repeated_slots).
    pub fn resume_from(mut self, point: impl Into<ResumePoint>) -> Self {
        self.start = Some(point.into());
        self
    }

    /// Saves the state of the publication in a file, and resumes an incomplete batch from it.
    ///
    /// You can start such a publication again after a crash, a stop or an error, in any process:
    ///
    /// ```no_run
    /// # use pushslots::{Client, PublishError, Slot};
    /// # async fn example(client: Client, slots: Vec<Slot>) -> Result<(), PublishError> {
    /// let report = client.publish(&slots).checkpoint("slots.checkpoint").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// Pass **all** slots again each time. If the process was killed, the client resends only the
    /// messages that were in flight.
    ///
    /// # Contents
    ///
    /// The file contains the batch id, the limits, the [resume point](PublishReport::resume_point),
    /// and the `Meta` of the messages with its permitted warnings. They override the settings of
    /// the client and of this publication. A message that was in flight is therefore sent again
    /// with the same bytes and id.
    ///
    /// # Writes
    ///
    /// The client writes the file before the first send, and after messages are accepted, fail or
    /// are split. One write may cover several messages. A message counts as in flight until its
    /// acceptance is written. The client removes the file when the batch is complete.
    ///
    /// Each write replaces the whole file and syncs it to the disk. While a publication uses the
    /// checkpoint, it locks a file next to it with the suffix `.lock`, so that a second publication
    /// fails. The lock file isn't removed.
    ///
    /// # Errors
    ///
    /// The publication ends with [`ErrorKind::Checkpoint`](crate::ErrorKind::Checkpoint) before its
    /// first send, and doesn't change the file, in these cases:
    ///
    /// * The file or its directory can't be read or written.
    /// * Another publication uses the file.
    /// * The file is damaged, was written by a newer version, or isn't a checkpoint.
    /// * The file belongs to a batch with another [`batch_id`](Self::batch_id), other destinations,
    ///   or other slots before the resume point. To start a new batch instead, call
    ///   [`restart_if_changed`](Self::restart_if_changed).
    /// * You also call [`resume_from`](Self::resume_from), with a different resume point.
    ///
    /// If a later write fails, for example because the disk is full, the publication waits for the
    /// messages in flight and then ends. You can resume it.
    pub fn checkpoint(self, path: impl Into<PathBuf>) -> Self {
        self.checkpoint_in(CheckpointFile::new(path.into()))
    }

    /// Saves the state of the publication in your own storage, such as a database. Otherwise it
    /// works like [`checkpoint`](Self::checkpoint).
    pub fn checkpoint_in(mut self, checkpoint: impl Checkpoint) -> Self {
        self.checkpoint = Some(Arc::new(checkpoint));
        self
    }

    /// Starts a new batch if the [checkpoint](Self::checkpoint) belongs to a batch with other slots
    /// before the resume point, other destinations or another batch id. By default, this is an
    /// error.
    ///
    /// A nightly job needs this option. Without it, an unfinished batch of an earlier day would
    /// make every later run fail. The old checkpoint is moved to a file next to it, with the suffix
    /// `.replaced-1` or the next free number. The client logs a warning.
    ///
    /// A stream has already been read up to the resume point when the client detects other slots.
    /// The client then moves the old checkpoint, and the publication ends with
    /// [`ErrorKind::Checkpoint`](crate::ErrorKind::Checkpoint). Publish the stream again from its
    /// start.
    pub fn restart_if_changed(mut self) -> Self {
        self.restarts_if_changed = true;
        self
    }

    /// Sets the maximum time for waiting out temporary failures. Defaults to 15 minutes. With zero,
    /// the first failed send ends the publication.
    ///
    /// The time starts when a message is accepted. If there is nothing to send after that, it
    /// starts when the next message is sent.
    ///
    /// # Temporary failures
    ///
    /// These failures are temporary:
    ///
    /// * failed connections and timeouts;
    /// * the statuses 5xx, 408, 421, 425 and 429;
    /// * a token endpoint, signer or token source that fails temporarily;
    /// * a rate limiter that fails;
    /// * an empty retry budget.
    ///
    /// These failures end the publication at once:
    ///
    /// * rejected messages and rejected credentials;
    /// * responses that aren't the service's;
    /// * unknown outcomes with [`OnUnknown::Stop`](crate::OnUnknown::Stop).
    ///
    /// # Probes
    ///
    /// After a failed send, the publication sends nothing for a while. Then it makes a single
    /// attempt, to find out whether the service is available again. The message keeps its id and
    /// bytes, and its receipt contains all attempts.
    ///
    /// The delay before such an attempt grows from about 5 s to 60 s, or is the time in the
    /// service's `Retry-After`. If `Retry-After` exceeds the remaining patience, the publication
    /// ends at once.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets the maximum number of messages in flight, at least 1. Defaults to 1, which keeps the
    /// order of the messages.
    ///
    /// With a higher value, messages may be accepted in a different order. The publication gets at
    /// most `8 * concurrency` messages ahead of the first unaccepted one. Up to `concurrency + 1`
    /// encoded messages are in memory.
    ///
    /// The client's [rate limit](crate::ClientBuilder::rate_limit) and its limit on [messages in
    /// flight](crate::ClientBuilder::max_in_flight) apply as well.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Sets a function that receives the progress of the publication. There is none by default.
    ///
    /// It is called once a second, and in these cases:
    ///
    /// * after the slots are checked, before the first message is sent;
    /// * after each accepted message;
    /// * when the publication begins to wait.
    ///
    /// The publishing task calls the function, and continues after it returns.
    pub fn on_progress(mut self, on_progress: impl FnMut(&Progress) + Send + 'a) -> Self {
        self.on_progress = Some(Box::new(on_progress));
        self
    }

    /// Sets an async function that is called after each accepted message, for example to store its
    /// receipt in a database. It completes before the next message is sent. There is none by
    /// default.
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
    /// The calls don't overlap. Other messages [in flight](Self::concurrency) continue during a
    /// call. The [checkpoint](Self::checkpoint) is written after the call. If the process ends
    /// between the two, a resumed run sends the message again with the same id, and calls the
    /// function for it again.
    ///
    /// # Errors in the function
    ///
    /// If the future returns an error, the publication waits for the messages in flight, and calls
    /// the function for each of them that is accepted. Then it ends with
    /// [`ErrorKind::Callback`](crate::ErrorKind::Callback). The first error is the
    /// [source](std::error::Error::source) of the [`PublishError`].
    ///
    /// The messages stay accepted. Their receipts are in the [report](PublishError::report), and a
    /// run that resumes the batch doesn't report them again.
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

    /// Skips slots that are invalid, too large or unreadable, instead of ending the publication.
    ///
    /// `on_invalid` is called for each skipped slot, with its index among all slots, starting at 0,
    /// and its problems. The [report](crate::RunCounts::skipped_slots) counts the skipped slots. A
    /// publication that [resumes](Self::resume_from) checks all slots again, and calls `on_invalid`
    /// again for those before the resume point.
    pub fn skip_invalid(mut self, on_invalid: impl FnMut(usize, &[Problem]) + Send + 'a) -> Self {
        self.on_invalid = Some(Box::new(on_invalid));
        self
    }

    /// Returns a handle that can stop the publication from another task. The handle returns the
    /// report even if the publication is dropped.
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
