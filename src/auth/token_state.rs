//! The state of the access token that all sends of a client share.

use tokio::time::Instant;

use super::cooldown::{COOLDOWN, Cooldown};
use super::pending_token::{PendingToken, TokenOutcome};
use super::token_error::{TokenError, TokenUnavailable};
use super::{CachedToken, Credentials};
use crate::random::Jitter;
use crate::retry::Backoff;

/// The token in use, and the requests and rejections that determine its successor.
pub(super) struct TokenState {
    pub(super) credentials: Credentials,
    /// The number of the rotation that set the credentials. The outcome of a request from another
    /// generation is ignored.
    pub(super) generation: u64,
    /// The last token, which may have expired.
    pub(super) token: Option<CachedToken>,
    /// Whether the service rejected the token.
    pub(super) is_rejected: bool,
    /// Whether the token was requested because the former one was rejected.
    pub(super) replaces_rejected: bool,
    /// Whether a request to replace the token failed. If so, its refresh token isn't used again.
    pub(super) refresh_failed: bool,
    /// The time at which a new token is tried again after its first rejection.
    pub(super) tried_again: Option<Instant>,
    pub(super) request: Option<PendingToken>,
    pub(super) cooldown: Option<Cooldown>,
    pub(super) cooldown_delays: Backoff,
}

impl TokenState {
    pub(super) fn new(credentials: Credentials, generation: u64, jitter: &Jitter) -> Self {
        Self {
            credentials,
            generation,
            token: None,
            is_rejected: false,
            replaces_rejected: false,
            refresh_failed: false,
            tried_again: None,
            request: None,
            cooldown: None,
            cooldown_delays: Backoff::of_token_requests(jitter),
        }
    }

    pub(super) fn usable_token(&self, now: Instant) -> Option<CachedToken> {
        let may_be_tried = !self.is_rejected && self.tried_again.is_none_or(|again| again <= now);
        self.token.clone().filter(|token| may_be_tried && token.is_usable(now))
    }

    pub(super) fn cooldown_in_force(&self, now: Instant) -> Option<&Cooldown> {
        self.cooldown.as_ref().filter(|cooldown| cooldown.is_in_force(now))
    }

    /// Begins the cooldown of a new token that was rejected once and expired before it could be
    /// tried again.
    pub(super) fn cool_down_after_rejection(&mut self, now: Instant) {
        if self.request.is_some()
            || self.tried_again.is_none()
            || self.cooldown_in_force(now).is_some()
        {
            return;
        }
        if let Some(token) =
            self.token.as_ref().filter(|token| !token.was_good() && token.age(now) < COOLDOWN)
        {
            self.cooldown = Some(Cooldown::after_rejection(token.asked(), COOLDOWN, true));
        }
    }

    pub(super) fn holds(&self, token: &CachedToken) -> bool {
        self.token.as_ref().is_some_and(|held| held.token().is_same(token.token()))
    }

    /// Records the outcome of a request that has ended.
    pub(super) fn record_completed_request(&mut self) {
        let Some(request) = self.request.take_if(|request| request.outcome.peek().is_some()) else {
            return;
        };
        let Some(TokenOutcome { result, ended }) = request.outcome.peek().cloned() else { return };
        match result {
            Ok(token) => {
                let after_rejection =
                    request.after_rejection || self.is_rejected || self.tried_again.is_some();
                self.replaces_rejected = after_rejection;
                self.tried_again = None;
                // A token that was rejected during its renewal stays rejected if the same one comes
                // back, because its issuer did not know of that.
                self.is_rejected &= !request.after_rejection && self.holds(&token);
                self.token = Some(token);
                self.cooldown = None;
                self.refresh_failed = false;
                self.cooldown_delays.reset();
            }
            Err(error) => {
                self.refresh_failed = true;
                // The next request goes to the authentication endpoint. So this cooldown may end as
                // soon as the access token is no longer usable.
                let latest_end = self.token.as_ref().map(CachedToken::usable_until);
                let latest_end = latest_end.filter(|_| error.is_of_refresh());
                self.cooldown = Some(
                    Cooldown::new(error, ended, &mut self.cooldown_delays).ending_by(latest_end),
                );
            }
        }
    }

    /// Returns the error of a send that waited for the failed request.
    pub(super) fn failed(&self, error: TokenError) -> TokenUnavailable {
        let wait = self.cooldown.as_ref().and_then(|cooldown| cooldown.wait(Instant::now()));
        TokenUnavailable { wait: wait.max(error.retry_after()), error, is_remembered: false }
    }
}
