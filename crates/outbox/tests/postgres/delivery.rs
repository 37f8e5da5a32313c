//! Entries are delivered by any worker, directly and through a pooler.

use std::collections::HashMap;
use std::time::Duration;

use pushslots_outbox::{EntryState, Outbox, PostgresConfig};

use crate::database::{Database, client, message, outbox, service, soon};

#[tokio::test]
async fn several_workers_deliver_each_lane_in_order() {
    let Some(database) = Database::create().await else { return };
    deliver(&database.config()).await;
}

#[tokio::test]
async fn everything_works_through_pgbouncer_in_transaction_mode() {
    let Some(database) = Database::create().await else { return };
    deliver(&database.pooled()).await;
}

async fn deliver(config: &PostgresConfig) {
    let service = service();
    let mut workers = Vec::new();
    for _ in 0..3 {
        let outbox = outbox(&service, config).await;
        workers.push(outbox.worker(&client(&service)).start().unwrap());
    }
    let outbox = outbox(&service, config).await;
    let mut lanes = HashMap::<String, Vec<_>>::new();
    for number in 0..60 {
        let lane = format!("lane {}", number % 7);
        let entry = outbox.enqueue(&message()).lane(&lane).await.unwrap();
        lanes.entry(lane).or_default().push(entry.message_id());
    }
    for id in lanes.values().flatten() {
        soon(outbox.wait_for(*id)).await.unwrap();
    }
    let received: Vec<_> =
        service.received().iter().filter_map(|message| message.message_id()).collect();
    assert_eq!(received.len(), 60);
    for (lane, ids) in lanes {
        let in_order: Vec<_> = received.iter().filter(|id| ids.contains(id)).copied().collect();
        assert_eq!(in_order, ids, "{lane}");
    }
    let stats = outbox.stats().await.unwrap();
    assert_eq!((stats.waiting, stats.sending, stats.accepted), (0, 0, 60));
    for worker in workers {
        assert_eq!(worker.shutdown(Duration::from_secs(10)).await.dropped_sends, 0);
    }
}

#[tokio::test]
async fn a_worker_listens_for_notifications() {
    let Some(database) = Database::create().await else { return };
    let service = service();
    // Without a notification, it looks after an hour.
    let config = PostgresConfig::new(&database.url).unwrap();
    let config = config.poll_interval(Duration::from_secs(3_600)).listen(&database.url).unwrap();
    let outbox = outbox(&service, &config).await;
    let _worker = outbox.worker(&client(&service)).start().unwrap();
    let sender = database.connect().await;
    let listening = "select count(*) from pg_stat_activity where query = 'listen pushslots' \
                     and datname = current_database()";
    while sender.query_one(listening, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let call = outbox.prepare(&message()).call().unwrap();
    sender.query_one(call.sql(), &[&call.entry(), &call.body()]).await.unwrap();
    sender.batch_execute("notify pushslots").await.unwrap();
    let outbox = Outbox::builder().postgres(&database.config()).await.unwrap();
    soon(outbox.wait_for(call.message_id())).await.unwrap();
}

#[tokio::test]
async fn unnoticed_hold_release_replay_and_cancel_work_across_processes() {
    let Some(database) = Database::create().await else { return };
    let service = service();
    let (one, other) =
        (outbox(&service, &database.config()).await, outbox(&service, &database.pooled()).await);
    one.hold("clinic").await.unwrap();
    let first = other.enqueue(&message()).lane("clinic").await.unwrap().message_id();
    let second = one.enqueue(&message()).lane("clinic").await.unwrap().message_id();
    let _worker = one.worker(&client(&service)).start().unwrap();
    other.cancel(first).await.unwrap();
    assert_eq!(one.stats().await.unwrap().held_lanes, ["clinic"]);
    other.release("clinic").await.unwrap();
    soon(one.wait_for(second)).await.unwrap();
    let cancelled = other.entry(first).await.unwrap().unwrap();
    assert_eq!(cancelled.entry().state(), EntryState::Cancelled);
    assert_eq!(service.received().len(), 1);
}
