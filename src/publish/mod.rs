//! Publishing many slots: they are split into messages, which are sent in order or concurrently.
//! The next message is encoded meanwhile.

mod accepted;
mod async_input;
mod batcher;
mod callback;
mod checkpoint;
mod checkpoint_file;
mod chunk;
mod dispatcher;
mod handle;
mod layout;
mod list_source;
mod opening;
mod patience;
mod preparation;
mod progress;
mod publish_error;
mod report;
mod resume;
mod saver;
mod slot_stream;
mod source;
mod span;
mod stream_source;
mod tracker;
mod validator;

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::Either;
use tracing::{Instrument, Span};

use crate::delivery::Sender;
use crate::error::Error;
use crate::retry::Policy;
use crate::transport::record;

use accepted::AcceptedHook;
use batcher::Batcher;
use callback::{Callback, FirstPanic};
use dispatcher::{Dispatcher, Event};
use opening::{Opened, archive};
use patience::Patience;
use saver::Saver;
use source::{SourceError, StreamError};
use span::PublishSpan;
use tracker::ProgressTracker;

pub use accepted::AcceptedMessage;
pub(crate) use accepted::OnAccepted;
pub(crate) use checkpoint::AnyCheckpoint;
pub use checkpoint::{Checkpoint, CheckpointError};
pub(crate) use checkpoint_file::CheckpointFile;
pub(crate) use chunk::Limits;
pub use handle::PublishHandle;
pub(crate) use opening::{BatchOptions, CheckpointOptions};
pub(crate) use patience::DEFAULT_PATIENCE;
pub use preparation::PreparedMessages;
pub(crate) use progress::OnProgress;
pub use progress::{BatchCounts, Progress, RunCounts, Wait, WaitReason};
pub use publish_error::PublishError;
pub use report::PublishReport;
pub use resume::{ParseResumePointError, ResumePoint};
pub use slot_stream::SlotStream;
pub(crate) use source::SlotSource;
pub use source::StreamedSlot;
pub(crate) use validator::OnInvalid;

/// A batch to publish.
pub(crate) struct Publication<'a> {
    pub(crate) sender: &'a Sender,
    pub(crate) policy: Policy,
    pub(crate) source: SlotSource<'a>,
    pub(crate) options: BatchOptions,
    pub(crate) checkpoint: Option<CheckpointOptions>,
    pub(crate) concurrency: usize,
    pub(crate) patience: Duration,
    pub(crate) on_invalid: Option<OnInvalid<'a>>,
    pub(crate) on_progress: Option<OnProgress<'a>>,
    pub(crate) on_accepted: Option<OnAccepted<'a>>,
    pub(crate) handle: PublishHandle,
}

/// The reason why a publication ends before all slots are accepted.
enum End {
    Stopped,
    /// The slots or the options are invalid. No message failed.
    Unreadable(SourceError),
    /// A message wasn't accepted.
    Failed(FailedMessage),
    /// The checkpoint can't be saved or removed.
    Checkpoint(CheckpointError),
    /// The caller's function for accepted messages failed.
    Callback(StreamError),
}

/// The message that ended a publication.
struct FailedMessage {
    number: u64,
    error: Error,
    /// Whether the service may have its slots, because of any attempt of this run or an earlier
    /// one.
    is_unknown: bool,
}

impl From<SourceError> for End {
    fn from(error: SourceError) -> Self {
        Self::Unreadable(error)
    }
}

