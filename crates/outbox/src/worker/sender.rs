//! A task of a worker: it takes a lane, sends its first entry, and gives the lane back.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use pushslots::{Client, Permit, RateLimiter};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use super::Stop;
use super::delivery::Delivering;
use super::health::{Admission, Health};
use super::random;
use crate::error::StoreError;
use crate::outbox::Shared;
use crate::store::Leased;
use crate::time::{Now, Timestamp};

/// The maximum time without a look at the store. A change by this process wakes the tasks earlier.
const LONGEST_IDLE: Duration = Duration::from_secs(30);

/// The delay after a failure of the store or of the rate limiter.
pub(crate) const RETRY: Duration = Duration::from_secs(1);

/// The parts that the tasks of a worker share.
pub(crate) struct Sender {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: Client,
    pub(crate) lease: Duration,
    pub(crate) health: Health,
    /// Held by the idle task that looks for changes by other processes.
    pub(crate) polling: Mutex<()>,
    pub(crate) stop: watch::Receiver<Stop>,
    /// The number of sends that were dropped because the worker stopped, and may have arrived.
    pub(crate) dropped: AtomicUsize,
}

impl Sender {
    /// Sends entries until the worker stops.
    pub(crate) async fn run(&self) {
        while let Some(delivering) = self.next().await {
            self.deliver(delivering).await;
        }
    }

    /// Logs an error of the store, and waits before the next try.
    pub(crate) async fn wait_after(&self, error: &StoreError) {
        tracing::error!(error = error.0, "the storage of the outbox failed; trying again");
        tokio::time::sleep(RETRY).await;
    }

    /// Waits for an entry that can be sent, with everything that its send needs. Returns `None` if
    /// the worker stops.
    async fn next(&self) -> Option<Delivering> {
        loop {
            let admission = self.unless_stopped(self.health.admission()).await?;
            let unused = Unused { health: &self.health, admission };
            let asked = Instant::now();
            let permit = self.permit().await?;
            let started = Instant::now();
            let steady = self.shared.steady();
            let now = Now { wall: self.shared.now(), steady };
            let avoid = unused.admission.avoid();
            // It isn't cancelled, because its lease would be lost.
            let leased = self.shared.store.lease(now, steady.after(self.lease), avoid).await;
            match leased {
                Ok(Leased::Entry { lease, entry, body }) => {
                    if permit.is_some() {
                        self.measure_permit(started - asked);
                    }
                    let is_probe = unused.into_admission().is_probe();
                    // Another lane may be due for another task.
                    self.shared.wake.notify_one();
                    let ends = started + self.lease;
                    return Some(Delivering { lease, entry, body, permit, is_probe, ends });
                }
                Ok(Leased::Nothing { next_due }) => {
                    drop((unused, permit));
                    self.unless_stopped(self.idle(next_due)).await?;
                }
                Err(error) => {
                    drop((unused, permit));
                    self.unless_stopped(self.wait_after(&error)).await?;
                }
            }
        }
    }

    /// Returns a permit of the client's rate limiter, or `Some(None)` if it has none. It is taken
    /// before a lane is leased, so that no lane is leased while the rate limit has no room.
    async fn permit(&self) -> Option<Option<Permit>> {
        let Some(limiter) = self.client.rate_limiter() else { return Some(None) };
        loop {
            match self.unless_stopped(RateLimiter::permit(limiter)).await? {
                Ok(permit) => return Some(Some(permit)),
                Err(error) => {
                    tracing::error!(%error, "no permit from the rate limiter; trying again");
                    let wait = error.retry_after().unwrap_or(RETRY).max(RETRY);
                    self.unless_stopped(tokio::time::sleep(wait)).await?;
                }
            }
        }
    }

    /// Waits until an entry may be due.
    async fn idle(&self, next_due: Option<Timestamp>) {
        let wait = next_due.map_or(LONGEST_IDLE, |due| due.since(self.shared.now()));
        // One idle task polls for all. If it finds an entry, it wakes another.
        let polling = self.polling.try_lock();
        let poll_interval = self.shared.store.poll_interval().filter(|_| polling.is_ok());
        // Workers that were started at the same time must not poll at the same time.
        let longest =
            poll_interval.map_or(LONGEST_IDLE, |time| time.mul_f64(0.75 + random() / 2.0));
        // A clock that runs slower than the timer must not make the task spin.
        let wait = wait.min(longest).max(Duration::from_millis(1));
        let changed = async {
            match polling {
                Ok(_) => self.shared.store.changed_elsewhere().await,
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.shared.wake.notified() => {}
            () = changed => {}
            () = tokio::time::sleep(wait) => {}
        }
    }

    /// Returns the future's output, or `None` if the worker stops first.
    pub(crate) async fn unless_stopped<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stopped(Stop::Stopping) => None,
            output = future => Some(output),
        }
    }

    /// Waits until the worker's stop has come so far.
    pub(crate) async fn stopped(&self, stage: Stop) {
        // An error means that the worker was dropped.
        let _ = self.stop.clone().wait_for(|stop| *stop >= stage).await;
    }
}

/// An admission that is returned if no send uses it.
struct Unused<'a> {
    health: &'a Health,
    admission: Admission,
}

impl Unused<'_> {
    fn into_admission(mut self) -> Admission {
        std::mem::replace(&mut self.admission, Admission::Open)
    }
}

impl Drop for Unused<'_> {
    fn drop(&mut self) {
        self.health.unused(&self.admission);
    }
}
