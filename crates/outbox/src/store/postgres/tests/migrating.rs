//! A migration while workers send.

use std::sync::Arc;
use std::time::Duration;

use pushslots::chrono::{TimeDelta, Utc};
use pushslots::mock::MockService;
use pushslots::{Client, PushSlots, Slot};

use super::{Through, control, database, let_time_pass};
use crate::Outbox;
use crate::store::postgres::PostgresConfig;
use crate::store::postgres::migration::{self, Migration};

/// A later version that programs of version 1 can use.
const COMPATIBLE: Migration = Migration {
    version: 2,
    required: 1,
    sql: "alter table pushslots.entry add column note text;
          alter table pushslots.dead add column note text;
          alter table pushslots.settled add column note text;
          create index entry_note on pushslots.entry (note) where note is not null",
};

/// A version that programs of version 1 can't use.
const INCOMPATIBLE: Migration =
    Migration { version: 3, required: 3, sql: "drop function pushslots.heads(text[])" };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_go_on_during_a_migration_or_stop_with_an_error() {
    let Some(database) = database(Through::Server).await else { return };
    let config = PostgresConfig::new(&database.url).unwrap();
    let_time_pass(&control(&database).await).await;
    let service = MockService::builder().without_rate_limit().start().unwrap();
    let open =
        async || Outbox::builder().destination(service.destination()).postgres(&config).await;
    let client = Client::builder().mock(&service).build().unwrap();
    let early = open().await.unwrap();
    let early_worker = early.worker(&client).start().unwrap();

    let enqueued = Arc::new(tokio::sync::Mutex::new(Vec::new()));
    let enqueueing = {
        let (outbox, enqueued) = (early.clone(), enqueued.clone());
        tokio::spawn(async move {
            for number in 0_u32.. {
                let start = Utc::now() + TimeDelta::days(1);
                let message = PushSlots::builder().slot(Slot::new(start, 15)).build().unwrap();
                let lane = format!("lane {}", number % 20);
                let entry = outbox.enqueue(&message).lane(lane).await;
                enqueued.lock().await.push(entry.unwrap().message_id());
                if number == 600 {
                    return;
                }
            }
        })
    };
    while enqueued.lock().await.len() < 200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A busy table can cost it its lock. It is repeated then.
    while migration::apply(&config, &[COMPATIBLE]).await.unwrap().is_err() {}
    let late = open().await.unwrap();
    let late_worker = late.worker(&client).start().unwrap();
    enqueueing.await.unwrap();
    for id in enqueued.lock().await.iter() {
        late.wait_for(*id).await.unwrap();
    }
    assert_eq!(service.received().len(), 601);

    let _ = (
        early_worker.shutdown(Duration::from_secs(5)).await,
        late_worker.shutdown(Duration::from_secs(5)).await,
    );
    while migration::apply(&config, &[INCOMPATIBLE]).await.unwrap().is_err() {}
    let error = open().await.unwrap_err().to_string();
    assert!(error.contains("requires programs that know version 3"), "{error}");
    // A running one, too.
    let now = crate::time::Now::from(crate::time::Timestamp(0));
    let error = early.0.store.lease(now, crate::time::Timestamp(60_000), None).await.unwrap_err();
    assert!(error.0.contains("requires programs that know version 3"), "{}", error.0);
}
