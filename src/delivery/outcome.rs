//! The outcome of an attempt.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::auth::{TokenError, TokenUnavailable};
use crate::error::{Cause, ErrorKind};
use crate::message::Log;
use crate::receipt::{Delivery, OAuthError, ResponseDetails};
use crate::retry::{
    AttemptResult, BodyKind, Classification, Exchange, NextStep, Renewal, ResponseFacts,
};
use crate::transport::{Response, TransportError, TransportErrorKind};

/// The outcome of an attempt.
pub(super) struct Outcome {
    pub(super) ending: AttemptResult,
    pub(super) kind: ErrorKind,
    pub(super) status: Option<StatusCode>,
    /// The description of the failure, which can be logged; `None` if the message was accepted.
    pub(super) error: Option<String>,
    /// The delay that the response asks for, or the time in which no access token is requested.
    pub(super) retry_after: Option<Duration>,
    /// The time by which the attempt is postponed, if it made no request. A postponed attempt
    /// doesn't count.
    pub(super) postponed_for: Option<Duration>,
    /// The time at which a token may be available to replace the one that the service rejected.
    pub(super) renewal: Option<Renewal>,
    /// Whether the connection was closed before the service took the request.
    pub(super) connection_was_closed: bool,
    pub(super) logs: Vec<Log>,
    /// The service's own text, which must not be logged.
    pub(super) service_text: Option<String>,
    /// The error with which the attempt ended.
    pub(super) cause: Option<Cause>,
    /// The token endpoint's OAuth error response.
    pub(super) oauth_error: Option<OAuthError>,
}

