//! Validation policies for messages with problems.

use std::sync::Arc;

use super::{Corrector, InvalidMessage, Problem, Problems};

/// A policy for messages and slots with [problems](crate::PushSlots::validate).
///
/// The policy applies to [`send`](crate::Client::send), to [`publish`](crate::Client::publish) and
/// to prepared messages. The receipt, the report or the prepared message lists the problems that
/// didn't prevent sending.
///
/// | problem | strict | drop invalid optional | lenient |
/// | --- | --- | --- | --- |
/// | A required value is missing, unreadable or out of range, such as a `Duration` of 0 | error | error | error |
/// | An optional value violates the schema, such as a number for a provider's `Address` | error | omitted | error |
/// | A key of the model is repeated | error | all its values are omitted if it is optional | error |
/// | A value violates only the reference ([`Severity::Warning`](crate::Severity::Warning)), such as a telephone number that isn't in E.164 form | error | omitted if it is optional | sent unchanged |
///
/// The mock rejects messages with warnings unless `MockServiceBuilder::accept_warnings` is set.
///
/// ```
/// use pushslots::mock::MockService;
/// use pushslots::{Client, ProblemCode, PushSlots, Validation};
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let json = br#"{"Slots": [{"DateTime": "2026-12-01T09:00:00Z", "Duration": 15, "Provider": {
///     "ID": "4356789876", "PhoneNumber": {"Office": "608-555-1234"}
/// }}]}"#;
/// let message = PushSlots::from_json(json)?;
///
/// let service = MockService::start()?;
/// let client = Client::builder().mock(&service).validation(Validation::DropInvalidOptional).build()?;
/// let receipt = client.send(&message).await?;
/// assert_eq!(receipt.problems()[0].path(), "Slots[0].Provider.PhoneNumber.Office");
/// assert_eq!(receipt.problems()[0].code(), ProblemCode::NotE164);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Validation {
    /// Sends only messages without problems. This is the default.
    #[default]
    Strict,
    /// Omits invalid optional values and sends the rest. The message itself doesn't change.
    ///
    /// Only the invalid parts of a record or list are omitted. `CurrentBatch` and `TotalBatches`
    /// are both omitted if they contradict each other, or if their `BatchID` is missing or omitted.
    /// If the source's ID is omitted, the client fills in its own source, as it does for a message
    /// without one.
    DropInvalidOptional,
    /// Sends messages with warnings unchanged. An error still prevents sending.
    Lenient,
}

/// The result of applying a [`Validation`].
pub(crate) enum Verdict<T> {
    /// The value has no problems.
    Sound,
    /// The value has problems but may be sent. Contains the corrected copy to send instead, if
    /// there is one.
    Permitted(Option<T>),
    /// The value may not be sent. Contains the corrected copy that still has problems, if there is
    /// one.
    Invalid(Option<T>),
}

impl Validation {
    /// Decides whether `value` with these problems may be sent. `corrected` makes a copy without
    /// invalid optional values.
    pub(crate) fn judge<T: ?Sized>(
        self,
        value: &T,
        problems: &Problems,
        check: impl Fn(&T, &mut Problems),
        corrected: impl FnOnce(&T) -> Box<T>,
    ) -> Verdict<Box<T>> {
        match self {
            _ if problems.is_empty() => Verdict::Sound,
            Self::Strict => Verdict::Invalid(None),
            Self::Lenient if problems.has_errors() => Verdict::Invalid(None),
            Self::Lenient => Verdict::Permitted(None),
            Self::DropInvalidOptional => {
                let corrected = corrected(value);
                let mut problems = Problems::counter();
                check(&corrected, &mut problems);
                let is_sound = problems.is_empty();
                if is_sound {
                    Verdict::Permitted(Some(corrected))
                } else {
                    Verdict::Invalid(Some(corrected))
                }
            }
        }
    }

    /// Returns an empty collector for the problems that prevent sending.
    pub(crate) fn stopping_problems(self) -> Problems {
        match self {
            Self::Lenient => Problems::of_errors(),
            Self::Strict | Self::DropInvalidOptional => Problems::default(),
        }
    }

    /// Returns the corrected copy to send, if there is one, and the permitted problems.
    ///
    /// # Errors
    ///
    /// Returns the problems that prevent sending.
    pub(crate) fn permit<T: ?Sized>(
        self,
        value: &T,
        check: impl Fn(&T, &mut Problems),
        corrected: impl FnOnce(&T) -> Box<T>,
    ) -> Result<(Option<Box<T>>, PermittedProblems), InvalidMessage> {
        let mut counted = Problems::counter();
        check(value, &mut counted);
        match self.judge(value, &counted, &check, corrected) {
            Verdict::Sound => Ok((None, PermittedProblems::default())),
            Verdict::Permitted(corrected) => {
                let mut problems = Problems::default();
                check(value, &mut problems);
                Ok((corrected, problems.into()))
            }
            Verdict::Invalid(corrected) => {
                let mut problems = self.stopping_problems();
                check(corrected.as_deref().unwrap_or(value), &mut problems);
                problems.into_result()?;
                Ok((corrected, PermittedProblems::default()))
            }
        }
    }
}

/// Returns a copy of `value` without its invalid optional values.
pub(super) fn corrected<T: Clone>(
    value: &T,
    drop_invalid: impl FnOnce(&mut T, &mut Corrector),
) -> Box<T> {
    let mut value = value.clone();
    drop_invalid(&mut value, &mut Corrector::default());
    Box::new(value)
}

/// Problems that didn't prevent sending. Most messages don't have any.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PermittedProblems(Option<Arc<InvalidMessage>>);

impl PermittedProblems {
    pub(crate) fn list(&self) -> &[Problem] {
        self.0.as_ref().map_or(&[], |problems| problems.problems())
    }

    pub(crate) fn omitted(&self) -> usize {
        self.0.as_ref().map_or(0, |problems| problems.omitted())
    }

    /// Adds the problems of another part of the message.
    pub(crate) fn and(self, other: &Self) -> Self {
        match (&self.0, &other.0) {
            (_, None) => self,
            (None, _) => other.clone(),
            _ => Self::of_parts([&self, other].map(|part| (part.list(), part.omitted()))),
        }
    }

    /// Combines the listed problems and the number of unlisted ones of two parts of a message.
    pub(crate) fn of_parts(parts: [(&[Problem], usize); 2]) -> Self {
        let mut problems = Problems::default();
        for (list, omitted) in parts {
            problems.absorb(list, omitted);
        }
        problems.into()
    }
}

impl From<Problems> for PermittedProblems {
    fn from(problems: Problems) -> Self {
        Self(problems.into_result().err().map(Arc::new))
    }
}
