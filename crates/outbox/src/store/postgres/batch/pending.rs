//! The requests that wait for the next round.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::{Claim, Request, SendStep};

/// The maximum number of requests in one round.
const MAX_REQUESTS: usize = 256;

#[derive(Default)]
pub(super) struct Pending {
    pub(super) steps: Vec<SendStep>,
    pub(super) claims: Vec<Claim>,
}

impl Pending {
    fn is_full(&self) -> bool {
        self.steps.len() + self.claims.len() >= MAX_REQUESTS
    }

    fn add(&mut self, request: Request) {
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

    /// Gathers requests for up to `rest`, so that fewer transactions do more. It ends as soon as
    /// these are enough, or the round is full.
    pub(super) async fn gather(
        &mut self,
        requests: &mut mpsc::UnboundedReceiver<Request>,
        rest: Duration,
        is_enough: impl Fn(&Self) -> bool,
    ) {
        let end = Instant::now() + rest;
        while !is_enough(self) && !self.is_full() {
            let Ok(Some(request)) = timeout_at(end, requests.recv()).await else { return };
            self.add(request);
        }
    }
}
