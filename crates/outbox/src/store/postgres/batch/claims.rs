//! Leases lanes.

use std::sync::Arc;

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::look::{Claimed, Lookup, number};
use super::{Batches, Claim};
use crate::error::StoreError;
use crate::lane::{HeadStep, head_step};
use crate::state::Event;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::link::BEGIN;
use crate::store::postgres::row::milliseconds;
use crate::store::postgres::working::{Head, Working, ids_of};
use crate::store::postgres::{leases, report};
use crate::store::{Lease, Leased};

/// The number of looks for lanes, each of which expires or supersedes entries, before other requests
/// have their turn.
const MAX_ROUNDS: usize = 10;

impl Batches {
    /// Leases lanes for the requests with the settings of the first. Returns those that have to wait.
    pub(super) async fn claim(&mut self, mut claims: Vec<Claim>) -> Vec<Claim> {
        let Some(first) = claims.first() else { return claims };
        let (term, avoid) = (first.term, first.avoid.clone());
        let (mut same, others): (Vec<_>, Vec<_>) =
            claims.drain(..).partition(|claim| claim.term == term && claim.avoid == avoid);
        for _ in 0..MAX_ROUNDS {
            same.retain(|claim| !claim.reply.is_closed());
            if same.is_empty() {
                return others;
            }
            let (wanted, holder) = (same.len(), self.holder);
            let lookup = Lookup { wanted, term, avoid: avoid.as_deref(), holder };
            let claimed = match self.look(lookup).await {
                Ok(claimed) => claimed,
                Err(failure) => {
                    self.has_unknown = true;
                    for claim in same {
                        let _ = claim.reply.send(Err(StoreError(failure.to_string())));
                    }
                    return others;
                }
            };
            for leased in claimed.leased {
                self.hand_out(&mut same, leased);
            }
            if claimed.may_be_more {
                continue;
            }
            // After a lease, the worker looks again, so the next due time isn't needed.
            for Claim { wall, reply, .. } in same.drain(..) {
                let next_due = claimed.nothing.and_then(|(next, now)| {
                    let wait = next?.since(now);
                    Some(wall.after(wait))
                });
                let _ = reply.send(Ok(Leased::Nothing { next_due }));
            }
            return others;
        }
        same.extend(others);
        same
    }

    /// Passes a lease to the first request that still waits. If there is none, it ends the lease.
    fn hand_out(&mut self, claims: &mut Vec<Claim>, mut leased: Leased) {
        let Leased::Entry { lease, .. } = &leased else { return };
        let lease = lease.clone();
        self.known.insert(lease.number);
        while !claims.is_empty() {
            match claims.remove(0).reply.send(Ok(leased)) {
                Ok(()) => return,
                Err(Ok(returned)) => leased = returned,
                Err(Err(_)) => break,
            }
        }
        self.known.remove(&lease.number);
        self.has_unknown = true;
    }

    /// Looks for free lanes that are due. Decides about lanes whose leases are over, and about first
    /// entries that are expired or superseded.
    async fn look(&mut self, lookup: Lookup<'_>) -> Result<Claimed, Failure> {
        if self.has_unknown {
            self.hand_back_unknown().await?;
            self.has_unknown = false;
        }
        let mut claimed = self.link.pipeline(|client| lookup.run(client)).await?;
        if !claimed.undecided.is_empty() {
            let undecided = std::mem::take(&mut claimed.undecided);
            let wanted = lookup.wanted.saturating_sub(claimed.leased.len());
            let lookup = Lookup { wanted, ..lookup };
            claimed.leased.extend(self.decide(lookup, &undecided).await?);
            claimed.may_be_more = true;
        }
        Ok(claimed)
    }

    /// Decides about lanes. Returns those that are leased.
    async fn decide(
        &mut self,
        lookup: Lookup<'_>,
        names: &[String],
    ) -> Result<Vec<Leased>, Failure> {
        let names: &Vec<_> = &names.iter().map(String::as_str).collect();
        let (term, wanted) = (milliseconds(lookup.term), lookup.wanted);
        let holder = &lookup.holder.to_string();
        let deciding = |client: Arc<Client>| async move {
            client.batch_execute(BEGIN).await?;
            let mut working = Working::open(&client, names, &[]).await?;
            let heads = working.read_heads(&client, names).await?;
            let mut ready = Vec::new();
            for name in names {
                let head = heads.iter().find(|head| head.entry.lane == *name);
                let is_ready = decide_lane(&mut working, &client, name, head).await?;
                if let Some(head) = head.filter(|_| is_ready && ready.len() < wanted) {
                    ready.push(head);
                }
            }
            working.save(&client).await?;
            let mut leased = Vec::new();
            let lanes: Vec<_> = ready.iter().map(|head| head.entry.lane.as_str()).collect();
            if !lanes.is_empty() {
                let rows = client
                    .query_typed(
                        "select lane, lease, body from pushslots.lease($1, \
                         $2 * interval '1 millisecond', $3::text::uuid)",
                        &[(&lanes, Type::TEXT_ARRAY), (&term, Type::INT8), (holder, Type::TEXT)],
                    )
                    .await?;
                for row in rows {
                    let lane: &str = row.try_get(0)?;
                    let lease = Lease { lane: lane.to_owned(), number: number(&row, 1)? };
                    if let Some(head) = ready.iter().find(|head| head.entry.lane == lane) {
                        let entry = Box::new(head.entry.clone());
                        let body = row.try_get::<_, Option<Vec<u8>>>(2)?.unwrap_or_default();
                        leased.push(Leased::Entry { lease, entry, body });
                    }
                }
            }
            client.batch_execute("commit").await?;
            Ok((working, leased))
        };
        let (working, leased) = self.link.run(deciding).await?;
        report(&self.on_change, &working.into_changes());
        Ok(leased)
    }

    /// Ends the leases of this process that no worker received.
    async fn hand_back_unknown(&self) -> Result<(), Failure> {
        let known: Vec<_> =
            self.known.iter().filter_map(|number| i64::try_from(*number).ok()).collect();
        let holder = self.holder.to_string();
        let handing_back = |client| leases::hand_back_unknown(client, &holder, &known);
        self.link.pipeline(handing_back).await
    }
}

/// Takes a step with the first entry of a lane. Returns whether the entry can be sent.
async fn decide_lane(
    working: &mut Working,
    client: &Client,
    lane: &str,
    head: Option<&Head>,
) -> Result<bool, Failure> {
    if let Some((_, is_over)) = working.lease_of(lane) {
        if is_over {
            let ids: Vec<_> = head.iter().map(|head| head.entry.message_id).collect();
            working.read(client, &ids).await?;
            working.lose(lane, head.map(|head| &head.entry));
        }
        return Ok(false);
    }
    let Some(Head { entry, keyed }) = head else { return Ok(false) };
    match head_step(entry, keyed, working.time) {
        HeadStep::Lease => Ok(true),
        HeadStep::Wait => Ok(false),
        HeadStep::Expire => {
            working.read(client, &[entry.message_id]).await?;
            working.apply(entry.message_id, Event::Expired, 0.0);
            Ok(false)
        }
        HeadStep::Supersede(supersession) => {
            working.read(client, &ids_of(&supersession)).await?;
            working.supersede(&supersession);
            Ok(false)
        }
    }
}
