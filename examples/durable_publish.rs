//! Publishes a schedule so that it survives a kill. Run it, kill it, and run it again.
//!
//! ```text
//! cargo run --example mock_service -- --port 8080   # prints settings to paste here
//! cargo run --example durable_publish               # kill it at any moment, then run it again
//! ```
//!
//! The second run resumes from the file `durable_publish.checkpoint`. Each receipt is appended to
//! `receipts.ndjson` before the next message goes out.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use pushslots::chrono::{DateTime, TimeDelta, Utc};
use pushslots::{AcceptedMessage, ClientBuilder, Provider, Slot};

/// The schedule of a day. In your program it comes from your database.
fn schedule(midnight: DateTime<Utc>) -> Vec<Slot> {
    let provider = Provider::new().id("4356789876", "NPI").name("Pat", "Granite").share();
    let quarters = (0..24 * 4).map(|quarter| TimeDelta::minutes(15 * quarter));
    quarters.map(|time| Slot::new(midnight + time, 15).provider(&provider)).collect()
}

/// Appends a receipt as one line, and waits until it is on the disk.
fn store(receipts: &File, accepted: &AcceptedMessage) -> io::Result<()> {
    let mut line = serde_json::to_string(&accepted.receipt)?;
    line.push('\n');
    let mut receipts = receipts;
    receipts.write_all(line.as_bytes())?;
    receipts.sync_data()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Slow enough to be killed in time. Without the limit, the client uses the service's whole rate.
    let client = ClientBuilder::from_env().rate_limit(10, Duration::from_secs(1)).build()?;
    let slots = schedule("2026-12-07T00:00:00Z".parse()?);
    let receipts = File::options().create(true).append(true).open("receipts.ndjson")?;

    let publication = client
        .publish(&slots)
        .slots_per_message(4)
        .checkpoint("durable_publish.checkpoint")
        // If the schedule has changed since the kill, a new batch starts.
        .restart_if_changed()
        .on_accepted(|accepted| {
            let stored = store(&receipts, &accepted);
            async { stored }
        });
    let handle = publication.handle();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            // The messages in flight end, and the checkpoint knows them.
            handle.stop();
        }
    });

    let report = publication.await?;
    println!(
        "complete: {} slots, {} of them in this run",
        report.batch().accepted_slots,
        report.run().accepted_slots
    );
    Ok(())
}
