//! The access tokens of the mock: issuing and checking them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::assertion::{Clients, Rejection, Replays, verify};
use super::mock_response::MockResponse;
use crate::random::fresh_id;

/// The lifetime of a legacy key's token.
const LEGACY_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

const FORM: &str = "application/x-www-form-urlencoded";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A response, and the reason if it is a rejection.
pub(super) type TokenResponse = (MockResponse, Option<String>);

pub(super) struct Tokens {
    pub(super) clients: Clients,
    pub(super) api_keys: HashMap<String, String>,
    pub(super) lifetime: Duration,
    replays: Replays,
    issued: HashMap<String, Issued>,
    /// The API key that each refresh token belongs to.
    refreshing: HashMap<String, String>,
}

struct Issued {
    ends: Instant,
    is_revoked: bool,
}

#[derive(Deserialize)]
struct Authenticate {
    #[serde(rename = "apiKey")]
    api_key: String,
    secret: String,
}

#[derive(Deserialize)]
struct Refresh {
    #[serde(rename = "apiKey")]
    api_key: String,
    #[serde(rename = "refreshToken")]
    refresh_token: String,
}

impl Tokens {
    pub(super) fn new(
        clients: Clients,
        api_keys: HashMap<String, String>,
        lifetime: Duration,
    ) -> Self {
        let (replays, issued, refreshing) = Default::default();
        Self { clients, api_keys, lifetime, replays, issued, refreshing }
    }

    /// Responds to a request at `/v2/auth/token` (RFC 6749, sections 4.4 and 5).
    pub(super) fn exchange(
        &mut self,
        headers: &HeaderMap,
        body: &Bytes,
        audiences: &[String],
        now: DateTime<Utc>,
    ) -> TokenResponse {
        match self.proven(headers, body, audiences, now) {
            Ok(scope) => {
                let token = self.issue(self.lifetime);
                let seconds = self.lifetime.as_secs();
                let json = json!({
                    "access_token": token,
                    "token_type": "Bearer",
                    "expires_in": seconds,
                    "scope": scope,
                });
                (MockResponse::new(StatusCode::OK).json(json.to_string().into()), None)
            }
            Err(Rejection { error, description, expected }) => {
                let json = json!({ "error": error, "error_description": description });
                let expected =
                    expected.map(|expected| format!(", expected {expected}")).unwrap_or_default();
                let response =
                    MockResponse::new(StatusCode::BAD_REQUEST).json(json.to_string().into());
                (response, Some(description + &expected))
            }
        }
    }

    /// Authenticates the client, and returns the scope that it requests.
    fn proven(
        &mut self,
        headers: &HeaderMap,
        body: &Bytes,
        audiences: &[String],
        now: DateTime<Utc>,
    ) -> Result<String, Rejection> {
        let kind =
            headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if kind.split(';').next().map(str::trim) != Some(FORM) {
            return Err("x-www-form-urlencoded content-type required".into());
        }
        let form: HashMap<_, _> = url::form_urlencoded::parse(body).collect();
        match form.get("grant_type").map(AsRef::as_ref) {
            Some("client_credentials") => {}
            Some(_) => {
                let error = "unsupported_grant_type";
                return Err(Rejection { error, .."Unexpected grant_type parameter".into() });
            }
            None => return Err("Missing grant_type parameter".into()),
        }
        if form.get("client_assertion_type").is_none_or(|kind| kind != JWT_BEARER) {
            return Err("Missing or unexpected client_assertion_type parameter".into());
        }
        let assertion = form.get("client_assertion").ok_or("Missing client assertion")?;
        let client_id = verify(assertion, &self.clients, audiences, &mut self.replays, now)?;
        // RFC 7521, section 4.2: the parameter is optional, but must match if present.
        if form.get("client_id").is_some_and(|id| *id != client_id) {
            return Err("The client_id parameter differs from the assertion's iss".into());
        }
        Ok(form.get("scope").map(|scope| scope.clone().into_owned()).unwrap_or_default())
    }

    /// Responds to a request at `/auth/authenticate`.
    pub(super) fn authenticate(&mut self, body: &Bytes, now: DateTime<Utc>) -> TokenResponse {
        let question: Result<Authenticate, _> = serde_json::from_slice(body);
        match question {
            Ok(asked) if self.api_keys.get(&asked.api_key) == Some(&asked.secret) => {
                self.legacy_token(asked.api_key, now)
            }
            _ => rejected("the API key is unknown or its secret is wrong"),
        }
    }

    /// Responds to a request at `/auth/refreshToken`.
    pub(super) fn refresh(&mut self, body: &Bytes, now: DateTime<Utc>) -> TokenResponse {
        let question: Result<Refresh, _> = serde_json::from_slice(body);
        match question {
            Ok(asked) if self.refreshing.get(&asked.refresh_token) == Some(&asked.api_key) => {
                self.refreshing.remove(&asked.refresh_token);
                self.legacy_token(asked.api_key, now)
            }
            _ => rejected("the refresh token is unknown or was already used"),
        }
    }

    fn legacy_token(&mut self, api_key: String, now: DateTime<Utc>) -> TokenResponse {
        let token = self.issue(LEGACY_LIFETIME);
        let refresh_token = fresh_id().to_string();
        self.refreshing.insert(refresh_token.clone(), api_key);
        let expires = now + TimeDelta::from_std(LEGACY_LIFETIME).unwrap_or_default();
        let expires = expires.to_rfc3339_opts(SecondsFormat::Millis, true);
        let json =
            json!({ "accessToken": token, "expires": expires, "refreshToken": refresh_token });
        (MockResponse::new(StatusCode::OK).json(json.to_string().into()), None)
    }

    fn issue(&mut self, lifetime: Duration) -> String {
        // Expired and revoked tokens stay known, so that the reason for a rejection is exact.
        let token = format!("mock-{}", fresh_id().simple());
        let now = Instant::now();
        let ends = now.checked_add(lifetime).unwrap_or(now + LEGACY_LIFETIME);
        self.issued.insert(token.clone(), Issued { ends, is_revoked: false });
        token
    }

    pub(super) fn revoke_all(&mut self) {
        self.issued.values_mut().for_each(|token| token.is_revoked = true);
        self.refreshing.clear();
    }

    /// Returns the problem with the access token in these headers.
    pub(super) fn problem(&self, headers: &HeaderMap) -> Option<&'static str> {
        let value = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, token)) = value.and_then(|value| value.split_once(' ')) else {
            return Some("the request has no access token");
        };
        match self.issued.get(token) {
            _ if !scheme.eq_ignore_ascii_case("bearer") => Some("the token isn't a bearer token"),
            None => Some("the token is unknown"),
            Some(token) if token.is_revoked => Some("the token was revoked"),
            Some(token) if token.ends <= Instant::now() => Some("the token is expired"),
            Some(_) => None,
        }
    }
}

fn rejected(reason: &str) -> TokenResponse {
    let response =
        MockResponse::new(StatusCode::UNAUTHORIZED).content("text/html", "Invalid request".into());
    (response, Some(reason.to_owned()))
}
