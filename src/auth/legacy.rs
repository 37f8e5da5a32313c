//! The exchange of a legacy API key for an access token.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::time::Instant;

use super::token_response::{Asked, TokenObject, date};
use super::{AccessToken, ApiKey, TokenError};
use crate::clock;
use crate::message::read_time;
use crate::transport::{AnyTransport, post_json};

/// The maximum size of a request without its secrets, in bytes.
const ROOM_FOR_NAMES: usize = 64;

/// The body of a request.
#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum RequestBody<'a> {
    Authenticate { api_key: &'a str, secret: &'a str },
    Refresh { api_key: &'a str, refresh_token: &'a str },
}

/// The endpoints for a legacy API key.
#[derive(Clone, Debug)]
pub(crate) struct LegacyEndpoints {
    pub(crate) authenticate: Uri,
    pub(crate) refresh: Uri,
}

/// The longest wait for the refresh endpoint while sends need a token.
const LONGEST_REFRESH: Duration = Duration::from_secs(5);

/// The refresh token that came with an access token.
#[derive(Clone, Copy)]
pub(super) struct Refresh<'a> {
    pub(super) token: &'a SecretString,
    /// The time until which the access token is usable; `None` if it was rejected.
    pub(super) access_token_until: Option<Instant>,
}

impl Refresh<'_> {
    fn can_wait(self, now: Instant) -> bool {
        self.access_token_until.is_some_and(|until| now < until)
    }

    /// Returns when the refresh endpoint must have responded, so that time is left to authenticate
    /// anew.
    fn deadline(self, deadline: Instant) -> Instant {
        let now = Instant::now();
        match self.access_token_until {
            Some(until) if now < until => until.min(deadline),
            _ => now + LONGEST_REFRESH.min((deadline - now) / 2),
        }
    }
}

/// Renews the token with its refresh token if there is one, and authenticates anew otherwise.
///
/// A bad refresh token must not lock out a good key, so a rejected one leads to a new
/// authentication at once. If the refresh endpoint fails without such a response, the access token
/// stays in use while it is usable.
pub(super) async fn request_token(
    key: &ApiKey,
    refresh: Option<Refresh<'_>>,
    endpoints: &LegacyEndpoints,
    transport: &dyn AnyTransport,
    deadline: Instant,
) -> Result<AccessToken, TokenError> {
    let api_key = key.key.expose_secret();
    if let Some(refresh) = refresh {
        let refresh_token = refresh.token.expose_secret();
        let body = RequestBody::Refresh { api_key, refresh_token };
        let secrets = [api_key, refresh_token];
        match ask(&endpoints.refresh, &body, &secrets, transport, refresh.deadline(deadline)).await
        {
            Err(error)
                if !error.is_response_without_cooldown() && refresh.can_wait(Instant::now()) =>
            {
                return Err(TokenError::Refresh(Box::new(error)));
            }
            Err(error) => {
                tracing::debug!(
                    "error.message" = %error,
                    "refreshing the access token failed, authenticating again"
                );
            }
            Ok(mut token) => {
                // RFC 6749, section 6: without a new refresh token, the old one stays valid. After
                // a rejected access token, neither is kept.
                let further = token.refresh_token.or_else(|| Some(refresh.token.clone()));
                token.refresh_token = further.filter(|_| refresh.access_token_until.is_some());
                return Ok(token);
            }
        }
    }
    let secret = key.secret.expose_secret();
    let body = RequestBody::Authenticate { api_key, secret };
    ask(&endpoints.authenticate, &body, &[api_key, secret], transport, deadline).await
}

