//! Adds entries: those of many callers in one transaction.

use std::time::Duration;

use futures_util::future::join_all;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::failure::Failure;
use super::link::{LIMIT, Link};
use super::row::{Row, new_row};
use crate::error::StoreError;
use crate::state::EntryRecord;
use crate::store::{Enqueued, NewEntry};

/// The maximum number of calls in one transaction.
const MAX_CALLS: usize = 256;

/// The maximum number of calls that met a busy lane in one transaction.
const MAX_RETRIED: usize = 64;

/// The delay before another try to add to a lane to which another transaction adds.
const BUSY_DELAY: Duration = Duration::from_millis(5);

/// The entries of one call.
pub(super) struct Adding {
    entries: Vec<String>,
    bodies: Vec<Vec<u8>>,
    reply: oneshot::Sender<Result<Enqueued, StoreError>>,
    /// The time at which the call gives up.
    until: Instant,
}

impl Adding {
    pub(super) fn new(
        entries: Vec<NewEntry>,
        reply: oneshot::Sender<Result<Enqueued, StoreError>>,
    ) -> Result<Self, StoreError> {
        let rows = entries.iter().map(new_row).collect::<Result<_, _>>()?;
        let bodies = entries.into_iter().map(|entry| entry.body).collect();
        Ok(Self { entries: rows, bodies, reply, until: Instant::now() + LIMIT })
    }
}

/// The result of a call, as the function `add_entries` returns it.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Added {
    Entries(Vec<Row>),
    OtherBytes(Uuid),
    /// Another transaction adds to the lane.
    #[serde(rename = "is_busy")]
    Busy(serde::de::IgnoredAny),
}

/// Handles calls until the store is dropped.
pub(super) async fn run(link: Link, mut calls: mpsc::UnboundedReceiver<Adding>) {
    // The calls that met a busy lane.
    let mut waiting: Vec<Adding> = Vec::new();
    loop {
        let mut new = Vec::new();
        if waiting.is_empty() {
            if calls.recv_many(&mut new, MAX_CALLS).await == 0 {
                return;
            }
        } else {
            sleep(BUSY_DELAY).await;
            while new.len() < MAX_CALLS
                && let Ok(call) = calls.try_recv()
            {
                new.push(call);
            }
        }
        // New calls aren't delayed by busy lanes.
        let rest = waiting.split_off(waiting.len().min(MAX_RETRIED));
        new.append(&mut waiting);
        waiting = rest;
        new.retain(|call| !call.reply.is_closed());
        let (calls, late): (Vec<_>, Vec<_>) =
            new.into_iter().partition(|call| call.until > Instant::now());
        late.into_iter().for_each(|call| fail(call, &Failure::Timeout));
        if !calls.is_empty() {
            add_all(&link, calls, &mut waiting).await;
        }
    }
}

/// Adds the entries of calls in one transaction. If the data of one call is at fault, each runs in a
/// transaction of its own.
async fn add_all(link: &Link, calls: Vec<Adding>, waiting: &mut Vec<Adding>) {
    match add_together(link, &calls).await {
        Ok(added) => {
            let replied = calls.into_iter().zip(added);
            waiting.extend(replied.filter_map(|(call, added)| reply(call, added)));
        }
        Err(failure) if calls.len() > 1 && failure.is_of_request() => {
            for call in calls {
                Box::pin(add_all(link, vec![call], waiting)).await;
            }
        }
        Err(failure) => calls.into_iter().for_each(|call| fail(call, &failure)),
    }
}

async fn add_together(link: &Link, calls: &[Adding]) -> Result<Vec<Added>, Failure> {
    link.pipeline(|client| async move {
        let added = join_all(calls.iter().map(|call| add(&client, call))).await;
        added.into_iter().collect()
    })
    .await
}

async fn add(client: &Client, call: &Adding) -> Result<Added, Failure> {
    let row = client
        .query_typed_one(
            "select pushslots.add_entries($1::text[]::json[], $2)::text",
            &[(&call.entries, Type::TEXT_ARRAY), (&call.bodies, Type::BYTEA_ARRAY)],
        )
        .await?;
    Ok(serde_json::from_str(row.try_get(0)?)?)
}

/// Replies to a call. Returns it if it has to wait for a busy lane.
fn reply(call: Adding, added: Added) -> Option<Adding> {
    let result = match added {
        Added::Entries(rows) => {
            let records: Result<_, _> = rows.into_iter().map(EntryRecord::try_from).collect();
            records.map(Enqueued::Entries)
        }
        Added::OtherBytes(id) => Ok(Enqueued::OtherBytes(id)),
        Added::Busy(_) if call.until > Instant::now() + BUSY_DELAY * 2 => return Some(call),
        Added::Busy(_) => {
            let text = "a transaction that added an entry to the lane is still open; commit it soon \
                        after it enqueues";
            Err(StoreError(text.to_owned()))
        }
    };
    let _ = call.reply.send(result);
    None
}

fn fail(call: Adding, failure: &Failure) {
    let _ = call.reply.send(Err(StoreError(failure.to_string())));
}
