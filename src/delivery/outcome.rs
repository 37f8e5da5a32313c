//! What one attempt came to.

use std::time::Duration;

use crate::auth::{NoToken, TokenError};
use crate::clock;
use crate::error::ErrorKind;
use crate::message::Log;
use crate::receipt::{Delivery, Said, TokenRefusal};
use crate::retry::{Class, classify_failure, classify_status};
use crate::transport::{Answer, Failure, FailureKind};

/// What one attempt came to.
pub(super) struct Outcome {
    pub(super) class: Class,
    pub(super) kind: ErrorKind,
    pub(super) status: Option<u16>,
    /// What went wrong, in words that can be logged.
    pub(super) error: Option<String>,
    pub(super) hint: Option<Duration>,
    /// How long no access token is asked for yet, where nobody was.
    pub(super) pause: Option<Duration>,
    pub(super) logs: Vec<Log>,
    /// What the service said, which can't.
    pub(super) service_text: Option<String>,
    /// What the token endpoint said, in the standard's form.
    pub(super) token_refusal: Option<TokenRefusal>,
}

impl Outcome {
    /// The service answered. A status of 2xx is a yes whatever follows it, but for `Meta.Errors`.
    pub(super) fn answered(answer: &Answer) -> Self {
        let status = answer.status.as_u16();
        let said = Said::read(&answer.headers, answer.body(), clock::now().into());
        let class = match classify_status(status) {
            Class::Accepted if said.errors => Class::Refused,
            class => class,
        };
        let error = match class {
            Class::Accepted => None,
            _ if answer.status.is_success() => {
                Some(format!("the service answered {status} with errors in Meta.Errors"))
            }
            _ => Some(format!("the service answered {status}")),
        };
        let kind = match class {
            Class::Throttled => ErrorKind::Throttled,
            Class::Unavailable | Class::Failed => ErrorKind::Unavailable,
            Class::Unauthorized => ErrorKind::Credentials,
            _ => ErrorKind::Refused,
        };
        Self {
            class,
            kind,
            status: Some(status),
            error,
            hint: said.hint,
            pause: None,
            logs: said.logs,
            service_text: said.text,
            token_refusal: None,
        }
    }

    /// No answer came.
    pub(super) fn unanswered(failure: &Failure) -> Self {
        let class = classify_failure(failure.may_have_arrived);
        Self::without_status(class, kind_of(failure), failure.to_string())
    }

    /// There was no access token to send the message with.
    pub(super) fn no_token(none: NoToken) -> Self {
        let kind = kind_of_token_error(&none.error);
        let mut outcome = Self::without_status(none.error.class(), kind, none.to_string());
        outcome.hint = none.wait;
        outcome.pause = none.wait.filter(|_| none.is_remembered);
        if let TokenError::Refused(refused) = none.error {
            (outcome.service_text, outcome.token_refusal) = (refused.text, refused.refusal);
        }
        outcome
    }

    fn without_status(class: Class, kind: ErrorKind, error: String) -> Self {
        Self {
            class,
            kind,
            status: None,
            error: Some(error),
            hint: None,
            pause: None,
            logs: Vec::new(),
            service_text: None,
            token_refusal: None,
        }
    }

    /// What is left of the delay before the next attempt without the pause that all sends share: that is sat out later,
    /// and may end before its time.
    pub(super) fn own_part_of(&self, delay: Duration) -> Duration {
        match self.class {
            Class::NotSent => delay.saturating_sub(self.hint.unwrap_or_default()),
            _ => delay,
        }
    }

    pub(super) fn delivery(&self) -> Delivery {
        match self.class {
            Class::Accepted => Delivery::Accepted,
            Class::Refused | Class::Throttled | Class::Unavailable | Class::Unauthorized => Delivery::Refused,
            Class::Failed | Class::Lost => Delivery::Unknown,
            Class::NotSent | Class::NoToken => Delivery::NotSent,
        }
    }
}

fn kind_of_token_error(error: &TokenError) -> ErrorKind {
    match error {
        TokenError::Failure(failure) => kind_of(failure),
        _ if error.is_temporary() => ErrorKind::Unavailable,
        _ => ErrorKind::Credentials,
    }
}

fn kind_of(failure: &Failure) -> ErrorKind {
    match failure.kind {
        FailureKind::Timeout => ErrorKind::Timeout,
        _ => ErrorKind::Connection,
    }
}
