//! The exchange of a legacy API key for an access token.

use chrono::{DateTime, Utc};
use http::Uri;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::answer::{Asked, date};
use super::{AccessToken, ApiKey, TokenError};
use crate::clock;
use crate::transport::{AnyTransport, post_json};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Authenticate<'a> {
    api_key: &'a str,
    secret: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refresh<'a> {
    api_key: &'a str,
    refresh_token: &'a str,
}

/// Where a legacy key goes.
#[derive(Clone, Debug)]
pub(crate) struct LegacyEndpoints {
    pub(crate) authenticate: Uri,
    pub(crate) refresh: Uri,
}

/// Renews the token with `refresh_token`; without one, or when the endpoint answers anything but a token,
/// authenticates anew. What is wrong with a refresh token must not keep a good key out: one that followed a refusal of the
/// token before is used no further.
pub(super) async fn request_token(
    key: &ApiKey,
    refresh_token: Option<&SecretString>,
    is_refused: bool,
    endpoints: &LegacyEndpoints,
    transport: &dyn AnyTransport,
    deadline: Instant,
) -> Result<AccessToken, TokenError> {
    let api_key = key.key.expose_secret();
    if let Some(refresh_token) = refresh_token {
        let refresh_token_text = refresh_token.expose_secret();
        let question = Refresh { api_key, refresh_token: refresh_token_text };
        match ask(&endpoints.refresh, &question, &[api_key, refresh_token_text], transport, deadline).await {
            Err(error) if error.is_answer_without_pause() => {
                tracing::debug!(%error, "the refresh token buys none, authenticating anew");
            }
            renewed => {
                let mut token = renewed?;
                // RFC 6749, section 6: one that is not replaced stays good.
                let further = token.refresh_token.or_else(|| Some(refresh_token.clone()));
                token.refresh_token = further.filter(|_| !is_refused);
                return Ok(token);
            }
        }
    }
    let secret = key.secret.expose_secret();
    let question = Authenticate { api_key, secret };
    ask(&endpoints.authenticate, &question, &[api_key, secret], transport, deadline).await
}

/// Posts `question`, which holds `secrets`, and reads a token.
async fn ask(
    endpoint: &Uri,
    question: &impl Serialize,
    secrets: &[&str],
    transport: &dyn AnyTransport,
    deadline: Instant,
) -> Result<AccessToken, TokenError> {
    let question =
        serde_json::to_vec(question).map_err(|_| TokenError::odd("the API key has no JSON form"))?;
    let answer = transport.send(post_json(endpoint, question.into()), deadline - Instant::now());
    let answer = answer.await.map_err(TokenError::Failure)?;
    let asked = Asked { endpoint, client_id: None, secrets };
    let (reply, details) = asked.accepted(&answer)?;
    let Some(token) = text(&reply, "accessToken") else {
        return Err(asked.without_token(&answer, details, "the endpoint's response holds no accessToken"));
    };
    // Where the endpoint tells what time it is, its tokens' end does not depend on this machine's clock.
    let now = date(&answer.headers).unwrap_or_else(clock::now);
    let expires = text(&reply, "expires").and_then(|text| text.parse::<DateTime<Utc>>().ok());
    let life = expires.and_then(|expires| (expires - now).to_std().ok());
    let mut token = AccessToken::new(token).told_to_live(life);
    token.refresh_token = text(&reply, "refreshToken").map(SecretString::from);
    Ok(token)
}

fn text<'a>(reply: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    reply.get(key)?.as_str().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, HeaderValue, Request, StatusCode};

    use super::*;
    use crate::transport::{Answer, Failure, Timed, Transport};

    fn in_a_minute() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    /// Gives a token that ends at noon, by a clock that tells this.
    struct Noon(&'static str);

    impl Transport for Noon {
        async fn send(&self, _: Request<bytes::Bytes>, _: Duration) -> Result<Answer, Failure> {
            let mut headers = HeaderMap::new();
            headers.insert("date", HeaderValue::from_static(self.0));
            let body = r#"{"accessToken":"token","expires":"2026-03-25T12:00:00.304866Z"}"#;
            Ok(Answer::new(StatusCode::OK, headers, Ok(body.into())))
        }
    }

    #[tokio::test]
    async fn a_refresh_token_that_is_not_replaced_stays_good_unless_the_token_was_refused() {
        let key = ApiKey { key: "key".to_owned().into(), secret: "secret".to_owned().into() };
        let endpoints = LegacyEndpoints { authenticate: Uri::default(), refresh: Uri::default() };
        let before = SecretString::from("again");
        for is_refused in [false, true] {
            let token =
                request_token(&key, Some(&before), is_refused, &endpoints, &Timed(Noon("")), in_a_minute())
                    .await;
            let Ok(token) = token else { panic!("no token") };
            let kept = token.refresh_token.as_ref().map(ExposeSecret::expose_secret);
            assert_eq!(kept, (!is_refused).then_some("again"));
        }
    }

    #[tokio::test]
    async fn a_life_is_counted_by_the_clock_of_the_endpoint() {
        for (date, life) in [
            ("Wed, 25 Mar 2026 11:00:00 GMT", "3600.304866s"),
            ("Wed, 25 Mar 2026 12:00:00 GMT", "1s"),
            ("Wed, 25 Mar 2026 12:00:01 GMT", "300s"),
            ("Tue, 24 Mar 2026 12:00:00 GMT", "86400.304866s"),
            ("Mon, 23 Mar 2026 12:00:00 GMT", "300s"),
            // By the clock of this machine it ended long ago.
            ("noon", "300s"),
        ] {
            let key = ApiKey { key: "key".to_owned().into(), secret: "secret".to_owned().into() };
            let endpoints = LegacyEndpoints { authenticate: Uri::default(), refresh: Uri::default() };
            let token = request_token(&key, None, false, &endpoints, &Timed(Noon(date)), in_a_minute()).await;
            let Ok(token) = token else { panic!("{date}: no token") };
            assert_eq!(format!("{token:?}"), format!("AccessToken {{ expires_in: {life}, .. }}"));
        }
    }
}
