//! Outages, throttling, credentials, and the end of a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use pushslots::chrono::TimeDelta;
use pushslots::{AccessToken, AuthError, Credentials, Delivery, TokenRequest, TokenSource};
use pushslots_outbox::EntryState;

use crate::service::{Reply, Service, message, start};

#[tokio::test(start_paused = true)]
async fn outage_costs_two_requests_a_minute_however_many_entries_wait() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let hour = Duration::from_secs(3_600);
    service.down_until(hour);
    let mut ids = Vec::new();
    for number in 0..100 {
        let message = message(number);
        let entry = outbox.enqueue(&message).lane(format!("lane {number}"));
        ids.push(entry.await.unwrap().message_id());
    }
    let client = service.client_builder().max_attempts(1).build().unwrap();
    let _worker = outbox.worker(&client).start().unwrap();
    for id in &ids {
        outbox.wait_for(*id).await.unwrap();
    }
    let arrivals = service.arrivals();
    let failed = arrivals.iter().filter(|arrival| !arrival.accepted).count();
    assert!((115..=130).contains(&failed), "{failed} requests in an hour");
    let end = arrivals.last().unwrap().after;
    assert!(end < hour + Duration::from_secs(60), "the last entry arrived after {end:?}");
    let mut accepted = service.accepted();
    accepted.sort();
    ids.sort();
    assert_eq!(accepted, ids, "each entry arrived once");
}

#[tokio::test(start_paused = true)]
async fn lane_alone_is_probed_and_continues_soon_after_an_outage() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let hour = Duration::from_secs(3_600);
    service.down_until(hour);
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(outbox.enqueue(&message(number)).lane("a").await.unwrap().message_id());
    }
    let _worker = outbox.worker(&service.client()).start().unwrap();
    for id in &ids {
        outbox.wait_for(*id).await.unwrap();
    }
    let arrivals = service.arrivals();
    let failed = arrivals.iter().filter(|arrival| !arrival.accepted).count();
    assert!((115..=145).contains(&failed), "{failed} requests in an hour");
    let end = arrivals.last().unwrap().after;
    assert!(end < hour + Duration::from_secs(31), "the last entry arrived after {end:?}");
    assert_eq!(service.accepted(), ids);
}

#[tokio::test(start_paused = true)]
async fn two_lanes_continue_soon_after_a_service_that_fails_is_available() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let mut ids = Vec::new();
    for number in 0..2 {
        let message = message(number);
        let entry = outbox.enqueue(&message).lane(format!("lane {number}")).await.unwrap();
        ids.push(entry.message_id());
        service.reply_to(entry.message_id(), [Reply::Status(503); 40]);
    }
    let client = service.client_builder().max_attempts(1).build().unwrap();
    let _worker = outbox.worker(&client).start().unwrap();
    for id in &ids {
        outbox.wait_for(*id).await.unwrap();
    }
    // 80 rejected requests at two a minute.
    let arrivals = service.arrivals();
    assert_eq!(arrivals.len(), 82);
    let end = arrivals.last().unwrap().after;
    assert!(end < Duration::from_secs(43 * 60), "the last entry arrived after {end:?}");
}

#[tokio::test(start_paused = true)]
async fn send_that_is_stopped_during_its_backoff_is_delayed_as_after_its_end() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let id = outbox.enqueue(&message(1)).await.unwrap().message_id();
    service.reply_to(id, [Reply::Throttle(20)]);
    let worker = outbox.worker(&service.client()).start().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(worker.shutdown(Duration::from_secs(1)).await.dropped_sends, 0);
    let details = outbox.entry(id).await.unwrap().unwrap();
    assert_eq!(details.entry().delivery(), Some(Delivery::Rejected));
    let _worker = outbox.worker(&service.client()).start().unwrap();
    outbox.wait_for(id).await.unwrap();
    let [rejected, accepted] = &*service.arrivals() else { panic!("it was sent twice") };
    assert!(accepted.after - rejected.after >= Duration::from_secs(20), "{accepted:?}");
}

#[tokio::test(start_paused = true)]
async fn send_that_is_stopped_before_its_request_left_counts_as_not_begun() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let id = outbox.enqueue(&message(1)).await.unwrap().message_id();
    let waiting = Credentials::token_source(NoToken);
    let client = service.client_builder().credentials(waiting).build().unwrap();
    let worker = outbox.worker(&client).start().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(worker.shutdown(Duration::from_secs(1)).await.dropped_sends, 0);
    let details = outbox.entry(id).await.unwrap().unwrap();
    assert_eq!(details.entry().state(), EntryState::Waiting);
    assert_eq!(details.entry().delivery(), Some(Delivery::NotSent));

    let _worker = outbox.worker(&service.client()).start().unwrap();
    let begin = tokio::time::Instant::now();
    outbox.wait_for(id).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(1), "it wasn't delayed");
    assert_eq!(service.accepted(), [id]);
}

/// A token source whose credentials are rejected until a time after the start.
struct Rejected {
    until: Duration,
    begin: tokio::time::Instant,
    requests: Arc<AtomicI64>,
}

