//! An access token and its lifetime.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::token_error::TokenError;
use crate::random::Jitter;

/// The lifetime of a token if the response states none, or an impossible one.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);

/// The longest possible lifetime: the 24 hours of a legacy token, and an hour in case this
/// machine's clock is behind.
const LONGEST_LIFE: Duration = Duration::from_secs(25 * 60 * 60);

/// The shortest lifetime. Even a token that states less was issued, and may be used.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);

/// The last part of a token's lifetime, in which it isn't used because it could expire in flight.
const MARGIN: Duration = Duration::from_secs(20);

/// A bearer token (RFC 6750) that gives access to the message endpoint for a limited time.
///
/// A [`TokenSource`](crate::TokenSource) returns it. The `Debug` output shows no secret.
#[derive(Clone)]
pub struct AccessToken {
    secret: SecretString,
    life: Duration,
    /// The refresh token that renews a legacy token.
    pub(super) refresh_token: Option<SecretString>,
}

impl AccessToken {
    /// Creates a token that lives for 300 seconds, unless [`expires_in`](Self::expires_in) sets
    /// another lifetime.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        Self {
            secret: SecretString::from(token.into()),
            life: DEFAULT_LIFETIME,
            refresh_token: None,
        }
    }

    /// Returns whether both are the same token, regardless of their lifetimes.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.expose_secret() == other.expose_secret()
    }

    /// Returns the token itself.
    ///
    /// Anyone who has it can send in your name. Don't log it.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        self.secret.expose_secret()
    }

    /// Sets the lifetime of the token, counted from its request: `expires_in` of RFC 6749, section
    /// 5.1. Defaults to 300 seconds.
    ///
    /// Less than a second counts as one. More than 25 hours is impossible, and counts as 300
    /// seconds.
    #[must_use]
    pub fn expires_in(mut self, life: Duration) -> Self {
        self.life = if life <= LONGEST_LIFE { life.max(SHORTEST_LIFE) } else { DEFAULT_LIFETIME };
        self
    }

    /// Sets the lifetime that an endpoint states; zero counts as none.
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

/// A token in use. Clones share its state. Its times are on the monotonic clock.
#[derive(Clone)]
pub(crate) struct CachedToken(Arc<Inner>);

struct Inner {
    token: AccessToken,
    authorization: HeaderValue,
    asked: Instant,
    renewal_due: Instant,
    usable_until: Instant,
    expires: Instant,
    /// Whether the service has accepted a message with this token.
    was_good: AtomicBool,
}

impl CachedToken {
    /// Creates a cached token from `token`, which was requested at `asked`.
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
        // The margin takes at most two thirds of a short lifetime.
        let usable = token.life.saturating_sub(MARGIN.min(token.life * 2 / 3));
        Ok(Self(Arc::new(Inner {
            authorization,
            asked,
            // Between 224 s and 252 s for a lifetime of 300 s, so that the clients of a fleet don't
            // all renew at once.
            renewal_due: asked + jitter.sample(usable * 9 / 10, 8.0 / 9.0),
            usable_until: asked + usable,
            expires: asked + token.life,
            token,
            was_good: AtomicBool::new(false),
        })))
    }

    /// Returns the value of the header `Authorization` (RFC 6750, section 2.1), marked sensitive.
    pub(crate) fn authorization(&self) -> HeaderValue {
        self.0.authorization.clone()
    }

    /// Returns the time between the token's request and `now`.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now - self.0.asked
    }

    /// Records that the service accepted a message with this token.
    pub(crate) fn proved_good(&self) {
        self.0.was_good.store(true, Ordering::Relaxed);
    }

    /// Returns whether the service has accepted a message with this token.
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
