//! Collecting problems, however many there are.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::path::Path;
use super::raw;
use crate::message::{InvalidMessage, Problem, ProblemCode};

/// The most problems that are collected; the others are counted.
const MOST: usize = 1_000;

/// The problems of a message.
#[derive(Default)]
pub struct Problems {
    list: Vec<Problem>,
    omitted: usize,
    /// The problems of each shared record that has any, by its address.
    shared: HashMap<usize, Range<usize>>,
}

impl Problems {
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds a problem at this path.
    pub(crate) fn add(&mut self, at: Path<'_>, code: ProblemCode, text: &'static str) {
        self.add_with(|| (at.to_string(), code, text.into()));
    }

    /// Adds the problem that a value isn't of the kind expected.
    pub(crate) fn add_wrong_kind(&mut self, at: Path<'_>, code: ProblemCode, expected: &str, raw: &str) {
        self.add_with(|| {
            let text = format!("expected {expected}; this {} is not one", raw::kind(raw));
            (at.to_string(), code, text.into())
        });
    }

    /// Adds the problem that is made, if it isn't only counted.
    pub(crate) fn add_with(&mut self, make: impl FnOnce() -> (String, ProblemCode, Cow<'static, str>)) {
        if self.list.len() >= MOST {
            self.omitted = self.omitted.saturating_add(1);
            return;
        }
        let (path, code, text) = make();
        self.list.push(Problem::of(path, code, text));
    }

    /// Adds the problems that `check` finds in a record that slots share, and those of another slot with the same record as one
    /// more slot that has them.
    pub(crate) fn add_shared(&mut self, address: usize, check: impl FnOnce(&mut Self)) {
        if let Some(known) = self.shared.get(&address) {
            let known = self.list.get_mut(known.clone()).unwrap_or_default();
            known.iter_mut().for_each(Problem::count_slot);
            return;
        }
        let first = self.list.len();
        check(self);
        self.shared.insert(address, first..self.list.len());
    }

    /// The problems as an error, if there are any.
    pub(crate) fn into_result(self) -> Result<(), InvalidMessage> {
        if self.list.is_empty() { Ok(()) } else { Err(InvalidMessage::new(self.list, self.omitted)) }
    }

    /// The problems that were collected.
    pub(crate) fn list(&self) -> &[Problem] {
        &self.list
    }
}
