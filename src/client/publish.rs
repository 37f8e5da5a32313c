//! Publishing many slots, and what there is to set about it.

use std::borrow::Borrow;
use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;

use futures_util::Stream;

use super::Client;
use crate::chance::fresh_id;
use crate::error::Error;
use crate::message::{Envelope, Meta, Problem, Slot};
use crate::publish::{
    Batch, Limits, OnInvalid, OnProgress, Packer, Progress, Publication, PublishError, PublishHandle,
    PublishReport, ResumePoint, Source, StreamedSlot,
};
use crate::text;

impl Client {
    /// Publishes many slots as a batch: `.await` it, after setting its options if need be.
    ///
    /// The slots, or borrows of them, are split into messages of up to [1,000 slots](PublishBuilder::slots_per_message) and
    /// [8 MiB](PublishBuilder::bytes_per_message), in order. All are checked before anything goes out. The messages go out
    /// one after the other, so that the service keeps their order, each as [`send`](Self::send) sends it, while the next
    /// is being encoded; at most two encoded messages are in memory. They stay within the [pace](crate::ClientBuilder::pace),
    /// for which a publication waits as long as it takes.
    ///
    /// All carry the same `BatchID`, `CurrentBatch` from "1" and `TotalBatches`; a single one carries none of them, unless a
    /// [batch id](PublishBuilder::batch_id) is given. The message id of each is derived from batch id and
    /// number, and after a split also from the size that the messages were limited to.
    ///
    /// The first message that is not accepted ends the publication. The error tells what was accepted until then, and
    /// [where to go on](PublishBuilder::resume_from): nothing that is known to be accepted is sent again, and the message that
    /// failed keeps its message id. Only a message that the
    /// service finds too large (413) is split, as is what follows it, and the publication goes on. If an earlier attempt at that
    /// message had an unknown outcome, its slots may arrive twice, the second time under other message ids. One that was
    /// [stopped](PublishHandle::stop) ends well, and its report has a [resume point](PublishReport::resume_point).
    ///
    /// ```no_run
    /// # use pushslots::{Client, PublishError, Slot};
    /// # use std::time::Duration;
    /// # async fn example(client: Client, slots: Vec<Slot>) -> Result<(), PublishError> {
    /// match client.publish(&slots).await {
    ///     Ok(report) => println!("{} slots in {} messages", report.slots(), report.messages()),
    ///     // Later the same slots again, from the message that failed on.
    ///     Err(error) if error.error().is_retryable() => {
    ///         println!("{} slots are accepted: {error}", error.report().slots());
    ///         tokio::time::sleep(error.error().retry_after().unwrap_or(Duration::from_secs(60))).await;
    ///         if let Some(point) = error.report().resume_point() {
    ///             let rest = client.publish(&slots).batch_id(error.report().batch_id()).resume_from(point).await?;
    ///             println!("{} more are now", rest.slots());
    ///         }
    ///     }
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// What [`send`](Self::send) meets with a message; [`ErrorKind::InvalidMessage`](crate::ErrorKind::InvalidMessage) with
    /// everything that is wrong with any slot, and where there is none; and
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) for options that can't be used.
    pub fn publish<'a, I>(&'a self, slots: I) -> PublishBuilder<'a>
    where
        I: IntoIterator<Item: Borrow<Slot> + Send + Sync + 'a>,
    {
        PublishBuilder::new(self, Source::list(slots))
    }

    /// Publishes slots that come one at a time, however many, in constant memory; otherwise as [`publish`](Self::publish).
    ///
    /// What grows is the list of receipts, by about a kilobyte a message. The items are [`Slot`]s, or `Result`s whose error
    /// [ends the publication](StreamedSlot). A stream's end is not known beforehand, so that `TotalBatches` is left out, and
    /// with it the other batch numbers where the stream ends before its first message is full. Slots are checked as they
    /// come: one that is wrong ends the publication after the messages before it, or can be
    /// [set aside](PublishBuilder::skip_invalid).
    ///
    /// ```no_run
    /// # use pushslots::{Client, PublishError, SlotReader};
    /// # async fn example(client: Client, file: std::fs::File) -> Result<(), PublishError> {
    /// let slots = futures_util::stream::iter(SlotReader::new(file));
    /// let report = client.publish_stream(slots).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and [`ErrorKind::Input`](crate::ErrorKind::Input) when the stream fails.
    pub fn publish_stream<'a, S>(&'a self, slots: S) -> PublishBuilder<'a>
    where
        S: Stream<Item: StreamedSlot> + Send + 'a,
    {
        PublishBuilder::new(self, Source::stream(slots))
    }
}

/// One publication and its options, made by [`Client::publish`] or [`Client::publish_stream`]; `.await` starts it.
///
/// ```no_run
/// # use pushslots::{Client, Meta, PublishError, Slot};
/// # async fn example(client: Client, slots: Vec<Slot>) -> Result<(), PublishError> {
/// let report = client
///     .publish(&slots)
///     .batch_id("slots-2026-12-01")
///     .meta(Meta::new().test(true))
///     .on_progress(|progress| println!("{} slots so far", progress.slots))
///     .skip_invalid(|index, problems| eprintln!("slot {index}: {problems:?}"))
///     .await?;
/// println!("{} accepted, {} set aside", report.slots(), report.skipped());
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
    on_progress: Option<OnProgress<'a>>,
    on_invalid: Option<OnInvalid<'a>>,
    handle: PublishHandle,
}

