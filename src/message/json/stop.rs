//! Where and why text is no JSON.

use std::fmt;

/// What reading comes to, where the text is JSON.
pub(crate) type Result<T> = std::result::Result<T, Box<Stop>>;

/// Where and why the text is no JSON, or a value of it not what it has to be.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) reason: Reason,
    /// Offset in bytes.
    pub(crate) at: usize,
    /// The way to the value that the place is in, its last step first.
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The text ends before the value does.
    End,
    Wrong(&'static str),
}

/// One step from a value into another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Key(&'static str),
    Index(usize),
}

impl Step {
    pub(crate) fn write(self, is_first: bool, out: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Self::Index(index) => write!(out, "[{index}]"),
            Self::Key(key) => write!(out, "{}{key}", if is_first { "" } else { "." }),
        }
    }
}

impl Stop {
    pub(crate) fn at(at: usize, reason: Reason) -> Box<Self> {
        Box::new(Self { reason, at, steps: Vec::new() })
    }

    /// For a value that starts at `at` and is not what it has to be.
    pub(crate) fn value(at: usize, reason: &'static str) -> Box<Self> {
        Self::at(at, Reason::Wrong(reason))
    }

    /// Says that the place is in the value under `step`.
    pub(crate) fn under(mut self: Box<Self>, step: Step) -> Box<Self> {
        self.steps.push(step);
        self
    }

    /// The path of the value that the place is in; empty at the top.
    pub(crate) fn path(&self) -> String {
        let mut path = String::new();
        for (number, step) in self.steps.iter().rev().enumerate() {
            // Writing to memory can't fail.
            let _ = step.write(number == 0, &mut path);
        }
        path
    }
}
