//! The built-in rate limit: a maximum number of requests in any rolling window.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::waits::WaitCounter;
use super::{Permit, RateLimiter};

/// The time that a send waits beyond its estimate before it checks for a free permit itself. It
/// doubles with every check.
const SLACK: Duration = Duration::from_secs(1);

/// The time that a free permit is reserved for the first send in the queue.
const HANDOVER: Duration = Duration::from_millis(50);

/// The resolution of timers. A request counts for one tick longer than the window, so that a window
/// including both ends never holds one request too many.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// A maximum number of requests in any window of the given length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) requests: u32,
    pub(crate) window: Duration,
}

impl Rate {
    /// Returns the reasons why the rate is invalid.
    pub(crate) fn problems(self) -> impl Iterator<Item = &'static str> {
        let day = Duration::from_secs(24 * 60 * 60);
        let requests = (self.requests < 2)
            .then_some("must be at least 2 requests, because one may be needed for a token");
        let is_usable = !self.window.is_zero() && self.window <= day;
        let window = (!is_usable).then_some("must have a window above 0 and at most a day");
        requests.into_iter().chain(window)
    }

    /// Returns the time in which this number of requests goes out at an even rate.
    fn time_for(self, requests: u32) -> Duration {
        self.window.saturating_mul(requests) / self.requests.max(1)
    }
}

impl Default for Rate {
    /// Returns the lower of the two figures that the service publishes for an IP address.
    fn default() -> Self {
        Self { requests: 7_500, window: Duration::from_secs(300) }
    }
}

/// A limiter that keeps requests within a rate.
///
/// A request counts from when it leaves until one window after its end, because the service may
/// count it at any time in between. A request that never left doesn't count.
///
/// Sends wait in a queue. Only the first one waits for the next permit, so that a freed permit
/// wakes one send. A send that isn't polled delays the others only briefly, because they also check
/// for themselves. Token requests skip the queue, because the sends wait for them.
pub(super) struct RollingWindow {
    pub(super) rate: Rate,
    state: Mutex<WindowState>,
    /// The right to wait for the next permit.
    turn: Semaphore,
    /// The number of sends that wait for their turn.
    queue: AtomicU32,
    /// Wakes the sends and token requests that wait for the next permit.
    changed: Notify,
    pub(super) waits: WaitCounter,
}

#[derive(Default)]
struct WindowState {
    in_flight: usize,
    /// The ends of the requests that still count, oldest first.
    ended: VecDeque<Instant>,
    /// The end of the delay after a 429.
    throttled_until: Option<Instant>,
}

impl WindowState {
    /// Returns the number of requests that count at `now`.
    fn taken(&mut self, rate: Rate, now: Instant) -> usize {
        while self.ended.front().is_some_and(|ended| *ended + rate.window + TICK <= now) {
            self.ended.pop_front();
        }
        self.in_flight + self.ended.len()
    }

    /// Returns when there may be a permit, or `None` if a request must end first.
    fn next_permit(&mut self, rate: Rate, now: Instant) -> Option<Instant> {
        let free = |ended: Instant| ended + rate.window + TICK;
        let taken = self.taken(rate, now);
        let earliest = self.throttled_until.unwrap_or(now).max(now);
        // The number of ended requests that must stop counting first.
        let missing = (taken + 1).saturating_sub(rate.requests as usize);
        match missing.checked_sub(1) {
            None => Some(earliest),
            Some(place) => self.ended.get(place).map(|ended| free(*ended).max(earliest)),
        }
    }
}

