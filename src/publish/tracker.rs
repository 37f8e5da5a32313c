//! The state of a publication as shown to the caller, and its stop signal.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::batcher::Batcher;
use super::callback::Callback;
use super::layout::Layout;
use super::progress::{OnProgress, Wait, WaitReason};
use super::{End, Progress, PublishHandle, PublishReport};
use crate::receipt::{Attempt, Receipt};

/// The interval at which progress is reported, in addition to reports after events.
const TICK: Duration = Duration::from_secs(1);

/// Updates the report and reports progress.
pub(super) struct ProgressTracker<'a> {
    pub(super) handle: PublishHandle,
    on_progress: Option<Callback<OnProgress<'a>>>,
    began: Instant,
    ticks: Interval,
    /// The reason why nothing new is sent, and the earliest end of the wait.
    wait: Option<(WaitReason, Instant)>,
}

impl<'a> ProgressTracker<'a> {
    pub(super) fn new(
        handle: PublishHandle,
        on_progress: Option<Callback<OnProgress<'a>>>,
    ) -> Self {
        let began = Instant::now();
        let mut ticks = interval_at(began + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self { handle, on_progress, began, ticks, wait: None }
    }

    /// Records the layout at the start of the publication.
    pub(super) fn begins(&mut self, layout: &Layout) {
        self.handle.look().last_begun = layout.counts().0;
        self.laid_out(layout);
    }

    /// Records that message `number` is sent.
    pub(super) fn begins_message(&mut self, number: u64, layout: &Layout) {
        self.laid_out(layout);
        let mut report = self.handle.look();
        report.last_begun = report.last_begun.max(number);
    }

    /// Records a changed layout.
    pub(super) fn laid_out(&mut self, layout: &Layout) {
        let mut report = self.handle.look();
        report.resume_point = Some(layout.point());
        let (numbered, missing) = layout.counts();
        report.batch.accepted_messages = numbered.saturating_sub(missing);
        report.batch.accepted_slots = layout.accepted_slots();
    }

    /// Records the current problems, and the counts of messages and slots in the batch.
    pub(super) fn counted(&mut self, batcher: &mut Batcher<'_>) {
        let problems = batcher.problems();
        let mut report = self.handle.look();
        report.problems = problems;
        report.batch.messages = batcher.total;
        report.batch.slots = batcher.source.len();
        report.run.skipped_slots = batcher.validator.skipped;
    }

    /// Records an accepted message. `earlier` is the number of attempts in its earlier sends.
    pub(super) fn accepted(
        &mut self,
        receipt: Receipt,
        earlier: usize,
        slots: usize,
        layout: &Layout,
    ) {
        self.laid_out(layout);
        let mut report = self.handle.look();
        report.count_requests(receipt.attempts().get(earlier..).unwrap_or_default());
        report.run.accepted_messages += 1;
        report.run.accepted_slots += slots;
        let shown = self.on_progress.is_some().then(|| receipt.clone());
        Arc::make_mut(&mut report.receipts).push(receipt);
        drop(report);
        self.report(shown);
    }

    /// Records the attempts at a message that was too large for the service.
    pub(super) fn too_large(&mut self, attempts: &[Attempt]) {
        self.handle.look().too_large.extend_from_slice(attempts);
    }

    /// Counts slots that are sent under another id after an attempt with an unknown outcome.
    pub(super) fn may_repeat(&mut self, slots: usize) {
        self.handle.look().run.possibly_repeated_slots += slots;
    }

    /// Counts the requests of a failed send.
    pub(super) fn failed(&mut self, attempts: &[Attempt]) {
        self.handle.look().count_requests(attempts);
    }

    /// Sets the reason why nothing new is sent, and the earliest end of the wait. Reports progress
    /// if the reason is new.
    pub(super) fn waits(&mut self, wait: Option<(WaitReason, Instant)>) {
        let is_new =
            wait.is_some() && self.wait.map(|(reason, _)| reason) != wait.map(|(reason, _)| reason);
        self.wait = wait;
        if is_new {
            self.report(None);
        }
    }

    /// Adds time in which the rate limit left no room.
    pub(super) fn waited(&mut self, time: Duration) {
        self.handle.look().waited += time;
    }

    /// Reports progress for every interval that has ended.
    pub(super) fn tick(&mut self, context: &mut Context<'_>) {
        while self.ticks.poll_tick(context).is_ready() {
            self.report(None);
        }
    }

    /// Runs `work` and reports progress meanwhile. Returns [`End::Stopped`] if the publication is
    /// stopped first.
    pub(super) async fn unless_stopped<F: Future>(&mut self, work: F) -> Result<F::Output, End> {
        let handle = self.handle.clone();
        let work = pin!(work);
        let stopped = pin!(handle.stopped());
        let mut work = select(work, stopped);
        let done = poll_fn(|context| {
            self.tick(context);
            work.poll_unpin(context)
        });
        match done.await {
            Either::Left((done, _)) => Ok(done),
            Either::Right(_) => Err(End::Stopped),
        }
    }

    /// Reports progress to the caller's function, if there is one.
    pub(super) fn report(&mut self, receipt: Option<Receipt>) {
        let mut report = self.handle.look();
        report.elapsed = self.began.elapsed();
        let Some(on_progress) = &mut self.on_progress else { return };
        let now = Instant::now();
        let wait = |(reason, until): (WaitReason, Instant)| Wait {
            reason,
            remaining: until.saturating_duration_since(now),
        };
        let progress = Progress {
            batch_id: report.batch_id.clone(),
            run: report.run,
            batch: report.batch,
            resume_point: report.resume_point.clone(),
            receipt,
            elapsed: report.elapsed,
            wait: self.wait.map(wait),
        };
        drop(report);
        on_progress.call(|on_progress| on_progress(&progress));
    }

    /// Returns the final report. If everything was accepted, it has no resume point.
    pub(super) fn close(
        &mut self,
        batcher: &mut Batcher<'_>,
        is_everything: bool,
    ) -> PublishReport {
        let problems = batcher.problems();
        let mut report = self.handle.look();
        report.problems = problems;
        report.run.skipped_slots = batcher.validator.skipped;
        report.elapsed = self.began.elapsed();
        if is_everything {
            report.resume_point = None;
            report.batch.messages = Some(report.batch.accepted_messages);
            report.batch.slots = Some(report.batch.accepted_slots);
        }
        report.clone()
    }
}
