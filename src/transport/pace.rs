//! How many requests go out in any time of a given length, whoever sends them.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::departure::Departure;
use super::retry_after::retry_after;
use super::{Answer, AnyTransport, Exchanging, Failure};
use crate::clock;

/// How long everyone waits after a 429 that does not say for how long.
const USUAL_HOLD: Duration = Duration::from_secs(1);

/// The longest that one answer can keep everyone waiting.
const LONGEST_HOLD: Duration = Duration::from_secs(120);

/// The time that a send waits beyond the estimate before it looks for a free place itself. It doubles with every look.
const SLACK: Duration = Duration::from_secs(1);

/// The time for which a free place is left to the first send in the queue.
const HANDOVER: Duration = Duration::from_millis(50);

/// Timers are this coarse: a window that has both its ends must not hold one request more.
const TICK: Duration = Duration::from_millis(1);

/// At most so many requests in any window of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) requests: u32,
    pub(crate) window: Duration,
}

impl Default for Rate {
    /// The lower of the two that the service publishes.
    fn default() -> Self {
        Self { requests: 7_500, window: Duration::from_secs(300) }
    }
}

impl Rate {
    /// The time in which so many requests go out one after the other.
    fn time_for(self, requests: u32) -> Duration {
        self.window.saturating_mul(requests) / self.requests.max(1)
    }
}

/// Keeps all requests of a client within its rate.
///
/// A request counts from when it leaves until one window after its end, because the service may see it at any time in between. A
/// request that never left doesn't count.
///
/// Sends queue. Only the first waits for the next place, so that a freed place wakes one send. A send that nobody polls delays the
/// others only briefly, because they also look for themselves. Token requests don't queue: the sends wait for them.
pub(crate) struct Pace {
    rate: Rate,
    state: Mutex<State>,
    /// The turn to wait for the next place.
    turn: Semaphore,
    /// How many sends wait for their turn.
    queue: AtomicU32,
    /// Wakes the sends and token requests that wait for the next place.
    changed: Notify,
}

#[derive(Default)]
struct State {
    under_way: usize,
    /// When requests ended, as long as they count.
    ended: VecDeque<Instant>,
    /// Until when the service wants nobody to ask.
    held_until: Option<Instant>,
}

impl State {
    /// When there may be a place for a request; `None` where one must end first.
    fn next_place(&mut self, rate: Rate, now: Instant) -> Option<Instant> {
        let free = |ended: Instant| ended + rate.window + TICK;
        while self.ended.front().is_some_and(|ended| free(*ended) <= now) {
            self.ended.pop_front();
        }
        let held = self.held_until.unwrap_or(now).max(now);
        let taken = self.under_way + self.ended.len();
        // How many of those that ended must have been for long enough.
        let missing = (taken + 1).saturating_sub(rate.requests as usize);
        match missing.checked_sub(1) {
            None => Some(held),
            Some(place) => self.ended.get(place).map(|ended| free(*ended).max(held)),
        }
    }
}

impl Pace {
    pub(crate) fn new(rate: Rate) -> Arc<Self> {
        Arc::new(Self {
            rate,
            state: Mutex::default(),
            turn: Semaphore::new(1),
            queue: AtomicU32::new(0),
            changed: Notify::new(),
        })
    }

    /// Waits for a place for one request, after the sends that came before.
    pub(crate) async fn place(self: &Arc<Self>) -> Place {
        let queued = Queued::behind(&self.queue);
        let mut turn = pin!(self.turn.acquire());
        // Mostly the turn comes sooner.
        let (mut wait, mut slack) = (self.rate.time_for(queued.before.saturating_add(1)), SLACK);
        loop {
            if let Ok(_turn) = timeout(wait.saturating_add(slack), turn.as_mut()).await {
                return self.next_place().await;
            }
            // The send whose turn it is may not be polled: then a free place stays free.
            if self.is_free() {
                if let Ok(_turn) = timeout(HANDOVER, turn.as_mut()).await {
                    return self.next_place().await;
                }
                if let Ok(place) = self.take(Instant::now()) {
                    return place;
                }
            }
            (wait, slack) = (self.wait(), slack.saturating_mul(2));
        }
    }

    /// Waits for the next place, regardless of the queue.
    async fn next_place(self: &Arc<Self>) -> Place {
        loop {
            let changed = pin!(self.changed.notified());
            match self.take(Instant::now()) {
                Ok(place) => return place,
                Err(Some(next)) => drop(timeout_at(next, changed).await),
                Err(None) => changed.await,
            }
        }
    }

