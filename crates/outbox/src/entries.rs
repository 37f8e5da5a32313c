//! Lists entries, and erases their bodies.

use pushslots::chrono::{DateTime, Utc};

use crate::entry::Entry;
use crate::error::OutboxError;
use crate::filter::{Filter, Kind};
use crate::outbox::Outbox;
use crate::state::DeadReason;

/// The maximum number of entries in a page.
const MAX_PAGE: usize = 1_000;

/// A selection of entries, created by [`Outbox::entries`]. It contains those that meet all
/// conditions.
#[must_use]
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    outbox: &'a Outbox,
    filter: Filter,
    after: u64,
}

/// A page of entries.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page {
    /// The entries, in the order in which they were enqueued.
    pub entries: Vec<Entry>,
    /// The start of the next page, or `None` if this is the last one.
    pub next: Option<Cursor>,
}

/// The start of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(u64);

impl<'a> Entries<'a> {
    pub(crate) fn new(outbox: &'a Outbox) -> Self {
        Self { outbox, filter: Filter::default(), after: 0 }
    }

    /// Selects the entries of a lane.
    pub fn lane(mut self, lane: impl Into<String>) -> Self {
        self.filter.lane = Some(lane.into());
        self
    }

    /// Selects the entries of a batch.
    pub fn batch(mut self, id: impl Into<String>) -> Self {
        self.filter.batch = Some(id.into());
        self
    }

    /// Selects waiting entries.
    pub fn waiting(self) -> Self {
        self.kind(Kind::Waiting)
    }

    /// Selects entries that are being sent.
    pub fn sending(self) -> Self {
        self.kind(Kind::Sending)
    }

    /// Selects accepted entries.
    pub fn accepted(self) -> Self {
        self.kind(Kind::Accepted)
    }

    /// Selects superseded entries.
    pub fn superseded(self) -> Self {
        self.kind(Kind::Superseded)
    }

    /// Selects cancelled entries.
    pub fn cancelled(self) -> Self {
        self.kind(Kind::Cancelled)
    }

    /// Selects dead letters.
    pub fn dead(self) -> Self {
        self.kind(Kind::Dead)
    }

    /// Selects dead letters with a reason.
    pub fn dead_because(self, reason: DeadReason) -> Self {
        self.kind(Kind::DeadBecause(reason))
    }

    fn kind(mut self, kind: Kind) -> Self {
        self.filter.kind = Some(kind);
        self
    }

    /// Selects entries that last changed before `time`.
    pub fn changed_before(mut self, time: DateTime<Utc>) -> Self {
        self.filter.changed_before = Some(time.into());
        self
    }

    /// Starts at a page after the first.
    pub fn start_at(mut self, cursor: Cursor) -> Self {
        self.after = cursor.0;
        self
    }

    /// Returns up to `limit` entries, at most 1,000.
    ///
    /// # Errors
    ///
    /// Returns an error if the storage fails.
    pub async fn page(self, limit: usize) -> Result<Page, OutboxError> {
        let limit = limit.min(MAX_PAGE);
        let store = &self.outbox.0.store;
        let mut records = store.list(self.filter, self.after, limit.saturating_add(1)).await?;
        let has_more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| has_more).map(|last| Cursor(last.number));
        Ok(Page { entries: records.into_iter().map(Entry).collect(), next })
    }

    /// Erases the stored bodies of the selected entries that are final, such as dead letters, and
    /// returns their number. An entry without a body can't be [replayed](Outbox::replay).
    ///
    /// Waiting entries keep their bodies: [cancel](Outbox::cancel) them first.
    ///
    /// # Errors
    ///
    /// Returns an error if the storage fails.
    pub async fn erase(self) -> Result<usize, OutboxError> {
        Ok(self.outbox.0.store.erase_bodies(self.filter).await?)
    }
}
