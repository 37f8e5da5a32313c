//! The access token that all sends of a client share.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::cooldown::{COOLDOWN, Cooldown};
use super::pending_token::{Age, PendingToken, TokenOutcome};
use super::token_error::{TokenError, TokenUnavailable};
use super::token_state::TokenState;
use super::{CachedToken, Credentials, Former, TokenEndpoints};
use crate::random::Jitter;
use crate::receipt::whole_milliseconds;
use crate::retry::Renewal;
use crate::transport::AnyTransport;

/// The longest time after which a new token that was rejected is tried again; the shortest is 1.5
/// s. A service that copies its tokens to several places may know one a second late.
const TRIED_AGAIN_AFTER: Duration = Duration::from_millis(2_500);

/// The longest time for a token request. Unlike a message, it needs no processing.
const LONGEST_REQUEST: Duration = Duration::from_secs(30);

/// How long the send that begins a renewal waits for it, which it could do without.
const RENEWAL_WAIT: Duration = Duration::from_secs(1);

/// After this long, who waits for a request has a look at it. Nothing else is sure to: when a task
/// that carries on a [`Shared`](futures_util::future::Shared) is dropped at the wrong moment, the
/// others may not be woken.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Holds the token, and asks for another when it is due: one request at a time, whatever the number
/// of sends.
///
/// There is no task in the background. A request under way is carried on by the sends that wait for
/// it, and by those that go out with the old token meanwhile; whichever of them is dropped, the
/// others carry it on.
pub(crate) struct TokenCache {
    transport: Arc<dyn AnyTransport>,
    endpoints: Arc<TokenEndpoints>,
    /// The longest time for a token request.
    timeout: Duration,
    jitter: Jitter,
    state: Mutex<TokenState>,
    rotations: AtomicU64,
    counts: Arc<RequestCounts>,
    /// Tells those who wait that the credentials were changed.
    rotated: Notify,
}

/// The requests for tokens so far.
#[derive(Default)]
struct RequestCounts {
    requests: AtomicU64,
    failures: AtomicU64,
}

/// A token to send with, and the request for its successor if there is one.
pub(crate) struct TokenHandle {
    pub(crate) token: CachedToken,
    renewal: Option<PendingToken>,
}

enum TokenAction {
    /// There is a token.
    Use(TokenHandle),
    /// There is one, and its renewal begins here.
    Renew(PendingToken),
    /// There is none yet.
    Wait(PendingToken),
}

impl TokenCache {
    pub(crate) fn new(
        credentials: Credentials,
        endpoints: TokenEndpoints,
        transport: Arc<dyn AnyTransport>,
        timeout: Duration,
        jitter: Jitter,
    ) -> Self {
        Self {
            transport,
            endpoints: Arc::new(endpoints),
            timeout: timeout.min(LONGEST_REQUEST),
            state: Mutex::new(TokenState::new(credentials, 0, &jitter)),
            jitter,
            rotations: AtomicU64::new(0),
            counts: Arc::default(),
            rotated: Notify::new(),
        }
    }

    /// A cache of tokens for other credentials, requested at the same endpoints over the same
    /// transport.
    pub(crate) fn with_credentials(&self, credentials: Credentials) -> Self {
        Self {
            transport: self.transport.clone(),
            endpoints: self.endpoints.clone(),
            timeout: self.timeout,
            state: Mutex::new(TokenState::new(credentials, 0, &self.jitter)),
            jitter: self.jitter.clone(),
            rotations: AtomicU64::new(0),
            counts: Arc::default(),
            rotated: Notify::new(),
        }
    }

