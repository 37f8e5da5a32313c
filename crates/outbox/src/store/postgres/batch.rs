//! The operations of workers, many in one transaction.

mod claims;
mod steps;

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::link::Link;
use crate::error::StoreError;
use crate::state::EntryRecord;
use crate::store::{Lease, Leased, OnChange, Settlement};
use crate::time::Timestamp;

/// The maximum number of requests in one transaction.
const MAX_REQUESTS: usize = 256;

/// The maximum time in which requests gather between two rounds.
const MAX_REST: Duration = Duration::from_millis(500);

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
}

/// The duration of the fastest round of each kind, by whether it has steps and whether it has
/// claims.
#[derive(Default)]
struct Pace([[Option<Duration>; 2]; 2]);

impl Pace {
    /// Returns the time in which requests gather after a round that took this long: the time by
    /// which it was slower than the fastest of its kind. Many workers make all rounds slower.
    fn rest(&mut self, (has_steps, has_claims): (bool, bool), took: Duration) -> Duration {
        let fastest = &mut self.0[usize::from(has_steps)][usize::from(has_claims)];
        // It rises slowly, so that one lucky round doesn't count for ever.
        let known = fastest.map_or(took, |known| known.saturating_add(known / 4_096).min(took));
        *fastest = Some(known);
        took.saturating_sub(known).min(MAX_REST)
    }
}

impl Batches {
    pub(super) fn new(link: Link, on_change: Arc<OnceLock<OnChange>>) -> Self {
        let holder = Uuid::new_v4();
        Self { link, on_change, holder, known: HashSet::new(), has_unknown: false }
    }

    /// Handles requests until the store is dropped.
    pub(super) async fn run(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let mut batch = Vec::new();
        let mut claims: Vec<Claim> = Vec::new();
        let mut pace = Pace::default();
        loop {
            if claims.is_empty()
                && batch.is_empty()
                && requests.recv_many(&mut batch, MAX_REQUESTS).await == 0
            {
                return;
            }
            while batch.len() < MAX_REQUESTS
                && let Ok(request) = requests.try_recv()
            {
                batch.push(request);
            }
            let start = Instant::now();
            let mut steps = Vec::new();
            for request in batch.drain(..) {
                match request {
                    Request::Claim(claim) => claims.push(claim),
                    Request::Step(step) => steps.push(step),
                }
            }
            let kind = (!steps.is_empty(), !claims.is_empty());
            let is_taken = steps.is_empty() || self.take_steps(steps).await;
            claims = self.claim(claims).await;
            // A failure is too fast to compare with. Claims that still wait are looked at again.
            if is_taken && !self.has_unknown && claims.is_empty() {
                let rest = pace.rest(kind, start.elapsed());
                self.gather(rest, &mut requests, &mut batch).await;
            }
        }
    }

    /// Gathers requests for up to `rest`, so that fewer transactions do more. It ends as soon as
    /// all leased lanes wait for the next round, or the round is full.
    async fn gather(
        &self,
        rest: Duration,
        requests: &mut mpsc::UnboundedReceiver<Request>,
        batch: &mut Vec<Request>,
    ) {
        let end = Instant::now() + rest;
        let mut waiting = 0;
        while waiting < self.known.len() && batch.len() < MAX_REQUESTS {
            let Ok(Some(request)) = timeout_at(end, requests.recv()).await else { return };
            waiting += usize::from(matches!(request, Request::Step(_)));
            batch.push(request);
        }
    }
}