/// Posts `body`, which holds `secrets`, and reads a token from the response.
async fn ask(
    endpoint: &Uri,
    body: &RequestBody<'_>,
    secrets: &[&str],
    transport: &dyn AnyTransport,
    deadline: Instant,
) -> Result<AccessToken, TokenError> {
    let json = wiped_json(body, secrets)?;
    let response = transport.send(post_json(endpoint, json), deadline - Instant::now());
    let response = response.await.map_err(TokenError::Transport)?;
    let asked = Asked { endpoint, client_id: None, secrets };
    let (reply, details) = asked.accepted(&response)?;
    let Some(token) = text(&reply, "accessToken") else {
        return Err(asked.without_token(
            &response,
            details,
            "the endpoint's response contains no accessToken",
        ));
    };
    // If the response has a date, the lifetime doesn't depend on this machine's clock.
    let now = date(&response.headers).unwrap_or_else(clock::now);
    let expires = text(&reply, "expires").and_then(|text| read_time(&text));
    let life = expires.and_then(|expires| (expires - now).to_std().ok());
    let mut token = AccessToken::new(token).with_lifetime(life);
    token.refresh_token =
        text(&reply, "refreshToken").map(|token| SecretString::from(token.into_owned()));
    Ok(token)
}

/// Encodes `body` into memory that is wiped when the last reference to it is dropped.
fn wiped_json(body: &RequestBody<'_>, secrets: &[&str]) -> Result<Bytes, TokenError> {
    // Enough for names and escapes, because a reallocation would leave a copy.
    let escaped = secrets
        .iter()
        .fold(ROOM_FOR_NAMES, |sum, secret| sum.saturating_add(secret.len().saturating_mul(6)));
    let mut json = Zeroizing::new(Vec::with_capacity(escaped));
    serde_json::to_writer(&mut *json, body)
        .map_err(|_| TokenError::invalid_response("the API key can't be encoded as JSON"))?;
    Ok(Bytes::from_owner(json))
}

fn text<'a>(reply: &'a TokenObject<'_>, key: &str) -> Option<Cow<'a, str>> {
    reply.text(key).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Request, StatusCode};

    use super::*;
    use crate::transport::{Response, Timed, Transport, TransportContext, TransportError};

    fn in_a_minute() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    /// A service that issues a token until noon, in a response with this `Date`.
    struct Noon(&'static str);

    impl Transport for Noon {
        async fn send(
            &self,
            _: Request<bytes::Bytes>,
            _: TransportContext,
        ) -> Result<Response, TransportError> {
            let mut headers = HeaderMap::new();
            headers.insert("date", HeaderValue::from_static(self.0));
            let body = r#"{"accessToken":"token","expires":"2026-03-25T12:00:00.304866Z"}"#;
            Ok(Response::new(StatusCode::OK, headers, Ok(body.into())))
        }
    }

    #[tokio::test]
    async fn a_refresh_token_that_is_not_replaced_stays_good_unless_the_token_was_rejected() {
        let key = ApiKey { key: "key".to_owned().into(), secret: "secret".to_owned().into() };
        let endpoints = LegacyEndpoints { authenticate: Uri::default(), refresh: Uri::default() };
        let before = SecretString::from("again");
        for is_rejected in [false, true] {
            let access_token_until = (!is_rejected).then(in_a_minute);
            let refresh = Some(Refresh { token: &before, access_token_until });
            let token =
                request_token(&key, refresh, &endpoints, &Timed(Noon("")), in_a_minute()).await;
            let Ok(token) = token else { panic!("no token") };
            let kept = token.refresh_token.as_ref().map(ExposeSecret::expose_secret);
            assert_eq!(kept, (!is_rejected).then_some("again"));
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
            // Without a valid date this machine's clock counts. By that, the token expired long
            // ago.
            ("noon", "300s"),
        ] {
            let key = ApiKey { key: "key".to_owned().into(), secret: "secret".to_owned().into() };
            let endpoints =
                LegacyEndpoints { authenticate: Uri::default(), refresh: Uri::default() };
            let token =
                request_token(&key, None, &endpoints, &Timed(Noon(date)), in_a_minute()).await;
            let Ok(token) = token else { panic!("{date}: no token") };
            assert_eq!(format!("{token:?}"), format!("AccessToken {{ expires_in: {life}, .. }}"));
        }
    }
}
