//! The exchange of a legacy API key for an access token.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::Uri;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::ApiKey;
use super::token::{AccessToken, TokenError, accepted};
use crate::clock;
use crate::transport::{Transport, post_json};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    api_key: &'a str,
    secret: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    access_token: String,
    /// A time; one that can't be read must not cost the token.
    #[serde(default)]
    expires: serde_json::Value,
}

pub(super) async fn request_token(
    key: &ApiKey,
    endpoint: &Uri,
    transport: &dyn Transport,
    timeout: Duration,
) -> Result<AccessToken, TokenError> {
    let asked = Instant::now();
    let question = Question { api_key: key.key.expose_secret(), secret: key.secret.expose_secret() };
    let question =
        serde_json::to_vec(&question).map_err(|_| TokenError::Odd("the API key has no JSON form"))?;
    let request = post_json(endpoint, question.into());
    let answer = transport.send(request, timeout).await.map_err(TokenError::Failure)?;
    let answer = accepted(answer)?;
    let reply: Reply = serde_json::from_slice(answer.body())
        .map_err(|_| TokenError::Odd("the endpoint's answer is no token reply"))?;
    let expires = reply.expires.as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
    let left = expires.and_then(|expires| (expires - clock::now()).to_std().ok());
    let token = SecretString::from(reply.access_token);
    AccessToken::new(&token, asked, left.unwrap_or_default())
}