impl Outcome {
    /// Creates the outcome of an attempt that brought a response.
    pub(super) fn of_response(
        response: &Response,
        classify: &dyn Fn(&Exchange<'_>) -> Classification,
    ) -> Self {
        let status = response.status;
        let details = ResponseDetails::read(response, &[]);
        let service_text = details.text.as_deref().map(Cow::Borrowed);
        let exchange = Exchange::of_response(facts(response, &details, service_text));
        let outcome =
            Self::exchanged(&exchange, classify, || describe_response(&exchange, details.coding));
        Self {
            status: Some(status),
            retry_after: details.retry_after,
            logs: details.logs,
            service_text: details.text,
            ..outcome
        }
    }

    /// Creates the outcome of an attempt that brought no response.
    pub(super) fn of_failure(
        failure: &TransportError,
        classify: &dyn Fn(&Exchange<'_>) -> Classification,
    ) -> Self {
        let outcome =
            Self::exchanged(&Exchange::of_failure(Cow::Borrowed(failure)), classify, || {
                failure.to_string()
            });
        Self {
            // The next attempt waits for the rate limit, or uses another connection.
            postponed_for: failure.is_called_off().then_some(Duration::ZERO),
            connection_was_closed: failure.is_closed_connection(),
            cause: Some(Arc::new(failure.clone())),
            ..outcome
        }
    }

    fn exchanged(
        exchange: &Exchange<'_>,
        classify: &dyn Fn(&Exchange<'_>) -> Classification,
        what: impl FnOnce() -> String,
    ) -> Self {
        let class = classify(exchange);
        let kind = match class {
            Classification::Throttled => ErrorKind::Throttled,
            Classification::Unauthorized => ErrorKind::Credentials,
            Classification::Accepted | Classification::Rejected | Classification::Partial => {
                ErrorKind::Rejected
            }
            Classification::Transient | Classification::Unknown | Classification::NotSent => {
                exchange.transport_error().map_or(ErrorKind::Unavailable, kind_of)
            }
        };
        let error = (class != Classification::Accepted).then(|| match exchange.classification() {
            usual if usual == class => what(),
            _ => format!("{}, which counts as {class}", what()),
        });
        Self { error, ..Self::new(AttemptResult::Exchanged(class), kind) }
    }

    /// Creates the outcome of an attempt without an access token.
    pub(super) fn no_token(none: TokenUnavailable) -> Self {
        let text = none.to_string();
        let is_temporary = none.error.is_temporary();
        let (service_text, oauth_error) = match none.error {
            TokenError::CredentialsRejected(ref rejected) => {
                (rejected.text.clone(), rejected.oauth_error.clone())
            }
            _ => (None, None),
        };
        Self {
            error: Some(text),
            retry_after: none.wait,
            postponed_for: none.wait.filter(|_| none.is_remembered),
            service_text,
            oauth_error,
            cause: none.error.cause(),
            ..Self::new(
                AttemptResult::TokenUnavailable { is_temporary },
                kind_of_token_error(&none.error),
            )
        }
    }

    /// Creates the outcome of an attempt that ended because its send was dropped. `has_left` is set
    /// if the request may have left by then.
    pub(super) fn dropped(has_left: bool) -> Self {
        let (class, what) = match has_left {
            true => (Classification::Unknown, "the send was dropped before a response came"),
            false => (Classification::NotSent, "the send was dropped before the message left"),
        };
        Self {
            error: Some(what.to_owned()),
            ..Self::new(AttemptResult::Exchanged(class), ErrorKind::Connection)
        }
    }

    fn new(ending: AttemptResult, kind: ErrorKind) -> Self {
        Self {
            ending,
            kind,
            status: None,
            error: None,
            retry_after: None,
            postponed_for: None,
            renewal: None,
            connection_was_closed: false,
            logs: Vec::new(),
            service_text: None,
            cause: None,
            oauth_error: None,
        }
    }

    /// Returns `delay` without the cooldown that all sends share. The loop waits for the cooldown
    /// later, and it may end early.
    pub(super) fn own_part_of(&self, delay: Duration, next: NextStep) -> Duration {
        match self.ending {
            AttemptResult::Exchanged(_) if next == NextStep::TokenCooldown => Duration::ZERO,
            AttemptResult::TokenUnavailable { .. } => {
                delay.saturating_sub(self.retry_after.unwrap_or_default())
            }
            AttemptResult::Exchanged(_) => delay,
        }
    }

    pub(super) fn delivery(&self) -> Delivery {
        match self.ending {
            AttemptResult::TokenUnavailable { .. }
            | AttemptResult::Exchanged(Classification::NotSent) => Delivery::NotSent,
            AttemptResult::Exchanged(Classification::Accepted) => Delivery::Accepted,
            AttemptResult::Exchanged(Classification::Unknown | Classification::Partial) => {
                Delivery::Unknown
            }
            AttemptResult::Exchanged(
                Classification::Rejected
                | Classification::Throttled
                | Classification::Transient
                | Classification::Unauthorized,
            ) => Delivery::Rejected,
        }
    }
}

/// Returns the facts about a response that determine its classification.
pub(super) fn facts<'a>(
    response: &Response,
    details: &ResponseDetails,
    service_text: Option<Cow<'a, str>>,
) -> ResponseFacts<'a> {
    ResponseFacts {
        status: response.status,
        body: details.body,
        has_errors: details.has_errors,
        has_logs: details.has_logs(),
        retry_after: details.retry_after,
        is_early: response.is_early,
        service_text,
    }
}

/// Describes the response in words that can be logged, and why a 2xx was not accepted.
fn describe_response(exchange: &Exchange<'_>, coding: Option<&str>) -> String {
    let status = exchange.status().unwrap_or_default().as_u16();
    let but = match exchange.body_kind() {
        _ if !(200..=299).contains(&status) => "",
        _ if exchange.has_errors() && exchange.has_logs() => {
            " with log ids and with errors: a destination may have failed"
        }
        _ if exchange.is_early() => " before the whole message was sent",
        _ if exchange.has_errors() => " with errors",
        Some(BodyKind::Encoded) => {
            let coding = coding.unwrap_or("unknown");
            return format!(
                "the service responded with {status}, but the response can't be read: its content \
                 coding is {coding}, although the request asks for none; check the gateways in \
                 between"
            );
        }
        Some(BodyKind::Other) => {
            return format!(
                "the response with {status} isn't the service's: a firewall, proxy or portal may \
                 have sent it"
            );
        }
        _ => "",
    };
    format!("the service responded with {status}{but}")
}

fn kind_of_token_error(error: &TokenError) -> ErrorKind {
    match error {
        TokenError::Transport(failure) => kind_of(failure),
        TokenError::TokenRejected { .. } => ErrorKind::Credentials,
        _ if error.is_temporary() => ErrorKind::Unavailable,
        _ => ErrorKind::Credentials,
    }
}

fn kind_of(failure: &TransportError) -> ErrorKind {
    match failure.kind() {
        _ if failure.permit_error().is_some_and(|error| error.retry_after().is_some()) => {
            ErrorKind::Throttled
        }
        _ if failure.permit_error().is_some() => ErrorKind::RateLimiter,
        TransportErrorKind::Timeout => ErrorKind::Timeout,
        _ => ErrorKind::Connection,
    }
}
