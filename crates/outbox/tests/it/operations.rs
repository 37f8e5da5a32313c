//! The operations of a person: list, cancel, hold, replay, erase.

use std::time::Duration;

use pushslots::uuid::Uuid;
use pushslots_outbox::{BodyKeys, EntryState, Outbox, OutboxError};

use crate::service::{DESTINATION, Reply, Service, message};

#[tokio::test(start_paused = true)]
async fn entries_are_listed_in_pages() {
    let service = Service::new();
    let outbox = service.outbox().await;
    for number in 0..25 {
        let lane = if number % 2 == 0 { "even" } else { "odd" };
        outbox.enqueue(&message(number)).lane(lane).await.unwrap();
    }
    let mut pages = Vec::new();
    let mut cursor = None;
    loop {
        let entries = outbox.entries().lane("even").waiting();
        let entries = match cursor {
            Some(cursor) => entries.start_at(cursor),
            None => entries,
        };
        let page = entries.page(5).await.unwrap();
        pages.push(page.entries.len());
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(pages, [5, 5, 3]);
    assert!(outbox.entries().dead().page(5).await.unwrap().entries.is_empty());
}

#[tokio::test(start_paused = true)]
async fn held_lane_does_not_grow_by_entries_with_the_same_key() {
    let service = Service::new();
    let outbox = service.outbox().await;
    outbox.hold("a").await.unwrap();
    let mut ids = Vec::new();
    for number in 0..100 {
        let key = format!("key {}", number % 2);
        let message = message(number);
        let entry = outbox.enqueue(&message).lane("a").supersedes(key).await.unwrap();
        ids.push(entry.message_id());
    }
    let _worker = outbox.worker(&service.client()).start().unwrap();
    // Maintenance looks every minute.
    let error = outbox.wait_for(ids[0]).await.unwrap_err();
    let OutboxError::NotAccepted(details) = error else { panic!("{error}") };
    assert_eq!(details.entry().state(), EntryState::Superseded { by: ids[98] });
    let waited = tokio::time::Instant::now() - service.begin();
    assert!(waited <= Duration::from_secs(60), "it was reported after {waited:?}");
    let later = outbox.wait_for(ids[1]).await.unwrap_err();
    assert!(matches!(later, OutboxError::NotAccepted(_)));
    let stats = outbox.stats().await.unwrap();
    assert_eq!((stats.waiting, stats.superseded), (2, 98));
    outbox.release("a").await.unwrap();
    outbox.wait_for(ids[99]).await.unwrap();
    assert_eq!(service.accepted(), ids[98..]);
}

#[tokio::test(start_paused = true)]
async fn replayed_entry_does_not_replace_a_newer_one_with_its_key() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let older = outbox.enqueue(&message(1)).lane("a").supersedes("key").await.unwrap().message_id();
    service.reply_to(older, [Reply::Status(400)]);
    let _worker = outbox.worker(&service.client()).start().unwrap();
    outbox.wait_for(older).await.unwrap_err();
    outbox.hold("a").await.unwrap();
    let newer = outbox.enqueue(&message(2)).lane("a").supersedes("key").await.unwrap().message_id();
    outbox.replay(older).await.unwrap();
    outbox.release("a").await.unwrap();
    outbox.wait_for(newer).await.unwrap();
    let OutboxError::NotAccepted(details) = outbox.wait_for(older).await.unwrap_err() else {
        panic!("the older message isn't sent again")
    };
    assert_eq!(details.entry().state(), EntryState::Superseded { by: newer });
    assert_eq!(service.accepted(), [newer]);
}

