//! Collecting any number of problems.

use std::any::Any;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::path::Path;
use super::raw;
use super::shared_records::SharedRecords;
use crate::message::{InvalidMessage, Problem, ProblemCode, Severity};

/// The maximum number of listed problems. Further ones are only counted.
const MOST: usize = 1_000;

/// The problems of a message.
pub struct Problems {
    list: Vec<Problem>,
    omitted: usize,
    /// The maximum number of listed problems.
    limit: usize,
    ignores_warnings: bool,
    has_errors: bool,
    /// The range in `list` of the problems of each shared record that has any.
    shared: SharedRecords<Range<usize>>,
    /// A number that changes with each problem, including one that occurs again in another slot.
    revision: usize,
}

impl Default for Problems {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            omitted: 0,
            limit: MOST,
            ignores_warnings: false,
            has_errors: false,
            shared: SharedRecords::default(),
            revision: 0,
        }
    }
}

impl Problems {
    /// Creates a collector that counts problems without creating their text.
    pub(crate) fn counter() -> Self {
        Self { limit: 0, ..Self::default() }
    }

    /// Returns whether `check` finds no problems.
    // Not generic, so that it isn't compiled for each type of value.
    pub(crate) fn are_none(check: &dyn Fn(&mut Self)) -> bool {
        let mut problems = Self::counter();
        check(&mut problems);
        problems.is_empty()
    }

    /// Creates a collector that ignores warnings.
    pub(crate) fn of_errors() -> Self {
        Self { ignores_warnings: true, ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty() && self.omitted == 0
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.has_errors
    }

    /// Returns a number that changes with each problem, including one that occurs again in another
    /// slot.
    pub(crate) fn revision(&self) -> usize {
        self.revision
    }

    /// Adds a problem at this path.
    #[cold]
    pub(crate) fn add(&mut self, at: Path<'_>, code: ProblemCode, text: &'static str) {
        self.add_with(code, || (at.to_string(), text.into()));
    }

    /// Adds the problem that a value isn't what is `expected`.
    #[cold]
    pub(crate) fn add_wrong_type(
        &mut self,
        at: Path<'_>,
        code: ProblemCode,
        expected: &str,
        raw: &str,
    ) {
        self.add_with(code, || {
            let text = format!("expected {expected}; this {} isn't one", raw::kind(raw));
            (at.to_string(), text.into())
        });
    }

    /// Adds a problem. `make` creates its path and text, and is called only if the problem is
    /// listed.
    pub(crate) fn add_with(
        &mut self,
        code: ProblemCode,
        make: impl FnOnce() -> (String, Cow<'static, str>),
    ) {
        if self.counts(code) {
            let (path, text) = make();
            self.list.push(Problem::of(path, code, text));
        }
    }

    /// Counts a problem. Returns whether to list it too.
    fn counts(&mut self, code: ProblemCode) -> bool {
        let is_error = code.severity() == Severity::Error;
        if self.ignores_warnings && !is_error {
            return false;
        }
        self.has_errors |= is_error;
        self.revision = self.revision.wrapping_add(1);
        let is_listed = self.list.len() < self.limit;
        self.omitted = self.omitted.saturating_add(usize::from(!is_listed));
        is_listed
    }

    /// Adds the problems that `check` finds in a shared record. If the record is already known,
    /// counts another slot for each of its problems instead. The JSON of the record takes `length`
    /// bytes.
    pub(crate) fn add_shared(
        &mut self,
        record: &Arc<impl Any + Send + Sync>,
        length: usize,
        check: impl FnOnce(&mut Self),
    ) {
        if let Some(known) = self.shared.get(record) {
            self.revision = self.revision.wrapping_add(1);
            let known = self.list.get_mut(known.clone()).unwrap_or_default();
            known.iter_mut().for_each(Problem::count_slot);
            return;
        }
        let first = self.list.len();
        let before = self.revision;
        check(self);
        if self.revision != before {
            self.shared.insert(record, length, first..self.list.len());
        }
    }

    /// Adds problems that were collected elsewhere.
    pub(crate) fn absorb(&mut self, problems: &[Problem], omitted: usize) {
        for problem in problems {
            if self.counts(problem.code()) {
                self.list.push(problem.clone());
            }
        }
        self.omitted = self.omitted.saturating_add(omitted);
    }

    /// Returns the problems as an error, if there are any.
    pub(crate) fn into_result(self) -> Result<(), InvalidMessage> {
        if self.is_empty() { Ok(()) } else { Err(InvalidMessage::new(self.list, self.omitted)) }
    }

    /// Returns the listed problems.
    pub(crate) fn list(&self) -> &[Problem] {
        &self.list
    }

    /// Returns the number of problems that aren't listed.
    pub(crate) fn omitted(&self) -> usize {
        self.omitted
    }
}
