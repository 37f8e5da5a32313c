//! The requests that wait for the next round.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::{Claim, Request, SendStep};

/// The maximum number of requests in one round.
const MAX_REQUESTS: usize = 256;

#[derive(Default)]
pub(super) struct Pending {
    steps: Vec<SendStep>,
    pub(super) claims: Vec<Claim>,
    /// The number of requests that were added since the last round began.
    added: usize,
}

impl Pending {
    pub(super) fn steps(&self) -> usize {
        self.steps.len()
    }

    /// Begins a round, and returns its steps.
    pub(super) fn begin_round(&mut self) -> Vec<SendStep> {
        self.added = 0;
        std::mem::take(&mut self.steps)
    }

    /// Returns whether enough requests were added. Claims of earlier rounds don't count, so that they
    /// keep no step from its turn.
    fn is_full(&self) -> bool {
        self.added >= MAX_REQUESTS
    }

    fn add(&mut self, request: Request) {
        self.added += 1;
        match request {
            Request::Claim(claim) => self.claims.push(claim),
            Request::Step(step) => self.steps.push(step),
        }
    }

    /// Waits for a request unless there is one, and adds those that have arrived. Returns whether
    /// there are any, which is false once the store was dropped.
    pub(super) async fn fill(&mut self, requests: &mut mpsc::UnboundedReceiver<Request>) -> bool {
        if self.steps.is_empty() && self.claims.is_empty() {
            let Some(request) = requests.recv().await else { return false };
            self.add(request);
        }
        while !self.is_full()
            && let Ok(request) = requests.try_recv()
        {
            self.add(request);
        }
        true
    }

    /// Gathers requests for up to `time`, so that fewer transactions do more. It ends as soon as
    /// `has_enough` returns true, or the round is full.
    pub(super) async fn gather(
        &mut self,
        requests: &mut mpsc::UnboundedReceiver<Request>,
        time: Duration,
        has_enough: impl Fn(&Self) -> bool,
    ) {
        // A timer that is over at once would wait for the next millisecond.
        if time.is_zero() {
            return;
        }
        let end = Instant::now() + time;
        while !has_enough(self) && !self.is_full() {
            let Ok(Some(request)) = timeout_at(end, requests.recv()).await else { return };
            self.add(request);
        }
    }
}
