//! The access token that all sends of a client share.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, Shared, select};
use tokio::time::{Instant, timeout};

use super::token_error::{NoToken, TokenError};
use super::{AuthError, Credentials, HeldToken, TokenEndpoints};
use crate::retry::Backoff;
use crate::transport::{Failure, FailureKind, Transport};

/// A refusal is taken as the answer for this long, so that a wrong key is not a request for each send.
const REFUSAL_HOLDS: Duration = Duration::from_secs(10);

/// The longest that no token is asked for, whatever the endpoint asks.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// How long the send that starts a renewal waits for it, which it could do without.
const PATIENCE: Duration = Duration::from_secs(1);

/// Holds the token, and asks for another when it is due: one request at a time, whatever the number of sends.
///
/// There is no task in the background. A request under way is carried on by the sends that wait for it, and by those
/// that go out with the old token meanwhile; whichever of them is dropped, the others carry it on.
pub(crate) struct TokenCache {
    transport: Arc<dyn Transport>,
    endpoints: Arc<TokenEndpoints>,
    /// The longest time for a token request.
    timeout: Duration,
    state: Mutex<State>,
    rotations: AtomicU64,
}

struct State {
    credentials: Credentials,
    /// The number of the rotation that brought them: what was asked for with others is of no use to them.
    generation: u64,
    /// The last token, which may be used up.
    token: Option<HeldToken>,
    /// Whether the service refused it.
    is_refused: bool,
    request: Option<TokenRequest>,
    pause: Option<Pause>,
    pauses: Backoff,
}

/// A request for a token, and its outcome for everyone who waits.
#[derive(Clone)]
struct TokenRequest {
    outcome: Shared<BoxFuture<'static, Result<HeldToken, TokenError>>>,
    began: Instant,
    generation: u64,
}

/// The time after a failure in which no token is asked for.
struct Pause {
    error: TokenError,
    began: Instant,
    length: Duration,
    /// The time after which the endpoint wants to be asked, which may be longer.
    told: Duration,
}

/// A token to send with, and the request for its successor if there is one.
pub(crate) struct Lease {
    pub(crate) token: HeldToken,
    renewal: Option<TokenRequest>,
}

enum Step {
    /// There is a token.
    Use(Lease),
    /// There is one, and its renewal begins here.
    Renew(TokenRequest),
    /// There is none yet.
    Wait(TokenRequest),
}

impl TokenCache {
    pub(crate) fn new(
        credentials: Credentials,
        endpoints: TokenEndpoints,
        transport: Arc<dyn Transport>,
        timeout: Duration,
    ) -> Self {
        let state = Mutex::new(State::new(credentials, 0));
        Self { transport, endpoints: Arc::new(endpoints), timeout, state, rotations: AtomicU64::new(0) }
    }

    /// The token in use, or a new one where there is none; a send that has no more than `time` needs it.
    pub(crate) async fn token(&self, time: Duration) -> Result<Lease, NoToken> {
        let asked = Instant::now();
        loop {
            let request = match self.step()? {
                Step::Use(lease) => return Ok(lease),
                Step::Renew(renewal) => {
                    // There may be no other send to carry it on. The next step tells what came of it.
                    let _ = timeout(PATIENCE.min(time / 4), renewal.outcome).await;
                    continue;
                }
                Step::Wait(request) => request,
            };
            let outcome = request.outcome.await;
            let mut state = self.state();
            state.settle();
            match outcome {
                // The credentials were changed meanwhile.
                _ if request.generation != state.generation => {}
                // It was carried on after a long break. One that is short-lived must do, though.
                Ok(token) if token.is_expired(asked) => {}
                Ok(token) => return Ok(Lease { token, renewal: None }),
                Err(error) => return Err(state.failed(error)),
            }
        }
    }

    /// Marks `refused` as such, unless another token has taken its place already.
    pub(crate) fn reject(&self, refused: &HeldToken) {
        let mut state = self.state();
        state.is_refused |= state.token.as_ref().is_some_and(|token| token.is(refused));
    }

    /// Puts `credentials` in the place of those in use, once they have bought a token.
    pub(crate) async fn rotate(&self, credentials: Credentials) -> Result<(), TokenError> {
        let generation = 1 + self.rotations.fetch_add(1, Ordering::Relaxed);
        let token = self.ask(&credentials, None, false).await?;
        let mut state = self.state();
        // A rotation that began later may have ended before this one.
        if state.generation < generation {
            *state = State { token: Some(token), ..State::new(credentials, generation) };
        }
        Ok(())
    }

