//! Many slots: split into messages that go out in order or concurrently, while the next is being encoded.

mod batcher;
mod callback;
mod chunk;
mod digest;
mod dispatcher;
mod handle;
mod layout;
mod list_source;
mod patience;
mod progress;
mod publish_error;
mod report;
mod resume;
mod source;
mod stream_source;
mod tracker;
mod validator;

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::Either;
use tracing::{Instrument, info_span};

use crate::delivery::Courier;
use crate::error::Error;
use crate::message::Envelope;
use crate::retry::Policy;

use batcher::Batcher;
use callback::{Callback, FirstPanic};
use dispatcher::{Dispatcher, Event};
use patience::Patience;
use source::SourceError;
use tracker::ProgressTracker;

pub(crate) use batcher::Batch;
pub(crate) use chunk::Limits;
pub use handle::PublishHandle;
pub(crate) use patience::USUAL_PATIENCE;
pub(crate) use progress::OnProgress;
pub use progress::{BatchCounts, Progress, RunCounts, Wait, WaitReason};
pub use publish_error::PublishError;
pub use report::PublishReport;
pub use resume::{ParseResumePointError, ResumePoint};
pub(crate) use source::Source;
pub use source::StreamedSlot;
pub(crate) use validator::OnInvalid;

/// A batch to publish.
pub(crate) struct Publication<'a> {
    pub(crate) courier: &'a Courier,
    pub(crate) policy: Policy,
    pub(crate) source: Source<'a>,
    pub(crate) envelope: Envelope,
    pub(crate) batch: Batch,
    pub(crate) limits: Limits,
    pub(crate) concurrency: usize,
    pub(crate) patience: Duration,
    pub(crate) on_invalid: Option<OnInvalid<'a>>,
    pub(crate) on_progress: Option<OnProgress<'a>>,
    pub(crate) handle: PublishHandle,
}

/// Why a publication ends before its slots do.
enum End {
    Stopped,
    /// There is something wrong with the slots or the options, and with no message.
    Unreadable(SourceError),
    /// The message of this number was not accepted.
    Failed(u64, Error),
}

impl From<SourceError> for End {
    fn from(error: SourceError) -> Self {
        Self::Unreadable(error)
    }
}

impl Publication<'_> {
    /// Publishes from `start` on.
    pub(crate) async fn run(self, start: &ResumePoint) -> Result<PublishReport, PublishError> {
        let Self { courier, source, envelope, batch, limits, handle, .. } = self;
        let panic = FirstPanic::default();
        let on_invalid = self.on_invalid.map(|call| Callback::new(call, handle.clone(), panic.clone()));
        let on_progress = self.on_progress.map(|call| Callback::new(call, handle.clone(), panic.clone()));
        // However many the slots are, their messages wait for the client's own limits.
        let policy = Policy { deadline_covers_limits: false, ..self.policy };
        let patience = Patience::new(self.patience, &courier.jitter);
        let mut batcher = Batcher::new(source, on_invalid, envelope, batch, limits);
        let mut tracker = ProgressTracker::new(handle, on_progress);
        let span = info_span!("publish", batch_id = batcher.batch_id());
        let work = async {
            let layout = tracker.unless_stopped(batcher.begin(start)).await??;
            Dispatcher::new(courier, policy, self.concurrency, patience, &mut tracker, layout)
                .publish(&mut batcher)
                .await
        };
        let ended = work.instrument(span).await;
        let report = tracker.close(batcher.validator.skipped, ended.is_ok());
        panic.resume();
        let total = batcher.total;
        match ended {
            Ok(()) | Err(End::Stopped) => Ok(report),
            Err(End::Failed(number, error)) => Err(PublishError::new(report, error, Some(number), total)),
            Err(End::Unreadable(unreadable)) => {
                let failure = batcher.source.take_failure().unwrap_or(unreadable);
                let (error, cause) = match failure {
                    SourceError::Invalid(error) => (error, None),
                    SourceError::Failed(cause) => (Error::unreadable_slots(), Some(cause)),
                    SourceError::AlreadyReported => (Error::unreadable_slots(), None),
                };
                Err(PublishError::new(report, error, None, total).with_source(cause))
            }
        }
    }
}

impl Dispatcher<'_, '_> {
    /// Sends the messages that `batcher` makes until all are accepted, and makes the next meanwhile.
    async fn publish(&mut self, batcher: &mut Batcher<'_>) -> Result<(), End> {
        self.tracker.begins(&self.layout);
        self.tracker.counted(batcher);
        loop {
            let task = self.wants_message().then(|| self.layout.task());
            if task.is_some() {
                batcher.source.release(self.layout.first().position);
            }
            let (service_limit, spare) = (self.layout.service_limit, task.and_then(|_| self.spare()));
            let event = {
                let mut making = pin!(match task {
                    Some(task) => Either::Left(batcher.make(task, service_limit, spare)),
                    None => Either::Right(pending()),
                });
                loop {
                    match self.next(making.as_mut()).await {
                        // What is being made goes on.
                        Event::Changed if task.is_some() || !self.wants_message() => {}
                        event => break event,
                    }
                }
            };
            match event {
                Event::Changed => {}
                Event::Made(Ok(Some(message))) => self.is_ready(message),
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
                Event::Ended => return self.take_end(),
            }
            self.tracker.counted(batcher);
        }
    }
}
