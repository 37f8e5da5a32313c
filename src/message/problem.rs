//! What is wrong with a message, and where.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::debug::debug_as_display;

/// A problem of a message or of a setting, and its place.
///
/// The text never repeats a value of the message, so that it can be logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    path: String,
    code: ProblemCode,
    severity: Severity,
    text: Cow<'static, str>,
    slot_count: usize,
}

impl Problem {
    /// A problem of a setting.
    pub(crate) fn new(path: impl Into<String>, text: impl Into<Cow<'static, str>>) -> Self {
        Self::of(path, ProblemCode::InvalidSetting, text)
    }

    /// A problem of this kind.
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

    /// The place: a path in the message such as `Slots[3].Provider.PhoneNumber.Office`, or the name
    /// of a setting.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The kind of the problem.
    #[must_use]
    pub fn code(&self) -> ProblemCode {
        self.code
    }

    /// Whether it breaks the schema of the service, or only what the reference asks for.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Returns a description of the problem, and of the value that belongs in its place.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The number of slots that have the problem; at least 1.
    ///
    /// Slots that [share](crate::Shared) a record have its problems in common, and these are
    /// reported once, with the path in the first of the slots. If records with problems take more
    /// than 16 MiB, a later slot may report them again.
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
/// Serializes as [`as_str`](Self::as_str) returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemCode {
    /// A required value is missing.
    Missing,
    /// A list that needs an element is empty.
    Empty,
    /// A value isn't of the kind that the model has in its place, such as a list in place of a
    /// text.
    WrongType,
    /// A key is given more than once.
    Repeated,
    /// A number or time is of the right kind, and no appointment can have it.
    OutOfRange,
    /// A telephone number isn't in the form of ITU-T E.164.
    NotE164,
    /// A text isn't a UUID.
    NotUuid,
    /// A place in a batch isn't a whole number from 1, is above the number of messages, or belongs
    /// to no batch.
    InvalidBatch,
    /// A text has half of a surrogate pair, which stands for no character.
    LoneSurrogate,
    /// A slot takes more bytes than a message may have.
    TooLarge,
    /// A slot isn't JSON, or JSON of another kind.
    Unreadable,
    /// A setting can't be used.
    InvalidSetting,
    /// A code that this version does not know, in JSON that a later version wrote.
    #[serde(other)]
    Other,
}

impl ProblemCode {
    /// The code as a word for programs, such as `wrong_type`.
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

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The severity of a [`Problem`].
///
/// A message with a warning fails [`validate`](crate::PushSlots::validate) as one with an error
/// does, and is sent only if the client's [`Validation`](crate::Validation) permits warnings.
///
/// Serializes as [`as_str`](Self::as_str) returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// It breaks the schema of the service, or is a problem of a setting.
    Error,
    /// The schema allows it, and the reference asks for something else: telephone numbers in E.164
    /// form, UUIDs as ids of sources and destinations, and batch numbers that are whole numbers in
    /// order.
    Warning,
    /// A severity that this version does not know, in JSON that a later version wrote.
    #[serde(other)]
    Other,
}

impl Severity {
    /// The severity as a word for programs, such as `warning`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A message, or one slot, that breaks the data model.
#[derive(Clone, PartialEq, Eq)]
pub struct InvalidMessage {
    problems: Vec<Problem>,
    omitted: usize,
}

impl InvalidMessage {
    pub(super) fn new(problems: Vec<Problem>, omitted: usize) -> Self {
        Self { problems, omitted }
    }

    /// The first 1,000 problems, object by object; at least one.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The number of further problems.
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

/// Writes problems on a line each.
pub(crate) fn write_problems(
    problems: &[Problem],
    omitted: usize,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))?;
    if omitted == 0 { Ok(()) } else { write!(f, "\n  and {omitted} more") }
}
