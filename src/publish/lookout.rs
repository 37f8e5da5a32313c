//! What is told of a publication while it goes on, and who may stop it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::pack::{Packed, Packer};
use super::progress::OnProgress;
use super::{End, Progress, PublishHandle, PublishReport, ResumePoint};
use crate::error::Error;
use crate::receipt::{Attempt, Receipt};
use crate::transport::{Pace, Place};

/// How often progress is told while nothing ends.
const TICK: Duration = Duration::from_secs(1);

/// Keeps the report up to date, tells progress, and minds whether the publication is to stop.
pub(super) struct Lookout<'a> {
    pace: Option<Arc<Pace>>,
    handle: PublishHandle,
    on_progress: Option<OnProgress<'a>>,
    began: Instant,
    ticks: Interval,
    /// The number of the first message that is sent.
    first: u64,
    /// How many messages the batch has, and how many slots are to be published; `None` for a stream.
    total: Option<u64>,
    slots: Option<usize>,
}

impl<'a> Lookout<'a> {
    pub(super) fn new(
        pace: Option<Arc<Pace>>,
        handle: PublishHandle,
        on_progress: Option<OnProgress<'a>>,
    ) -> Self {
        let began = Instant::now();
        let mut ticks = interval_at(began + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self { pace, handle, on_progress, began, ticks, first: 1, total: None, slots: None }
    }

    /// The publication begins with the message of this number, and has so many slots.
    pub(super) fn begins(&mut self, first: u64, slots: Option<usize>) {
        (self.first, self.slots) = (first, slots);
        self.handle.look().messages = first.saturating_sub(1);
    }

    /// A message is about to be sent.
    pub(super) fn sends(&mut self, message: &Packed, packer: &Packer<'_>) {
        self.total = packer.total;
        let mut report = self.handle.look();
        report.messages = packer.total.unwrap_or(message.number);
        report.resume_point = Some(packer.point_at(message));
        report.skipped = packer.inspector.skipped;
    }

    /// Waits until the pace has a place, where there is one, so that no message is begun that would have to wait.
    pub(super) async fn wait_for_pace(&mut self) -> Result<Option<Place>, End> {
        if self.handle.is_stopped() {
            return Err(End::Stopped);
        }
        let Some(pace) = self.pace.clone() else { return Ok(None) };
        if let Some(place) = pace.free_place() {
            return Ok(Some(place));
        }
        self.tell();
        let asked = Instant::now();
        let place = self.unless_stopped(pace.place()).await;
        self.handle.look().waited += asked.elapsed();
        place.map(Some)
    }

    /// A message was accepted; `following` is where the publication goes on.
    pub(super) fn accepted(&mut self, receipt: Receipt, slots: usize, following: ResumePoint) {
        let mut report = self.handle.look();
        report.count_requests(receipt.attempts());
        report.slots += slots;
        report.resume_point = Some(following);
        Arc::make_mut(&mut report.receipts).push(receipt);
        drop(report);
        self.tell();
    }

    /// A message was too large for the service.
    pub(super) fn too_large(&mut self, error: &Error) {
        self.failed(error);
        self.handle.look().too_large.extend(error.attempts().iter().map(Attempt::clone));
    }

    pub(super) fn failed(&mut self, error: &Error) {
        self.handle.look().count_requests(error.attempts());
    }

    /// What `work` gives, while progress is told.
    pub(super) async fn ticking<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|context| {
            while self.ticks.poll_tick(context).is_ready() {
                self.tell();
            }
            work.as_mut().poll(context)
        })
        .await
    }

    /// What `work` gives, unless the publication is to stop meanwhile.
    pub(super) async fn unless_stopped<F: Future>(&mut self, work: F) -> Result<F::Output, End> {
        let handle = self.handle.clone();
        match self.ticking(select(pin!(work), pin!(handle.stopped()))).await {
            Either::Left((done, _)) => Ok(done),
            Either::Right(_) => Err(End::Stopped),
        }
    }

    fn tell(&mut self) {
        let mut report = self.handle.look();
        report.elapsed = self.began.elapsed();
        let progress = Progress {
            messages: report.receipts.len() as u64,
            all_messages: self.total.map(|total| total.saturating_add(1).saturating_sub(self.first)),
            slots: report.slots,
            all_slots: self.slots,
            skipped: report.skipped,
            elapsed: report.elapsed,
            waiting: self.pace.as_ref().map_or(Duration::ZERO, |pace| pace.wait()),
        };
        drop(report);
        if let Some(told) = &mut self.on_progress {
            told(&progress);
        }
    }

    /// The report at the end, which may be one of everything.
    pub(super) fn close(&mut self, skipped: usize, is_everything: bool) -> PublishReport {
        let mut report = self.handle.look();
        report.skipped = skipped;
        report.elapsed = self.began.elapsed();
        if is_everything {
            report.resume_point = None;
        }
        report.clone()
    }
}
