//! The messages of a publication that are in flight or ready to be sent.

mod starting;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::StatusCode;
use tokio::time::{Instant, sleep_until};

use super::accepted::{AcceptedHook, AcceptedMessage};
use super::batcher::PreparedChunk;
use super::checkpoint::CheckpointError;
use super::layout::Layout;
use super::patience::{Patience, is_temporary};
use super::saver::Saver;
use super::source::{SourceError, StreamError};
use super::tracker::ProgressTracker;
use super::{End, FailedMessage};
use crate::delivery::Sender;
use crate::error::{Error, ErrorKind};
use crate::receipt::{Attempt, Delivery, Receipt};
use crate::retry::Policy;
use crate::transport::Permit;

/// The maximum number of messages begun after the first that isn't accepted, per message that may
/// be in flight.
const SPAN: u64 = 8;

type SendFuture<'a> =
    Pin<Box<dyn Future<Output = (PreparedChunk, Result<Receipt, Error>)> + Send + 'a>>;
type FreePermit<'a> = Pin<Box<dyn Future<Output = Option<Permit>> + Send + 'a>>;

/// Sends messages, up to `concurrency` at a time, and records their outcomes.
pub(super) struct Dispatcher<'a, 't> {
    sender: &'a Sender,
    policy: Policy,
    concurrency: usize,
    pub(super) tracker: &'t mut ProgressTracker<'a>,
    pub(super) layout: Layout,
    patience: Patience,
    saver: Option<Saver>,
    hook: Option<AcceptedHook<'a>>,
    in_flight: FuturesUnordered<SendFuture<'a>>,
    /// Messages that failed temporarily, in the order of their slots.
    failed_for_now: VecDeque<PreparedChunk>,
    ready: Option<PreparedChunk>,
    /// The wait for the rate limit, and its start.
    permit: Option<(FreePermit<'a>, Instant)>,
    /// Buffers of accepted messages, for reuse.
    spare: Vec<Vec<u8>>,
    /// The reason why no more messages are made.
    source_end: Option<Result<(), SourceError>>,
    /// The reason why no more messages are sent.
    end: Option<End>,
}

/// The next event of a publication.
pub(super) enum Event<T> {
    /// The next message was made, or can't be made.
    Made(T),
    /// A message was sent, was accepted or failed. Another one may have to be made.
    Changed,
    /// A message was too large. Its slots are to be split into messages of at most this number of
    /// bytes.
    TooLarge(usize),
    /// Nothing is left to do.
    Ended,
}

impl<'a, 't> Dispatcher<'a, 't> {
    pub(super) fn new(
        sender: &'a Sender,
        policy: Policy,
        (concurrency, patience): (usize, Patience),
        saver: Option<Saver>,
        hook: Option<AcceptedHook<'a>>,
        tracker: &'t mut ProgressTracker<'a>,
        layout: Layout,
    ) -> Self {
        Self {
            sender,
            policy,
            concurrency,
            tracker,
            layout,
            patience,
            saver,
            hook,
            in_flight: FuturesUnordered::new(),
            failed_for_now: VecDeque::new(),
            ready: None,
            permit: None,
            spare: Vec::new(),
            source_end: None,
            end: None,
        }
    }

    /// Returns whether another message has to be made.
    pub(super) fn wants_message(&self) -> bool {
        let has_room = self.failed_for_now.len() + self.in_flight.len() <= self.concurrency;
        let has_span = || self.layout.span() < SPAN.saturating_mul(self.concurrency as u64);
        self.ready.is_none()
            && self.source_end.is_none()
            && self.end.is_none()
            && has_room
            && (self.concurrency == 1 || self.layout.task().end.is_some() || has_span())
    }

    pub(super) fn spare(&mut self) -> Option<Vec<u8>> {
        self.spare.pop()
    }

    /// Takes a message that was made.
    pub(super) fn is_ready(&mut self, message: PreparedChunk) {
        self.layout.made(message.end.clone(), message.print);
        self.ready = Some(message);
    }

    /// Records that no more messages can be made.
    pub(super) fn source_ended(&mut self, end: Result<(), SourceError>) {
        self.source_end = Some(end);
    }

    /// Limits messages to `limit` bytes. Splits the slots of the message that was too large, and of
    /// the one that is ready.
    pub(super) fn split_within(&mut self, limit: usize) {
        let before = self.layout.service_limit.unwrap_or(limit);
        self.layout.service_limit = Some(limit.min(before));
        // This message is made again after the parts of the other.
        if let Some(ready) = self.ready.take() {
            self.layout.set_back(ready.number);
            self.recycle(ready);
        }
        self.layout.close_up();
        if let Some(saver) = &mut self.saver {
            saver.laid_out_anew();
        }
        // The source reports its end again.
        self.source_end = None;
        self.tracker.laid_out(&self.layout);
    }

