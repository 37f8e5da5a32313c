//! The order of a lane, superseded entries, due times and expiry.

use std::time::Duration;

use pushslots::chrono::TimeDelta;
use pushslots_outbox::{DeadReason, EntryState, OnDead, OutboxError};

use crate::service::{Reply, Service, message, start};

#[tokio::test(start_paused = true)]
async fn lane_is_sent_in_order_and_others_do_not_wait() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let mut slow = Vec::new();
    for number in 0..5 {
        let entry = outbox.enqueue(&message(number)).lane("slow").await.unwrap();
        slow.push(entry.message_id());
    }
    let quick = outbox.enqueue(&message(9)).lane("quick").await.unwrap().message_id();
    service.reply_to(slow[0], [Reply::Late(Duration::from_secs(10)), Reply::Accept]);
    let _worker = outbox.worker(&service.client()).start().unwrap();
    outbox.wait_for(slow[4]).await.unwrap();
    let mut expected = vec![quick];
    expected.extend(slow);
    assert_eq!(service.accepted(), expected);
}

#[tokio::test(start_paused = true)]
async fn newer_entry_supersedes_older_ones_and_takes_their_position() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let enqueue = async |number, key: Option<&str>| {
        let message = message(number);
        let builder = outbox.enqueue(&message).lane("a");
        let builder = match key {
            Some(key) => builder.supersedes(key),
            None => builder,
        };
        builder.await.unwrap().message_id()
    };
    let old = enqueue(1, Some("tuesday")).await;
    let other = enqueue(2, None).await;
    let newer = enqueue(3, Some("tuesday")).await;
    let newest = enqueue(4, Some("tuesday")).await;
    let last = enqueue(5, None).await;
    let _worker = outbox.worker(&service.client()).start().unwrap();
    outbox.wait_for(last).await.unwrap();
    assert_eq!(service.accepted(), [newest, other, last]);
    for id in [old, newer] {
        let details = outbox.entry(id).await.unwrap().unwrap();
        assert_eq!(details.entry().state(), EntryState::Superseded { by: newest });
        assert!(details.attempts().is_empty());
    }
    let error = outbox.wait_for(old).await.unwrap_err();
    assert!(error.to_string().ends_with(&format!("was superseded by entry {newest}")), "{error}");
}

#[tokio::test(start_paused = true)]
async fn entry_in_flight_is_not_superseded() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let old = outbox.enqueue(&message(1)).supersedes("tuesday").await.unwrap().message_id();
    service.reply_to(old, [Reply::Late(Duration::from_secs(10))]);
    let _worker = outbox.worker(&service.client()).start().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let newer = outbox.enqueue(&message(2)).supersedes("tuesday").await.unwrap().message_id();
    outbox.wait_for(newer).await.unwrap();
    assert_eq!(service.accepted(), [old, newer]);
}

#[tokio::test(start_paused = true)]
async fn batch_is_enqueued_as_a_whole_and_superseded_only_as_a_whole() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let slots = |first: i64| -> Vec<_> {
        (first..first + 4).flat_map(|number| message(number).into_slots()).collect()
    };
    let publish = async |first, id: &str| {
        let slots = slots(first);
        let batch = outbox.publish(&slots).slots_per_message(2).batch_id(id).supersedes("week");
        let entries = batch.await.unwrap();
        entries.iter().map(pushslots_outbox::Entry::message_id).collect::<Vec<_>>()
    };
    let untouched = publish(0, "monday").await;
    let begun = publish(10, "tuesday").await;
    // Its first message fails, so it was attempted when the next batch arrives.
    service.reply_to(begun[0], [Reply::Status(503)]);
    let client = service.client_builder().max_attempts(1).build().unwrap();
    let _worker = outbox.worker(&client).start().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let last = publish(20, "wednesday").await;
    outbox.wait_for(last[1]).await.unwrap();
    assert_eq!(service.accepted(), [begun, last].concat());
    let superseded = outbox.entries().superseded().page(10).await.unwrap();
    let ids: Vec<_> = superseded.entries.iter().map(pushslots_outbox::Entry::message_id).collect();
    assert_eq!(ids, untouched);
}

#[tokio::test(start_paused = true)]
async fn due_times_and_expiries_are_kept() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let hour = TimeDelta::hours(1);
    let later = outbox.enqueue(&message(1)).lane("a").not_before(start() + hour).await.unwrap();
    let second = message(2);
    let expired = outbox.enqueue(&second).lane("b").not_before(start() + hour * 2);
    let expired = expired.expires_at(start() + hour).await.unwrap().message_id();
    let _worker = outbox.worker(&service.client()).start().unwrap();
    outbox.wait_for(later.message_id()).await.unwrap();
    let arrival = service.arrivals()[0].after;
    assert!(arrival >= Duration::from_secs(3_600) && arrival < Duration::from_secs(3_606));
    let OutboxError::NotAccepted(details) = outbox.wait_for(expired).await.unwrap_err() else {
        panic!("it was sent")
    };
    assert_eq!(details.entry().state(), EntryState::Dead(DeadReason::Expired));
    assert_eq!(service.accepted(), [later.message_id()]);
    // By default an entry expires with its last slot.
    assert_eq!(later.expires_at(), message(1).slots()[0].date_time);
}

#[tokio::test(start_paused = true)]
async fn dead_letter_can_hold_its_lane() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let rejected = outbox.enqueue(&message(1)).lane("a").on_dead(OnDead::Hold).await.unwrap();
    let next = outbox.enqueue(&message(2)).lane("a").await.unwrap().message_id();
    service.reply_to(rejected.message_id(), [Reply::Status(400)]);
    let _worker = outbox.worker(&service.client()).start().unwrap();
    outbox.wait_for(rejected.message_id()).await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(outbox.stats().await.unwrap().held_lanes, ["a"]);
    assert!(service.accepted().is_empty());
    outbox.release("a").await.unwrap();
    outbox.wait_for(next).await.unwrap();
}
