//! Where in a message something is.

use std::fmt;

use super::json::Step;
use super::problem::Problem;

/// A path that is made on the way into a message, and written out only when there is a problem at its end.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a>(Option<(&'a Path<'a>, Step)>);

impl Path<'_> {
    pub(crate) const ROOT: Path<'static> = Path(None);

    pub(crate) fn key(&self, key: &'static str) -> Path<'_> {
        Path(Some((self, Step::Key(key))))
    }

    pub(crate) fn index(&self, index: usize) -> Path<'_> {
        Path(Some((self, Step::Index(index))))
    }

    pub(crate) fn problem(&self, text: impl Into<String>) -> Problem {
        Problem::new(self.to_string(), text)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((parent, step)) = self.0 else { return Ok(()) };
        parent.fmt(f)?;
        step.write(parent.0.is_none(), f)
    }
}