    fn step(&self) -> Result<Step, NoToken> {
        let now = Instant::now();
        let mut state = self.state();
        state.settle();
        // One that nobody carried on in its time may be answered no more.
        if state.request.as_ref().is_some_and(|request| now - request.began > self.timeout) {
            state.request = None;
        }
        let Some(token) = state.usable_token(now) else {
            return match (&state.request, state.pause_in_force(now)) {
                (Some(request), _) => Ok(Step::Wait(request.clone())),
                (None, Some(pause)) => Err(pause.remembered(now)),
                (None, None) => Ok(Step::Wait(self.begin(&mut state, now))),
            };
        };
        let is_due = token.is_renewal_due(now) && state.pause_in_force(now).is_none();
        if is_due && state.request.is_none() {
            return Ok(Step::Renew(self.begin(&mut state, now)));
        }
        Ok(Step::Use(Lease { token, renewal: state.request.clone() }))
    }

    fn begin(&self, state: &mut State, now: Instant) -> TokenRequest {
        let asking = self.ask(&state.credentials, state.token.clone(), state.is_refused);
        let outcome = asking.boxed().shared();
        let request = TokenRequest { outcome, began: now, generation: state.generation };
        state.request = Some(request.clone());
        request
    }

    /// Asks for a token in place of `former`.
    fn ask(
        &self,
        credentials: &Credentials,
        former: Option<HeldToken>,
        is_refused: bool,
    ) -> impl Future<Output = Result<HeldToken, TokenError>> + Send + use<> {
        let (credentials, endpoints) = (credentials.clone(), self.endpoints.clone());
        let (transport, time) = (self.transport.clone(), self.timeout);
        async move {
            tracing::debug!("asking for an access token");
            let asked = Instant::now();
            let former = former.as_ref().map(HeldToken::token);
            let asking = credentials.request_token(former, is_refused, &endpoints, &*transport, time);
            // A panic of what the user brought must not become one of every send that waits.
            match timeout(time, AssertUnwindSafe(asking).catch_unwind()).await {
                Ok(Ok(token)) => HeldToken::new(token?, asked),
                Ok(Err(_)) => {
                    Err(TokenError::Auth(AuthError::temporary("the signer or token source panicked")))
                }
                Err(_) => Err(TokenError::Failure(Failure::new(FailureKind::Timeout, true))),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can leave the state half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(credentials: Credentials, generation: u64) -> Self {
        Self {
            credentials,
            generation,
            token: None,
            is_refused: false,
            request: None,
            pause: None,
            pauses: Backoff::of_token_requests(),
        }
    }

    fn usable_token(&self, now: Instant) -> Option<HeldToken> {
        self.token.clone().filter(|token| !self.is_refused && token.is_usable(now))
    }

    fn pause_in_force(&self, now: Instant) -> Option<&Pause> {
        self.pause.as_ref().filter(|pause| now - pause.began < pause.length)
    }

    /// Takes note of a request that has ended.
    fn settle(&mut self) {
        let Some(outcome) = self.request.as_ref().and_then(|request| request.outcome.peek()).cloned() else {
            return;
        };
        self.request = None;
        match outcome {
            Ok(token) => {
                (self.token, self.is_refused, self.pause) = (Some(token), false, None);
                self.pauses.reset();
            }
            Err(error) => self.pause(error),
        }
    }

    fn pause(&mut self, error: TokenError) {
        let hint = error.hint().unwrap_or_default();
        let length = match error.is_temporary() {
            true => self.pauses.next_delay().max(hint).min(LONGEST_PAUSE),
            false => REFUSAL_HOLDS,
        };
        let began = Instant::now();
        if self.usable_token(began).is_some() {
            tracing::warn!(%error, ?length, "the access token is not renewed yet, and stays in use");
        }
        self.pause = Some(Pause { error, began, length, told: length.max(hint) });
    }

    /// What a send is told that waited for a request which failed.
    fn failed(&self, error: TokenError) -> NoToken {
        let wait = self.pause.as_ref().and_then(|pause| pause.wait(Instant::now()));
        NoToken { wait: wait.max(error.hint()), error, is_remembered: false }
    }
}

impl Pause {
    /// What a send is told that came too late to wait for the request.
    fn remembered(&self, now: Instant) -> NoToken {
        NoToken { wait: self.wait(now), error: self.error.clone(), is_remembered: true }
    }

    fn wait(&self, now: Instant) -> Option<Duration> {
        self.error.is_temporary().then(|| self.told.saturating_sub(now - self.began))
    }
}

impl Lease {
    /// Does `work`, and carries the token's renewal on meanwhile.
    pub(crate) async fn during<W: Future>(&self, work: W) -> W::Output {
        let Some(renewal) = &self.renewal else { return work.await };
        match select(pin!(work), renewal.outcome.clone()).await {
            Either::Left((done, _)) => done,
            Either::Right((_, work)) => work.await,
        }
    }
}