impl TokenSource for Rejected {
    async fn token(&self, _: TokenRequest<'_>) -> Result<AccessToken, AuthError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        match self.begin.elapsed() < self.until {
            true => Err(AuthError::permanent("invalid_client")),
            false => Ok(AccessToken::new("token")),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rejected_credentials_stop_all_lanes_without_counting_as_failures() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let mut ids = Vec::new();
    for number in 0..20 {
        let message = message(number);
        let entry = outbox.enqueue(&message).lane(format!("lane {number}")).await.unwrap();
        ids.push(entry.message_id());
    }
    let requests = Arc::new(AtomicI64::new(0));
    let hours = Duration::from_secs(30 * 3_600);
    let source = Rejected { until: hours, begin: service.begin(), requests: requests.clone() };
    let credentials = Credentials::token_source(source);
    let client = service.client_builder().credentials(credentials).build().unwrap();
    let _worker = outbox.worker(&client).start().unwrap();
    for id in &ids {
        outbox.wait_for(*id).await.unwrap();
    }
    // Every 15 minutes, for all lanes together.
    let requests = requests.load(Ordering::Relaxed);
    assert!((100..250).contains(&requests), "{requests} token requests in 30 hours");
    let last = service.arrivals().last().unwrap().after;
    assert!(last < hours + Duration::from_secs(16 * 60), "the last entry arrived after {last:?}");
    assert_eq!(service.arrivals().len(), 20, "no entry was abandoned or sent twice");
}

/// A token source that never returns a token.
struct NoToken;

impl TokenSource for NoToken {
    async fn token(&self, _: TokenRequest<'_>) -> Result<AccessToken, AuthError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn one_failing_message_is_not_an_outage() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let bad = outbox.enqueue(&message(1)).lane("bad").await.unwrap().message_id();
    service.reply_to(bad, [Reply::Status(500); 50]);
    let client = service.client_builder().max_attempts(1).build().unwrap();
    let _worker = outbox.worker(&client).start().unwrap();
    for number in 2..50 {
        let entry = outbox.enqueue(&message(number)).lane("good").await.unwrap();
        outbox.wait_for(entry.message_id()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    let arrivals = service.arrivals();
    let end = arrivals.last().unwrap().after;
    assert!(end < Duration::from_secs(48 * 10 + 5), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn throttling_does_not_count_as_a_failure() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let id = outbox.enqueue(&message(1)).await.unwrap().message_id();
    service.reply_to(id, [Reply::Throttle(100); 30]);
    let client = service.client_builder().max_attempts(1).build().unwrap();
    let _worker = outbox.worker(&client).start().unwrap();
    outbox.wait_for(id).await.unwrap();
    let arrivals = service.arrivals();
    assert_eq!(arrivals.len(), 31);
    for pair in arrivals.windows(2) {
        let waited = (pair[1].after - pair[0].after).as_secs();
        assert!((100..107).contains(&waited), "{waited} s");
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_lets_sends_end_and_reports_those_it_drops() {
    let service = Service::new();
    let outbox = service.outbox().await;
    let id = outbox.enqueue(&message(1)).await.unwrap().message_id();
    let waiting = outbox.enqueue(&message(2)).await.unwrap().message_id();
    service.reply_to(id, [Reply::Late(Duration::from_secs(3)); 2]);
    let worker = outbox.worker(&service.client()).start().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(worker.shutdown(Duration::from_secs(1)).await.dropped_sends, 1);
    let details = outbox.entry(id).await.unwrap().unwrap();
    assert_eq!(details.entry().state(), EntryState::Waiting);
    assert_eq!(details.entry().delivery(), Some(Delivery::Unknown));

    let worker = outbox.worker(&service.client()).start().unwrap();
    tokio::time::sleep(Duration::from_secs(7)).await;
    let stopped = worker.shutdown(Duration::from_secs(10)).await;
    assert_eq!(stopped.dropped_sends, 0);
    assert_eq!(service.accepted(), [id], "the send in flight ended, and none began after it");
    let details = outbox.entry(waiting).await.unwrap().unwrap();
    assert_eq!(details.entry().state(), EntryState::Waiting);
}

#[tokio::test(start_paused = true)]
async fn step_of_the_wall_clock_ends_no_lease() {
    let service = Service::new();
    let step = Arc::new(AtomicI64::new(0));
    let hours = step.clone();
    let begin = service.begin();
    let clock = move || {
        let time = TimeDelta::from_std(begin.elapsed()).unwrap();
        start() + time + TimeDelta::hours(hours.load(Ordering::Relaxed))
    };
    let outbox = service.builder().clock(clock).in_memory().await.unwrap();
    let id = outbox.enqueue(&message(1)).await.unwrap().message_id();
    service.reply_to(id, [Reply::Late(Duration::from_secs(20))]);
    let _worker = outbox.worker(&service.client()).start().unwrap();
    for hours in [2, -3] {
        tokio::time::sleep(Duration::from_secs(5)).await;
        step.store(hours, Ordering::Relaxed);
        // An idle task looks at the lanes.
        outbox.release("other").await.unwrap();
    }
    outbox.wait_for(id).await.unwrap();
    assert_eq!(service.arrivals().len(), 1);
    assert_eq!(outbox.entry(id).await.unwrap().unwrap().attempts().len(), 1);
}
