//! The places of an entry in the indexes.

use ::redb::{Key, ReadableTable, StorageError, Table};

use crate::state::{EntryRecord, EntryState};

use super::tables::Tables;

/// The keys of an entry in the indexes. They follow from the entry alone.
#[derive(Default)]
struct Places<'e> {
    /// The key, and the due time.
    queue: Option<((&'e str, u64, u64), i64)>,
    keyed: Option<(&'e str, &'e str, u64)>,
    untouched: Option<(&'e str, &'e str, &'e str)>,
    sending: Option<(&'e str, u64, u64)>,
    open: Option<(i64, u64)>,
    finals: Option<(bool, i64, u64)>,
    dead: Option<u64>,
}

impl<'e> Places<'e> {
    fn of(entry: Option<&'e EntryRecord>) -> Self {
        let Some(entry) = entry else { return Self::default() };
        let (lane, number) = (entry.lane.as_str(), entry.number);
        let mut places = Self::default();
        if entry.state.is_final() {
            let is_dead = matches!(entry.state, EntryState::Dead(_));
            places.finals = Some((is_dead, entry.changed.0, number));
            places.dead = is_dead.then_some(number);
            return places;
        }
        places.queue = Some(((lane, entry.position, number), entry.due.0));
        places.open = Some((entry.enqueued.0, number));
        match (entry.state, &entry.key) {
            (EntryState::Sending { lease }, _) => places.sending = Some((lane, lease, number)),
            (_, Some(key)) => {
                places.keyed = Some((lane, key, number));
                let batch = entry.batch.as_ref().filter(|_| entry.attempts == 0);
                places.untouched = batch.map(|batch| (lane, key.as_str(), batch.id.as_str()));
            }
            (_, None) => {}
        }
        places
    }
}

impl Tables<'_> {
    /// Moves an entry from its old places in the indexes to the new ones. `None` means that the
    /// entry isn't stored.
    pub(super) fn move_places(
        &mut self,
        old: Option<&EntryRecord>,
        new: Option<&EntryRecord>,
    ) -> Result<(), StorageError> {
        if let Some(old) = old {
            let count = self.meta.counts.of(old.state);
            *count = count.saturating_sub(1);
        }
        if let Some(new) = new {
            let count = self.meta.counts.of(new.state);
            *count = count.saturating_add(1);
        }
        let (before, after) = (Places::of(old), Places::of(new));
        if before.queue != after.queue {
            for entry in [old, new].into_iter().flatten() {
                self.changes_lane(&entry.lane)?;
            }
            if let Some((key, _)) = before.queue {
                self.queue.remove(key)?;
            }
            if let Some((key, due)) = after.queue {
                self.queue.insert(key, due)?;
            }
        }
        if before.untouched != after.untouched {
            self.count_untouched(before.untouched, |count| count.saturating_sub(1))?;
            self.count_untouched(after.untouched, |count| count.saturating_add(1))?;
        }
        move_key(&mut self.keyed, before.keyed, after.keyed)?;
        move_key(&mut self.sending, before.sending, after.sending)?;
        move_key(&mut self.open, before.open, after.open)?;
        move_key(&mut self.finals, before.finals, after.finals)?;
        move_key(&mut self.dead, before.dead, after.dead)
    }

    fn count_untouched(
        &mut self,
        key: Option<(&str, &str, &str)>,
        change: impl FnOnce(u64) -> u64,
    ) -> Result<(), StorageError> {
        let Some(key) = key else { return Ok(()) };
        let before = self.untouched.get(key)?.map_or(0, |count| count.value());
        match change(before) {
            0 => drop(self.untouched.remove(key)?),
            count => drop(self.untouched.insert(key, count)?),
        }
        Ok(())
    }
}

fn move_key<'k, K: Key + 'static>(
    table: &mut Table<'_, K, ()>,
    before: Option<K::SelfType<'k>>,
    after: Option<K::SelfType<'k>>,
) -> Result<(), StorageError>
where
    K::SelfType<'k>: PartialEq,
{
    if before != after {
        if let Some(key) = before {
            table.remove(key)?;
        }
        if let Some(key) = after {
            table.insert(key, ())?;
        }
    }
    Ok(())
}
