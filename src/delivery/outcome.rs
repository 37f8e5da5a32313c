//! What one attempt came to.

use std::time::Duration;

use crate::auth::{NoToken, TokenError};
use crate::clock;
use crate::error::ErrorKind;
use crate::message::Log;
use crate::receipt::{Delivery, ResponseDetails, TokenRefusal};
use crate::retry::{Answered, BodyKind, Class, Ending, Exchange, Next, Renewal};
use crate::transport::{Answer, Failure, FailureKind};

/// What one attempt came to.
pub(super) struct Outcome {
    pub(super) ending: Ending,
    pub(super) kind: ErrorKind,
    pub(super) status: Option<u16>,
    /// What went wrong, in words that can be logged.
    pub(super) error: Option<String>,
    /// The wait that the response asks for, or the time in which no access token is requested.
    pub(super) retry_after: Option<Duration>,
    /// How long it is not worth trying again, where nobody was asked for anything.
    pub(super) pause: Option<Duration>,
    /// When there may be a token instead of the one that the service rejected.
    pub(super) renewal: Option<Renewal>,
    /// Whether the connection was found closed before the service took the request.
    pub(super) connection_was_closed: bool,
    pub(super) logs: Vec<Log>,
    /// What the service said, which can't.
    pub(super) service_text: Option<String>,
    /// What the token endpoint said, in the standard's form.
    pub(super) token_refusal: Option<TokenRefusal>,
}

impl Outcome {
    /// A response came.
    pub(super) fn answered(answer: &Answer, classify: &dyn Fn(&Exchange<'_>) -> Class) -> Self {
        let status = answer.status.as_u16();
        let details = ResponseDetails::read(answer, &[], clock::now().into());
        let exchange = Exchange::answered(Answered {
            status,
            body: details.body,
            has_errors: details.has_errors,
            has_logs: details.has_logs(),
            retry_after: details.retry_after,
            is_early: answer.is_early,
            service_text: details.text.as_deref(),
        });
        let outcome = Self::exchanged(&exchange, classify, || what_came(&exchange, details.coding));
        Self {
            status: Some(status),
            retry_after: details.retry_after,
            logs: details.logs,
            service_text: details.text,
            ..outcome
        }
    }

    /// No response came.
    pub(super) fn unanswered(failure: &Failure, classify: &dyn Fn(&Exchange<'_>) -> Class) -> Self {
        let outcome = Self::exchanged(&Exchange::failed(failure), classify, || failure.to_string());
        Self {
            // The next attempt waits for the rate limit, or for another connection.
            pause: failure.is_called_off().then_some(Duration::ZERO),
            connection_was_closed: failure.is_closed_connection(),
            ..outcome
        }
    }

    fn exchanged(
        exchange: &Exchange<'_>,
        classify: &dyn Fn(&Exchange<'_>) -> Class,
        what: impl FnOnce() -> String,
    ) -> Self {
        let class = classify(exchange);
        let kind = match class {
            Class::Throttled => ErrorKind::Throttled,
            Class::Unauthorized => ErrorKind::Credentials,
            Class::Accepted | Class::Refused | Class::Partial => ErrorKind::Refused,
            Class::Transient | Class::Unknown | Class::NotSent => {
                exchange.failure().map_or(ErrorKind::Unavailable, kind_of)
            }
        };
        let error = (class != Class::Accepted).then(|| match exchange.class() {
            usual if usual == class => what(),
            _ => format!("{}, which counts as {class}", what()),
        });
        Self { error, ..Self::new(Ending::Exchanged(class), kind) }
    }

    /// There was no access token to send the message with.
    pub(super) fn no_token(none: NoToken) -> Self {
        let (text, is_temporary) = (none.to_string(), none.error.is_temporary());
        let (service_text, token_refusal) = match none.error {
            TokenError::Refused(ref refused) => (refused.text.clone(), refused.refusal.clone()),
            _ => (None, None),
        };
        Self {
            error: Some(text),
            retry_after: none.wait,
            pause: none.wait.filter(|_| none.is_remembered),
            service_text,
            token_refusal,
            ..Self::new(Ending::NoToken { is_temporary }, kind_of_token_error(&none.error))
        }
    }

    /// The send was dropped; `has_left` says whether the request may have left by then.
    pub(super) fn dropped(has_left: bool) -> Self {
        let (class, what) = match has_left {
            true => (Class::Unknown, "the send was dropped before a response came"),
            false => (Class::NotSent, "the send was dropped before the message left"),
        };
        Self { error: Some(what.to_owned()), ..Self::new(Ending::Exchanged(class), ErrorKind::Connection) }
    }

    fn new(ending: Ending, kind: ErrorKind) -> Self {
        Self {
            ending,
            kind,
            status: None,
            error: None,
            retry_after: None,
            pause: None,
            renewal: None,
            connection_was_closed: false,
            logs: Vec::new(),
            service_text: None,
            token_refusal: None,
        }
    }

    /// What is left of the delay before the next attempt without the cooldown that all sends share. They wait for that one later,
    /// and it may end before its time.
    pub(super) fn own_part_of(&self, delay: Duration, next: Next) -> Duration {
        match self.ending {
            Ending::Exchanged(_) if next == Next::TokenPause => Duration::ZERO,
            Ending::NoToken { .. } => delay.saturating_sub(self.retry_after.unwrap_or_default()),
            Ending::Exchanged(_) => delay,
        }
    }

    pub(super) fn delivery(&self) -> Delivery {
        match self.ending {
            Ending::NoToken { .. } | Ending::Exchanged(Class::NotSent) => Delivery::NotSent,
            Ending::Exchanged(Class::Accepted) => Delivery::Accepted,
            Ending::Exchanged(Class::Unknown | Class::Partial) => Delivery::Unknown,
            Ending::Exchanged(Class::Refused | Class::Throttled | Class::Transient | Class::Unauthorized) => {
                Delivery::Refused
            }
        }
    }
}

/// The response in words that can be logged, and what is wrong with it if it is a 2xx.
fn what_came(exchange: &Exchange<'_>, coding: Option<&str>) -> String {
    let status = exchange.status().unwrap_or_default();
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
                "a {status} came, but the response can't be read: its content coding is {coding}, although the request \
                 asks for none; check the gateways on the way"
            );
        }
        Some(BodyKind::Other) => {
            return format!(
                "a {status} came, but the response isn't the service's: a firewall, proxy or portal may have responded"
            );
        }
        _ => "",
    };
    format!("the service answered {status}{but}")
}

fn kind_of_token_error(error: &TokenError) -> ErrorKind {
    match error {
        TokenError::Failure(failure) => kind_of(failure),
        TokenError::Rejected { .. } => ErrorKind::Credentials,
        _ if error.is_temporary() => ErrorKind::Unavailable,
        _ => ErrorKind::Credentials,
    }
}

fn kind_of(failure: &Failure) -> ErrorKind {
    match failure.kind() {
        _ if failure.permit_error().is_some_and(|error| error.retry_after().is_some()) => {
            ErrorKind::Throttled
        }
        _ if failure.permit_error().is_some() => ErrorKind::RateLimiter,
        FailureKind::Timeout => ErrorKind::Timeout,
        _ => ErrorKind::Connection,
    }
}