    /// The token in use, or a new one where there is none; a send that has no more than `time`
    /// needs it.
    pub(crate) async fn token(&self, time: Duration) -> Result<TokenHandle, TokenUnavailable> {
        let asked = Instant::now();
        let mut may_renew = true;
        loop {
            let rotated = pin!(self.rotated.notified());
            let request = match self.step(may_renew)? {
                TokenAction::Use(handle) => return Ok(handle),
                TokenAction::Renew(renewal) => {
                    // There may be no other send to carry it on. The next step tells what came of
                    // it.
                    let _ = timeout(RENEWAL_WAIT.min(time / 4), renewal.outcome).await;
                    may_renew = false;
                    continue;
                }
                TokenAction::Wait(request) => request,
            };
            let waiting = select(request.outcome.clone(), rotated);
            let Ok(Either::Left((outcome, _))) = timeout(POLL_INTERVAL, waiting).await else {
                continue;
            };
            let mut state = self.state();
            state.record_completed_request();
            match outcome.result {
                _ if request.generation != state.generation => {}
                Ok(token) if state.is_rejected && state.holds(&token) => {}
                // It was carried on after a long break. One that is short-lived must do, though.
                Ok(token) if token.had_expired(asked) => {}
                Ok(token) => return Ok(TokenHandle { token, renewal: None }),
                Err(error) => return Err(state.failed(error)),
            }
        }
    }

    /// Waits until no pause keeps a token from being asked for, as long as there is room for it.
    pub(crate) async fn wait_for_cooldown(&self, has_room: impl Fn(Duration) -> bool) {
        loop {
            let rotated = pin!(self.rotated.notified());
            match self.cooldown_left() {
                Some(cooldown) if has_room(cooldown) => {
                    let milliseconds = whole_milliseconds(cooldown);
                    tracing::debug!(
                        "pushslots.cooldown_ms" = milliseconds,
                        "no access token is requested yet"
                    );
                    let _ = timeout(cooldown, rotated).await;
                }
                _ => return,
            }
        }
    }

    /// How long it is until a token is asked for, where there is none and one may be had then.
    fn cooldown_left(&self) -> Option<Duration> {
        let mut state = self.state();
        state.record_completed_request();
        state.cooldown.as_ref()?;
        let now = Instant::now();
        match (state.usable_token(now), &state.request) {
            (None, None) => state.cooldown_in_force(now)?.wait(now),
            _ => None,
        }
    }

