//! Where in a message something is.

use std::fmt;

use super::problem::Problem;

/// One step from a value into another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(&'static str),
    Index(usize),
}

impl Step {
    fn write(self, is_first: bool, out: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Self::Index(index) => write!(out, "[{index}]"),
            Self::Key(key) => write!(out, "{}{key}", if is_first { "" } else { "." }),
        }
    }
}

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

/// A path that is made on the way out, so that its last step comes first.
#[derive(Debug, Default)]
pub(crate) struct Trail(Vec<Step>);

impl Trail {
    pub(crate) fn push(&mut self, step: Step) {
        self.0.push(step);
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps = self.0.iter().rev().enumerate();
        steps.try_for_each(|(number, step)| step.write(number == 0, f))
    }
}
