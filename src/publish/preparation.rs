//! The messages of a batch, made without sending them.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::ready;
use futures_util::stream::{BoxStream, once, try_unfold};
use futures_util::{Stream, StreamExt};

use super::batcher::Batcher;
use super::callback::{Callback, FirstPanic};
use super::layout::Layout;
use super::opening::{BatchOptions, Opened};
use super::resume::ResumePoint;
use super::source::{SlotSource, SourceError};
use super::validator::OnInvalid;
use super::{PublishError, PublishHandle, PublishReport};
use crate::error::Error;
use crate::message::{PermittedProblems, PreparedMessage, Problem};

/// A stream of the messages of a batch as they would be sent, made by
/// [`PublishBuilder::prepare`](crate::PublishBuilder::prepare).
///
/// Each message is made when the stream is polled for it. The stream ends after an error.
pub struct PreparedMessages<'a> {
    messages: BoxStream<'a, Result<(PreparedMessage, PermittedProblems), PublishError>>,
    problems: PermittedProblems,
}

/// Makes the messages of a batch, one at a time.
struct Preparation<'a> {
    batcher: Batcher<'a>,
    start: ResumePoint,
    /// The layout of the messages. `None` until the available slots are checked.
    layout: Option<Layout>,
    panic: FirstPanic,
}

impl<'a> PreparedMessages<'a> {
    pub(crate) fn new(
        source: SlotSource<'a>,
        on_invalid: Option<OnInvalid<'a>>,
        options: BatchOptions,
        handle: PublishHandle,
    ) -> Self {
        let panic = FirstPanic::default();
        let on_invalid = on_invalid.map(|call| Callback::new(call, handle, panic.clone()));
        let opened = Opened::new(options);
        let start = opened.start.clone();
        let preparation = Preparation {
            batcher: Batcher::new(source, on_invalid, opened),
            start,
            layout: None,
            panic,
        };
        let messages = try_unfold(preparation, |mut preparation| async move {
            let made = preparation.next().await;
            preparation.panic.resume();
            match made {
                Ok(made) => {
                    let problems = preparation.batcher.problems();
                    Ok(made.map(|message| ((message, problems), preparation)))
                }
                Err(error) => Err(preparation.batcher.failed(PublishReport::default(), error)),
            }
        });
        Self { messages: messages.boxed(), problems: PermittedProblems::default() }
    }

    /// Creates a stream that yields only an error, because the options are invalid.
    pub(crate) fn failed(error: Error) -> Self {
        let error = PublishError::new(PublishReport::default(), error, None, None);
        Self { messages: once(ready(Err(error))).boxed(), problems: PermittedProblems::default() }
    }

    /// Makes the next message. Returns `None` if there are no more.
    ///
    /// ```no_run
    /// # use pushslots::{Client, PublishError, Slot};
    /// # async fn example(client: Client, slots: Vec<Slot>) -> Result<(), PublishError> {
    /// let mut messages = client.publish(&slots).batch_id("slots-2026-12-01").prepare();
    /// while let Some(message) = messages.next().await.transpose()? {
    ///     println!("{} has slots {:?}", message.message_id(), message.slots());
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn next(&mut self) -> Option<Result<PreparedMessage, PublishError>> {
        StreamExt::next(self).await
    }

    /// Returns the first 1,000 problems in slots and `Meta` that the
    /// [`Validation`](crate::Validation) permitted in the messages made so far. They include the
    /// problems of values that were left out.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        self.problems.list()
    }

    /// Returns the number of problems beyond the first 1,000.
    #[must_use]
    pub fn omitted_problems(&self) -> usize {
        self.problems.omitted()
    }
}

impl Preparation<'_> {
    async fn next(&mut self) -> Result<Option<PreparedMessage>, SourceError> {
        let layout = match &mut self.layout {
            Some(layout) => layout,
            None => self.layout.insert(self.batcher.begin(&self.start).await?),
        };
        loop {
            self.batcher.source.release(layout.first().position);
            let task = layout.task();
            let has_end = task.end.is_some();
            match self.batcher.make(task, layout.service_limit, None).await? {
                Some(made) => {
                    layout.made(made.end, made.print);
                    layout.accepted(made.number);
                    return Ok(Some(made.encoded));
                }
                // All slots of this part are now invalid and were skipped.
                None if has_end => layout.skip_task(),
                None if self.batcher.source.is_empty() => {
                    return Err(SourceError::Invalid(Error::no_slots(
                        self.batcher.validator.skipped,
                    )));
                }
                None => return Ok(None),
            }
        }
    }
}

impl Stream for PreparedMessages<'_> {
    type Item = Result<PreparedMessage, PublishError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.messages.poll_next_unpin(context);
        polled.map_ok(|(message, problems)| {
            self.problems = problems;
            message
        })
    }
}

impl fmt::Debug for PreparedMessages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedMessages").finish_non_exhaustive()
    }
}