#[tokio::test(start_paused = true)]
async fn cancelled_and_held_entries_are_not_sent() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let cancelled = outbox.enqueue(&message(1)).lane("a").await.unwrap().message_id();
    let held = outbox.enqueue(&message(2)).lane("b").await.unwrap().message_id();
    outbox.cancel(cancelled).await.unwrap();
    outbox.hold("b").await.unwrap();
    let _worker = outbox.worker(&service.client()).start().unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(service.arrivals().is_empty());
    outbox.release("b").await.unwrap();
    outbox.wait_for(held).await.unwrap();
    let details = outbox.entry(cancelled).await.unwrap().unwrap();
    assert_eq!(details.entry().state(), EntryState::Cancelled);

    let error = outbox.cancel(held).await.unwrap_err();
    assert!(
        matches!(error, OutboxError::WrongState { message_id, .. } if message_id == held),
        "{error}"
    );
    let error = outbox.cancel(Uuid::nil()).await.unwrap_err();
    assert!(matches!(error, OutboxError::NotFound(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn erased_dead_letter_cannot_be_replayed() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let id = outbox.enqueue(&message(1)).await.unwrap().message_id();
    service.reply_to(id, [Reply::Status(400)]);
    let _worker = outbox.worker(&service.client()).start().unwrap();
    outbox.wait_for(id).await.unwrap_err();
    assert_eq!(outbox.entries().dead().erase().await.unwrap(), 1);
    let error = outbox.replay(id).await.unwrap_err();
    assert!(matches!(error, OutboxError::NoBody(other) if other == id), "{error}");
}

#[tokio::test(start_paused = true)]
async fn invalid_input_is_one_error_and_stores_nothing() {
    let service = Service::new();
    let outbox = service.outbox().await;
    for lane in ["", &"x".repeat(201)] {
        let error = outbox.enqueue(&message(1)).lane(lane).await.unwrap_err();
        assert_eq!(error.to_string(), "invalid configuration: lane must have 1 to 200 bytes");
    }
    let undated: pushslots::Slot = serde_json::from_str(r#"{"Duration":15}"#).unwrap();
    let slots = [message(1).into_slots().remove(0), undated];
    let error = outbox.publish(&slots).await.unwrap_err();
    assert!(matches!(error, OutboxError::Publication(_)), "{error}");
    assert_eq!(outbox.stats().await.unwrap().waiting, 0);
    // One message of a batch would supersede the others.
    let client = service.client_builder().destination(DESTINATION).build().unwrap();
    let slots = [message(1).into_slots(), message(2).into_slots()].concat();
    let mut one = client.publish(&slots[..1]).batch_id("one").prepare();
    let part = one.next().await.unwrap().unwrap();
    let mut two = client.publish(&slots).slots_per_message(1).batch_id("two").prepare();
    let one_of_two = two.next().await.unwrap().unwrap();
    let error = outbox.enqueue(&one_of_two).supersedes("week").await.unwrap_err();
    assert!(error.to_string().contains("one message of a batch"), "{error}");
    outbox.enqueue(&part).supersedes("week").await.unwrap();
    assert!(outbox.hold("").await.is_err());
    // Without destinations.
    let outbox = Outbox::builder().in_memory().await.unwrap();
    let error = outbox.enqueue(&message(1)).await.unwrap_err();
    assert!(matches!(error, OutboxError::Message(_)), "{error}");

    assert!(outbox.worker(&client).concurrency(0).start().is_err());
    let short = outbox.worker(&client).lease(Duration::from_secs(14)).start().unwrap_err();
    assert!(short.to_string().contains("at least 15 s"), "{short}");
    assert!(outbox.worker(&client).lease(Duration::MAX).start().is_err());
}

#[tokio::test(start_paused = true)]
async fn old_entries_are_removed() {
    let service = Service::new();
    let day = Duration::from_secs(24 * 60 * 60);
    let outbox = service.builder().keep(day, day * 3).in_memory().await.unwrap();
    let accepted = outbox.enqueue(&message(1)).lane("a").await.unwrap().message_id();
    let dead = outbox.enqueue(&message(2)).lane("b").await.unwrap().message_id();
    service.reply_to(dead, [Reply::Status(400)]);
    let worker = outbox.worker(&service.client()).concurrency(2).start().unwrap();
    outbox.wait_for(accepted).await.unwrap();
    outbox.wait_for(dead).await.unwrap_err();
    for (days, kept) in [(0, [true, true]), (1, [false, true]), (3, [false, false])] {
        tokio::time::sleep_until(service.begin() + day * days + Duration::from_secs(120)).await;
        let found = [outbox.entry(accepted).await.unwrap(), outbox.entry(dead).await.unwrap()];
        assert_eq!(found.map(|entry| entry.is_some()), kept, "after {days} days");
    }
    worker.shutdown(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn bodies_are_read_with_the_key_that_they_name() {
    let service = Service::new();
    let today = BodyKeys::new("2026-11-30", [1; 32]).unwrap();
    let outbox = service.builder().body_keys(today).in_memory().await.unwrap();
    let id = outbox.enqueue(&message(1)).await.unwrap().message_id();
    let _worker = outbox.worker(&service.client()).start().unwrap();
    outbox.wait_for(id).await.unwrap();

    assert!(BodyKeys::new("", [1; 32]).is_err());
    assert!(BodyKeys::new("x".repeat(101), [1; 32]).is_err());
    let twice = BodyKeys::new("a", [1; 32]).unwrap().with_older("a", [2; 32]).unwrap_err();
    assert!(twice.to_string().contains("two body keys"), "{twice}");
    let shown = format!("{:?}", BodyKeys::new("a", [42; 32]).unwrap());
    assert_eq!(shown, r#"["a"]"#);
}
