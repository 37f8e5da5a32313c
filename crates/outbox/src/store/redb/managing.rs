//! The operations of applications and people: enqueue, replay, cancel, hold, remove and erase.

use ::redb::ReadableTable;
use uuid::Uuid;

use crate::error::StoreError;
use crate::filter::{Filter, Kind};
use crate::state::{EntryState, Event};
use crate::store::{Changed, Enqueued, NewEntry};
use crate::time::Timestamp;

use super::tables::Tables;

impl Tables<'_> {
    pub(super) fn enqueue(&mut self, entries: Vec<NewEntry>) -> Result<Enqueued, StoreError> {
        for new in &entries {
            let known = self.find(new.message_id)?;
            if known.is_some_and(|known| known.digest != new.digest) {
                return Ok(Enqueued::OtherBytes(new.message_id));
            }
        }
        let mut records = Vec::new();
        for new in entries {
            if let Some(known) = self.find(new.message_id)? {
                records.push(known);
                continue;
            }
            let (record, body) = new.into_record(self.next_number());
            self.add(&record, &body)?;
            records.push(record);
        }
        Ok(Enqueued::Entries(records))
    }

    pub(super) fn replay(&mut self, id: Uuid, now: Timestamp) -> Result<Changed, StoreError> {
        let Some(mut entry) = self.find(id)? else { return Ok(Changed::NotFound) };
        if !matches!(entry.state, EntryState::Dead(_)) {
            return Ok(Changed::WrongState);
        }
        if !self.has_body(entry.number)? {
            return Ok(Changed::NoBody);
        }
        self.apply(&mut entry, Event::Replayed, now, 0.0)?;
        let waiting = entry.clone();
        entry.position = self.next_number();
        self.save(Some(&waiting), &entry)?;
        Ok(Changed::Done)
    }

    pub(super) fn cancel(&mut self, id: Uuid, now: Timestamp) -> Result<Changed, StoreError> {
        let Some(mut entry) = self.find(id)? else { return Ok(Changed::NotFound) };
        let is_done = self.apply(&mut entry, Event::Cancelled, now, 0.0)?;
        Ok(if is_done { Changed::Done } else { Changed::WrongState })
    }

    pub(super) fn remove_final(
        &mut self,
        before: Timestamp,
        dead: bool,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let numbers = self.finals_before(Some(before), dead, limit)?;
        for number in &numbers {
            let entry = self.entry(*number)?;
            self.remove(&entry)?;
        }
        Ok(numbers.len())
    }

    pub(super) fn erase_bodies(&mut self, filter: &Filter) -> Result<usize, StoreError> {
        // Only dead letters keep their bodies.
        if !matches!(filter.kind, None | Some(Kind::Dead | Kind::DeadBecause(_))) {
            return Ok(0);
        }
        let mut erased = 0_usize;
        for number in self.finals_before(filter.changed_before, true, usize::MAX)? {
            if filter.matches(&self.entry(number)?) && self.erase_body(number)? {
                erased = erased.saturating_add(1);
            }
        }
        Ok(erased)
    }

    /// Returns the numbers of the final entries that last changed before a time, oldest change
    /// first.
    fn finals_before(
        &self,
        before: Option<Timestamp>,
        dead: bool,
        limit: usize,
    ) -> Result<Vec<u64>, StoreError> {
        let first = (dead, i64::MIN, 0);
        let range = match before {
            Some(before) => self.finals.range(first..(dead, before.0, 0))?,
            None => self.finals.range(first..=(dead, i64::MAX, u64::MAX))?,
        };
        let mut numbers = Vec::new();
        for item in range.take(limit) {
            numbers.push(item?.0.value().2);
        }
        Ok(numbers)
    }
}
