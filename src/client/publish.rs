//! Publishing many slots.

use std::borrow::Borrow;

use futures_util::Stream;

use super::Client;
use super::publish_builder::PublishBuilder;
use crate::message::Slot;
use crate::publish::{SlotSource, StreamedSlot};

impl Client {
    /// Publishes many slots as a batch: `.await` it, after setting its options.
    ///
    /// The slots, or borrows of them, are split into messages of up to [1,000
    /// slots](PublishBuilder::slots_per_message) and [8 MiB](PublishBuilder::bytes_per_message), in
    /// order. All are checked before anything is sent. Each message is sent as [`send`](Self::send)
    /// sends it, while the next is being encoded. One message is in flight at a time, so that the
    /// service keeps their order, unless [`concurrency`](PublishBuilder::concurrency) allows more.
    /// They stay within the [rate limit](crate::ClientBuilder::rate_limit), for which a publication
    /// waits as long as it takes.
    ///
    /// # Batch numbers and message ids
    ///
    /// All messages carry the same `BatchID`, `CurrentBatch` starting at "1" and `TotalBatches`. A
    /// single message carries none of them, unless a [batch id](PublishBuilder::batch_id) is given.
    /// `TotalBatches` changes within a batch when the service finds a message too large (413): that
    /// message and those not yet sent are split further.
    ///
    /// The message id is derived from batch id, number, destinations and the message's bytes. The
    /// same message has the same id in any process, and any other message has another id.
    ///
    /// # Failures
    ///
    /// A temporary failure is [waited out](PublishBuilder::patience), by default for 15 minutes:
    /// the publication sends the message again, with the same id and bytes, until the service
    /// accepts it. Any other failure ends the publication. The error reports what was accepted, and
    /// [where the batch resumes](PublishBuilder::resume_from). A message that is known to be
    /// accepted is never sent again.
    ///
    /// If an attempt had an unknown outcome before the service found the message too large, its
    /// slots may arrive twice, the second time under other message ids; the
    /// [report](crate::RunCounts::possibly_repeated_slots) counts them.
    ///
    /// A publication that was [stopped](crate::PublishHandle::stop) before everything was accepted
    /// ends with an error of [`ErrorKind::Stopped`](crate::ErrorKind::Stopped).
    ///
    /// ```no_run
    /// # use pushslots::{Client, PublishError, Slot};
    /// # async fn example(client: Client, slots: Vec<Slot>) -> Result<(), PublishError> {
    /// match client.publish(&slots).await {
    ///     Ok(report) => println!("{} slots are accepted", report.batch().accepted_slots),
    ///     Err(error) => {
    ///         eprintln!("{error}");
    ///         if let Some(point) = error.report().resume_point() {
    ///             eprintln!("batch {} resumes at {point}", error.report().batch_id());
    ///         }
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the errors of [`send`](Self::send) for a message;
    /// [`ErrorKind::InvalidMessage`](crate::ErrorKind::InvalidMessage) if slots are invalid, with
    /// the first 1,000 problems, or if there are none; and
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) for invalid options, or for
    /// slots or destinations that don't fit the point from which the batch resumes.
    pub fn publish<'a, I>(&'a self, slots: I) -> PublishBuilder<'a>
    where
        I: IntoIterator<Item: Borrow<Slot> + Send + Sync + 'a>,
    {
        PublishBuilder::new(self, SlotSource::list(slots))
    }

    /// Publishes slots that come one at a time, however many, in constant memory; otherwise as
    /// [`publish`](Self::publish).
    ///
    /// Only the list of receipts grows, by about a kilobyte a message. The items are [`Slot`]s, or
    /// `Result`s whose error [ends the publication](StreamedSlot). `TotalBatches` is left out,
    /// because the end of a stream isn't known beforehand. If the stream ends before its first
    /// message is full, the other batch numbers are left out too. Slots are checked as they come:
    /// an invalid one ends the publication after the messages before it, or can be
    /// [skipped](PublishBuilder::skip_invalid).
    ///
    /// ```no_run
    /// # use pushslots::{Client, PublishError, SlotReader};
    /// # async fn example(client: Client, file: std::fs::File) -> Result<(), PublishError> {
    /// let report = client.publish_stream(SlotReader::new(file).into_stream()).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// A message goes out when it is full or the stream ends, so that a slow stream holds slots
    /// back until then. A stream must not block: while it does, the messages in flight make no
    /// progress, and their attempts time out.
    /// [`SlotReader::into_stream`](crate::SlotReader::into_stream) reads an input that blocks on a
    /// thread of its own, and [`SlotStream::from_async_read`](crate::SlotStream::from_async_read)
    /// reads an async one.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`publish`](Self::publish), and
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if the stream fails.
    pub fn publish_stream<'a, S>(&'a self, slots: S) -> PublishBuilder<'a>
    where
        S: Stream<Item: StreamedSlot> + Send + 'a,
    {
        PublishBuilder::new(self, SlotSource::stream(slots))
    }
}
