//! The operations of people and of maintenance, a transaction each.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join3;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::failure::Failure;
use super::link::{BEGIN, ensure_partitions};
use super::reading::{MATCHES, states};
use super::row::milliseconds;
use super::working::{Working, ids_of};
use crate::filter::Filter;
use crate::lane::group_supersession;
use crate::state::{EntryState, Event};
use crate::store::{Change, Changed, KeyGroup};

/// Cancels a waiting entry.
pub(super) async fn cancel(
    client: Arc<Client>,
    id: Uuid,
) -> Result<(Changed, Vec<Change>), Failure> {
    let mut working = loop {
        client.batch_execute(BEGIN).await?;
        let lane = lane_of(&client, id).await?;
        let lanes: Vec<_> = lane.iter().map(String::as_str).collect();
        let working = Working::open(&client, &lanes, &[id]).await?;
        let is_open = working.record(id).is_some_and(|record| !record.state.is_final());
        if lane.is_some() || !is_open {
            break working;
        }
        // It was added or replayed in between, and its lane isn't locked.
        client.batch_execute("rollback").await?;
    };
    let changed = match working.record(id).is_some() {
        false => Changed::NotFound,
        true if working.apply(id, Event::Cancelled, 0.0) => Changed::Done,
        true => Changed::WrongState,
    };
    finish(&client, working, changed).await
}

/// Moves a dead letter to the end of its lane.
pub(super) async fn replay(
    client: Arc<Client>,
    id: Uuid,
) -> Result<(Changed, Vec<Change>), Failure> {
    client.batch_execute(BEGIN).await?;
    let mut working = Working::open(&client, &[], &[id]).await?;
    let Some(lane) = working.record(id).map(|record| record.lane.clone()) else {
        return leave(&client, Changed::NotFound).await;
    };
    // As for a new entry, so that no transaction adds one with a lower number later.
    client
        .execute_typed(
            "select pg_advisory_xact_lock(hashtextextended('pushslots.lane:' || $1, 0))",
            &[(&lane, Type::TEXT)],
        )
        .await?;
    // The lane is locked before the entry is read again, and isn't removed meanwhile.
    client
        .execute_typed(
            "insert into pushslots.lane (name, due) values ($1, pushslots.clock()) \
             on conflict (name) do update set due = lane.due",
            &[(&lane, Type::TEXT)],
        )
        .await?;
    // Its body isn't erased from now on.
    let message_id = id.to_string();
    client
        .execute_typed(
            "select from pushslots.dead where message_id = $1::text::uuid for update",
            &[(&message_id, Type::TEXT)],
        )
        .await?;
    working = Working::open(&client, &[&lane], &[id]).await?;
    let Some(record) = working.record(id) else {
        return leave(&client, Changed::NotFound).await;
    };
    if !matches!(record.state, EntryState::Dead(_)) {
        return leave(&client, Changed::WrongState).await;
    }
    let number = i64::try_from(record.number).unwrap_or(i64::MAX);
    let row = client
        .query_typed_one(
            "select exists (select from pushslots.body b where b.number = $1), \
             nextval('pushslots.entry_number')",
            &[(&number, Type::INT8)],
        )
        .await?;
    if !row.try_get::<_, bool>(0)? {
        return leave(&client, Changed::NoBody).await;
    }
    working.apply(id, Event::Replayed, 0.0);
    working.move_to(id, u64::try_from(row.try_get::<_, i64>(1)?).unwrap_or_default());
    finish(&client, working, Changed::Done).await
}

async fn finish<T>(
    client: &Client,
    working: Working,
    result: T,
) -> Result<(T, Vec<Change>), Failure> {
    working.save(client).await?;
    client.batch_execute("commit").await?;
    Ok((result, working.into_changes()))
}

/// Ends a transaction without a change.
async fn leave<T>(client: &Client, result: T) -> Result<(T, Vec<Change>), Failure> {
    client.batch_execute("rollback").await?;
    Ok((result, Vec::new()))
}

