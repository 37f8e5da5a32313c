//! The operations of workers: lease, begin, settle, and the end of leases.

use ::redb::ReadableTable;
use uuid::Uuid;

use crate::error::StoreError;
use crate::lane::{HeadStep, Supersession, group_supersession, head_step};
use crate::state::{EntryRecord, Event};
use crate::store::{
    KeyGroup, Lease, Leased, REQUESTS_KEPT, REQUESTS_OF_LOST_SEND, Settlement, lost_attempt,
    second_of,
};
use crate::time::{Now, Timestamp};

use super::lanes::Choice;
use super::leases::Leases;
use super::tables::Tables;

/// The number of entries that a lease supersedes or expires in one transaction, except for those
/// of one supersession. It continues in the next transaction, so that others don't wait for long.
const MAX_STEPS: usize = 1_000;

/// The database and the leases, as an operation changes them.
pub(super) struct Work<'w, 'txn> {
    pub(super) tables: &'w mut Tables<'txn>,
    pub(super) leases: &'w mut Leases,
}

/// The result of a step with the first entry of a lane.
enum Step {
    /// The entry can be sent.
    Lease,
    /// This number of entries changed.
    Changed(usize),
    /// Nothing changed, so the lane can't be leased now.
    Stuck,
}

impl Work<'_, '_> {
    /// Leases a lane. Returns `None` if it has to continue in another transaction.
    pub(super) fn lease(
        &mut self,
        now: Now,
        until: Timestamp,
        avoid: Option<&str>,
    ) -> Result<Option<Leased>, StoreError> {
        let Now { wall: now, steady } = now;
        for lease in self.leases.over(steady) {
            self.lose(&lease, now)?;
        }
        let mut stuck: Vec<String> = Vec::new();
        let mut steps = 0_usize;
        while steps < MAX_STEPS {
            let leases = &*self.leases;
            let is_free = |lane: &str| leases.is_free(lane) && !stuck.iter().any(|s| s == lane);
            let lane = match self.tables.choose_lane(now, avoid, is_free)? {
                Choice::Lane(lane) => lane,
                Choice::Nothing(next_due) => return Ok(Some(Leased::Nothing { next_due })),
            };
            let Some(mut head) = self.tables.head(&lane)? else {
                return Err(StoreError(format!("the lane {lane} has a due time, but no entry")));
            };
            match self.step(&mut head, now)? {
                Step::Lease => {
                    let body = self.tables.body(head.number)?.unwrap_or_default();
                    let lease = self.leases.grant(&lane, until, head.number);
                    return Ok(Some(Leased::Entry { lease, entry: Box::new(head), body }));
                }
                Step::Changed(entries) => steps = steps.saturating_add(entries),
                Step::Stuck => stuck.push(lane),
            }
        }
        Ok(None)
    }

    fn step(&mut self, head: &mut EntryRecord, now: Timestamp) -> Result<Step, StoreError> {
        let rivals = self.tables.rivals(head)?;
        match head_step(head, &rivals, now) {
            HeadStep::Lease => Ok(Step::Lease),
            HeadStep::Wait => Ok(Step::Stuck),
            HeadStep::Expire => {
                let is_expired = self.tables.apply(head, Event::Expired, now, 0.0)?;
                Ok(if is_expired { Step::Changed(1) } else { Step::Stuck })
            }
            HeadStep::Supersede(supersession) => self.supersede(rivals, &supersession, now),
        }
    }

    fn supersede(
        &mut self,
        rivals: Vec<EntryRecord>,
        supersession: &Supersession,
        now: Timestamp,
    ) -> Result<Step, StoreError> {
        let Supersession { superseded, by, moved, position, due } = supersession;
        let by = *by;
        let superseded: std::collections::HashSet<_> = superseded.iter().copied().collect();
        let moved: std::collections::HashSet<_> = moved.iter().copied().collect();
        let mut changed = 0_usize;
        for mut entry in rivals {
            if superseded.contains(&entry.message_id) {
                let event = Event::Superseded { by };
                let is_superseded = self.tables.apply(&mut entry, event, now, 0.0)?;
                changed = changed.saturating_add(usize::from(is_superseded));
            }
            if moved.contains(&entry.message_id) {
                let old = entry.clone();
                entry.position = *position;
                if entry.message_id == by {
                    entry.due = *due;
                }
                if entry != old {
                    self.tables.save(Some(&old), &entry)?;
                }
            }
        }
        Ok(if changed > 0 { Step::Changed(changed) } else { Step::Stuck })
    }

    /// Supersedes the older entries of a group, unless its lane is leased.
    pub(super) fn supersede_group(
        &mut self,
        group: &KeyGroup,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        if !self.leases.is_free(&group.lane) {
            return Ok(0);
        }
        let keyed = self.tables.keyed(&group.lane, &group.key)?;
        let Some(supersession) = group_supersession(&keyed) else { return Ok(0) };
        match self.supersede(keyed, &supersession, now)? {
            Step::Changed(entries) => Ok(entries),
            Step::Lease | Step::Stuck => Ok(0),
        }
    }