impl<'a> PublishBuilder<'a> {
    fn new(client: &'a Client, source: Source<'a>) -> Self {
        Self {
            client,
            source,
            limits: client.0.limits,
            meta: Meta::new(),
            batch_id: None,
            start: ResumePoint::START,
            on_progress: None,
            on_invalid: None,
            handle: PublishHandle::default(),
        }
    }

    /// The most slots that one message holds, from 1; by default [the client's](crate::ClientBuilder::slots_per_message).
    pub fn slots_per_message(mut self, slots: usize) -> Self {
        self.limits.slots = slots;
        self
    }

    /// The most bytes that one message takes; by default [the client's](crate::ClientBuilder::bytes_per_message).
    ///
    /// It must be above what a message takes without slots, some hundred bytes. It holds for the message as it goes out, but for batch numbers, for which room is kept as if they were the longest. A
    /// slot that takes more by itself is invalid.
    pub fn bytes_per_message(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// Identifies the batch, instead of a fresh UUID: any text that isn't blank and that no other publication has, such as one
    /// with the day in it.
    ///
    /// White space and byte-order marks around it don't count, so that it can be read from a file.
    /// Message ids are derived from it and the number of a message, as UUIDs of version 5 (RFC 9562, section 5.5): the same
    /// batch gives the same ids, in whichever process, and other slots under the same ids may be taken for those before.
    pub fn batch_id(mut self, id: impl Into<String>) -> Self {
        self.batch_id = Some(id.into());
        self
    }

    /// What all messages say of themselves beside their place in the batch, such as `Test`, `FacilityCode` or
    /// destinations other than the client's.
    ///
    /// A `BatchID` in it counts as [given](Self::batch_id); the other batch numbers in it are replaced.
    pub fn meta(mut self, meta: Meta) -> Self {
        self.meta = meta;
        self
    }

    /// Goes on with a batch that was not published to its end: from a message number, or better from the
    /// [point](PublishReport::resume_point) that the report tells.
    ///
    /// ```no_run
    /// # use pushslots::{Client, PublishError, ResumePoint, Slot};
    /// # async fn example(client: Client, slots: Vec<Slot>, kept: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// // What another process wrote down, such as `7@6000`.
    /// let point: ResumePoint = kept.parse()?;
    /// client.publish(&slots).batch_id("slots-2026-12-01").resume_from(point).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// It needs the same slots in the same order, and the same [`batch_id`](Self::batch_id). With a number alone it also needs the
    /// same limits, that no message was found too large, and that no slot which was set aside is corrected: otherwise slots would
    /// be lost or sent again, and the point is what to go by. A slot from there on may be corrected where the message
    /// that failed is known not to be accepted; before it none may be added or taken away, and one that was set aside and is
    /// corrected is published on its own. The slots before that point are not sent again, and the message that may have been
    /// accepted already keeps its message id.
    pub fn resume_from(mut self, point: impl Into<ResumePoint>) -> Self {
        self.start = point.into();
        self
    }

    /// Who is told how far the publication has come; by default nobody.
    ///
    /// `told` is called after each message that was accepted, before the publication waits for the pace, and once a second. The
    /// task that publishes calls it, and goes on when it returns.
    pub fn on_progress(mut self, told: impl FnMut(&Progress) + Send + 'a) -> Self {
        self.on_progress = Some(Box::new(told));
        self
    }

    /// Sets slots aside that break the data model, or are too large, in place of ending the publication.
    ///
    /// `told` gets the index of each among all slots, from 0, and what is wrong with it. The
    /// [report](PublishReport::skipped) counts them.
    ///
    /// A publication that goes on from a [point](Self::resume_from) meets them again, and tells them again. What is corrected
    /// before that point is not sent by it.
    pub fn skip_invalid(mut self, told: impl FnMut(usize, &[Problem]) + Send + 'a) -> Self {
        self.on_invalid = Some(Box::new(told));
        self
    }

    /// Stops the publication from elsewhere, and tells what it came to also when it is dropped.
    ///
    /// ```no_run
    /// # use pushslots::{Client, PublishError, Slot};
    /// # use std::time::Duration;
    /// # async fn example(client: Client, slots: Vec<Slot>) -> Result<(), PublishError> {
    /// let publication = client.publish(&slots);
    /// let handle = publication.handle();
    /// if tokio::time::timeout(Duration::from_secs(60), publication).await.is_err() {
    ///     println!("{} slots in a minute", handle.report().slots());
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
        let refused = |error| Err(PublishError::new(PublishReport::default(), error, None, None));
        let problems = self.problems(&batch);
        if !problems.is_empty() {
            return refused(Error::configuration(problems));
        }
        let client = &*self.client.0;
        let mut meta = self.meta;
        meta.clear_batch_place();
        meta.batch_id = Some(batch.id.clone());
        let envelope = match Envelope::new(&meta, client.source, &client.destinations) {
            Ok(envelope) => envelope,
            Err(invalid) => return refused(invalid.into()),
        };
        let empty = envelope.length(&batch.id);
        if empty >= self.limits.bytes {
            let text = format!("must be above {empty}, which a message takes without slots");
            return refused(Error::configuration(vec![Problem::new("bytes_per_message", text)]));
        }
        self.handle.begin(&batch.id, self.start);
        let packer = Packer::new(self.source, self.on_invalid, envelope, batch, self.limits);
        let policy = client.policy.clone();
        let publication = Publication::new(&client.courier, policy, packer, self.handle, self.on_progress);
        publication.run(self.start).await
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
