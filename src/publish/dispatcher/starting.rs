//! The choice of the next message to send, and of its time.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::super::progress::WaitReason;
use super::{Dispatcher, FreePermit};
use crate::delivery::SendContext;
use crate::transport::{Permit, RateLimiter};

impl<'a> Dispatcher<'a, '_> {
    /// Sends the messages that may be sent now. Returns whether there were any.
    pub(super) fn start_messages(&mut self) -> bool {
        let mut has_started = false;
        while self.end.is_none() && self.may_start() {
            let permit = match &self.sender.limiter {
                None => None,
                Some(limiter) => match limiter.free_permit().filter(|_| self.permit.is_none()) {
                    Some(permit) => Some(permit),
                    None => {
                        let limiter = limiter.clone();
                        let now = Instant::now();
                        // If the limiter fails, the send asks it again and returns its error.
                        let waiting = || {
                            (
                                Box::pin(async move { limiter.permit().await.ok() })
                                    as FreePermit<'a>,
                                now,
                            )
                        };
                        self.permit.get_or_insert_with(waiting);
                        return has_started;
                    }
                },
            };
            self.start(permit);
            has_started = true;
        }
        // An unused permit is free for others.
        self.permit = None;
        let outage = self.patience.outage.filter(|outage| !outage.is_probing);
        self.tracker.waits(outage.map(|outage| (WaitReason::Failure(outage.reason), outage.until)));
        has_started
    }

    /// Returns whether a message may be sent if the rate limit has room.
    fn may_start(&self) -> bool {
        let (unsaved, is_blocked) =
            self.saver.as_ref().map_or((0, false), |saver| (saver.unsaved(), saver.blocks()));
        if is_blocked || self.hook_is_busy() || self.in_flight.len() + unsaved >= self.concurrency {
            return false;
        }
        match self.patience.outage {
            Some(outage) => {
                !outage.is_probing
                    && outage.until <= Instant::now()
                    && !self.failed_for_now.is_empty()
            }
            None => !self.failed_for_now.is_empty() || self.ready.is_some(),
        }
    }

    pub(super) fn poll_permit(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some((permit, asked)) = &mut self.permit else { return Poll::Pending };
        let Poll::Ready(given) = permit.as_mut().poll(context) else {
            let wait = self.sender.limiter.as_ref().map_or(Duration::ZERO, RateLimiter::wait);
            self.tracker.waits(Some((WaitReason::RateLimit, Instant::now() + wait)));
            return Poll::Pending;
        };
        self.tracker.waited(asked.elapsed());
        self.permit = None;
        self.start(given);
        Poll::Ready(())
    }

    /// Sends the next message. Messages that failed temporarily come first.
    fn start(&mut self, permit: Option<Permit>) {
        let Some(mut message) = self.failed_for_now.pop_front().or_else(|| self.ready.take())
        else {
            return;
        };
        let mut policy = self.policy.clone();
        message.is_probe = self.patience.outage.is_some();
        if let Some(outage) = &mut self.patience.outage {
            outage.is_probing = true;
            policy.max_attempts = 1;
        }
        if self.in_flight.is_empty() {
            self.patience.begins();
        }
        self.layout.sent(message.number, message.print);
        self.tracker.begins_message(message.number, &self.layout);
        if message.may_repeat && message.attempts_before == 0 {
            self.tracker.may_repeat(message.encoded.slot_count);
        }
        let earlier = std::mem::take(&mut message.attempts);
        let context = SendContext { permit, earlier, observer: None };
        let sender = self.sender;
        self.in_flight.push(Box::pin(async move {
            let sent = sender.deliver(&message.encoded, &policy, context).await;
            (message, sent)
        }));
    }
}