    pub(super) fn begin(
        &mut self,
        lease: &Lease,
        message_id: Uuid,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if !self.leases.is_valid(lease) {
            return Ok(false);
        }
        let Some(mut entry) = self.leased(lease, message_id)? else { return Ok(false) };
        self.tables.apply(&mut entry, Event::Begun { lease: lease.number }, now, 0.0)
    }

    /// Returns an entry. If it is the leased one, its number is known, which saves a search among
    /// all ids.
    fn leased(&self, lease: &Lease, id: Uuid) -> Result<Option<EntryRecord>, StoreError> {
        if let Some(number) = self.leases.entry_of(lease)
            && let Some(entry) = self.tables.stored(number)?
            && entry.message_id == id
        {
            return Ok(Some(entry));
        }
        self.tables.find(id)
    }

    pub(super) fn settle(
        &mut self,
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<Option<EntryRecord>, StoreError> {
        let Settlement { lease, message_id, outcome, attempts, requests, receipt, random } =
            settlement;
        let entry = self.leased(lease, *message_id)?;
        self.leases.end(lease);
        let Some(mut entry) = entry else {
            self.tables.count_requests(*requests, now)?;
            return Ok(None);
        };
        if settlement.is_late(&entry) {
            let stored = self.tables.attempts_of(entry.number)?;
            if settlement.is_repeated(&stored) {
                return Ok(Some(entry));
            }
        }
        self.tables.count_requests(*requests, now)?;
        self.tables.add_attempts(entry.number, attempts.iter().map(String::as_str))?;
        if let Some(receipt) = receipt {
            self.tables.add_receipt(entry.number, receipt)?;
        }
        let event = Event::Ended { lease: lease.number, outcome: *outcome };
        self.tables.apply(&mut entry, event, now, *random)?;
        Ok(Some(entry))
    }

    /// Ends a lease, unless one of its entries was begun.
    pub(super) fn hand_back(&mut self, lease: &Lease) -> Result<(), StoreError> {
        if self.leases.is_valid(lease) && self.tables.sending_under(lease)?.is_empty() {
            self.leases.end(lease);
        }
        Ok(())
    }

    /// Ends all leases, including those of earlier processes. Returns the number of entries that
    /// were being sent under them.
    pub(super) fn recover(&mut self, now: Timestamp) -> Result<usize, StoreError> {
        let mut leases = self.leases.all();
        for item in self.tables.sending.iter()? {
            let (key, ()) = item.map(|(key, value)| (key, value.value()))?;
            let (lane, number, _) = key.value();
            if self.leases.is_inherited(number) {
                leases.push(Lease { lane: lane.to_owned(), number });
            }
        }
        let mut lost = 0_usize;
        for lease in leases {
            lost = lost.saturating_add(self.lose(&lease, now)?);
        }
        Ok(lost)
    }

    /// Ends a lease. Entries that were being sent under it wait again.
    fn lose(&mut self, lease: &Lease, now: Timestamp) -> Result<usize, StoreError> {
        self.leases.end(lease);
        let numbers = self.tables.sending_under(lease)?;
        for number in &numbers {
            let mut entry = self.tables.entry(*number)?;
            let event = Event::LeaseLost { lease: lease.number };
            self.tables.apply(&mut entry, event, now, 0.0)?;
            self.tables.count_requests(REQUESTS_OF_LOST_SEND, now)?;
            self.tables.add_attempts(*number, [lost_attempt(now).as_str()])?;
        }
        Ok(numbers.len())
    }
}

impl Tables<'_> {
    /// Counts requests that may have left.
    fn count_requests(&mut self, requests: u32, now: Timestamp) -> Result<(), StoreError> {
        if requests == 0 {
            return Ok(());
        }
        self.is_changed = true;
        let second = second_of(now);
        let is_old = |other: i64| other.abs_diff(second) > REQUESTS_KEPT.unsigned_abs();
        while self.requests.first()?.is_some_and(|(first, _)| is_old(first.value())) {
            self.requests.pop_first()?;
        }
        // The clock may have been set back.
        while self.requests.last()?.is_some_and(|(last, _)| is_old(last.value())) {
            self.requests.pop_last()?;
        }
        let before = self.requests.get(second)?.map_or(0, |count| count.value());
        self.requests.insert(second, before.saturating_add(requests))?;
        Ok(())
    }

    /// Returns the numbers of the entries that are being sent under a lease.
    fn sending_under(&self, lease: &Lease) -> Result<Vec<u64>, StoreError> {
        let (lane, number) = (lease.lane.as_str(), lease.number);
        let mut numbers = Vec::new();
        for item in self.sending.range((lane, number, 0)..=(lane, number, u64::MAX))? {
            numbers.push(item?.0.value().2);
        }
        Ok(numbers)
    }
}
