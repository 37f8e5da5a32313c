//! Publishing many slots.

use std::borrow::Borrow;

use futures_util::Stream;

use super::Client;
use super::publish_builder::PublishBuilder;
use crate::message::Slot;
use crate::publish::{SlotSource, StreamedSlot};

impl Client {
    /// Publishes many slots as a batch. Set options on the returned builder if necessary, then
    /// `.await` it.
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
    /// The slots may be owned or borrowed. The client checks all of them before it sends anything.
    /// Then it splits them, in order, into messages of up to [1,000
    /// slots](PublishBuilder::slots_per_message) and [8 MiB](PublishBuilder::bytes_per_message). It
    /// [sends](Self::send) each message while it encodes the next.
    ///
    /// By default, one message is in flight at a time, so that the service receives the slots in
    /// order. To send several messages at a time, increase the
    /// [`concurrency`](PublishBuilder::concurrency). A publication waits for the [rate
    /// limit](crate::ClientBuilder::rate_limit) as long as necessary.
    ///
    /// # Batch numbers and message ids
    ///
    /// Each message carries the `BatchID`, its number as `CurrentBatch`, starting at "1", and the
    /// number of messages as `TotalBatches`. A single message carries none of them unless you set a
    /// [batch id](PublishBuilder::batch_id).
    ///
    /// If the service responds that a message is too large (413), the client splits that message
    /// and all unsent ones further. `TotalBatches` then changes within the batch.
    ///
    /// The message id is derived from the batch id, the message number, the destinations and the
    /// message's bytes. So the same message has the same id in any process, and different messages
    /// have different ids.
    ///
    /// # Failures
    ///
    /// The publication [waits out](PublishBuilder::patience) temporary failures, by default until
    /// no message has been accepted for 15 minutes. It sends the message again, with the same id
    /// and bytes, until the service accepts it. Any other failure ends the publication. The error
    /// contains the accepted messages and the [resume point](PublishBuilder::resume_from).
    ///
    /// A message that is known to be accepted is never sent again. Slots may arrive twice, under
    /// different message ids, if a message has an unknown outcome and the service then finds it too
    /// large. The [report](crate::RunCounts::possibly_repeated_slots) counts such slots.
    ///
    /// # Errors
    ///
    /// Returns an error that contains the [report](crate::PublishError::report) of the publication.
    /// Its kind is one of these:
    ///
    /// * a kind that [`send`](Self::send) lists, if a message fails;
    /// * [`ErrorKind::InvalidMessage`](crate::ErrorKind::InvalidMessage) if there are no slots, or
    ///   if slots are invalid, with the first 1,000 problems;
    /// * [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if an option is invalid, or
    ///   if the slots or destinations don't match the resume point;
    /// * [`ErrorKind::Checkpoint`](crate::ErrorKind::Checkpoint) if the
    ///   [checkpoint](PublishBuilder::checkpoint) fails;
    /// * [`ErrorKind::Callback`](crate::ErrorKind::Callback) if the function set with
    ///   [`on_accepted`](PublishBuilder::on_accepted) fails;
    /// * [`ErrorKind::Stopped`](crate::ErrorKind::Stopped) if the publication is
    ///   [stopped](crate::PublishHandle::stop) before everything is accepted.
    pub fn publish<'a, I>(&'a self, slots: I) -> PublishBuilder<'a>
    where
        I: IntoIterator<Item: Borrow<Slot> + Send + Sync + 'a>,
    {
        PublishBuilder::new(self, SlotSource::list(slots))
    }

    /// Publishes any number of slots from a stream, in constant memory. Otherwise it works like
    /// [`publish`](Self::publish).
    ///
    /// ```no_run
    /// # use pushslots::{Client, PublishError, SlotReader};
    /// # async fn example(client: Client, file: std::fs::File) -> Result<(), PublishError> {
    /// let report = client.publish_stream(SlotReader::new(file).into_stream()).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// Only the list of receipts grows, by about a kilobyte per message.
    ///
    /// # Items
    ///
    /// The items are [`Slot`]s or `Result<Slot, E>`s. An error [ends the
    /// publication](StreamedSlot). The client checks the slots as they arrive. An invalid slot ends
    /// the publication after the messages before it, unless you
    /// [skip](PublishBuilder::skip_invalid) invalid slots.
    ///
    /// A message is sent when it is full or the stream ends. A slow stream therefore delays its
    /// slots.
    ///
    /// # Blocking
    ///
    /// The stream must not block. While it blocks, the messages in flight make no progress, and
    /// their attempts may time out. To read a blocking input on its own thread, use
    /// [`SlotReader::into_stream`](crate::SlotReader::into_stream). To read an async input, use
    /// [`SlotStream::from_async_read`](crate::SlotStream::from_async_read).
    ///
    /// # Batch numbers
    ///
    /// `TotalBatches` is omitted, because the length of a stream isn't known in advance. If all
    /// slots fit in one message, the other batch numbers are omitted too, unless you set a batch
    /// id.
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
