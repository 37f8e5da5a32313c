//! The delivery of one entry: begin, send, settle.

use std::future::IntoFuture;
use std::time::Duration;

use pushslots::{Error, Permit, PreparedMessage, Receipt};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::Instrument;

use super::Stop;
use super::sender::Sender;
use super::verdict::{Failure, SendResult};
use crate::body;
use crate::state::{EntryRecord, EntryState};
use crate::store::{Lease, Settlement};

/// The time before the end of a lease at which a send that isn't renewed is dropped.
const MARGIN: Duration = Duration::from_secs(5);

/// The delay between attempts to record the end of a send.
const SETTLE_RETRY: Duration = Duration::from_secs(1);

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

/// The end of a send.
enum Ended {
    Result(Box<Result<Receipt, Error>>),
    /// The send was dropped before its end.
    Dropped,
}

impl Sender {
    /// Sends a leased entry, and records the end. Returns whether the send was dropped.
    pub(crate) async fn deliver(&self, delivering: Delivering) -> bool {
        let span = tracing::info_span!(
            "deliver",
            pushslots.message_id = %delivering.entry.message_id,
            pushslots.lane = delivering.entry.lane,
            pushslots.slots = delivering.entry.slots,
        );
        self.deliver_in_span(delivering).instrument(span).await
    }

    async fn deliver_in_span(&self, delivering: Delivering) -> bool {
        let Delivering { lease, entry, body, permit, is_probe, ends } = delivering;
        let id = entry.message_id;
        let begun = self.shared.store.begin(lease.clone(), id, self.shared.now()).await;
        if !matches!(begun, Ok(true)) {
            // Nothing was sent. If the record of the beginning is lost, the lease's end shows it.
            self.health.ended(&entry.lane, Failure::Unrelated);
            let _ = self.shared.store.hand_back(lease).await;
            return false;
        }
        let (result, is_dropped) = match body::decode(id, &body, self.shared.keys.as_ref()) {
            Err(text) => (SendResult::invalid(text), false),
            Ok(message) => match self.send(&message, permit, &lease, is_probe, ends).await {
                Ended::Result(result) => (SendResult::of(&result), false),
                Ended::Dropped => (SendResult::dropped(), true),
            },
        };
        self.health.ended(&entry.lane, result.failure);
        self.settle(lease, &entry, result).await;
        is_dropped
    }

    /// Sends a message, and renews the lease meanwhile.
    async fn send(
        &self,
        message: &PreparedMessage,
        permit: Option<Permit>,
        lease: &Lease,
        is_probe: bool,
        ends: Instant,
    ) -> Ended {
        let mut send = self.client.send(message);
        if is_probe {
            send = send.max_attempts(1);
        }
        if let Some(permit) = permit {
            send = send.permit(permit);
        }
        let mut sending = send.into_future();
        let mut ends = ends;
        let mut renewals = interval(self.lease / 3);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        renewals.reset();
        loop {
            tokio::select! {
                biased;
                result = &mut sending => return Ended::Result(Box::new(result)),
                () = sleep_until(ends.checked_sub(MARGIN).unwrap_or(ends)) => {
                    tracing::error!("the lease wasn't renewed in time; dropping the send");
                    return Ended::Dropped;
                }
                () = self.stopped(Stop::Dropping) => return Ended::Dropped,
                _ = renewals.tick() => {
                    let asked = Instant::now();
                    let until = self.shared.now().after(self.lease);
                    if let Ok(true) = self.shared.store.renew(lease.clone(), until).await {
                        ends = asked + self.lease;
                    }
                }
            }
        }
    }

    /// Records the end of a send. It repeats until the store takes it.
    async fn settle(&self, lease: Lease, entry: &EntryRecord, result: SendResult) {
        let id = entry.message_id;
        let SendResult { outcome, attempts, receipt, error, .. } = result;
        let random = random();
        let record = loop {
            let settlement = Settlement {
                lease: lease.clone(),
                message_id: id,
                outcome,
                attempts: attempts.clone(),
                receipt: receipt.clone(),
                random,
            };
            match self.shared.store.settle(settlement, self.shared.now()).await {
                Ok(record) => break record,
                Err(failed) => {
                    tracing::error!(error = failed.0, "failed to record a send; trying again");
                    tokio::time::sleep(SETTLE_RETRY).await;
                }
            }
        };
        if let Some(record) = record {
            log(&record, error.as_deref());
        }
        self.shared.waiters.changed(id);
        self.shared.wake.notify_one();
    }
}

/// Logs the new state of an entry.
fn log(record: &EntryRecord, error: Option<&str>) {
    match record.state {
        EntryState::Accepted => tracing::info!(attempts = record.attempts, "entry accepted"),
        EntryState::Waiting => tracing::warn!(
            due = %record.due.to_date(),
            failures = record.failures,
            error,
            "entry waits for the next send"
        ),
        EntryState::Dead(reason) => {
            tracing::error!(?reason, error, "entry is a dead letter");
        }
        _ => {}
    }
}

/// Returns a number of at least 0 and below 1.
fn random() -> f64 {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    // The upper 16 bits of a version 4 UUID are random.
    let bits = u32::try_from(high >> 48).unwrap_or_default();
    f64::from(bits) / 65_536.0
}