    /// Waits for a place for one request, but at most for `time`.
    ///
    /// # Errors
    ///
    /// Returns the shortest time until there may be a place, at once if that is too long.
    pub(crate) async fn place_within(self: &Arc<Self>, time: Duration) -> Result<Place, Duration> {
        match self.free_place() {
            Some(place) => Ok(place),
            None => self.unless_too_long(time, self.place()).await,
        }
    }

    /// The same for a token request, which doesn't queue.
    async fn first_place_within(self: &Arc<Self>, time: Duration) -> Result<Place, Duration> {
        self.unless_too_long(time, self.next_place()).await
    }

    async fn unless_too_long(
        &self,
        time: Duration,
        waiting: impl Future<Output = Place>,
    ) -> Result<Place, Duration> {
        let wait = self.wait();
        if wait > time {
            return Err(wait);
        }
        timeout(time, waiting).await.map_err(|_| self.wait().max(TICK))
    }

    /// How long it is at least until there is a place.
    pub(crate) fn wait(&self) -> Duration {
        let now = Instant::now();
        self.state().next_place(self.rate, now).map_or(Duration::ZERO, |next| next - now)
    }

    fn is_free(&self) -> bool {
        let now = Instant::now();
        self.state().next_place(self.rate, now).is_some_and(|next| next <= now)
    }

    /// A place, if one is free and nobody waits for it.
    pub(crate) fn free_place(self: &Arc<Self>) -> Option<Place> {
        if self.turn.available_permits() == 0 {
            return None;
        }
        self.take(Instant::now()).ok()
    }

    /// A place that is free.
    ///
    /// # Errors
    ///
    /// Returns when there may be one, or nothing if a request must end first.
    fn take(self: &Arc<Self>, now: Instant) -> Result<Place, Option<Instant>> {
        let mut state = self.state();
        match state.next_place(self.rate, now) {
            Some(next) if next <= now => {
                state.under_way += 1;
                Ok(Place { pace: self.clone(), counts: Arc::default() })
            }
            next => Err(next),
        }
    }

    /// Lets nobody ask for a time, since the service said 429.
    fn hold(&self, hint: Option<Duration>) {
        let until = Instant::now() + hint.unwrap_or(USUAL_HOLD).min(LONGEST_HOLD);
        let mut state = self.state();
        state.held_until = state.held_until.max(Some(until));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can leave the state half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A send in the queue, until it is dropped.
struct Queued<'a> {
    queue: &'a AtomicU32,
    /// How many sends came before.
    before: u32,
}

impl<'a> Queued<'a> {
    fn behind(queue: &'a AtomicU32) -> Self {
        Self { queue, before: queue.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.queue.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place for one request. If the request never leaves, another can have the place at once.
pub(crate) struct Place {
    pace: Arc<Pace>,
    counts: Arc<Departure>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.pace.state();
        state.under_way -= 1;
        if self.counts.may_have_left() {
            state.ended.push_back(Instant::now());
        }
        drop(state);
        // The send whose turn it is, and perhaps a token request.
        self.pace.changed.notify_waiters();
    }
}

/// A transport that keeps to a pace. A request that has no [`Place`] waits for one within its time.
pub(crate) struct Paced {
    pub(crate) transport: Arc<dyn AnyTransport>,
    pub(crate) pace: Arc<Pace>,
}

impl Paced {
    async fn exchange(
        &self,
        request: Request<Bytes>,
        mut time: Duration,
        place: Option<Place>,
    ) -> Result<Answer, Failure> {
        let place = match place {
            Some(place) => place,
            None => {
                let asked = Instant::now();
                let place = self.pace.first_place_within(time).await;
                time = time.saturating_sub(asked.elapsed());
                place.map_err(|_| Failure::kept_back())?
            }
        };
        place.counts.begin();
        let answer = self.transport.send_observed(request, time, Some(&place.counts)).await;
        match &answer {
            Ok(Answer { status: StatusCode::TOO_MANY_REQUESTS, headers, .. }) => {
                self.pace.hold(retry_after(headers, clock::now().into()));
            }
            Err(failure) if !failure.may_have_arrived() => place.counts.never_left(),
            _ => {}
        }
        answer
    }
}

impl AnyTransport for Paced {
    fn send_observed<'a>(
        &'a self,
        request: Request<Bytes>,
        time: Duration,
        _: Option<&'a Arc<Departure>>,
    ) -> Exchanging<'a> {
        Box::pin(self.exchange(request, time, None))
    }

    fn send_from(&self, place: Option<Place>, request: Request<Bytes>, time: Duration) -> Exchanging<'_> {
        Box::pin(self.exchange(request, time, place))
    }
}