    /// Whether there is a token to send with.
    pub(crate) fn has_token(&self) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        state.record_completed_request();
        state.usable_token(now).is_some()
    }

    /// Takes note that the message endpoint rejected a message that was sent with `token` at that
    /// time. Returns when there may be a token to send it with again; `None` if that isn't soon.
    ///
    /// The token is replaced at once. If the new one was never accepted and is rejected as well, it
    /// is tried again a little later, and then no other is requested during the cooldown.
    pub(crate) fn reject(&self, token: &CachedToken, sent: Instant) -> Option<Renewal> {
        let now = Instant::now();
        let mut state = self.state();
        state.record_completed_request();
        if !state.holds(token) {
            return Some(Renewal::AtOnce);
        }
        if !state.replaces_rejected || token.was_good() || token.age(now) >= COOLDOWN {
            state.is_rejected = true;
            return Some(Renewal::AtOnce);
        }
        match state.tried_again {
            _ if state.is_rejected => None,
            Some(again) if sent < again => {
                Some(Renewal::After(again.saturating_duration_since(now)))
            }
            Some(_) => {
                state.is_rejected = true;
                state.cooldown = Some(Cooldown::after_rejection(token.asked(), COOLDOWN, true));
                None
            }
            None => {
                let wait = self.jitter.sample(TRIED_AGAIN_AFTER, 0.6);
                state.tried_again = Some(now + wait);
                state.cooldown = Some(Cooldown::after_rejection(now, wait, false));
                Some(Renewal::After(wait))
            }
        }
    }

    /// Puts `credentials` in the place of those in use, once they have bought a token.
    pub(crate) async fn rotate(&self, credentials: Credentials) -> Result<(), TokenError> {
        let generation = 1 + self.rotations.fetch_add(1, Ordering::Relaxed);
        let outcome = self.ask(&credentials, None).await;
        let rotated = TokenState {
            token: Some(outcome.result?),
            ..TokenState::new(credentials, generation, &self.jitter)
        };
        let mut state = self.state();
        // A rotation that began later may have ended before this one.
        if state.generation < generation {
            let before = std::mem::replace(&mut *state, rotated);
            drop(state);
            self.rotated.notify_waiters();
            // Not while the state is locked: a signer is the user's code, also when it is dropped.
            drop(before);
        }
        Ok(())
    }

    fn step(&self, may_renew: bool) -> Result<TokenAction, TokenUnavailable> {
        let now = Instant::now();
        // Dropped after the state is unlocked, for it holds the user's code.
        let overdue;
        let mut state = self.state();
        state.record_completed_request();
        // A request that nobody polled in time may never get its response.
        overdue = state.request.take_if(|request| request.age.is_overdue(now, self.timeout));
        state.refresh_failed |=
            overdue.as_ref().is_some_and(|request| request.age.of(now) > self.timeout);
        let Some(token) = state.usable_token(now) else {
            state.cool_down_after_rejection(now);
            return match (&state.request, state.cooldown_in_force(now)) {
                (Some(request), _) => Ok(TokenAction::Wait(request.clone())),
                (None, Some(cooldown)) => Err(cooldown.remembered(now)),
                (None, None) => Ok(TokenAction::Wait(self.begin(&mut state, now))),
            };
        };
        let is_due =
            may_renew && token.is_renewal_due(now) && state.cooldown_in_force(now).is_none();
        if is_due && state.request.is_none() {
            return Ok(TokenAction::Renew(self.begin(&mut state, now)));
        }
        Ok(TokenAction::Use(TokenHandle { token, renewal: state.request.clone() }))
    }

    fn begin(&self, state: &mut TokenState, now: Instant) -> PendingToken {
        let former = state.token.clone().map(|token| Former {
            token,
            is_rejected: state.is_rejected,
            may_refresh: !state.refresh_failed,
        });
        let request = PendingToken {
            outcome: self.ask(&state.credentials, former).boxed().shared(),
            age: Age::new(now),
            generation: state.generation,
            after_rejection: state.is_rejected,
        };
        state.request = Some(request.clone());
        request
    }

    /// Requests a token instead of `former`.
    fn ask(
        &self,
        credentials: &Credentials,
        former: Option<Former>,
    ) -> impl Future<Output = TokenOutcome> + Send + use<> {
        let credentials = credentials.clone();
        let endpoints = self.endpoints.clone();
        let transport = self.transport.clone();
        let time = self.timeout;
        let jitter = self.jitter.clone();
        let counts = self.counts.clone();
        counts.requests.fetch_add(1, Ordering::Relaxed);
        let asking = async move {
            tracing::debug!("requesting an access token");
            let asked = Instant::now();
            let asking =
                credentials.request_token(former.as_ref(), &endpoints, &*transport, asked + time);
            let result = asking.await.and_then(|token| CachedToken::new(token, asked, &jitter));
            if let (Err(error), Some(former)) = (&result, former) {
                if former.is_usable(Instant::now()) {
                    tracing::warn!("error.message" = %error, "the access token is not renewed yet");
                }
            }
            result
        };
        // A panic must not become one of every send that waits.
        AssertUnwindSafe(asking).catch_unwind().map(move |result| {
            let panicked = TokenError::invalid_response("the request for it panicked");
            let result = result.unwrap_or(Err(panicked));
            if result.is_err() {
                counts.failures.fetch_add(1, Ordering::Relaxed);
            }
            TokenOutcome { result, ended: Instant::now() }
        })
    }

    /// How many tokens were requested, and how many of these requests failed.
    pub(crate) fn request_counts(&self) -> (u64, u64) {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (count(&self.counts.requests), count(&self.counts.failures))
    }

    fn state(&self) -> MutexGuard<'_, TokenState> {
        // Nothing that holds the lock can leave the state half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenHandle {
    /// Does `work`, and carries the token's renewal on meanwhile.
    pub(crate) async fn drive_renewal_during<W: Future>(&self, work: W) -> W::Output {
        let Some(renewal) = &self.renewal else { return work.await };
        match select(pin!(work), renewal.outcome.clone()).await {
            Either::Left((done, _)) => done,
            Either::Right((_, work)) => work.await,
        }
    }
}
