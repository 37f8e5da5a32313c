//! The access token in use, kept until shortly before it expires.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{AccessToken, Credentials, TokenEndpoints, TokenError};
use crate::transport::Transport;

/// Holds the token that all sends of a client share. While one of them asks for a token, those that need it
/// wait for the answer.
pub(crate) struct TokenCache {
    credentials: Credentials,
    endpoints: TokenEndpoints,
    token: Mutex<Option<AccessToken>>,
    asking: tokio::sync::Mutex<()>,
}

impl TokenCache {
    pub(crate) fn new(credentials: Credentials, endpoints: TokenEndpoints) -> Self {
        Self { credentials, endpoints, token: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    /// The token in use, or a new one where there is none.
    pub(crate) async fn token(
        &self,
        transport: &dyn Transport,
        timeout: Duration,
    ) -> Result<AccessToken, TokenError> {
        if let Some(token) = self.usable() {
            return Ok(token);
        }
        let _asking = self.asking.lock().await;
        if let Some(token) = self.usable() {
            return Ok(token);
        }
        tracing::debug!("asking for an access token");
        let asked = self.credentials.request_token(&self.endpoints, transport, timeout);
        let token = asked.await?;
        *self.slot() = Some(token.clone());
        Ok(token)
    }

    /// Drops `refused`, unless another token has taken its place already.
    pub(crate) fn reject(&self, refused: &AccessToken) {
        let mut slot = self.slot();
        if slot.as_ref().is_some_and(|token| token.is(refused)) {
            *slot = None;
        }
    }

    fn usable(&self) -> Option<AccessToken> {
        self.slot().clone().filter(AccessToken::is_usable)
    }

    fn slot(&self) -> MutexGuard<'_, Option<AccessToken>> {
        // Nothing that holds the lock can leave the slot half written.
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
