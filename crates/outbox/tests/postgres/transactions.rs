//! Messages that are added in the vendor's own transaction.

use std::time::Duration;

use pushslots::uuid::Uuid;
use pushslots_outbox::{BodyKeys, DeadReason, EntryState, Outbox, OutboxError};
use tokio::time::Instant;

use crate::database::{Database, client, message, outbox, service, setting, soon};

#[tokio::test]
async fn only_committed_messages_are_sent_and_an_open_transaction_stops_no_lane() {
    let Some(database) = Database::create().await else { return };
    let service = service();
    let outbox = outbox(&service, &database.config()).await;
    let _worker = outbox.worker(&client(&service)).start().unwrap();
    let mut vendor = database.connect().await;
    vendor.batch_execute("create table schedule (day date)").await.unwrap();

    // It goes into a lane in which others wait, and stays open: with `PUSHSLOTS_SECONDS`, for longer.
    let open_for = Duration::from_secs(setting("PUSHSLOTS_SECONDS", 0));
    let early = outbox.enqueue(&message()).lane("a").await.unwrap().message_id();
    let open = outbox.prepare(&message()).lane("a").call().unwrap();
    let transaction = vendor.transaction().await.unwrap();
    transaction.execute("insert into schedule values ('2026-12-01')", &[]).await.unwrap();
    transaction.query_one(open.sql(), &[&open.entry(), &open.body()]).await.unwrap();

    soon(outbox.wait_for(early)).await.unwrap();
    let (start, mut others, mut longest) = (Instant::now(), Vec::new(), Duration::ZERO);
    while others.is_empty() || start.elapsed() < open_for {
        let enqueued = Instant::now();
        let other = outbox.enqueue(&message()).lane("b").await.unwrap().message_id();
        soon(outbox.wait_for(other)).await.unwrap();
        others.push(other);
        longest = longest.max(enqueued.elapsed());
    }
    println!(
        "{} messages next to a transaction of {open_for:?}, each in {longest:?}",
        others.len()
    );
    assert!(outbox.entry(open.message_id()).await.unwrap().is_none());

    // The next one of the lane has to wait for the commit, so that it doesn't overtake.
    let adding = {
        let outbox = outbox.clone();
        tokio::spawn(async move { outbox.enqueue(&message()).lane("a").await })
    };
    transaction.commit().await.unwrap();
    let next = soon(adding).await.unwrap().unwrap().message_id();
    soon(outbox.wait_for(next)).await.unwrap();

    let rolled_back = outbox.prepare(&message()).lane("a").call().unwrap();
    let transaction = vendor.transaction().await.unwrap();
    transaction
        .query_one(rolled_back.sql(), &[&rolled_back.entry(), &rolled_back.body()])
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    let last = outbox.enqueue(&message()).lane("a").await.unwrap().message_id();
    soon(outbox.wait_for(last)).await.unwrap();

    let received: Vec<_> = service.received().iter().filter_map(|one| one.message_id()).collect();
    let sent = [&[early][..], &others, &[open.message_id(), next, last]].concat();
    assert_eq!(received, sent);
}

