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

/// The maximum delay before a rejected new token is used again. The minimum is 1.5 s. A service
/// that replicates its tokens may accept a new one a second late.
const MAX_REPLAY_DELAY: Duration = Duration::from_millis(2_500);

/// The maximum duration of a token request. Unlike a message, it needs no processing.
const LONGEST_REQUEST: Duration = Duration::from_secs(30);

/// The longest time for which the send that begins a renewal waits for it, although it has a usable
/// token.
const RENEWAL_WAIT: Duration = Duration::from_secs(1);

/// The time after which a waiting send polls the request again. Otherwise it might never wake: a
/// [`Shared`](futures_util::future::Shared) can lose wake-ups if the task that drives it is dropped
/// at the wrong moment.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// A cache for the access token that requests a new one when it is due. It makes one request at a
/// time, whatever the number of sends.
///
/// There is no background task. The sends that wait for a request drive it, and so do those that
/// use the old token meanwhile. If one of them is dropped, the others continue.
pub(crate) struct TokenCache {
    transport: Arc<dyn AnyTransport>,
    endpoints: Arc<TokenEndpoints>,
    /// The maximum duration of a token request.
    timeout: Duration,
    jitter: Jitter,
    state: Mutex<TokenState>,
    rotations: AtomicU64,
    counts: Arc<RequestCounts>,
    /// Notifies waiting sends that the credentials were replaced.
    rotated: Notify,
}

/// The number of token requests so far, and how many of them failed.
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
    /// Use this token.
    Use(TokenHandle),
    /// Wait briefly for the renewal that begins here; there is a usable token.
    Renew(PendingToken),
    /// Wait for this request; there is no usable token.
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

    /// Creates a cache for other credentials that uses the same endpoints and transport.
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

    /// Returns the token in use, or a new one if there is none. `time` is what the send has left
    /// for its attempt.
    pub(crate) async fn token(&self, time: Duration) -> Result<TokenHandle, TokenUnavailable> {
        let asked = Instant::now();
        let mut may_renew = true;
        loop {
            let rotated = pin!(self.rotated.notified());
            let request = match self.step(may_renew)? {
                TokenAction::Use(handle) => return Ok(handle),
                TokenAction::Renew(renewal) => {
                    // There may be no other send to drive the renewal. The next step reads its
                    // outcome.
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
                // The token expired before this call, because its request was not polled for long.
                // A short-lived token that expires during the call is used all the same.
                Ok(token) if token.had_expired(asked) => {}
                Ok(token) => return Ok(TokenHandle { token, renewal: None }),
                Err(error) => return Err(state.failed(error)),
            }
        }
    }

    /// Waits for the end of a cooldown, as long as `has_room` accepts the time left of it.
    pub(crate) async fn wait_for_cooldown(&self, has_room: impl Fn(Duration) -> bool) {
        loop {
            let rotated = pin!(self.rotated.notified());
            match self.cooldown_left() {
                Some(cooldown) if has_room(cooldown) => {
                    let milliseconds = whole_milliseconds(cooldown);
                    tracing::debug!(
                        "pushslots.cooldown_ms" = milliseconds,
                        "waiting for the end of the token cooldown"
                    );
                    let _ = timeout(cooldown, rotated).await;
                }
                _ => return,
            }
        }
    }

    /// Returns the time until the next token request. Returns `None` if there is a token or a
    /// pending request, if no cooldown is in force, or if another request won't help.
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

    /// Returns whether there is a token to send with.
    pub(crate) fn has_token(&self) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        state.record_completed_request();
        state.usable_token(now).is_some()
    }

    /// Returns the token in use, unless there is none or its renewal is due or in progress.
    pub(crate) fn ready_token(&self) -> Option<TokenHandle> {
        let now = Instant::now();
        let state = self.state();
        let token = state.usable_token(now).filter(|_| state.request.is_none())?;
        (!token.is_renewal_due(now)).then_some(TokenHandle { token, renewal: None })
    }

    /// Records that the message endpoint rejected a message sent with `token` at `sent`. Returns
    /// when there may be a token for another attempt, or `None` if that isn't soon.
    ///
    /// The token is replaced at once. If the service rejects the new one too, without ever having
    /// accepted it, it is tried again after 1.5 to 2.5 s. After another rejection no token is
    /// requested during the cooldown.
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
                let wait = self.jitter.sample(MAX_REPLAY_DELAY, 0.6);
                state.tried_again = Some(now + wait);
                state.cooldown = Some(Cooldown::after_rejection(now, wait, false));
                Some(Renewal::After(wait))
            }
        }
    }

    /// Replaces the credentials in use, once a token was obtained with `credentials`.
    pub(crate) async fn rotate(&self, credentials: Credentials) -> Result<(), TokenError> {
        let generation = 1 + self.rotations.fetch_add(1, Ordering::Relaxed);
        let outcome = self.ask(&credentials, None).await;
        let rotated = TokenState {
            token: Some(outcome.result?),
            ..TokenState::new(credentials, generation, &self.jitter)
        };
        let mut state = self.state();
        // A rotation that began later may have ended first.
        if state.generation < generation {
            let before = std::mem::replace(&mut *state, rotated);
            drop(state);
            self.rotated.notify_waiters();
            // Dropped without the lock, because it holds a signer: dropping one runs the user's
            // code.
            drop(before);
        }
        Ok(())
    }

    fn step(&self, may_renew: bool) -> Result<TokenAction, TokenUnavailable> {
        let now = Instant::now();
        // Declared before the lock and so dropped after it, because it holds the user's code.
        let overdue;
        let mut state = self.state();
        state.record_completed_request();
        // A request that was not polled in time may never receive its response.
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

    /// Begins a request for a token instead of `former`.
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
                    tracing::warn!("error.message" = %error, "renewing the access token failed, \
                                                              the current one stays in use");
                }
            }
            result
        };
        // A panic must not spread to every send that waits.
        AssertUnwindSafe(asking).catch_unwind().map(move |result| {
            let panicked = TokenError::invalid_response("the token request panicked");
            let result = result.unwrap_or(Err(panicked));
            if result.is_err() {
                counts.failures.fetch_add(1, Ordering::Relaxed);
            }
            TokenOutcome { result, ended: Instant::now() }
        })
    }

    /// Returns the number of token requests, and the number of those that failed.
    pub(crate) fn request_counts(&self) -> (u64, u64) {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (count(&self.counts.requests), count(&self.counts.failures))
    }

    fn state(&self) -> MutexGuard<'_, TokenState> {
        // No code that holds the lock can leave the state half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenHandle {
    /// Runs `work`, and drives the token's renewal meanwhile.
    pub(crate) async fn drive_renewal_during<W: Future>(&self, work: W) -> W::Output {
        let Some(renewal) = &self.renewal else { return work.await };
        match select(pin!(work), renewal.outcome.clone()).await {
            Either::Left((done, _)) => done,
            Either::Right((_, work)) => work.await,
        }
    }
}
