//! Which messages may be sent.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{InvalidMessage, Problem, Problems};

/// Which messages a client sends if they have [problems](crate::PushSlots::validate).
///
/// It applies to [`send`](crate::Client::send), [`publish`](crate::Client::publish) and messages that are prepared. Problems that
/// didn't keep a message from being sent are listed in the receipt, in the report, and in the prepared message.
///
/// | | strict | drop invalid optional | lenient |
/// | --- | --- | --- | --- |
/// | A value that the reference requires is missing or can't be read, such as a slot's `DateTime` | error | error | error |
/// | An optional value breaks the schema, such as a number for a provider's `Address` | error | left out | error |
/// | A value isn't as the reference asks ([`Severity::Warning`](crate::Severity::Warning)), such as a telephone number that isn't in the form of E.164 | error | left out if it is optional | sent as it is |
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
    /// Leaves out optional values that are invalid, and sends the rest. The message itself isn't changed.
    ///
    /// A record is optional as a whole, but only what is wrong in it is left out. If the numbers of a batch contradict each other,
    /// both are left out.
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
    /// Decides whether `value` may be sent. `corrected` makes a copy of it without optional values that are invalid.
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
                let (corrected, mut problems) = (corrected(value), Problems::counter());
                check(&corrected, &mut problems);
                let is_sound = problems.is_empty();
                if is_sound { Verdict::Permitted(Some(corrected)) } else { Verdict::Invalid(Some(corrected)) }
            }
        }
    }

    /// Collects the problems that keep a message from being sent.
    pub(crate) fn stopping_problems(self) -> Problems {
        match self {
            Self::Lenient => Problems::of_errors(),
            Self::Strict | Self::DropInvalidOptional => Problems::default(),
        }
    }

    /// What may be sent in place of `value`, if it isn't that itself, and the problems that are permitted.
    ///
    /// # Errors
    ///
    /// The problems that keep it from being sent.
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

/// The problems of a message that may be sent all the same. Most have none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PermittedProblems(Option<Arc<InvalidMessage>>);

impl PermittedProblems {
    pub(crate) fn list(&self) -> &[Problem] {
        self.0.as_ref().map_or(&[], |problems| problems.problems())
    }

    pub(crate) fn omitted(&self) -> usize {
        self.0.as_ref().map_or(0, |problems| problems.omitted())
    }

    /// These and those of another part of the message.
    pub(crate) fn and(self, other: &Self) -> Self {
        match (&self.0, &other.0) {
            (_, None) => self,
            (None, _) => other.clone(),
            _ => {
                let mut problems = Problems::default();
                for part in [&self, other] {
                    problems.absorb(part.list(), part.omitted());
                }
                problems.into()
            }
        }
    }
}

/// Serializes to `problems` and `omitted_problems` in the object around it, or to nothing.
impl Serialize for PermittedProblems {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.list().is_empty() {
            map.serialize_entry("problems", self.list())?;
            map.serialize_entry("omitted_problems", &self.omitted())?;
        }
        map.end()
    }
}

impl From<Problems> for PermittedProblems {
    fn from(problems: Problems) -> Self {
        Self(problems.into_result().err().map(Arc::new))
    }
}
