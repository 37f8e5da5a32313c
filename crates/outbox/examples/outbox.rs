//! Delivers 1,000 messages from an outbox, whatever happens to this process.
//!
//! ```text
//! cargo run --example mock_service   # prints settings to paste into another terminal
//! cargo run --example outbox         # there; kill it at any moment, and run it again
//! ```
//!
//! The first run enqueues the messages in the file `outbox.redb`. Every run sends the rest of
//! them, and prints the numbers of accepted messages and dead letters at the end. To start over,
//! delete that file.

use std::time::Duration;

use anyhow::Result;
use pushslots::chrono::{TimeDelta, Utc};
use pushslots::uuid::Uuid;
use pushslots::{ClientBuilder, Provider, PushSlots, Slot};
use pushslots_outbox::Outbox;

const MESSAGES: u32 = 1_000;

#[tokio::main]
async fn main() -> Result<()> {
    // Slow enough to be killed in time. Without the limit, the client uses the service's whole rate.
    let client = ClientBuilder::from_env().rate_limit(100, Duration::from_secs(1)).build()?;
    let destination = std::env::var("PUSHSLOTS_DESTINATION_IDS")?.parse::<Uuid>()?;
    let outbox = Outbox::builder().destination(destination).open("outbox.redb").await?;

    let provider = Provider::new().id("4356789876", "NPI").name("Pat", "Granite").share();
    let tomorrow = Utc::now() + TimeDelta::days(1);
    let stored = outbox.stats().await?;
    if stored.waiting + stored.sending + stored.accepted == 0 {
        for number in 0..MESSAGES {
            let start = tomorrow + TimeDelta::minutes(15 * i64::from(number));
            let message =
                PushSlots::builder().slot(Slot::new(start, 15).provider(&provider)).build()?;
            // Ten clinics, which don't wait for each other.
            outbox.enqueue(&message).lane(format!("clinic {}", number % 10)).await?;
        }
        println!("{MESSAGES} messages are stored");
    }

    let worker = outbox.worker(&client).start()?;
    loop {
        let stats = outbox.stats().await?;
        if stats.waiting + stats.sending == 0 {
            println!("{} accepted, {} dead letters", stats.accepted, stats.dead.total());
            break;
        }
        println!("{} to send", stats.waiting + stats.sending);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    worker.shutdown(Duration::from_secs(30)).await;
    Ok(())
}
