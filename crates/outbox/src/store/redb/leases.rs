//! The leases, which live in memory because the file belongs to one process.

use std::collections::BTreeMap;

use crate::store::Lease;
use crate::time::Timestamp;

/// A lease of a lane.
#[derive(Clone, Copy, Debug)]
struct Term {
    number: u64,
    until: Timestamp,
    /// The number of the lane's first entry.
    entry: u64,
}

/// The leases, by lane. Changes since the last [`keep`](Self::keep) can be undone.
#[derive(Debug)]
pub(super) struct Leases {
    current: BTreeMap<String, Term>,
    last: u64,
    /// The last lease of earlier processes.
    inherited: u64,
    /// The earlier values of changed lanes, in the order of the changes.
    undo: Vec<(String, Option<Term>)>,
}

impl Leases {
    /// Creates leases whose numbers follow those of earlier processes.
    pub(super) fn after(last: u64) -> Self {
        Self { current: BTreeMap::new(), last, inherited: last, undo: Vec::new() }
    }

    /// Returns the number of the last lease.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Returns whether an earlier process had the lease.
    pub(super) fn is_inherited(&self, lease: u64) -> bool {
        lease <= self.inherited
    }

    pub(super) fn is_free(&self, lane: &str) -> bool {
        !self.current.contains_key(lane)
    }

    pub(super) fn is_valid(&self, lease: &Lease) -> bool {
        self.term(lease).is_some()
    }

    fn term(&self, lease: &Lease) -> Option<Term> {
        self.current.get(&lease.lane).filter(|term| term.number == lease.number).copied()
    }

    /// Returns the number of the leased entry, if the lease is valid.
    pub(super) fn entry_of(&self, lease: &Lease) -> Option<u64> {
        Some(self.term(lease)?.entry)
    }

    /// Leases a lane for its first entry.
    pub(super) fn grant(&mut self, lane: &str, until: Timestamp, entry: u64) -> Lease {
        self.last = self.last.saturating_add(1);
        self.set(lane, Some(Term { number: self.last, until, entry }));
        Lease { lane: lane.to_owned(), number: self.last }
    }

    /// Extends a lease, and returns whether it is valid.
    pub(super) fn extend(&mut self, lease: &Lease, until: Timestamp) -> bool {
        let term = self.term(lease);
        if let Some(term) = term {
            self.set(&lease.lane, Some(Term { until, ..term }));
        }
        term.is_some()
    }

    /// Ends a lease if it is valid.
    pub(super) fn end(&mut self, lease: &Lease) {
        if self.is_valid(lease) {
            self.set(&lease.lane, None);
        }
    }

    /// Returns the leases whose time is over.
    pub(super) fn over(&self, now: Timestamp) -> Vec<Lease> {
        self.select(|until| until <= now)
    }

    pub(super) fn all(&self) -> Vec<Lease> {
        self.select(|_| true)
    }

    fn select(&self, is_selected: impl Fn(Timestamp) -> bool) -> Vec<Lease> {
        let current = self.current.iter();
        current
            .filter(|(_, term)| is_selected(term.until))
            .map(|(lane, term)| Lease { lane: lane.clone(), number: term.number })
            .collect()
    }

    fn set(&mut self, lane: &str, term: Option<Term>) {
        let before = match term {
            Some(term) => self.current.insert(lane.to_owned(), term),
            None => self.current.remove(lane),
        };
        self.undo.push((lane.to_owned(), before));
    }

    /// Keeps the changes, after a commit.
    pub(super) fn keep(&mut self) {
        self.undo.clear();
    }

    /// Undoes the changes, after a failed transaction. The last number stays.
    pub(super) fn undo(&mut self) {
        while let Some((lane, before)) = self.undo.pop() {
            match before {
                Some(term) => drop(self.current.insert(lane, term)),
                None => drop(self.current.remove(&lane)),
            }
        }
    }
}
