//! An access token, and the stretches of its life.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::token_error::TokenError;
use crate::random::Jitter;

/// How long a token lives when nobody says, or what is said can't be.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);

/// No token of the service lives for longer than a legacy one, of which 24 hours are told: by a
/// clock that may be behind.
const LONGEST_LIFE: Duration = Duration::from_secs(25 * 60 * 60);

/// One that is said to live for less has been given, and may be used.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);

/// A token is not used in the last part of its life: it could expire on its way.
const MARGIN: Duration = Duration::from_secs(20);

/// What opens the message endpoint for a while: a bearer token of RFC 6750.
///
/// A [`TokenSource`](crate::TokenSource) gives it. Its `Debug` shows no secret.
#[derive(Clone)]
pub struct AccessToken {
    secret: SecretString,
    life: Duration,
    /// What renews a legacy token.
    pub(super) refresh_token: Option<SecretString>,
}

impl AccessToken {
    /// A token that lives for 300 seconds, unless [`expires_in`](Self::expires_in) says otherwise.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        Self {
            secret: SecretString::from(token.into()),
            life: DEFAULT_LIFETIME,
            refresh_token: None,
        }
    }

    /// Whether both are the same token, whatever their lifetimes.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.expose_secret() == other.expose_secret()
    }

    /// The token itself.
    ///
    /// Whoever has it can send in your name: it belongs in no log.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        self.secret.expose_secret()
    }

    /// How long the token lives, counted from when it was asked for: `expires_in` of RFC 6749,
    /// section 5.1.
    ///
    /// Less than a second counts as one. More than 25 hours can't be, and counts as the usual 300
    /// seconds.
    #[must_use]
    pub fn expires_in(mut self, life: Duration) -> Self {
        self.life = if life <= LONGEST_LIFE { life.max(SHORTEST_LIFE) } else { DEFAULT_LIFETIME };
        self
    }

    /// How long an endpoint says that it lives; zero is no word of it.
    pub(super) fn with_lifetime(self, life: Option<Duration>) -> Self {
        match life.filter(|life| !life.is_zero()) {
            Some(life) => self.expires_in(life),
            None => self,
        }
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("expires_in", &self.life).finish_non_exhaustive()
    }
}

/// A token in use; clones are the same one. Its times are counted on the monotonic clock.
#[derive(Clone)]
pub(crate) struct CachedToken(Arc<Inner>);

struct Inner {
    token: AccessToken,
    authorization: HeaderValue,
    asked: Instant,
    renewal_due: Instant,
    usable_until: Instant,
    expires: Instant,
    /// Whether the service has accepted a message with it.
    was_good: AtomicBool,
}

impl CachedToken {
    /// Takes `token` into use, which was asked for at `asked`.
    pub(super) fn new(
        token: AccessToken,
        asked: Instant,
        jitter: &Jitter,
    ) -> Result<Self, TokenError> {
        if token.secret.expose_secret().is_empty() {
            return Err(TokenError::invalid_response("the access token is empty"));
        }
        let text = format!("Bearer {}", token.secret.expose_secret());
        let mut authorization = HeaderValue::try_from(text).map_err(|_| {
            TokenError::invalid_response("the access token can't be a header value")
        })?;
        authorization.set_sensitive(true);
        // Two thirds of a life that is too short for the whole margin.
        let usable = token.life.saturating_sub(MARGIN.min(token.life * 2 / 3));
        Ok(Self(Arc::new(Inner {
            authorization,
            asked,
            // For 300 s between 224 s and 252 s, so that the senders of a fleet don't all ask at
            // once.
            renewal_due: asked + jitter.sample(usable * 9 / 10, 8.0 / 9.0),
            usable_until: asked + usable,
            expires: asked + token.life,
            token,
            was_good: AtomicBool::new(false),
        })))
    }

    /// The value of the header `Authorization`: RFC 6750, section 2.1. Marked sensitive.
    pub(crate) fn authorization(&self) -> HeaderValue {
        self.0.authorization.clone()
    }

    /// How long before `now` it was asked for.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now - self.0.asked
    }

    /// Notes that the service accepted a message with it.
    pub(crate) fn proved_good(&self) {
        self.0.was_good.store(true, Ordering::Relaxed);
    }

    /// Whether the service has accepted a message with it.
    pub(crate) fn was_good(&self) -> bool {
        self.0.was_good.load(Ordering::Relaxed)
    }

    pub(super) fn token(&self) -> &AccessToken {
        &self.0.token
    }

    pub(super) fn is_renewal_due(&self, now: Instant) -> bool {
        now >= self.0.renewal_due
    }

    pub(super) fn asked(&self) -> Instant {
        self.0.asked
    }

    pub(super) fn usable_until(&self) -> Instant {
        self.0.usable_until
    }

    pub(super) fn is_usable(&self, now: Instant) -> bool {
        now < self.0.usable_until
    }

    pub(super) fn had_expired(&self, then: Instant) -> bool {
        self.0.expires < then
    }
}
