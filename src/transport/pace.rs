//! How many requests go out in any time of a given length, whoever sends them.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use super::retry_after::retry_after;
use super::{Answer, AnyTransport, Exchanging, Failure};
use crate::clock;

/// How long everyone waits after a 429 that does not say for how long.
const USUAL_HOLD: Duration = Duration::from_secs(1);

/// The longest that one answer can keep everyone waiting.
const LONGEST_HOLD: Duration = Duration::from_secs(120);

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

/// Keeps all requests of a client within its rate.
///
/// A request counts from when it leaves until one window after its end: in between the service may see it at any time. Who
/// waits for a place holds nothing meanwhile that others need: a future that nobody polls, such as a renewal of the token that no
/// send carries on for now, must keep no other from going.
pub(crate) struct Pace {
    rate: Rate,
    state: Mutex<State>,
    /// Tells those who wait that a place may have become free.
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
        Arc::new(Self { rate, state: Mutex::default(), changed: Notify::new() })
    }

    /// A place for one request, as soon as there is one.
    pub(crate) async fn place(self: &Arc<Self>) -> Place {
        loop {
            let changed = pin!(self.changed.notified());
            match self.take(Instant::now()) {
                Ok(place) => return place,
                Err(Some(next)) => drop(timeout_at(next, changed).await),
                Err(None) => changed.await,
            }
        }
    }

    /// A place for one request within `time`.
    ///
    /// # Errors
    ///
    /// How long it is until there may be one. Where that is known to be too long, it is told at once.
    pub(crate) async fn place_within(self: &Arc<Self>, time: Duration) -> Result<Place, Duration> {
        if let Some(place) = self.free_place() {
            return Ok(place);
        }
        let wait = self.wait();
        if wait > time {
            return Err(wait);
        }
        timeout(time, self.place()).await.map_err(|_| self.wait().max(TICK))
    }

    /// How long it is at least until there is a place.
    pub(crate) fn wait(&self) -> Duration {
        let now = Instant::now();
        self.state().next_place(self.rate, now).map_or(Duration::ZERO, |next| next - now)
    }

    /// A place, if one is free.
    pub(crate) fn free_place(self: &Arc<Self>) -> Option<Place> {
        self.take(Instant::now()).ok()
    }

    /// A place that is free.
    ///
    /// # Errors
    ///
    /// When there may be one; nothing where a request must end first.
    fn take(self: &Arc<Self>, now: Instant) -> Result<Place, Option<Instant>> {
        let mut state = self.state();
        match state.next_place(self.rate, now) {
            Some(next) if next <= now => {
                state.under_way += 1;
                Ok(Place { pace: self.clone(), is_used: false })
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

/// A place for one request. Dropped without one, another can have it at once.
pub(crate) struct Place {
    pace: Arc<Pace>,
    is_used: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.pace.state();
        state.under_way -= 1;
        if self.is_used {
            state.ended.push_back(Instant::now());
        }
        drop(state);
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
        let mut place = match place {
            Some(place) => place,
            None => {
                let asked = Instant::now();
                let place = self.pace.place_within(time).await;
                time = time.saturating_sub(asked.elapsed());
                place.map_err(|_| Failure::kept_back())?
            }
        };
        place.is_used = true;
        let answer = self.transport.send(request, time).await;
        if let Ok(Answer { status: StatusCode::TOO_MANY_REQUESTS, headers, .. }) = &answer {
            self.pace.hold(retry_after(headers, clock::now().into()));
        }
        answer
    }
}

impl AnyTransport for Paced {
    fn send(&self, request: Request<Bytes>, time: Duration) -> Exchanging<'_> {
        Box::pin(self.exchange(request, time, None))
    }

    fn send_from(&self, place: Option<Place>, request: Request<Bytes>, time: Duration) -> Exchanging<'_> {
        Box::pin(self.exchange(request, time, place))
    }
}
