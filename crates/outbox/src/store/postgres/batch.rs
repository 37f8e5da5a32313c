//! The operations of workers, many in one transaction.

mod claims;
mod look;
mod pending;
mod rounds;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use self::pending::Pending;
use self::rounds::Rounds;
use super::leases;
use super::link::Link;
use crate::error::StoreError;
use crate::state::EntryRecord;
use crate::store::{Lease, Leased, OnChange, Settlement};
use crate::time::Timestamp;

/// The time that a round allows for the claims of tasks whose sends have ended, unless it rests
/// longer. Claims that come later, such as those of tasks that wait for a permit, join a later
/// round.
const CLAIM_WAIT: Duration = Duration::from_millis(5);

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
    rounds: Rounds,
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
            rounds: Rounds::default(),
        }
    }

    /// Handles requests until the store is dropped.
    pub(super) async fn run(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let mut pending = Pending::default();
        let mut rest = Duration::ZERO;
        while pending.fill(&mut requests).await {
            if self.rounds.is_count_due() {
                // A failure shows in the round, which uses the same connection.
                let holders = self.link.pipeline(leases::count_holders).await;
                self.rounds.set_holders(holders.ok());
            }
            let start = Instant::now();
            let steps = pending.begin_round();
            let has_steps = !steps.is_empty();
            let ended = steps.iter().filter(|step| step.is_end()).count();
            let is_taken = steps.is_empty() || self.take_steps(steps).await;
            let mut took = start.elapsed();

            // Usually, tasks whose sends have ended claim other lanes at once.
            let start = Instant::now();
            if is_taken && ended > 0 {
                let wanted = pending.claims.len() + ended;
                let has_enough = |pending: &Pending| pending.claims.len() >= wanted;
                pending.gather(&mut requests, rest.max(CLAIM_WAIT), has_enough).await;
            }
            let waited = start.elapsed();

            let start = Instant::now();
            let claims = std::mem::take(&mut pending.claims);
            let kind = (has_steps, !claims.is_empty());
            pending.claims = self.claim(claims).await;
            took += start.elapsed();

            // A failure is too fast to compare with. Claims that still wait are looked at again.
            rest = Duration::ZERO;
            if is_taken && !self.has_unknown && pending.claims.is_empty() {
                rest = self.rounds.rest_after(kind, took);
                // If all leased lanes wait for the next round, a longer rest gathers no more steps.
                let leased = self.known.len();
                let has_enough = |pending: &Pending| pending.steps() >= leased;
                pending.gather(&mut requests, rest.saturating_sub(waited), has_enough).await;
            }
        }
    }
}
