//! An enqueued message is delivered, and its entry shows how.

use std::time::Duration;

use pushslots::uuid::Uuid;
use pushslots::{Delivery, NextStep, OnUnknown};
use pushslots_outbox::{DeadReason, EntryAttempt, EntryState, OutboxError};

use crate::service::{Reply, Service, message};

#[tokio::test(start_paused = true)]
async fn enqueued_message_is_accepted_once() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let entry = outbox.enqueue(&message(1)).await.unwrap();
    assert_eq!((entry.state(), entry.delivery()), (EntryState::Waiting, None));
    let worker = outbox.worker(&service.client()).start().unwrap();
    let receipt = outbox.wait_for(entry.message_id()).await.unwrap();
    assert_eq!(receipt.message_id(), entry.message_id());
    assert_eq!(service.accepted(), [entry.message_id()]);

    let details = outbox.entry(entry.message_id()).await.unwrap().unwrap();
    assert_eq!(details.entry().state(), EntryState::Accepted);
    assert_eq!(details.entry().delivery(), Some(Delivery::Accepted));
    assert_eq!((details.attempts().len(), details.entry().attempt_count()), (1, 1));
    assert_eq!(details.receipt(), Some(&receipt));
    let report = worker.shutdown(Duration::from_secs(1)).await;
    assert_eq!(report.dropped_sends, 0);
}

#[tokio::test(start_paused = true)]
async fn repeated_enqueue_is_the_same_entry() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let id = Uuid::from_u128(7);
    let first = outbox.enqueue(&message(1)).message_id(id).await.unwrap();
    let again = outbox.enqueue(&message(1)).message_id(id).await.unwrap();
    assert_eq!(first, again);
    let other = outbox.enqueue(&message(2)).message_id(id).await.unwrap_err();
    assert!(matches!(other, OutboxError::OtherBytes(other) if other == id), "{other}");
    assert_eq!(outbox.stats().await.unwrap().waiting, 1);
}

#[tokio::test(start_paused = true)]
async fn failed_sends_are_repeated_with_the_same_bytes() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let entry = outbox.enqueue(&message(1)).await.unwrap();
    let id = entry.message_id();
    service.reply_to(id, [Reply::Status(500); 2]);
    service.reply_to(id, [Reply::Lost]);
    let client = service.client_builder().max_attempts(1).build().unwrap();
    let _worker = outbox.worker(&client).start().unwrap();
    outbox.wait_for(id).await.unwrap();

    let arrivals = service.arrivals();
    assert_eq!(arrivals.len(), 4, "{arrivals:?}");
    assert!(arrivals.iter().all(|arrival| arrival.body == arrivals[0].body));
    // The schedule's delays vary by a tenth.
    for (pair, delay) in arrivals.windows(2).zip([5.0, 15.0, 60.0]) {
        let waited = (pair[1].after - pair[0].after).as_secs_f64();
        assert!((waited / delay - 1.0).abs() < 0.11, "{waited} s instead of {delay} s");
    }
    let details = outbox.entry(id).await.unwrap().unwrap();
    let deliveries: Vec<_> = details
        .attempts()
        .iter()
        .map(|attempt| match attempt {
            EntryAttempt::Sent(attempt) => attempt.delivery,
            other => panic!("{other:?}"),
        })
        .collect();
    use Delivery::{Accepted, Unknown};
    assert_eq!(deliveries, [Unknown, Unknown, Unknown, Accepted]);
}

#[tokio::test(start_paused = true)]
async fn entry_that_fails_for_a_day_is_abandoned_and_can_be_replayed() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let day = Duration::from_secs(24 * 60 * 60);
    service.down_until(day + Duration::from_secs(3_600));
    let id = outbox.enqueue(&message(1)).await.unwrap().message_id();
    let _worker = outbox.worker(&service.client()).start().unwrap();
    let error = outbox.wait_for(id).await.unwrap_err();
    let OutboxError::NotAccepted(details) = error else { panic!("{error}") };
    let entry = details.entry();
    assert_eq!(entry.state(), EntryState::Dead(DeadReason::Abandoned));
    assert_eq!(entry.delivery(), Some(Delivery::NotSent));
    let attempts = entry.attempt_count();
    // A probe every 30 s.
    assert!((2_700..=2_900).contains(&attempts), "{attempts} attempts in a day");
    assert_eq!(outbox.stats().await.unwrap().dead.abandoned, 1);

    tokio::time::sleep(Duration::from_secs(2 * 3_600)).await;
    outbox.replay(id).await.unwrap();
    outbox.wait_for(id).await.unwrap();
    let details = outbox.entry(id).await.unwrap().unwrap();
    assert_eq!(details.entry().attempt_count(), attempts + 1);
    assert_eq!(service.accepted(), [id]);
}

