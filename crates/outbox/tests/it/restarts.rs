//! Restarts with an outbox in a file.

use std::time::Duration;

use pushslots::chrono::TimeDelta;
use pushslots_outbox::{BodyKeys, EntryState, Outbox};

use crate::folder::Folder;
use crate::service::{Reply, Service, message, start};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn open(service: &Service, folder: &Folder) -> Outbox {
    service.builder().open(folder.outbox()).await.unwrap()
}

#[tokio::test]
async fn requests_of_the_last_process_count_in_the_rate_limit() {
    let (service, folder) = (Service::new(), Folder::new());
    let client = || service.client_builder().rate_limit(10, DAY).build().unwrap();
    let remaining = |client: &pushslots::Client| client.metrics().rate_limit_remaining;
    let outbox = open(&service, &folder).await;
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(outbox.enqueue(&message(number)).await.unwrap().message_id());
    }
    // A request without a connection counts too.
    service.reply_to(ids[0], [Reply::Down]);
    let worker = outbox.worker(&client()).start().unwrap();
    for id in &ids {
        outbox.wait_for(*id).await.unwrap();
    }
    worker.shutdown(Duration::from_secs(10)).await;
    drop(outbox);

    let outbox = open(&service, &folder).await;
    let client = client();
    assert_eq!(remaining(&client), Some(10));
    let worker = outbox.worker(&client).start().unwrap();
    assert_eq!(remaining(&client), Some(6));
    let another = outbox.worker(&client).start().unwrap();
    assert_eq!(remaining(&client), Some(6), "they count once");
    worker.shutdown(Duration::from_secs(10)).await;
    another.shutdown(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn old_requests_of_the_last_process_count_no_more() {
    let (service, folder) = (Service::new(), Folder::new());
    let minute = Duration::from_secs(60);
    let client = || service.client_builder().rate_limit(10, minute).build().unwrap();
    let outbox = open(&service, &folder).await;
    let id = outbox.enqueue(&message(1)).await.unwrap().message_id();
    let worker = outbox.worker(&client()).start().unwrap();
    outbox.wait_for(id).await.unwrap();
    worker.shutdown(Duration::from_secs(10)).await;
    drop(outbox);

    for (seconds, expected) in [(30, 9), (300, 10)] {
        let later = move || start() + TimeDelta::seconds(seconds);
        let outbox = service.builder().clock(later).open(folder.outbox()).await.unwrap();
        let client = client();
        let worker = outbox.worker(&client).start().unwrap();
        assert_eq!(client.metrics().rate_limit_remaining, Some(expected), "after {seconds} s");
        worker.shutdown(Duration::from_secs(10)).await;
    }
}

#[tokio::test]
async fn body_without_its_key_waits_for_it() {
    let (service, folder) = (Service::new(), Folder::new());
    let keys = |name: &str, byte| BodyKeys::new(name, [byte; 32]).unwrap();
    let builder = |keys| service.builder().body_keys(keys);
    let outbox = builder(keys("monday", 1)).open(folder.outbox()).await.unwrap();
    let id = outbox.enqueue(&message(1)).await.unwrap().message_id();
    drop(outbox);

    let outbox = builder(keys("tuesday", 2)).open(folder.outbox()).await.unwrap();
    let worker = outbox.worker(&service.client()).concurrency(1).start().unwrap();
    // The other entry is sent after the first one was tried, because it is due later.
    let other = outbox.enqueue(&message(2)).lane("other").await.unwrap().message_id();
    outbox.wait_for(other).await.unwrap();
    worker.shutdown(Duration::from_secs(10)).await;
    let details = outbox.entry(id).await.unwrap().unwrap();
    assert_eq!(details.entry().state(), EntryState::Waiting);
    assert!(details.attempts().is_empty());
    assert_eq!(service.accepted(), [other]);
    drop(outbox);

    let both = keys("tuesday", 2).with_older("monday", [1; 32]).unwrap();
    let later = || start() + TimeDelta::minutes(10);
    let outbox = builder(both).clock(later).open(folder.outbox()).await.unwrap();
    let worker = outbox.worker(&service.client()).start().unwrap();
    outbox.wait_for(id).await.unwrap();
    worker.shutdown(Duration::from_secs(10)).await;
}
