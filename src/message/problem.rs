//! Problems of a message, with their paths.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::display::{debug_as_display, display_as_str};

/// A problem of a message or a setting, with its path.
///
/// The text never contains a value of the message, so it is safe to log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    path: String,
    code: ProblemCode,
    severity: Severity,
    text: Cow<'static, str>,
    slot_count: usize,
}

impl Problem {
    /// Creates a problem of a setting.
    pub(crate) fn new(path: &str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::of_setting(path, text.into())
    }

    #[cold]
    fn of_setting(path: &str, text: Cow<'static, str>) -> Self {
        Self::of(path, ProblemCode::InvalidSetting, text)
    }

    /// Creates a problem with this code.
    pub(crate) fn of(
        path: impl Into<String>,
        code: ProblemCode,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            path: path.into(),
            code,
            severity: code.severity(),
            text: text.into(),
            slot_count: 1,
        }
    }

    /// Counts another slot with the same problem.
    pub(super) fn count_slot(&mut self) {
        self.slot_count = self.slot_count.saturating_add(1);
    }

    /// Returns the path in the message, such as `Slots[3].Provider.PhoneNumber.Office`, or the name
    /// of a setting.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the kind of problem.
    #[must_use]
    pub fn code(&self) -> ProblemCode {
        self.code
    }

    /// Returns whether the problem violates the service's schema or only the reference.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Returns a description of the problem and of the expected value.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the number of slots with this problem, at least 1.
    ///
    /// Slots that [share](crate::Shared) a record also share its problems. Each is reported once,
    /// with the path in the first of these slots. If records with problems take more than 16 MiB, a
    /// later slot may report them again.
    #[must_use]
    pub fn slot_count(&self) -> usize {
        self.slot_count
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)?;
        match self.slot_count.saturating_sub(1) {
            0 => Ok(()),
            1 => f.write_str(" (and in 1 other slot)"),
            others => write!(f, " (and in {others} other slots)"),
        }
    }
}

/// The kind of a [`Problem`].
///
/// Serializes as the string that [`as_str`](Self::as_str) returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemCode {
    /// A required value is missing.
    Missing,
    /// A list that needs at least one element is empty.
    Empty,
    /// A value has the wrong type, such as a list instead of a string.
    WrongType,
    /// A key of the model is repeated.
    Repeated,
    /// A number or time has the right type, but no appointment can have this value.
    OutOfRange,
    /// A telephone number isn't in the form of ITU-T E.164.
    NotE164,
    /// A string isn't a UUID.
    NotUuid,
    /// A batch number isn't a whole number of at least 1, exceeds the number of messages, or has no
    /// batch ID.
    InvalidBatch,
    /// A string contains half of a surrogate pair, which isn't a character.
    LoneSurrogate,
    /// A slot is larger than a message may be.
    TooLarge,
    /// A slot isn't JSON, or is JSON of another type.
    Unreadable,
    /// A setting is invalid.
    InvalidSetting,
    /// A code that this version doesn't know, from JSON that a later version wrote.
    #[serde(other)]
    Other,
}

impl ProblemCode {
    /// Returns the code as a machine-readable string, such as `wrong_type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Empty => "empty",
            Self::WrongType => "wrong_type",
            Self::Repeated => "repeated",
            Self::OutOfRange => "out_of_range",
            Self::NotE164 => "not_e164",
            Self::NotUuid => "not_uuid",
            Self::InvalidBatch => "invalid_batch",
            Self::LoneSurrogate => "lone_surrogate",
            Self::TooLarge => "too_large",
            Self::Unreadable => "unreadable",
            Self::InvalidSetting => "invalid_setting",
            Self::Other => "other",
        }
    }

    pub(super) fn severity(self) -> Severity {
        match self {
            Self::NotE164 | Self::NotUuid | Self::InvalidBatch => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

display_as_str!(ProblemCode);

/// The severity of a [`Problem`].
///
/// A message with a warning fails [`validate`](crate::PushSlots::validate), just like one with an
/// error. The client sends it only if its [`Validation`](crate::Validation) permits warnings.
///
/// Serializes as the string that [`as_str`](Self::as_str) returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// The problem violates the service's schema, or concerns a setting.
    Error,
    /// The value violates only the reference, not the schema. The reference requires telephone
    /// numbers in E.164 form, UUIDs as source and destination IDs, and ordered whole batch numbers.
    Warning,
    /// A severity that this version doesn't know, from JSON that a later version wrote.
    #[serde(other)]
    Other,
}

impl Severity {
    /// Returns the severity as a machine-readable string, such as `warning`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Other => "other",
        }
    }
}

display_as_str!(Severity);

/// An error that lists the problems of a message or of a single slot.
#[derive(Clone, PartialEq, Eq)]
pub struct InvalidMessage {
    problems: Vec<Problem>,
    omitted: usize,
}

impl InvalidMessage {
    pub(super) fn new(problems: Vec<Problem>, omitted: usize) -> Self {
        Self { problems, omitted }
    }

    /// Returns the first 1,000 problems, grouped by object. There is at least one.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Returns the number of further problems, which aren't listed.
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    pub(crate) fn into_parts(self) -> (Vec<Problem>, usize) {
        (self.problems, self.omitted)
    }
}

impl fmt::Display for InvalidMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the message breaks the PushSlots data model")?;
        write_problems(&self.problems, self.omitted, f)
    }
}

debug_as_display!(InvalidMessage);

impl std::error::Error for InvalidMessage {}

/// Writes each problem on its own line.
pub(crate) fn write_problems(
    problems: &[Problem],
    omitted: usize,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))?;
    if omitted == 0 { Ok(()) } else { write!(f, "\n  and {omitted} more") }
}
