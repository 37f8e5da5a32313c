//! Sends a morning of slots to a mock of the service in this process, and prints the receipt.
//!
//! `cargo run --example quickstart` prints, with other ids each time:
//!
//! ```text
//! 12 slots accepted
//!   Message ID  9e7d2d55-f9b2-4fae-9b15-3be59a1d451a
//!   Log ID      6852b760-cd3b-47db-b3a8-ddc5d5620f27
//!   AttemptID   59dcee6b-d45a-46b1-9595-723bfc3902a9
//!   Attempt 1   accepted, took 3.3ms, no error
//! ```

use anyhow::Context;
use pushslots::chrono::{DateTime, TimeDelta, Utc};
use pushslots::mock::MockService;
use pushslots::{Client, Location, Provider, PushSlots, Slot};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let service = MockService::start()?;
    // `Client::from_env()` connects to the real service instead.
    let client = Client::builder().mock(&service).build()?;

    let provider = Provider::new().id("4356789876", "NPI").name("Pat", "Granite").share();
    let location = Location::new().kind("Clinic").facility("RES General Hospital").share();
    let nine_o_clock: DateTime<Utc> = "2026-12-01T09:00:00Z".parse()?;
    let mut morning = Vec::new();
    for number in 1..=12 {
        let start = nine_o_clock + TimeDelta::minutes(15 * (number - 1));
        let slot = Slot::new(start, 15).id(number.to_string()).reason("Office Visit");
        morning.push(slot.provider(&provider).location(&location));
    }
    let message = PushSlots::builder().slots(morning).build()?;

    let receipt = client.send(&message).await.context("failed to send the slots")?;
    println!("{} slots accepted", message.slots().len());
    println!("  Message ID  {}", receipt.message_id());
    for log in receipt.logs() {
        println!("  Log ID      {}", log.id.as_deref().unwrap_or("none"));
        println!("  AttemptID   {}", log.attempt_id.as_deref().unwrap_or("none"));
    }
    for attempt in receipt.attempts() {
        let number = attempt.number;
        let error = attempt.error.as_deref().unwrap_or("no error");
        println!(
            "  Attempt {number}   {}, took {:.1?}, {error}",
            attempt.delivery, attempt.elapsed
        );
    }
    Ok(())
}
