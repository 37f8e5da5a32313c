//! What a token endpoint's answer holds.

use chrono::{DateTime, TimeDelta, Utc};
use http::header::DATE;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use super::token_error::{Refused, TokenError};
use crate::clock;
use crate::receipt::Said;
use crate::transport::Answer;

/// A clock that is off by more may be why the endpoint refuses: it takes no `iat` from further in its future.
const SKEW_ALLOWED: TimeDelta = TimeDelta::seconds(10);

/// Sorts out the answers that bring no token, whatever the kind of credentials.
pub(super) fn accepted(answer: Answer) -> Result<Answer, TokenError> {
    if answer.status.is_success() {
        return match answer.body {
            Err(failure) => Err(TokenError::Failure(failure)),
            Ok(_) => Ok(answer),
        };
    }
    let status = answer.status.as_u16();
    let said = Said::read(&answer.headers, answer.body(), clock::now().into());
    if answer.status == StatusCode::TOO_MANY_REQUESTS || answer.status.is_server_error() {
        return Err(TokenError::Unavailable { status, hint: said.hint });
    }
    Err(TokenError::Refused(Box::new(Refused {
        status,
        refusal: said.refusal,
        text: said.text,
        ahead: None,
    })))
}

/// Reads the JSON object that brings a token.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, TokenError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        _ if body.trim_ascii().is_empty() => Err(TokenError::Odd("the endpoint's answer is empty")),
        // What it is instead may hold a token.
        _ => Err(TokenError::Odd("the endpoint's answer is no JSON object")),
    }
}

/// When the answer was made, by the endpoint's clock: RFC 9110, section 6.6.1.
pub(super) fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let date = headers.get(DATE)?.to_str().ok()?;
    httpdate::parse_http_date(date).ok().map(DateTime::from)
}

/// How far this machine's clock is ahead of the one that dated `answer`, behind where it is negative; none where it is
/// off by little. `asked` is when the request went out.
pub(super) fn ahead(answer: &Answer, asked: DateTime<Utc>) -> Option<TimeDelta> {
    // The answer was made at some moment since `asked`.
    let date = date(&answer.headers)?;
    let (fast, slow) = (asked - date, date - clock::now());
    // The header has whole seconds: the moment may have been almost one later.
    if fast - TimeDelta::seconds(1) > SKEW_ALLOWED {
        Some(fast)
    } else {
        Some(-slow).filter(|_| slow > SKEW_ALLOWED)
    }
}
