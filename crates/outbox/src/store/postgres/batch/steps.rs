//! Begins and settles sends.

use std::sync::Arc;

use futures_util::future::join;
use tokio_postgres::Client;
use uuid::Uuid;

use super::{Batches, SendStep};
use crate::error::StoreError;
use crate::state::EntryRecord;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::link::BEGIN;
use crate::store::postgres::report;
use crate::store::postgres::working::Working;

impl SendStep {
    fn fail(self, failure: &Failure) {
        let error = StoreError(failure.to_string());
        match self {
            Self::Begin { reply, .. } => drop(reply.send(Err(error))),
            Self::Settle { reply, .. } => drop(reply.send(Err(error))),
        }
    }

    pub(super) fn is_end(&self) -> bool {
        matches!(self, Self::Settle { .. })
    }

    /// Returns the lane and the entry that the step changes.
    fn target(&self) -> (&str, Uuid) {
        match self {
            Self::Begin { lease, message_id, .. } => (&lease.lane, *message_id),
            Self::Settle { settlement, .. } => (&settlement.lease.lane, settlement.message_id),
        }
    }
}

impl Batches {
    /// Begins and settles sends in one transaction. If the data of one step is at fault, each
    /// runs in a transaction of its own. Returns whether the steps succeeded together.
    pub(super) async fn take_steps(&mut self, steps: Vec<SendStep>) -> bool {
        match self.take_together(&steps).await {
            Ok((working, results)) => {
                self.reply(steps, working, results);
                return true;
            }
            Err(failure) if failure.is_of_request() && steps.len() > 1 => {
                for step in steps {
                    Box::pin(self.take_steps(vec![step])).await;
                }
            }
            Err(failure) => steps.into_iter().for_each(|step| step.fail(&failure)),
        }
        false
    }

    /// Returns the entry for each step that succeeded.
    async fn take_together(
        &mut self,
        steps: &[SendStep],
    ) -> Result<(Working, Vec<Option<EntryRecord>>), Failure> {
        let targets = || steps.iter().map(SendStep::target);
        let mut lanes: Vec<_> = targets().map(|(lane, _)| lane).collect();
        lanes.sort_unstable();
        lanes.dedup();
        let mut ids: Vec<_> = targets().map(|(_, id)| id).collect();
        ids.sort_unstable();
        ids.dedup();
        let (lanes, ids) = (&lanes, &ids);
        let taking = |client: Arc<Client>| async move {
            let opening = Working::open(&client, lanes, ids);
            let (begun, working) = join(client.batch_execute(BEGIN), opening).await;
            begun?;
            let mut working = working?;
            let mut results = Vec::new();
            for step in steps {
                results.push(match step {
                    SendStep::Begin { lease, message_id, .. } => {
                        let is_begun = working.begin(lease, *message_id);
                        working.record(*message_id).filter(|_| is_begun).cloned()
                    }
                    SendStep::Settle { settlement, .. } => working.settle(settlement),
                });
            }
            let (saved, committed) =
                join(working.save(&client), client.batch_execute("commit")).await;
            saved?;
            committed?;
            Ok((working, results))
        };
        self.link.run(taking).await
    }

    fn reply(&mut self, steps: Vec<SendStep>, working: Working, results: Vec<Option<EntryRecord>>) {
        report(&self.on_change, &working.into_changes());
        for (step, entry) in steps.into_iter().zip(results) {
            match step {
                SendStep::Begin { lease, reply, .. } => {
                    if entry.is_none() {
                        self.known.remove(&lease.number);
                    }
                    let _ = reply.send(Ok(entry.is_some()));
                }
                SendStep::Settle { settlement, reply } => {
                    self.known.remove(&settlement.lease.number);
                    let _ = reply.send(Ok(entry));
                }
            }
        }
    }
}