#[tokio::test(start_paused = true)]
async fn message_at_which_the_service_fails_follows_the_schedule() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let id = outbox.enqueue(&message(1)).await.unwrap().message_id();
    service.reply_to(id, [Reply::Status(500); 1_000]);
    let _worker = outbox.worker(&service.client()).start().unwrap();
    let error = outbox.wait_for(id).await.unwrap_err();
    let OutboxError::NotAccepted(details) = error else { panic!("{error}") };
    assert_eq!(details.entry().state(), EntryState::Dead(DeadReason::Abandoned));
    let attempts = details.entry().attempt_count();
    assert!((90..=420).contains(&attempts), "{attempts} attempts in a day");
}

#[tokio::test(start_paused = true)]
async fn rejected_message_is_a_dead_letter_and_its_lane_continues() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let first = outbox.enqueue(&message(1)).await.unwrap().message_id();
    let second = outbox.enqueue(&message(2)).await.unwrap().message_id();
    service.reply_to(first, [Reply::Status(400)]);
    let _worker = outbox.worker(&service.client()).start().unwrap();
    let error = outbox.wait_for(first).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "entry {first} is a dead letter: the service rejected the message; replay it when the cause is fixed"
        )
    );
    outbox.wait_for(second).await.unwrap();
    assert_eq!(service.accepted(), [second]);
}

#[tokio::test(start_paused = true)]
async fn unknown_outcome_stays_unknown_after_a_rejection() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let id = outbox.enqueue(&message(1)).await.unwrap().message_id();
    service.reply_to(id, [Reply::Lost, Reply::Status(400)]);
    let _worker = outbox.worker(&service.client()).start().unwrap();
    let OutboxError::NotAccepted(details) = outbox.wait_for(id).await.unwrap_err() else {
        panic!("it was rejected")
    };
    assert_eq!(details.entry().delivery(), Some(Delivery::Unknown));
    assert_eq!(details.entry().state(), EntryState::Dead(DeadReason::Rejected));
}

#[tokio::test(start_paused = true)]
async fn unknown_outcome_under_stop_is_a_dead_letter_and_holds_the_lane() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let id = outbox.enqueue(&message(1)).lane("a").await.unwrap().message_id();
    service.reply_to(id, [Reply::Lost]);
    let client = service.client_builder().on_unknown(OnUnknown::Stop).build().unwrap();
    let _worker = outbox.worker(&client).start().unwrap();
    let OutboxError::NotAccepted(details) = outbox.wait_for(id).await.unwrap_err() else {
        panic!("it was sent again")
    };
    assert_eq!(details.entry().state(), EntryState::Dead(DeadReason::Unknown));
    assert_eq!(service.arrivals().len(), 1);
    assert_eq!(outbox.stats().await.unwrap().held_lanes, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn panicking_transport_costs_one_attempt() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let id = outbox.enqueue(&message(1)).await.unwrap().message_id();
    service.reply_to(id, [Reply::Panic, Reply::Panic]);
    let _worker = outbox.worker(&service.client()).concurrency(1).start().unwrap();
    outbox.wait_for(id).await.unwrap();
    let details = outbox.entry(id).await.unwrap().unwrap();
    assert_eq!(details.attempts().len(), 3);
    let EntryAttempt::Sent(first) = &details.attempts()[0] else { panic!("it has an attempt") };
    assert_eq!((first.delivery, first.next_step), (Delivery::Unknown, NextStep::Dropped));
    assert_eq!(details.entry().attempt_count(), 3);
}

#[tokio::test(start_paused = true)]
async fn rate_limit_of_the_client_applies() {
    let service = Service::new();
    let outbox = service.outbox().await;
    for number in 0..20 {
        outbox.enqueue(&message(number)).lane(format!("lane {number}")).await.unwrap();
    }
    let limited = service.client_builder().rate_limit(5, Duration::from_secs(60)).build().unwrap();
    let _worker = outbox.worker(&limited).start().unwrap();
    tokio::time::sleep(Duration::from_secs(300)).await;
    let arrivals = service.arrivals();
    assert_eq!(service.accepted().len(), 20);
    for window in arrivals.windows(6) {
        assert!(window[5].after - window[0].after >= Duration::from_secs(60), "{window:?}");
    }
}
