//! The state of the access token that all sends of a client share.

use tokio::time::Instant;

use super::cooldown::{COOLDOWN, Cooldown};
use super::pending_token::{PendingToken, TokenOutcome};
use super::token_error::{TokenError, TokenUnavailable};
use super::{CachedToken, Credentials};
use crate::random::Jitter;
use crate::retry::Backoff;

/// The token in use, and the requests and rejections that decide about its successor.
pub(super) struct TokenState {
    pub(super) credentials: Credentials,
    /// The number of the rotation that brought them: what was asked for with others is of no use to
    /// them.
    pub(super) generation: u64,
    /// The last token, which may be used up.
    pub(super) token: Option<CachedToken>,
    /// Whether the service rejected it.
    pub(super) is_rejected: bool,
    /// Whether it was requested because the one before was rejected.
    pub(super) replaces_rejected: bool,
    /// Whether a request to replace it failed, so that its refresh token had its chance.
    pub(super) refresh_failed: bool,
    /// When it is tried again, after its first rejection.
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

    /// Begins the cooldown of a new token that was rejected once and is used up before it could be
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

    /// Takes note of a request that has ended.
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
                // One that was rejected meanwhile is not good again when it is given again: who
                // gave it did not know.
                self.is_rejected &= !request.after_rejection && self.holds(&token);
                self.token = Some(token);
                self.cooldown = None;
                self.refresh_failed = false;
                self.cooldown_delays.reset();
            }
            Err(error) => {
                self.refresh_failed = true;
                // The next request goes to another endpoint.
                let latest_end = self.token.as_ref().map(CachedToken::usable_until);
                let latest_end = latest_end.filter(|_| error.is_of_refresh());
                self.cooldown = Some(
                    Cooldown::new(error, ended, &mut self.cooldown_delays).ending_by(latest_end),
                );
            }
        }
    }

    /// What a send is told that waited for a request which failed.
    pub(super) fn failed(&self, error: TokenError) -> TokenUnavailable {
        let wait = self.cooldown.as_ref().and_then(|cooldown| cooldown.wait(Instant::now()));
        TokenUnavailable { wait: wait.max(error.retry_after()), error, is_remembered: false }
    }
}