impl RollingWindow {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            state: Mutex::default(),
            turn: Semaphore::new(1),
            queue: AtomicU32::new(0),
            changed: Notify::new(),
            waits: WaitCounter::default(),
        }
    }

    /// Waits for a permit, after the sends that are already in the queue.
    pub(super) async fn permit(self: &Arc<Self>) -> Permit {
        let queued = Queued::last(&self.queue);
        let mut turn = pin!(self.turn.acquire());
        // The turn usually comes sooner.
        let mut wait = self.rate.time_for(queued.before.saturating_add(1));
        let mut slack = SLACK;
        loop {
            if let Ok(_turn) = timeout(wait.saturating_add(slack), turn.as_mut()).await {
                return self.next_permit().await;
            }
            // The send at the front may not be polled, and would leave a free permit unused.
            if self.is_free() {
                if let Ok(_turn) = timeout(HANDOVER, turn.as_mut()).await {
                    return self.next_permit().await;
                }
                if let Ok(permit) = self.take(Instant::now()) {
                    return permit;
                }
            }
            wait = self.wait();
            slack = slack.saturating_mul(2);
        }
    }

    /// Waits for the next permit ahead of the queue, as token requests do.
    pub(super) async fn next_permit(self: &Arc<Self>) -> Permit {
        loop {
            let changed = pin!(self.changed.notified());
            match self.take(Instant::now()) {
                Ok(permit) => return permit,
                Err(Some(next)) => drop(timeout_at(next, changed).await),
                Err(None) => changed.await,
            }
        }
    }

    /// Returns the minimum time until there is a permit.
    pub(super) fn wait(&self) -> Duration {
        let now = Instant::now();
        self.state().next_permit(self.rate, now).map_or(Duration::ZERO, |next| next - now)
    }

    /// Returns the number of requests that may go out now. It is 0 during the delay after a 429.
    pub(super) fn remaining(&self) -> u32 {
        let now = Instant::now();
        let mut state = self.state();
        if state.throttled_until.is_some_and(|until| until > now) {
            return 0;
        }
        self.rate
            .requests
            .saturating_sub(u32::try_from(state.taken(self.rate, now)).unwrap_or(u32::MAX))
    }

    fn is_free(&self) -> bool {
        let now = Instant::now();
        self.state().next_permit(self.rate, now).is_some_and(|next| next <= now)
    }

    /// Returns a permit if one is free and no send waits for it.
    pub(super) fn free_permit(self: &Arc<Self>) -> Option<Permit> {
        if self.turn.available_permits() == 0 {
            return None;
        }
        self.take(Instant::now()).ok()
    }

    /// Takes a permit if one is free.
    ///
    /// # Errors
    ///
    /// Returns when there may be one, or `None` if a request must end first.
    fn take(self: &Arc<Self>, now: Instant) -> Result<Permit, Option<Instant>> {
        let mut state = self.state();
        match state.next_permit(self.rate, now) {
            Some(next) if next <= now => {
                state.in_flight += 1;
                Ok(Permit::new().of(RateLimiter::of_window(self.clone())))
            }
            next => Err(next),
        }
    }

    /// Counts requests of an earlier process that ended `age` ago.
    pub(super) fn count_earlier(&self, requests: u32, age: Duration) {
        if age > self.rate.window.saturating_add(TICK) {
            return;
        }
        let now = Instant::now();
        // A machine that has just started has no earlier time. The requests then count for longer.
        let ended = now.checked_sub(age).unwrap_or(now);
        let mut state = self.state();
        let place = state.ended.partition_point(|other| *other <= ended);
        let newer = state.ended.split_off(place);
        state.ended.extend(std::iter::repeat_n(ended, requests.min(self.rate.requests) as usize));
        state.ended.extend(newer);
        // A permit is free once fewer than this number count, so older requests don't matter.
        let surplus = state.ended.len().saturating_sub(self.rate.requests as usize);
        state.ended.drain(..surplus);
    }

    /// Gives no permits for `delay`.
    pub(super) fn throttled(&self, delay: Duration) {
        let until = Instant::now() + delay;
        let mut state = self.state();
        state.throttled_until = state.throttled_until.max(Some(until));
    }

    /// Takes back the permit of a request that has ended. The request keeps counting if it may have
    /// left.
    pub(super) fn release(&self, may_have_left: bool) {
        let mut state = self.state();
        state.in_flight -= 1;
        if may_have_left {
            state.ended.push_back(Instant::now());
        }
        drop(state);
        // Wakes the next send, and perhaps a token request.
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, WindowState> {
        // A panic while the lock is held can't leave the state inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a send in the queue, until it is dropped.
struct Queued<'a> {
    queue: &'a AtomicU32,
    /// The number of sends ahead in the queue.
    before: u32,
}

impl<'a> Queued<'a> {
    fn last(queue: &'a AtomicU32) -> Self {
        Self { queue, before: queue.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.queue.fetch_sub(1, Ordering::Relaxed);
    }
}