    /// Sends messages and drives `making`, until the next event.
    pub(super) async fn next<T>(
        &mut self,
        mut making: Pin<&mut impl Future<Output = T>>,
    ) -> Event<T> {
        match &self.end {
            None if self.tracker.handle.is_stopped() && !self.is_complete() => {
                self.end = Some(End::Stopped);
            }
            // The messages in flight were the last ones, so the batch is complete.
            Some(End::Stopped) if self.is_complete() => self.end = None,
            _ => {}
        }
        if self.start_messages() {
            return Event::Changed;
        }
        if self.in_flight.is_empty()
            && !self.hook_is_busy()
            && (self.end.is_some() || self.is_done())
        {
            self.release_waiting();
            let Some(saver) = &mut self.saver else { return Event::Ended };
            if self.end.is_none() && matches!(self.source_end, Some(Ok(()))) {
                // A complete batch no longer needs its checkpoint.
                saver.finish();
            }
            if saver.is_idle() {
                return Event::Ended;
            }
        }
        let handle = self.tracker.handle.clone();
        // At the end only the hook, the checkpoint and messages in flight are left.
        let is_ending = self.end.is_some() || self.is_complete();
        let is_ready = self.ready.is_some();
        let mut stopped = pin!(handle.stopped());
        let mut probe = pin!(sleep_until(
            self.patience.outage.map_or_else(Instant::now, |outage| outage.until)
        ));
        let is_blocked = self.permit.is_some() || self.saver.as_ref().is_some_and(Saver::blocks);
        let waits_for_probe = !is_blocked
            && !self.hook_is_busy()
            && self.patience.outage.is_some_and(|outage| !outage.is_probing);
        let sent = poll_fn(|context| {
            self.tracker.tick(context);
            if let Some(Poll::Ready(called)) = self.hook.as_mut().map(|hook| hook.poll(context)) {
                self.called(called);
                return Poll::Ready(None);
            }
            // A message is saved as accepted only after the caller's function has ended for it.
            let may_save = !self.hook_is_busy();
            if let Some(Poll::Ready(saved)) = self
                .saver
                .as_mut()
                .map(|saver| saver.poll(context, is_ready, may_save, || self.layout.point()))
            {
                self.saved(saved);
                return Poll::Ready(None);
            }
            if let Poll::Ready(Some(sent)) = self.in_flight.poll_next_unpin(context) {
                return Poll::Ready(Some(Ok(sent)));
            }
            if is_ending {
                return Poll::Pending;
            }
            if let Poll::Ready(made) = making.as_mut().poll(context) {
                return Poll::Ready(Some(Err(made)));
            }
            let may_start = self.poll_permit(context).is_ready()
                || (waits_for_probe && probe.as_mut().poll(context).is_ready())
                || stopped.as_mut().poll(context).is_ready();
            if may_start { Poll::Ready(None) } else { Poll::Pending }
        });
        match sent.await {
            None => Event::Changed,
            Some(Err(made)) => Event::Made(made),
            Some(Ok((message, Ok(receipt)))) => {
                self.accepted(message, receipt);
                Event::Changed
            }
            Some(Ok((message, Err(error)))) => self.failed(message, error),
        }
    }

    fn hook_is_busy(&self) -> bool {
        self.hook.as_ref().is_some_and(AcceptedHook::is_busy)
    }

    /// Returns whether no message is left to make or to send.
    fn is_done(&self) -> bool {
        self.source_end.is_some() && self.ready.is_none() && self.failed_for_now.is_empty()
    }

    /// Returns whether all slots are accepted.
    fn is_complete(&self) -> bool {
        matches!(self.source_end, Some(Ok(()))) && self.is_done() && self.layout.is_accepted()
    }

    fn accepted(&mut self, message: PreparedChunk, receipt: Receipt) {
        self.layout.accepted(message.number);
        if let Some(saver) = &mut self.saver {
            saver.accepted();
        }
        self.patience.accepted();
        if let Some(hook) = &mut self.hook {
            hook.accepted(AcceptedMessage {
                batch_id: self.tracker.handle.look().batch_id.clone(),
                receipt: receipt.clone(),
                resume_point: self.layout.point(),
            });
        }
        self.tracker.accepted(
            receipt,
            message.attempts_before,
            message.encoded.slot_count,
            &self.layout,
        );
        self.recycle(message);
    }