async fn lane_of(client: &Client, id: Uuid) -> Result<Option<String>, Failure> {
    let id = id.to_string();
    let row = client
        .query_typed_opt(
            "select lane from pushslots.entry where message_id = $1::text::uuid",
            &[(&id, Type::TEXT)],
        )
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Holds or releases a lane.
pub(super) async fn set_held(client: Arc<Client>, lane: &str, held: bool) -> Result<(), Failure> {
    client.batch_execute(BEGIN).await?;
    let sql = match held {
        true => {
            "insert into pushslots.lane (name, due, held) values ($1, 'infinity', true) \
             on conflict (name) do update set held = true"
        }
        false => "update pushslots.lane set held = false where name = $1",
    };
    client.execute_typed(sql, &[(&lane, Type::TEXT)]).await?;
    let lanes = serde_json::json!([{ "name": lane, "held": held }]).to_string();
    client
        .execute_typed(
            "select pushslots.save(null, null, null, null, null, null, null, $1::text::json)",
            &[(&lanes, Type::TEXT)],
        )
        .await?;
    client.batch_execute("commit").await?;
    Ok(())
}

/// Removes dead letters.
pub(super) async fn remove_dead(
    client: Arc<Client>,
    age: Duration,
    limit: usize,
) -> Result<usize, Failure> {
    let (age, limit) = (milliseconds(age), i64::try_from(limit).unwrap_or(i64::MAX));
    let row = client
        .query_typed_one(
            "select pushslots.remove_dead($1 * interval '1 millisecond', $2)",
            &[(&age, Type::INT8), (&limit, Type::INT8)],
        )
        .await?;
    Ok(usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or_default())
}

/// Drops the partitions of days that ended longer ago than `age`, and creates those of the next days.
pub(super) async fn rotate(client: Arc<Client>, age: Duration) -> Result<usize, Failure> {
    let age = milliseconds(age);
    let sql = "select pushslots.drop_partitions($1 * interval '1 millisecond')";
    let parameters = [(&age as _, Type::INT8)];
    let (ensured, dropped, folded) = join3(
        ensure_partitions(&client),
        client.query_typed_one(sql, &parameters),
        client.execute_typed("select pushslots.fold_tally()", &[]),
    )
    .await;
    ensured?;
    let row = dropped?;
    folded?;
    Ok(usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or_default())
}

/// Erases the bodies of dead letters. Other final entries have none.
pub(super) async fn erase_bodies(client: Arc<Client>, filter: &Filter) -> Result<usize, Failure> {
    let states = states(filter.kind);
    let before = filter.changed_before.map(|time| time.0);
    let erased = client
        .execute_typed(
            &format!(
                "with selected as (select e.number from pushslots.dead e where {MATCHES} for update) \
                 delete from pushslots.body b using selected where b.number = selected.number"
            ),
            &[
                (&filter.lane, Type::TEXT),
                (&filter.batch, Type::TEXT),
                (&states, Type::TEXT_ARRAY),
                (&before, Type::INT8),
            ],
        )
        .await?;
    Ok(usize::try_from(erased).unwrap_or(usize::MAX))
}

/// Returns the first group after `after` with entries of several units.
pub(super) async fn next_group(
    client: Arc<Client>,
    after: Option<&KeyGroup>,
) -> Result<Option<KeyGroup>, Failure> {
    let (lane, key) = after.map(|group| (&group.lane, &group.key)).unzip();
    let row = client
        .query_typed_opt(
            "select e.lane, e.key from pushslots.entry e \
             where e.key is not null and e.state = 'waiting' \
             and ($1::text is null or (e.lane, e.key) > ($1, $2)) \
             group by e.lane, e.key \
             having (array_agg(coalesce(e.batch_id, e.message_id::text) order by e.number))[1] \
             <> (array_agg(coalesce(e.batch_id, e.message_id::text) order by e.number desc))[1] \
             order by e.lane, e.key limit 1",
            &[(&lane, Type::TEXT), (&key, Type::TEXT)],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(KeyGroup { lane: row.try_get(0)?, key: row.try_get(1)? }))
}

/// Supersedes the older entries of a group, unless its lane is leased.
pub(super) async fn supersede_group(
    client: Arc<Client>,
    group: &KeyGroup,
) -> Result<(usize, Vec<Change>), Failure> {
    client.batch_execute(BEGIN).await?;
    let mut working = Working::open(&client, &[&group.lane], &[]).await?;
    let mut superseded = 0;
    if working.lease_of(&group.lane).is_none() {
        let keyed = working.read_keyed(&client, &group.lane, &group.key).await?;
        if let Some(supersession) = group_supersession(&keyed) {
            working.read(&client, &ids_of(&supersession)).await?;
            superseded = working.supersede(&supersession);
        }
    }
    finish(&client, working, superseded).await
}
