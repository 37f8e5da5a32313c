//! The state of a publication as others see it, and whether it is to stop.

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

/// How often progress is reported while nothing ends.
const TICK: Duration = Duration::from_secs(1);

/// Keeps the report up to date, and reports progress.
pub(super) struct ProgressTracker<'a> {
    pub(super) handle: PublishHandle,
    on_progress: Option<Callback<OnProgress<'a>>>,
    began: Instant,
    ticks: Interval,
    /// Why nothing new is sent, and the earliest end of that.
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

    /// The publication begins with this layout.
    pub(super) fn begins(&mut self, layout: &Layout) {
        self.handle.look().last_begun = layout.counts().0;
        self.laid_out(layout);
    }

    /// Message `number` goes out.
    pub(super) fn begins_message(&mut self, number: u64, layout: &Layout) {
        self.laid_out(layout);
        let mut report = self.handle.look();
        report.last_begun = report.last_begun.max(number);
    }

    /// The layout changed.
    pub(super) fn laid_out(&mut self, layout: &Layout) {
        let mut report = self.handle.look();
        report.resume_point = Some(layout.point());
        let (numbered, missing) = layout.counts();
        report.batch.accepted_messages = numbered.saturating_sub(missing);
        report.batch.accepted_slots = layout.accepted_slots();
    }

    /// The numbers of messages and slots of the batch may have changed.
    pub(super) fn counted(&mut self, batcher: &mut Batcher<'_>) {
        let problems = batcher.problems();
        let mut report = self.handle.look();
        report.problems = problems;
        report.batch.messages = batcher.total;
        report.batch.slots = batcher.source.len();
        report.run.skipped_slots = batcher.validator.skipped;
    }

    /// A message was accepted, after attempts of sends before.
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

    /// A message was too large for the service.
    pub(super) fn too_large(&mut self, attempts: &[Attempt]) {
        self.handle.look().too_large.extend_from_slice(attempts);
    }

    /// Slots go out under another id than that of an attempt with unknown outcome.
    pub(super) fn may_repeat(&mut self, slots: usize) {
        self.handle.look().run.possibly_repeated_slots += slots;
    }

    /// A send failed with these attempts.
    pub(super) fn failed(&mut self, attempts: &[Attempt]) {
        self.handle.look().count_requests(attempts);
    }

    /// Nothing new is sent, for this reason and until then at the earliest. Reports it if that is
    /// new.
    pub(super) fn waits(&mut self, wait: Option<(WaitReason, Instant)>) {
        let is_new =
            wait.is_some() && self.wait.map(|(reason, _)| reason) != wait.map(|(reason, _)| reason);
        self.wait = wait;
        if is_new {
            self.report(None);
        }
    }

    /// So much time passed while the rate limit left no room.
    pub(super) fn waited(&mut self, time: Duration) {
        self.handle.look().waited += time;
    }

    /// Reports progress if it is time to.
    pub(super) fn tick(&mut self, context: &mut Context<'_>) {
        while self.ticks.poll_tick(context).is_ready() {
            self.report(None);
        }
    }

    /// The output of `work`, unless the publication is to stop meanwhile. Progress is reported.
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

    /// Reports progress.
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

    /// The report at the end. If everything was accepted, there is nothing to resume.
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
