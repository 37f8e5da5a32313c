//! Entries with their bodies, attempts and receipts in a write transaction.

use ::redb::ReadableTable;
use uuid::Uuid;

use crate::error::StoreError;
use crate::state::{EntryRecord, Event};
use crate::store::Change;
use crate::time::Timestamp;

use super::tables::Tables;

/// Reads an entry from its stored form.
pub(super) fn decode(number: u64, json: &[u8]) -> Result<EntryRecord, StoreError> {
    serde_json::from_slice(json)
        .map_err(|error| StoreError(format!("the stored entry {number} is invalid: {error}")))
}

pub(super) fn missing(number: u64) -> StoreError {
    StoreError(format!("the stored entry {number} is missing"))
}

impl Tables<'_> {
    pub(super) fn find(&self, message_id: Uuid) -> Result<Option<EntryRecord>, StoreError> {
        let number = self.ids.get(message_id.as_u128())?.map(|number| number.value());
        number.map(|number| self.entry(number)).transpose()
    }

    pub(super) fn entry(&self, number: u64) -> Result<EntryRecord, StoreError> {
        self.stored(number)?.ok_or_else(|| missing(number))
    }

    pub(super) fn stored(&self, number: u64) -> Result<Option<EntryRecord>, StoreError> {
        let json = self.entries.get(number)?;
        json.map(|json| decode(number, json.value())).transpose()
    }

    /// Returns the next number of an entry or position.
    pub(super) fn next_number(&mut self) -> u64 {
        self.meta.last_number = self.meta.last_number.saturating_add(1);
        self.meta.last_number
    }

    pub(super) fn add(&mut self, entry: &EntryRecord, body: &[u8]) -> Result<(), StoreError> {
        self.ids.insert(entry.message_id.as_u128(), entry.number)?;
        self.bodies.insert(entry.number, body)?;
        self.save(None, entry)
    }

    /// Saves an entry, and updates the indexes. `old` is the stored entry, if there is one.
    pub(super) fn save(
        &mut self,
        old: Option<&EntryRecord>,
        new: &EntryRecord,
    ) -> Result<(), StoreError> {
        self.is_changed = true;
        self.entries.insert(new.number, serde_json::to_vec(new)?.as_slice())?;
        Ok(self.move_places(old, Some(new))?)
    }

    /// Applies an event to an entry and saves it. Returns whether the event applied.
    pub(super) fn apply(
        &mut self,
        entry: &mut EntryRecord,
        event: Event,
        now: Timestamp,
        random: f64,
    ) -> Result<bool, StoreError> {
        let old = entry.clone();
        let Ok(effects) = entry.apply(event, now, random) else { return Ok(false) };
        if effects.holds_lane {
            self.set_held(&entry.lane, true)?;
        }
        if effects.erases_body {
            self.erase_body(entry.number)?;
        }
        self.save(Some(&old), entry)?;
        if old.state != entry.state {
            let (before, holds_lane) = (old.state, effects.holds_lane);
            self.changes.push(Change { before, entry: entry.clone(), holds_lane });
        }
        Ok(true)
    }

    /// Removes an entry and everything that belongs to it.
    pub(super) fn remove(&mut self, entry: &EntryRecord) -> Result<(), StoreError> {
        self.is_changed = true;
        let number = entry.number;
        self.ids.remove(entry.message_id.as_u128())?;
        self.entries.remove(number)?;
        self.bodies.remove(number)?;
        self.receipts.remove(number)?;
        self.attempts.retain_in((number, 0)..=(number, u32::MAX), |_, _| false)?;
        Ok(self.move_places(Some(entry), None)?)
    }

    pub(super) fn body(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.bodies.get(number)?.map(|body| body.value().to_vec()))
    }

    pub(super) fn has_body(&self, number: u64) -> Result<bool, StoreError> {
        Ok(self.bodies.get(number)?.is_some())
    }

    /// Erases a body, and returns whether there was one.
    pub(super) fn erase_body(&mut self, number: u64) -> Result<bool, StoreError> {
        let had_body = self.bodies.remove(number)?.is_some();
        self.is_changed |= had_body;
        Ok(had_body)
    }

    pub(super) fn add_attempts<'a>(
        &mut self,
        number: u64,
        attempts: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), StoreError> {
        let mut next = self.next_attempt(number)?;
        for attempt in attempts {
            self.is_changed = true;
            self.attempts.insert((number, next), attempt)?;
            next = next.saturating_add(1);
        }
        Ok(())
    }

    pub(super) fn attempts_of(&self, number: u64) -> Result<Vec<String>, StoreError> {
        let attempts = self.attempts.range((number, 0)..=(number, u32::MAX))?;
        attempts.map(|attempt| Ok(attempt?.1.value().to_owned())).collect()
    }

    /// Returns the index of the next attempt. redb rejects changes of a table while a range of it
    /// exists, so the range ends here.
    fn next_attempt(&self, number: u64) -> Result<u32, StoreError> {
        let mut attempts = self.attempts.range((number, 0)..=(number, u32::MAX))?;
        let last = attempts.next_back().transpose()?;
        Ok(last.map_or(0, |(key, _)| key.value().1.saturating_add(1)))
    }

    /// Adds a receipt, unless there is one.
    pub(super) fn add_receipt(&mut self, number: u64, receipt: &str) -> Result<(), StoreError> {
        if self.receipts.get(number)?.is_none() {
            self.is_changed = true;
            self.receipts.insert(number, receipt)?;
        }
        Ok(())
    }
}
