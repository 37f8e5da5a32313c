//! Policies for messages with problems.

use std::sync::Arc;

use super::{Corrector, InvalidMessage, Problem, Problems};

/// A policy for messages and slots with [problems](crate::PushSlots::validate).
///
/// It applies to [`send`](crate::Client::send), [`publish`](crate::Client::publish) and messages
/// that are prepared. The receipt, the report or the prepared message lists the problems that
/// didn't stop the message.
///
/// | | strict | drop invalid optional | lenient |
/// | --- | --- | --- | --- |
/// | A required value is missing, unreadable or out of range, such as a `Duration` of 0 | error | error | error |
/// | An optional value breaks the schema, such as a number for a provider's `Address` | error | left out | error |
/// | A key of the model is given more than once | error | all its values are left out if it is optional | error |
/// | A value breaks only what the reference asks for ([`Severity::Warning`](crate::Severity::Warning)), such as a telephone number that isn't in E.164 form | error | left out if it is optional | sent as it is |
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
    /// Leaves out optional values that are invalid, and sends the rest. The message itself isn't
    /// changed.
    ///
    /// Of a record or a list only the invalid parts are left out. `CurrentBatch` and `TotalBatches`
    /// are both left out if they contradict each other, or if their `BatchID` is missing or left
    /// out. The client fills in its own source if the ID of the message's source is left out, as it
    /// does for a message without one.
    DropInvalidOptional,
    /// Sends messages with warnings as they are. An error still stops a message.
    Lenient,
}

/// The verdict of a [`Validation`].
pub(crate) enum Verdict<T> {
    /// There are no problems.
    Sound,
    /// There are, and it may be sent: this in its place, or as it is.
    Permitted(Option<T>),
    /// It may not be sent: this, or as it is.
    Invalid(Option<T>),
}

impl Validation {
    /// Decides whether `value` may be sent. `corrected` makes a copy of it without optional values
    /// that are invalid.
    pub(crate) fn judge<T: ?Sized>(
        self,
        value: &T,
        check: impl Fn(&T, &mut Problems),
        corrected: impl FnOnce(&T) -> Box<T>,
    ) -> Verdict<Box<T>> {
        let mut problems = Problems::counter();
        check(value, &mut problems);
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

    /// Collects the problems that stop a message.
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
    /// Returns the problems that stop the message.
    pub(crate) fn permit<T: ?Sized>(
        self,
        value: &T,
        check: impl Fn(&T, &mut Problems),
        corrected: impl FnOnce(&T) -> Box<T>,
    ) -> Result<(Option<Box<T>>, PermittedProblems), InvalidMessage> {
        match self.judge(value, &check, corrected) {
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

/// Makes a copy of `value` without its optional values that are invalid.
pub(super) fn corrected<T: Clone>(
    value: &T,
    drop_invalid: impl FnOnce(&mut T, &mut Corrector),
) -> Box<T> {
    let mut value = value.clone();
    drop_invalid(&mut value, &mut Corrector::default());
    Box::new(value)
}

/// Problems that didn't stop a message. Most messages have none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PermittedProblems(Option<Arc<InvalidMessage>>);

impl PermittedProblems {
    pub(crate) fn list(&self) -> &[Problem] {
        self.0.as_ref().map_or(&[], |problems| problems.problems())
    }

    pub(crate) fn omitted(&self) -> usize {
        self.0.as_ref().map_or(0, |problems| problems.omitted())
    }

    /// Returns these problems and those of another part of the message.
    pub(crate) fn and(self, other: &Self) -> Self {
        match (&self.0, &other.0) {
            (_, None) => self,
            (None, _) => other.clone(),
            _ => Self::of_parts([&self, other].map(|part| (part.list(), part.omitted()))),
        }
    }

    /// Returns the problems of two parts of a message: the listed ones, and the number of the
    /// others.
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