    fn failed<T>(&mut self, mut message: PreparedChunk, error: Error) -> Event<T> {
        let attempts = error.attempts();
        self.tracker.failed(attempts.get(message.attempts_before..).unwrap_or_default());
        let is_unknown = message.is_unknown || error.delivery() == Delivery::Unknown;
        if is_too_large(&error) && message.encoded.slot_count > 1 {
            self.tracker.too_large(error.attempts());
            // Slots that an earlier run sent under another id are already counted. They count again
            // if this id may have been accepted too.
            let is_counted = message.may_repeat && error.delivery() != Delivery::Unknown;
            if is_unknown && !is_counted {
                self.tracker.may_repeat(message.encoded.slot_count);
            }
            self.layout.reopen(message.number);
            let bytes = message.bytes / 2;
            // This response shows that the outage is over.
            self.patience.outage = None;
            self.recycle(message);
            return Event::TooLarge(bytes);
        }
        let was_probe = message.is_probe;
        if is_temporary(&error, self.policy.on_unknown)
            && self.patience.waits_out(&error, was_probe)
        {
            // The layout still records it as sent, so a resumed run sends the same bytes again.
            message.is_unknown = is_unknown;
            message.attempts = error.into_attempts();
            message.attempts_before = message.attempts.len();
            let place = self
                .failed_for_now
                .partition_point(|other| other.start.position < message.start.position);
            self.failed_for_now.insert(place, message);
        } else {
            if !is_unknown {
                self.layout.not_accepted(message.number);
            }
            let failed = FailedMessage { number: message.number, error, is_unknown };
            self.end.get_or_insert(End::Failed(failed));
        }
        self.changed();
        Event::Changed
    }

    /// Reports and saves a changed layout.
    fn changed(&mut self) {
        self.tracker.laid_out(&self.layout);
        if let Some(saver) = &mut self.saver {
            saver.changed();
        }
    }

    /// Drops messages that wait to be sent again. If the service doesn't have them, the next run
    /// may split their slots differently.
    fn release_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.failed_for_now);
        for message in waiting.iter().filter(|message| !message.is_unknown) {
            self.layout.not_accepted(message.number);
        }
        if !waiting.is_empty() {
            self.changed();
        }
    }

    /// Keeps the buffer of a message that is no longer needed, unless it is shared.
    fn recycle(&mut self, message: PreparedChunk) {
        if message.encoded.body.is_unique() && self.spare.len() < self.concurrency {
            self.spare.push(message.encoded.body.into());
        }
    }

    /// Handles the end of a call to the function for accepted messages. The message stays accepted.
    fn called(&mut self, called: Result<(), StreamError>) {
        let Err(cause) = called else { return };
        match self.end {
            None | Some(End::Stopped) => self.end = Some(End::Callback(cause)),
            Some(_) => {
                tracing::error!(
                    "on_accepted failed after the publication had ended for another reason"
                );
            }
        }
    }

    /// Handles the end of a write to the checkpoint.
    fn saved(&mut self, saved: Result<(), CheckpointError>) {
        if let Err(error) = saved {
            self.saver = None;
            match self.end {
                None | Some(End::Stopped) => self.end = Some(End::Checkpoint(error)),
                Some(_) => {
                    tracing::error!("error.message" = %error, "failed to save the checkpoint, \
                                                               which is now out of date");
                }
            }
        }
    }

    /// Returns the result of the publication. If the batch is complete, removes the checkpoint.
    pub(super) async fn take_end(&mut self) -> Result<(), End> {
        match (self.end.take(), self.source_end.take()) {
            (Some(end), _) => Err(end),
            (None, Some(Err(unreadable))) => Err(End::Unreadable(unreadable)),
            (None, _) => match self.saver.take() {
                Some(saver) => saver.remove().await.map_err(End::Checkpoint),
                None => Ok(()),
            },
        }
    }
}

/// Returns whether the service rejected a message because of its size.
///
/// If an earlier attempt may have been accepted, the slots may arrive again in smaller messages.
/// The same holds for every retry after an unknown outcome.
fn is_too_large(error: &Error) -> bool {
    let is_413 = |last: &Attempt| {
        last.status == Some(StatusCode::PAYLOAD_TOO_LARGE) && last.delivery == Delivery::Rejected
    };
    error.kind() == ErrorKind::Rejected && error.attempts().last().is_some_and(is_413)
}