impl Publication<'_> {
    pub(crate) async fn run(self) -> Result<PublishReport, PublishError> {
        let span = PublishSpan::open(self.handle.clone());
        let result = self.publish(span.span()).instrument(span.span().clone()).await;
        span.close(&result);
        result
    }

    async fn publish(self, span: &Span) -> Result<PublishReport, PublishError> {
        let Self { sender, source, options, checkpoint, handle, .. } = self;
        let _guard = sender.in_progress.begin();
        let opened = match Opened::from_checkpoint(&options, checkpoint.as_ref()).await {
            Ok(opened) => opened,
            Err(error) => {
                return Err(PublishError::new(PublishReport::default(), error, None, None));
            }
        };
        record(span, "pushslots.batch_id", &opened.batch.id);
        handle.begin(&opened.batch.id, &opened.start);
        let panic = FirstPanic::default();
        let on_invalid =
            self.on_invalid.map(|call| Callback::new(call, handle.clone(), panic.clone()));
        let on_progress =
            self.on_progress.map(|call| Callback::new(call, handle.clone(), panic.clone()));
        let on_accepted =
            self.on_accepted.map(|call| Callback::new(call, handle.clone(), panic.clone()));
        // A publication waits for the client's own limits as long as it takes.
        let policy = Policy { deadline_covers_limits: false, ..self.policy };
        let patience = Patience::new(self.patience, &sender.jitter);
        let mut tracker = ProgressTracker::new(handle, on_progress);
        let mut saved = opened.saved();
        let is_stream = matches!(source, SlotSource::Stream(_));
        let start = opened.start.clone();
        let is_resumed = opened.is_resumed;
        let mut batcher = Batcher::new(source, on_invalid, opened);
        let work = async {
            let begun = tracker.unless_stopped(batcher.begin(&start)).await?;
            let layout = match (begun, &checkpoint) {
                (Err(SourceError::Changed(_)), Some(checkpoint)) if is_resumed => {
                    let opened =
                        restart(checkpoint, options, batcher.batch_id(), is_stream).await?;
                    record(span, "pushslots.batch_id", &opened.batch.id);
                    tracker.handle.begin(&opened.batch.id, &opened.start);
                    saved = opened.saved();
                    batcher.restart(opened);
                    tracker.unless_stopped(batcher.begin(&ResumePoint::START)).await??
                }
                (begun, _) => begun?,
            };
            let saver = checkpoint.map(|options| Saver::new(options.checkpoint, saved));
            let hook = on_accepted.map(AcceptedHook::new);
            let limits = (self.concurrency, patience);
            let mut dispatcher =
                Dispatcher::new(sender, policy, limits, saver, hook, &mut tracker, layout);
            dispatcher.publish(&mut batcher).await
        };
        let ended = work.await;
        let report = tracker.close(&mut batcher, ended.is_ok());
        panic.resume();
        let total = batcher.total;
        let failed = |report, error| PublishError::new(report, error, None, total);
        match ended {
            Ok(()) => Ok(report),
            Err(End::Stopped) => Err(failed(report, Error::stopped())),
            Err(End::Failed(FailedMessage { number, error, is_unknown })) => {
                Err(PublishError::new(report, error, Some(number), total).after_unknown(is_unknown))
            }
            Err(End::Checkpoint(cause)) => Err(failed(report, Error::of_checkpoint(cause))),
            Err(End::Callback(cause)) => {
                Err(failed(report, Error::callback().with_source(Some(cause.into()))))
            }
            Err(End::Unreadable(unreadable)) => Err(batcher.failed(report, unreadable)),
        }
    }
}

/// Opens a new batch and archives the checkpoint, because its batch has other slots.
async fn restart(
    checkpoint: &CheckpointOptions,
    options: BatchOptions,
    batch: &str,
    is_stream: bool,
) -> Result<Opened, End> {
    let invalid = |error| Err(End::Unreadable(SourceError::Invalid(error)));
    if !checkpoint.restarts_if_changed {
        let text = format!(
            "the checkpoint belongs to the unfinished batch {batch}, which has other slots or \
             destinations: pass those again, remove the checkpoint, or call restart_if_changed"
        );
        return invalid(Error::checkpoint(text));
    }
    let archived = archive(&checkpoint.checkpoint, batch).await.map_err(SourceError::Invalid)?;
    if is_stream {
        // The slots that the stream has yielded can't be read again.
        let text = format!(
            "the checkpoint belonged to the unfinished batch {batch}, which has other slots; it \
             was moved to {archived}: publish the stream again from its start as a new batch"
        );
        return invalid(Error::checkpoint(text));
    }
    Ok(Opened::anew(options))
}

impl Dispatcher<'_, '_> {
    /// Sends the messages of `batcher` until all are accepted, and makes the next one meanwhile.
    async fn publish(&mut self, batcher: &mut Batcher<'_>) -> Result<(), End> {
        self.tracker.begins(&self.layout);
        self.tracker.counted(batcher);
        self.tracker.report(None);
        loop {
            let is_making = self.wants_message();
            let event = {
                let mut making = pin!(if is_making {
                    batcher.source.release(self.layout.first().position);
                    Either::Left(batcher.make(
                        self.layout.task(),
                        self.layout.service_limit,
                        self.spare(),
                    ))
                } else {
                    Either::Right(pending())
                });
                loop {
                    match self.next(making.as_mut()).await {
                        // Continue to make the same message.
                        Event::Changed if is_making || !self.wants_message() => {}
                        event => break event,
                    }
                }
            };
            match event {
                Event::Changed => {}
                Event::Made(Ok(Some(message))) => self.is_ready(message),
                // All slots of this part are now invalid and were skipped.
                Event::Made(Ok(None)) if self.layout.task().end.is_some() => {
                    self.layout.skip_task();
                }
                Event::Made(Ok(None)) if batcher.source.is_empty() => {
                    let error = Error::no_slots(batcher.validator.skipped);
                    self.source_ended(Err(SourceError::Invalid(error)));
                }
                Event::Made(Ok(None)) => self.source_ended(Ok(())),
                Event::Made(Err(error)) => self.source_ended(Err(error)),
                Event::TooLarge(bytes) => {
                    self.split_within(bytes);
                    batcher.count(&self.layout);
                }
                Event::Ended => return self.take_end().await,
            }
            self.tracker.counted(batcher);
        }
    }
}
