//! The operations of workers, many in one transaction.

mod claims;
mod steps;

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::link::Link;
use crate::error::StoreError;
use crate::state::EntryRecord;
use crate::store::{Lease, Leased, OnChange, Settlement};
use crate::time::Timestamp;

/// The maximum number of requests in one transaction.
const MAX_REQUESTS: usize = 256;

/// The maximum rest between two rounds of requests.
const MAX_REST: Duration = Duration::from_millis(200);

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

impl Batches {
    pub(super) fn new(link: Link, on_change: Arc<OnceLock<OnChange>>) -> Self {
        let holder = Uuid::new_v4();
        Self { link, on_change, holder, known: HashSet::new(), has_unknown: false }
    }

    /// Handles requests until the store is dropped.
    pub(super) async fn run(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let mut batch = Vec::new();
        let mut claims: Vec<Claim> = Vec::new();
        let mut fastest = Duration::MAX;
        loop {
            if claims.is_empty() {
                if requests.recv_many(&mut batch, MAX_REQUESTS).await == 0 {
                    return;
                }
            } else {
                while batch.len() < MAX_REQUESTS
                    && let Ok(request) = requests.try_recv()
                {
                    batch.push(request);
                }
            }
            let start = Instant::now();
            let mut steps = Vec::new();
            for request in batch.drain(..) {
                match request {
                    Request::Claim(claim) => claims.push(claim),
                    Request::Step(step) => steps.push(step),
                }
            }
            // A round that fails or only looks for lanes is too fast to compare with.
            let is_measured = !steps.is_empty() && self.take_steps(steps).await;
            claims = self.claim(claims).await;
            let rest =
                if is_measured { rest(start.elapsed(), &mut fastest) } else { Duration::ZERO };
            // Even a sleep without a duration lasts until the next tick of the timer.
            if !rest.is_zero() {
                sleep(rest).await;
            }
        }
    }
}

/// Returns the rest after a round of requests that took this long. If many workers keep the database
/// busy, rounds are slow. Requests then gather during the rest, so that fewer transactions do more.
fn rest(took: Duration, fastest: &mut Duration) -> Duration {
    // It rises slowly, so that one lucky round doesn't count for ever.
    *fastest = took.min(fastest.saturating_add(*fastest / 128));
    took.saturating_sub(fastest.saturating_mul(3)).min(MAX_REST)
}