#[tokio::test]
async fn a_session_that_is_killed_in_its_transaction_leaves_nothing() {
    let Some(database) = Database::create().await else { return };
    let service = service();
    let outbox = outbox(&service, &database.config()).await;
    let mut vendor = database.connect().await;
    let call = outbox.prepare(&message()).lane("a").call().unwrap();
    let transaction = vendor.transaction().await.unwrap();
    transaction.query_one(call.sql(), &[&call.entry(), &call.body()]).await.unwrap();
    database.psql(
        "select pg_terminate_backend(pid) from pg_stat_activity \
         where datname = current_database() and state = 'idle in transaction'",
    );
    drop(transaction);
    // The lane is free again.
    let entry = outbox.enqueue(&message()).lane("a").await.unwrap();
    let _worker = outbox.worker(&client(&service)).start().unwrap();
    soon(outbox.wait_for(entry.message_id())).await.unwrap();
    assert!(outbox.entry(call.message_id()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_repeated_call_is_the_same_entry_and_other_bytes_are_an_error() {
    let Some(database) = Database::create().await else { return };
    let service = service();
    let outbox = outbox(&service, &database.config()).await;
    let vendor = database.connect().await;
    let id = Uuid::from_u128(7);
    let call = outbox.prepare(&message()).message_id(id).call().unwrap();
    let add = async || {
        let row = vendor.query_one(call.sql(), &[&call.entry(), &call.body()]).await.unwrap();
        row.get::<_, String>(0)
    };
    assert_eq!((add().await, add().await), ("added".to_owned(), "present".to_owned()));
    let _worker = outbox.worker(&client(&service)).start().unwrap();
    soon(outbox.wait_for(id)).await.unwrap();
    assert_eq!(add().await, "present");

    let error = outbox.enqueue(&message()).message_id(id).await.unwrap_err();
    assert!(matches!(error, OutboxError::OtherBytes(other) if other == id), "{error}");
    let other = outbox.prepare(&message()).message_id(id).call().unwrap();
    let error = vendor.query_one(other.sql(), &[&other.entry(), &other.body()]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "23505");
    assert_eq!(service.received().len(), 1);
}

#[tokio::test]
async fn any_language_adds_messages_as_json() {
    let Some(database) = Database::create().await else { return };
    let service = service();
    let outbox = outbox(&service, &database.config()).await;
    let _worker = outbox.worker(&client(&service)).start().unwrap();
    let destination = service.destination();
    let json = |slot: &str| {
        format!(r#"{{"Meta":{{"Destinations":[{{"ID":"{destination}"}}]}},"Slots":[{slot}]}}"#)
    };
    let valid = json(r#"{"DateTime":"2099-12-01T09:00:00Z","Duration":15,"Status":"Available"}"#);
    let enqueue = |json: &str| {
        let sql = format!("select pushslots.enqueue_json('{json}')");
        database.psql(&sql).trim().parse::<Uuid>().unwrap()
    };
    let id = enqueue(&valid);
    soon(outbox.wait_for(id)).await.unwrap();
    let received = service.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].message_id(), Some(id));
    let entry = outbox.entry(id).await.unwrap().unwrap();
    assert_eq!(entry.entry().lane(), destination.to_string());
    assert_eq!(entry.entry().slot_count(), 1);

    // The worker checks the message.
    let id = enqueue(&json(r#"{"DateTime":"someday","Duration":15}"#));
    let error = soon(outbox.wait_for(id)).await.unwrap_err();
    let OutboxError::NotAccepted(details) = error else { panic!("{error}") };
    assert_eq!(details.entry().state(), EntryState::Dead(DeadReason::Invalid));

    // The database checks the destinations.
    let vendor = database.connect().await;
    for invalid in
        [r#"{"Slots":[{}]}"#, r#"{"Meta":{"Destinations":[{}]},"Slots":[{}]}"#, &json("")]
    {
        let sql = format!("select pushslots.enqueue_json('{invalid}')");
        let error = vendor.simple_query(&sql).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "22023", "{invalid}");
    }
}

#[tokio::test]
async fn an_old_snapshot_adds_no_accepted_message_again() {
    let Some(database) = Database::create().await else { return };
    let service = service();
    let outbox = outbox(&service, &database.config()).await;
    let vendor = database.connect().await;
    for isolation in ["repeatable read", "serializable"] {
        let begin = format!("begin isolation level {isolation}; select 1 from pg_class");
        vendor.batch_execute(&begin).await.unwrap();
        let call = outbox.prepare(&message()).call().unwrap();
        let other = database.connect().await;
        other.query_one(call.sql(), &[&call.entry(), &call.body()]).await.unwrap();
        let worker = outbox.worker(&client(&service)).start().unwrap();
        soon(outbox.wait_for(call.message_id())).await.unwrap();
        worker.shutdown(Duration::from_secs(5)).await;
        let again = vendor.query_one(call.sql(), &[&call.entry(), &call.body()]).await;
        assert_eq!(again.unwrap_err().code().unwrap().code(), "40001", "{isolation}");
        vendor.batch_execute("rollback").await.unwrap();
        assert_eq!(outbox.stats().await.unwrap().waiting, 0);
    }
    // A fresh message is added.
    vendor.batch_execute("begin isolation level serializable").await.unwrap();
    let call = outbox.prepare(&message()).call().unwrap();
    vendor.query_one(call.sql(), &[&call.entry(), &call.body()]).await.unwrap();
    vendor.batch_execute("commit").await.unwrap();
    assert_eq!(outbox.stats().await.unwrap().waiting, 1);
}

#[tokio::test]
async fn what_a_worker_cannot_read_is_not_added() {
    let Some(database) = Database::create().await else { return };
    let service = service();
    let outbox = outbox(&service, &database.config()).await;
    let _worker = outbox.worker(&client(&service)).start().unwrap();
    let vendor = database.connect().await;
    let call = outbox.prepare(&message()).call().unwrap();
    let digest = call.entry().split("\"digest\":\"").nth(1).unwrap().split('"').next().unwrap();
    for (old, new) in [
        (digest, "\\\\x00"),
        ("\"slots\":1", "\"slots\":-1"),
        ("\"on_dead\":\"continue\"", "\"on_dead\":\"explode\""),
        ("\"not_before\":null", "\"not_before\":\"infinity\""),
        ("\"batch_id\":null", "\"batch_id\":\"b\""),
    ] {
        let entry = call.entry().replace(old, new);
        assert_ne!(entry, call.entry(), "{old}");
        let added = vendor.query_one(call.sql(), &[&entry, &call.body()]).await;
        assert!(added.is_err(), "{entry}");
    }
    let never = format!(
        "select pushslots.enqueue_json('{{\"Meta\":{{\"Destinations\":[{{\"ID\":\"{}\"}}]}},\
         \"Slots\":[{{}}]}}', expires_at => 'infinity')",
        service.destination()
    );
    assert!(vendor.batch_execute(&never).await.is_err());
    vendor.query_one(call.sql(), &[&call.entry(), &call.body()]).await.unwrap();
    soon(outbox.wait_for(call.message_id())).await.unwrap();
}

#[tokio::test]
async fn bodies_are_encrypted_before_the_database_sees_them() {
    let Some(database) = Database::create().await else { return };
    let service = service();
    let keys = BodyKeys::new("today", [7; 32]).unwrap();
    let builder = Outbox::builder().destination(service.destination()).body_keys(keys);
    let outbox = builder.postgres(&database.config()).await.unwrap();
    let call = outbox.prepare(&message()).call().unwrap();
    assert!(!call.body().windows(8).any(|text| text == b"Duration"));
    let vendor = database.connect().await;
    vendor.query_one(call.sql(), &[&call.entry(), &call.body()]).await.unwrap();
    let entry = outbox.enqueue(&message()).await.unwrap();
    let _worker = outbox.worker(&client(&service)).start().unwrap();
    for id in [call.message_id(), entry.message_id()] {
        soon(outbox.wait_for(id)).await.unwrap();
    }
}

#[tokio::test]
async fn a_lane_that_stays_busy_is_an_error_after_a_while() {
    let Some(database) = Database::create().await else { return };
    let service = service();
    let outbox = outbox(&service, &database.config()).await;
    let mut vendor = database.connect().await;
    let call = outbox.prepare(&message()).lane("a").call().unwrap();
    let transaction = vendor.transaction().await.unwrap();
    transaction.query_one(call.sql(), &[&call.entry(), &call.body()]).await.unwrap();
    let started = Instant::now();
    let error = soon(async { outbox.enqueue(&message()).lane("a").await }).await.unwrap_err();
    assert!(error.to_string().contains("still open"), "{error}");
    assert!(started.elapsed() >= Duration::from_secs(10));
    // Other lanes aren't delayed.
    soon(async { outbox.enqueue(&message()).lane("b").await }).await.unwrap();
}
