//! The access token in use, kept until shortly before it expires.

use std::time::Duration;

use tokio::sync::Mutex;

use super::{AccessToken, Credentials, TokenEndpoints, TokenError};
use crate::transport::Transport;

/// Holds the token that all sends of a client share. While one of them asks for a token the others wait
/// for it.
pub(crate) struct TokenCache {
    credentials: Credentials,
    endpoints: TokenEndpoints,
    token: Mutex<Option<AccessToken>>,
}

impl TokenCache {
    pub(crate) fn new(credentials: Credentials, endpoints: TokenEndpoints) -> Self {
        Self { credentials, endpoints, token: Mutex::new(None) }
    }

    /// The token in use, or a new one where there is none.
    pub(crate) async fn token(
        &self,
        transport: &dyn Transport,
        timeout: Duration,
    ) -> Result<AccessToken, TokenError> {
        let mut slot = self.token.lock().await;
        if let Some(token) = slot.as_ref().filter(|token| token.is_usable()) {
            return Ok(token.clone());
        }
        tracing::debug!("asking for an access token");
        let asked = self.credentials.request_token(&self.endpoints, transport, timeout);
        let token = asked.await?;
        *slot = Some(token.clone());
        Ok(token)
    }

    /// Drops `refused`, unless another token has taken its place already.
    pub(crate) async fn reject(&self, refused: &AccessToken) {
        let mut slot = self.token.lock().await;
        if slot.as_ref().is_some_and(|token| token.is(refused)) {
            *slot = None;
        }
    }
}
