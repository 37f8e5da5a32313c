//! The operations of workers, many in one transaction.

mod claims;
mod look;
mod pace;
mod pending;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use self::pace::Pace;
use self::pending::Pending;
use super::link::Link;
use crate::error::StoreError;
use crate::state::EntryRecord;
use crate::store::{Lease, Leased, OnChange, Settlement};
use crate::time::Timestamp;

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// A request for a lane.
pub(super) struct Claim {
    pub(super) term: Duration,
    pub(super) avoid: Option<String>,
    /// The time by the worker's clock.
    pub(super) wall: Timestamp,
    pub(super) reply: Reply<Leased>,
}

/// An operation of a worker.
pub(super) enum Request {
    Claim(Claim),
    Step(SendStep),
}

/// The begin or the end of a send.
pub(super) enum SendStep {
    Begin { lease: Lease, message_id: Uuid, reply: Reply<bool> },
    Settle { settlement: Box<Settlement>, reply: Reply<Option<EntryRecord>> },
}

/// The task that runs the operations of workers.
pub(super) struct Batches {
    link: Link,
    on_change: Arc<OnceLock<OnChange>>,
    /// Identifies this process in its leases. It is new at each start.
    holder: Uuid,
    /// The leases that workers of this process have.
    known: HashSet<u64>,
    /// Whether there may be leases that no worker received.
    has_unknown: bool,
    pace: Pace,
}

impl Batches {
    pub(super) fn new(link: Link, on_change: Arc<OnceLock<OnChange>>) -> Self {
        let holder = Uuid::new_v4();
        Self {
            link,
            on_change,
            holder,
            known: HashSet::new(),
            has_unknown: false,
            pace: Pace::default(),
        }
    }

    /// Handles requests until the store is dropped.
    pub(super) async fn run(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let mut pending = Pending::default();
        let mut rest = Duration::ZERO;
        while pending.fill(&mut requests).await {
            let start = Instant::now();
            let steps = std::mem::take(&mut pending.steps);
            let has_steps = !steps.is_empty();
            let ended = steps.iter().filter(|step| step.is_end()).count();
            let is_taken = steps.is_empty() || self.take_steps(steps).await;
            let mut took = start.elapsed();

            // The tasks whose sends have ended ask for lanes at once.
            let wanted = pending.claims.len() + ended;
            let are_enough = |pending: &Pending| !is_taken || pending.claims.len() >= wanted;
            pending.gather(&mut requests, rest, are_enough).await;

            let start = Instant::now();
            let claims = std::mem::take(&mut pending.claims);
            let kind = (has_steps, !claims.is_empty());
            pending.claims = self.claim(claims).await;
            took += start.elapsed();

            // A failure is too fast to compare with. Claims that still wait are looked at again.
            rest = Duration::ZERO;
            if is_taken && !self.has_unknown && pending.claims.is_empty() {
                rest = self.pace.rest(kind, took);
                // All leased lanes may wait for the next round.
                let leased = self.known.len();
                let are_enough = |pending: &Pending| pending.steps.len() >= leased;
                pending.gather(&mut requests, rest, are_enough).await;
            }
        }
    }
}
