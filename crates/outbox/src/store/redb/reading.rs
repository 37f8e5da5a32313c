//! The operations that only read.

use std::ops::Bound;

use ::redb::{ReadTransaction, ReadableTable};
use uuid::Uuid;

use crate::error::StoreError;
use crate::filter::{Filter, Kind};
use crate::lane::is_same_unit;
use crate::state::EntryRecord;
use crate::store::{KeyGroup, StoredEntry, Summary};
use crate::time::Timestamp;

use super::entries::{decode, missing};
use super::tables::{
    ATTEMPTS, DEAD, ENTRIES, HELD, IDS, KEYED, META, Meta, OPEN, RECEIPTS, REQUESTS, SENDING, STATE,
};

pub(super) fn entry(
    transaction: &ReadTransaction,
    message_id: Uuid,
) -> Result<Option<StoredEntry>, StoreError> {
    let ids = transaction.open_table(IDS)?;
    let Some(number) = ReadableTable::get(&ids, message_id.as_u128())? else { return Ok(None) };
    let number = number.value();
    let entries = transaction.open_table(ENTRIES)?;
    let json = ReadableTable::get(&entries, number)?.ok_or_else(|| missing(number))?;
    let record = decode(number, json.value())?;
    let table = transaction.open_table(ATTEMPTS)?;
    let mut attempts = Vec::new();
    for item in ReadableTable::range(&table, (number, 0)..=(number, u32::MAX))? {
        attempts.push(item?.1.value().to_owned());
    }
    let receipts = transaction.open_table(RECEIPTS)?;
    let receipt = ReadableTable::get(&receipts, number)?.map(|json| json.value().to_owned());
    Ok(Some(StoredEntry { record, attempts, receipt }))
}

/// Lists entries. Without a filter, or for dead letters and entries that are being sent, it reads
/// only those. All other filters read the entries one by one until the limit is reached.
pub(super) fn list(
    transaction: &ReadTransaction,
    filter: &Filter,
    after: u64,
    limit: usize,
) -> Result<Vec<EntryRecord>, StoreError> {
    let mut found = Vec::new();
    let Some(first) = after.checked_add(1).filter(|_| limit > 0) else { return Ok(found) };
    let entries = transaction.open_table(ENTRIES)?;
    let mut is_full = |number: u64, json: &[u8]| {
        let entry = decode(number, json)?;
        if filter.matches(&entry) {
            found.push(entry);
        }
        Ok::<_, StoreError>(found.len() >= limit)
    };
    match filter.kind {
        Some(Kind::Dead | Kind::DeadBecause(_)) => {
            let dead = transaction.open_table(DEAD)?;
            for item in ReadableTable::range(&dead, first..)? {
                let number = item?.0.value();
                let json = ReadableTable::get(&entries, number)?.ok_or_else(|| missing(number))?;
                if is_full(number, json.value())? {
                    break;
                }
            }
        }
        Some(Kind::Sending) => {
            let sending = transaction.open_table(SENDING)?;
            let mut numbers = Vec::new();
            for item in ReadableTable::iter(&sending)? {
                numbers.push(item?.0.value().2);
            }
            numbers.retain(|number| *number >= first);
            numbers.sort_unstable();
            for number in numbers {
                let json = ReadableTable::get(&entries, number)?.ok_or_else(|| missing(number))?;
                if is_full(number, json.value())? {
                    break;
                }
            }
        }
        _ => {
            for item in ReadableTable::range(&entries, first..)? {
                let (number, json) = item?;
                if is_full(number.value(), json.value())? {
                    break;
                }
            }
        }
    }
    Ok(found)
}

/// Returns the first group of waiting entries after `after` whose oldest and newest entries aren't
/// of the same batch.
pub(super) fn next_group(
    transaction: &ReadTransaction,
    after: Option<&KeyGroup>,
) -> Result<Option<KeyGroup>, StoreError> {
    let keyed = transaction.open_table(KEYED)?;
    let start = match after {
        Some(group) => Bound::Excluded((group.lane.as_str(), group.key.as_str(), u64::MAX)),
        None => Bound::Unbounded,
    };
    let entries = transaction.open_table(ENTRIES)?;
    let entry = |number: u64| {
        let json = ReadableTable::get(&entries, number)?.ok_or_else(|| missing(number))?;
        decode(number, json.value())
    };
    // The numbers of the oldest and the newest entry of a group.
    let is_group = |(oldest, newest): (u64, u64)| {
        Ok::<_, StoreError>(oldest != newest && !is_same_unit(&entry(oldest)?, &entry(newest)?))
    };
    let mut current: Option<(KeyGroup, (u64, u64))> = None;
    for item in ReadableTable::range::<(&str, &str, u64)>(&keyed, (start, Bound::Unbounded))? {
        let (item, _) = item?;
        let (lane, key, number) = item.value();
        match &mut current {
            Some((group, (_, newest))) if group.lane == lane && group.key == key => {
                *newest = number;
            }
            current => {
                let group = KeyGroup { lane: lane.to_owned(), key: key.to_owned() };
                if let Some((group, numbers)) = current.replace((group, (number, number)))
                    && is_group(numbers)?
                {
                    return Ok(Some(group));
                }
            }
        }
    }
    match current {
        Some((group, numbers)) if is_group(numbers)? => Ok(Some(group)),
        _ => Ok(None),
    }
}

pub(super) fn requests(transaction: &ReadTransaction) -> Result<Vec<(Timestamp, u32)>, StoreError> {
    let table = transaction.open_table(REQUESTS)?;
    let mut requests = Vec::new();
    for item in ReadableTable::iter(&table)? {
        let (second, count) = item?;
        requests.push((Timestamp(second.value().saturating_mul(1_000)), count.value()));
    }
    Ok(requests)
}

pub(super) fn summary(transaction: &ReadTransaction) -> Result<Summary, StoreError> {
    let meta = transaction.open_table(META)?;
    let meta: Meta = match ReadableTable::get(&meta, STATE)? {
        Some(json) => serde_json::from_str(json.value())?,
        None => Meta::default(),
    };
    let open = transaction.open_table(OPEN)?;
    let oldest = ReadableTable::first(&open)?.map(|(key, _)| Timestamp(key.value().0));
    let held = transaction.open_table(HELD)?;
    let mut held_lanes = Vec::new();
    for item in ReadableTable::iter(&held)? {
        held_lanes.push(item?.0.value().to_owned());
    }
    Ok(Summary { counts: meta.counts, oldest, held_lanes })
}
