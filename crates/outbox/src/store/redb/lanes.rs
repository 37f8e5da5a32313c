//! Lanes in a write transaction: when they are due, and whether they are held.

use ::redb::{ReadableTable, StorageError};

use crate::error::StoreError;
use crate::lane::is_same_unit;
use crate::state::EntryRecord;
use crate::time::Timestamp;

use super::tables::Tables;

/// The choice between the lanes.
#[derive(Debug, PartialEq)]
pub(super) enum Choice {
    /// This lane is free and due.
    Lane(String),
    /// No free lane is due. The next one is due at this time, if there is one.
    Nothing(Option<Timestamp>),
}

impl Tables<'_> {
    /// Holds or releases a lane.
    pub(super) fn set_held(&mut self, lane: &str, held: bool) -> Result<(), StoreError> {
        if self.held.get(lane)?.is_some() == held {
            return Ok(());
        }
        self.is_changed = true;
        self.changes_lane(lane)?;
        if held {
            self.held.insert(lane, ())?;
        } else {
            self.held.remove(lane)?;
        }
        Ok(())
    }

    /// Remembers the due time of a lane before a change.
    pub(super) fn changes_lane(&mut self, lane: &str) -> Result<(), StorageError> {
        if !self.stale_lanes.contains_key(lane) {
            let due = self.due_time(lane)?;
            self.stale_lanes.insert(lane.to_owned(), due);
        }
        Ok(())
    }

    /// Returns the due time of a lane, unless it is held or has no open entry.
    fn due_time(&self, lane: &str) -> Result<Option<i64>, StorageError> {
        if self.held.get(lane)?.is_some() {
            return Ok(None);
        }
        Ok(self.head_due(lane)?.map(|(_, due)| due))
    }

    /// Returns the number of the first open entry in a lane, and its due time.
    fn head_due(&self, lane: &str) -> Result<Option<(u64, i64)>, StorageError> {
        let mut queue = self.queue.range((lane, 0, 0)..=(lane, u64::MAX, u64::MAX))?;
        let head = queue.next().transpose()?;
        Ok(head.map(|(key, due)| (key.value().2, due.value())))
    }

    /// Returns the first open entry in a lane.
    pub(super) fn head(&self, lane: &str) -> Result<Option<EntryRecord>, StoreError> {
        self.head_due(lane)?.map(|(number, _)| self.entry(number)).transpose()
    }

    /// Updates the due times of the lanes that changed.
    pub(super) fn refresh_lanes(&mut self) -> Result<(), StoreError> {
        while let Some((lane, before)) = self.stale_lanes.pop_first() {
            let lane = lane.as_str();
            let after = self.due_time(lane)?;
            if before == after {
                continue;
            }
            if let Some(due) = before {
                self.due.remove((due, lane))?;
            }
            if let Some(due) = after {
                self.due.insert((due, lane), ())?;
            }
        }
        Ok(())
    }

    /// Chooses the free lane that is due first, preferably another one than `avoid`.
    pub(super) fn choose_lane(
        &mut self,
        now: Timestamp,
        avoid: Option<&str>,
        is_free: impl Fn(&str) -> bool,
    ) -> Result<Choice, StoreError> {
        self.refresh_lanes()?;
        let mut next_due = None;
        let mut avoided = None;
        for item in self.due.iter()? {
            let (key, _) = item?;
            let (due, lane) = key.value();
            if !is_free(lane) {
                continue;
            }
            next_due.get_or_insert(Timestamp(due));
            if due > now.0 {
                break;
            }
            if avoid != Some(lane) {
                return Ok(Choice::Lane(lane.to_owned()));
            }
            avoided = Some(lane.to_owned());
        }
        Ok(avoided.map_or(Choice::Nothing(next_due), Choice::Lane))
    }

    /// Returns the waiting entries that decide whether newer ones supersede older ones with the key
    /// of a lane's first entry, in the order of their numbers. If none can, it reads at most two.
    pub(super) fn rivals(&self, head: &EntryRecord) -> Result<Vec<EntryRecord>, StoreError> {
        let Some(key) = &head.key else { return Ok(Vec::new()) };
        let (lane, key) = (head.lane.as_str(), key.as_str());
        let Some((oldest, newest)) = self.oldest_and_newest(lane, key)? else {
            return Ok(Vec::new());
        };
        if let Some(batch) = &head.batch {
            let untouched = self.untouched.get((lane, key, batch.id.as_str()))?;
            let untouched = untouched.map_or(0, |count| count.value());
            let is_untouched = usize::try_from(untouched).ok() == Some(batch.entries);
            let is_newest = is_same_unit(head, &self.entry(newest)?);
            let is_alone = is_newest && is_same_unit(head, &self.entry(oldest)?);
            if is_alone || (!is_newest && !is_untouched) {
                return Ok(Vec::new());
            }
        }
        self.keyed(lane, key)
    }

    /// Returns the numbers of the oldest and the newest waiting entry with a key, if there are at
    /// least two.
    fn oldest_and_newest(&self, lane: &str, key: &str) -> Result<Option<(u64, u64)>, StorageError> {
        let mut keyed = self.keyed.range((lane, key, 0)..=(lane, key, u64::MAX))?;
        let Some(oldest) = keyed.next() else { return Ok(None) };
        let oldest = oldest?.0.value().2;
        let Some(newest) = keyed.next_back() else { return Ok(None) };
        Ok(Some((oldest, newest?.0.value().2)))
    }

    /// Returns the waiting entries with a key in the order of their numbers.
    pub(super) fn keyed(&self, lane: &str, key: &str) -> Result<Vec<EntryRecord>, StoreError> {
        let mut keyed = Vec::new();
        for item in self.keyed.range((lane, key, 0)..=(lane, key, u64::MAX))? {
            let (key, ()) = item.map(|(key, value)| (key, value.value()))?;
            keyed.push(self.entry(key.value().2)?);
        }
        Ok(keyed)
    }
}
