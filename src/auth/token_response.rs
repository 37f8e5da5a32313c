//! Parsing of token endpoint responses.

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, StatusCode, Uri};

use super::token_error::{CredentialsRejection, TokenError};
use crate::clock;
use crate::message::{self, Object};
use crate::receipt::ResponseDetails;
use crate::retry::asks_again;
use crate::text;
use crate::transport::{self, Response};

/// The clock difference that the endpoint tolerates: it rejects an `iat` that lies further in its
/// future. A larger difference may be the reason for a rejection.
pub(super) const SKEW_ALLOWED: TimeDelta = TimeDelta::seconds(10);

/// The parts of a token request that matter for its response.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) endpoint: &'a Uri,
    /// The OAuth client id; `None` for a legacy API key, which is a secret.
    pub(super) client_id: Option<&'a str>,
    /// The texts of the request that an error must not show.
    pub(super) secrets: &'a [&'a str],
}

impl Asked<'_> {
    /// Returns the JSON object of a response that reports success, and its other details. It works
    /// for every kind of credentials.
    pub(super) fn accepted(
        self,
        response: &Response,
    ) -> Result<(TokenObject<'_>, ResponseDetails), TokenError> {
        let status = response.status;
        let details = ResponseDetails::read(response, self.secrets);
        let is_busy = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
        if is_busy || asks_again(status) {
            return Err(TokenError::Unavailable {
                status: status.as_u16(),
                retry_after: details.retry_after,
            });
        }
        if !status.is_success() {
            return Err(self.rejected(status, details));
        }
        if let Some(coding) = details.coding {
            let what =
                format!("the endpoint's response can't be read: its content coding is {coding}");
            return Err(TokenError::InvalidResponse(what.into()));
        }
        let body =
            response.body.as_ref().map_err(|failure| TokenError::Transport(failure.clone()))?;
        Ok((TokenObject::read(body)?, details))
    }

    /// Returns the error for a response that reports success but holds no token. `what` describes
    /// that, unless the response is an error with the wrong status.
    pub(super) fn without_token(
        self,
        response: &Response,
        details: ResponseDetails,
        what: &'static str,
    ) -> TokenError {
        match details.has_errors {
            true => self.rejected(response.status, details),
            false => TokenError::invalid_response(what),
        }
    }

    fn rejected(self, status: StatusCode, details: ResponseDetails) -> TokenError {
        TokenError::CredentialsRejected(Box::new(CredentialsRejection {
            status: status.as_u16(),
            oauth_error: details.oauth_error,
            text: details.text,
            ahead: None,
            endpoint: self.endpoint.to_string(),
            client_id: self.client_id.map(str::to_owned),
        }))
    }
}

/// The JSON object of a response that reports success.
pub(super) struct TokenObject<'a>(Cow<'a, str>);

impl<'a> TokenObject<'a> {
    fn read(body: &'a [u8]) -> Result<Self, TokenError> {
        // As tolerant as the reader of the message endpoint's responses.
        let text = match String::from_utf8_lossy(body) {
            Cow::Borrowed(text) => Cow::Borrowed(text::trimmed(text)),
            Cow::Owned(text) => Cow::Owned(text::trimmed(&text).to_owned()),
        };
        match message::json(&text) {
            Some(json) if json.starts_with('{') => Ok(Self(text)),
            _ if text.is_empty() => {
                Err(TokenError::invalid_response("the endpoint's response is empty"))
            }
            // The error doesn't show the body, because it may hold a token all the same.
            _ => Err(TokenError::invalid_response("the endpoint's response isn't a JSON object")),
        }
    }

    /// Returns the value of `key` as written. If the key is repeated, its last value counts.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let object = Object::read(&self.0)?;
        object.iter().filter(|(name, _)| name.name() == key).last().map(|(_, json)| json)
    }

    /// Returns the text of `key`, if it is a string.
    pub(super) fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        message::text(self.get(key).filter(|json| json.starts_with('"'))?)
    }
}

/// Returns when the response was created, by the endpoint's clock.
pub(super) fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    transport::date(headers).map(DateTime::from)
}

/// Returns how far this machine's clock is ahead of the clock that dated `response`; a negative
/// value is behind. Returns zero if the difference is small, and `None` without a date. `asked` is
/// the time of the request.
pub(super) fn ahead(response: &Response, asked: DateTime<Utc>) -> Option<TimeDelta> {
    // The response was created at some time between `asked` and now.
    let date = date(&response.headers)?;
    let fast = asked - date;
    let slow = date - clock::now();
    // The header has whole seconds, so the response may be almost a second younger.
    Some(if fast - TimeDelta::seconds(1) > SKEW_ALLOWED {
        fast
    } else if slow > SKEW_ALLOWED {
        -slow
    } else {
        TimeDelta::zero()
    })
}
