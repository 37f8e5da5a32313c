//! The trait of all values of the data model.

use serde::ser::{Serialize, Serializer};

use super::corrector::Corrector;
use super::interner::Interner;
use super::path::{Path, PathSegment};
use super::problems::Problems;
use super::raw;
use crate::message::ProblemCode;

/// The result of reading a JSON value.
pub(crate) enum Read<T> {
    Value(T),
    /// `null`, or an object without content.
    Nothing,
    /// JSON of another kind.
    WrongType,
}

/// One JSON value of the data model.
pub(crate) trait Value: Sized {
    /// What belongs in its place, in the words of a problem.
    const EXPECTED: &'static str;

    /// The kind of problem that a text is in its place, if it can't be read.
    const CODE_OF_TEXT: ProblemCode = ProblemCode::WrongType;

    /// What an empty element of a list stands for. Most stand for nothing and are passed over.
    const EMPTY_ELEMENT: Option<fn() -> Self> = None;

    /// Reads `raw`, which is the JSON of one value.
    fn read(raw: &str, interner: &mut Interner) -> Read<Self>;

    /// Writes it as the model has it.
    fn write(&self, out: &mut Vec<u8>);

    /// How many bytes [`write`](Self::write) takes. Unless it is to be `EXACT`, no text is looked
    /// through for what needs an escape, and the bytes are too few if one has any.
    fn length<const EXACT: bool>(&self) -> usize;

    /// Serializes what [`write`](Self::write) writes.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    fn is_empty(&self) -> bool {
        false
    }

    /// Finds what is wrong with it.
    fn check(&self, _at: Path<'_>, _problems: &mut Problems) {}

    /// Leaves out the optional values in it that are invalid.
    fn drop_invalid(&mut self, _corrector: &mut Corrector) {}

    /// Finds where `raw` isn't written as the schema of the service has it, though it may be read
    /// for what it stands for.
    #[cfg(feature = "mock")]
    fn judge(raw: &str, at: Path<'_>, problems: &mut Problems);

    /// Finds the path to the place at which `text`, which begins with such a value, stops being
    /// JSON.
    fn locate(_text: &str, _path: &mut Vec<PathSegment>) {}
}

/// Whether nothing is wrong with `value`.
pub(crate) fn is_sound(value: &impl Value) -> bool {
    let mut problems = Problems::counter();
    value.check(Path::ROOT, &mut problems);
    problems.is_empty()
}

/// A value as serde sees it.
pub(crate) struct AsSerde<'a, T>(pub(crate) &'a T);

impl<T: Value> Serialize for AsSerde<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

pub(crate) const LONE_SURROGATE: &str = "half of a surrogate pair, which stands for no character; \
                                         write both halves, or the character itself";

/// Adds what is wrong with `raw`, which is none of these values.
pub(crate) fn explain_value<T: Value>(raw: &str, at: Path<'_>, problems: &mut Problems) {
    if raw.starts_with('"') && raw::has_lone_surrogate(raw) {
        return problems.add(at, ProblemCode::LoneSurrogate, LONE_SURROGATE);
    }
    let code = if raw.starts_with('"') { T::CODE_OF_TEXT } else { ProblemCode::WrongType };
    problems.add_wrong_type(at, code, T::EXPECTED, raw);
}
