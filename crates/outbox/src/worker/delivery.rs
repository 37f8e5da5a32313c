//! The delivery of one entry: begin, send, settle.

use std::future::IntoFuture;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use pushslots::{Attempt, Delivery, Error, Permit, PreparedMessage, Receipt};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::Instrument;

use super::attempts::Attempts;
use super::sender::{RETRY, Sender};
use super::verdict::{Failure, SendResult};
use super::{Stop, random};
use crate::body::{self, DecodeError};
use crate::state::EntryRecord;
use crate::store::{Lease, Settlement};

/// The time before the end of a lease at which a send that isn't renewed is dropped.
const MARGIN: Duration = Duration::from_secs(5);

/// The number of tries to record the end of a send while the worker has to stop.
const LAST_TRIES: u32 = 3;

/// The delay of an entry whose body key isn't configured.
const MISSING_KEY: Duration = Duration::from_secs(60);

/// A leased entry.
pub(crate) struct Delivering {
    pub(crate) lease: Lease,
    pub(crate) entry: Box<EntryRecord>,
    pub(crate) body: Vec<u8>,
    pub(crate) permit: Option<Permit>,
    /// Whether the send finds out if the service is available again.
    pub(crate) is_probe: bool,
    /// The end of the lease, unless it is renewed.
    pub(crate) ends: Instant,
}

impl Sender {
    /// Sends a leased entry, and records the end.
    pub(crate) async fn deliver(&self, delivering: Delivering) {
        let span = tracing::info_span!(
            "deliver",
            pushslots.message_id = %delivering.entry.message_id,
            pushslots.lane = delivering.entry.lane,
            pushslots.batch_id = delivering.entry.batch.as_ref().map(|batch| &*batch.id),
            pushslots.slots = delivering.entry.slots,
        );
        self.deliver_in_span(delivering).instrument(span).await;
    }

    async fn deliver_in_span(&self, delivering: Delivering) {
        let Delivering { lease, entry, body, permit, is_probe, ends } = delivering;
        let id = entry.message_id;
        let begun = self.shared.store.begin(lease.clone(), id, self.shared.now()).await;
        if !matches!(begun, Ok(true)) {
            drop(permit);
            self.health.ended(&entry.lane, Failure::Unrelated, is_probe);
            match begun {
                // The beginning may be stored all the same, but nothing was sent.
                Err(error) => {
                    self.wait_after(&error).await;
                    self.settle(lease, &entry, SendResult::dropped(&[])).await;
                }
                Ok(_) => {
                    if let Err(error) = self.shared.store.hand_back(lease).await {
                        self.wait_after(&error).await;
                    }
                }
            }
            return;
        }
        let result = match body::decode(id, &body, self.shared.keys.as_ref(), &self.shared.preparer)
        {
            Err(DecodeError::Damaged(text)) => SendResult::invalid(text),
            Err(DecodeError::MissingKey(text)) => {
                tracing::error!(
                    error = text,
                    "the body can't be read; the entry waits for its key"
                );
                SendResult::blocked(MISSING_KEY)
            }
            Ok(message) => {
                let attempts = Attempts::default();
                let began = Instant::now();
                // The code of a transport, token source or classifier can panic.
                let sending = self.send(&message, permit, &lease, is_probe, ends, &attempts);
                let sent = AssertUnwindSafe(sending).catch_unwind().await;
                let attempts = attempts.take();
                self.measure_send(
                    &message,
                    &attempts,
                    began.elapsed(),
                    matches!(sent, Ok(Some(Ok(_)))),
                );
                match sent {
                    Ok(Some(result)) => SendResult::of(&result),
                    Ok(None) => self.dropped(&attempts),
                    Err(_) => SendResult::panicked(&attempts),
                }
            }
        };
        if let Some(error) = &result.error {
            tracing::warn!(error, "the send failed");
        }
        let result = if is_probe { result.of_probe() } else { result };
        self.health.ended(&entry.lane, result.failure, is_probe);
        self.settle(lease, &entry, result).await;
    }

    /// Returns the result of a send that was dropped after these attempts.
    fn dropped(&self, attempts: &[Attempt]) -> SendResult {
        let result = SendResult::dropped(attempts);
        let is_stopped = *self.stop.borrow() == Stop::Dropping;
        if is_stopped && result.outcome.delivery == Delivery::Unknown {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    /// Sends a message, and renews the lease meanwhile. Returns `None` if the send was dropped.
    async fn send(
        &self,
        message: &PreparedMessage,
        permit: Option<Permit>,
        lease: &Lease,
        is_probe: bool,
        ends: Instant,
        attempts: &Attempts,
    ) -> Option<Result<Receipt, Error>> {
        let margin = |ends: Instant| ends.checked_sub(MARGIN).unwrap_or(ends);
        if margin(ends) <= Instant::now() {
            return None;
        }
        let mut send = self.client.send(message).attempt_observer(attempts.observer());
        if is_probe {
            send = send.max_attempts(1);
        }
        if let Some(permit) = permit {
            send = send.permit(permit);
        }
        let mut sending = send.into_future();
        let mut ends = ends;
        let mut renewal = pin!(self.renewed(lease));
        loop {
            tokio::select! {
                biased;
                result = &mut sending => return Some(result),
                renewed = &mut renewal => match renewed {
                    Some(until) => {
                        ends = until;
                        renewal.set(self.renewed(lease));
                    }
                    None => {
                        tracing::error!("another worker has the lane; dropping the send");
                        return None;
                    }
                },
                () = sleep_until(margin(ends)) => {
                    tracing::error!("the lease wasn't renewed in time; dropping the send");
                    return None;
                }
                () = self.stopped(Stop::Dropping) => return None,
            }
        }
    }

    /// Renews a lease when a third of it is over, and returns its new end. Returns `None` if it is
    /// no longer valid.
    async fn renewed(&self, lease: &Lease) -> Option<Instant> {
        sleep(self.lease / 3).await;
        loop {
            let asked = Instant::now();
            let now = self.shared.steady();
            match self.shared.store.renew(lease.clone(), now, now.after(self.lease)).await {
                Ok(true) => return Some(asked + self.lease),
                Ok(false) => return None,
                // The end of the lease bounds the number of tries.
                Err(error) => tracing::error!(error = error.0, "failed to renew a lease"),
            }
            sleep(RETRY).await;
        }
    }

    /// Records the end of a send. It repeats until the store takes it. If the worker has to stop,
    /// it gives up after a few tries, and the next opening of the outbox records a lost worker.
    async fn settle(&self, lease: Lease, entry: &EntryRecord, result: SendResult) {
        let id = entry.message_id;
        let SendResult { outcome, attempts, requests, receipt, .. } = result;
        let random = random();
        let mut last_tries = LAST_TRIES;
        loop {
            let settlement = Settlement {
                lease: lease.clone(),
                message_id: id,
                outcome,
                attempts: attempts.clone(),
                requests,
                receipt: receipt.clone(),
                random,
            };
            let now = self.shared.now();
            let failed = match self.shared.store.settle(settlement, now).await {
                Ok(_) => break,
                Err(failed) => failed,
            };
            if *self.stop.borrow() == Stop::Dropping {
                last_tries -= 1;
                if last_tries == 0 {
                    tracing::error!(error = failed.0, "the end of a send isn't recorded");
                    return;
                }
            }
            self.wait_after(&failed).await;
            // Another worker must not send the message meanwhile.
            let now = self.shared.steady();
            let _ = self.shared.store.renew(lease.clone(), now, now.after(self.lease)).await;
        }
        self.shared.wake.notify_one();
    }
}
