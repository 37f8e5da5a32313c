//! A worker process.

use std::io::Read;
use std::time::Duration;

use pushslots::ClientBuilder;
use pushslots::chrono::{TimeDelta, Utc};
use pushslots_outbox::{Outbox, PostgresConfig};

/// The maximum number of requests of a send. If the worker is lost before it records the end, its
/// attempts aren't recorded either.
pub const MAX_ATTEMPTS: u32 = 2;

#[test]
#[ignore = "the other test runs it in its own process"]
fn worker() {
    tokio::runtime::Runtime::new().unwrap().block_on(work());
}

async fn work() {
    let offset: i64 = std::env::var("PUSHSLOTS_CLOCK_OFFSET").unwrap().parse().unwrap();
    let clock = move || Utc::now() + TimeDelta::seconds(offset);
    let config = PostgresConfig::from_env().unwrap().poll_interval(Duration::from_millis(250));
    // The database may be away at the start.
    let outbox = loop {
        match Outbox::builder().clock(clock).postgres(&config).await {
            Ok(outbox) => break outbox,
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    };
    let client = ClientBuilder::from_env().attempt_timeout(Duration::from_secs(3));
    let client = client.without_rate_limit().max_attempts(MAX_ATTEMPTS).build().unwrap();
    let worker = outbox.worker(&client).lease(Duration::from_secs(15)).start().unwrap();
    // The parent closes the pipe to stop the worker.
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()))
        .await
        .unwrap()
        .unwrap();
    worker.shutdown(Duration::from_secs(10)).await;
}
