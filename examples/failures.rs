//! Plays failures of the service, and prints how the client handles each.
//!
//! `cargo run --example failures` prints, with other ids each time:
//!
//! ```text
//! 429, Retry-After: 1   accepted at attempt 2
//! 503, twice            accepted at attempt 3
//! response lost         accepted at attempt 2, so the service has 2 copies
//! 400                   rejected, not retryable: the service's reason is "No subscriptions"
//! firewall's page       unknown, retryable: send the message again under the same id
//! ```

use anyhow::Result;
use pushslots::chrono::{DateTime, Utc};
use pushslots::mock::{MockResponse, MockService};
use pushslots::{Client, PushSlots, Slot};

#[tokio::main]
async fn main() -> Result<()> {
    let service = MockService::start()?;
    let client = Client::builder().mock(&service).build()?;
    let nine_o_clock: DateTime<Utc> = "2026-12-01T09:00:00Z".parse()?;
    let message = PushSlots::builder().slot(Slot::new(nine_o_clock, 15)).build()?;

    let failures = [
        ("429, Retry-After: 1", MockResponse::throttled().retry_after(1)),
        ("503, twice", MockResponse::unavailable().times(2)),
        ("response lost", MockResponse::reset_after_read().after_accepting()),
        ("400", MockResponse::rejected("No subscriptions")),
        ("firewall's page", MockResponse::block_page().times(10)),
    ];
    for (name, response) in failures {
        service.clear_inbox();
        service.respond_next(response);
        let outcome = outcome(&client, &service, &message).await;
        println!("{name:<21} {outcome}");
        service.clear_script();
    }
    Ok(())
}

/// Sends the message, and describes the outcome.
async fn outcome(client: &Client, service: &MockService, message: &PushSlots) -> String {
    match client.send(message).await {
        Ok(receipt) => {
            let attempt = receipt.attempts().len();
            match service.received().len() {
                1 => format!("accepted at attempt {attempt}"),
                copies => {
                    format!("accepted at attempt {attempt}, so the service has {copies} copies")
                }
            }
        }
        Err(error) if error.is_retryable() => {
            // `client.send(message).message_id(error.message_id())` lets the service recognize it.
            format!("{}, retryable: send the message again under the same id", error.delivery())
        }
        Err(error) => {
            // The error's own text doesn't contain the reason, because it can repeat parts of the message.
            let reason = error.service_text().unwrap_or("none");
            format!("{}, not retryable: the service's reason is {reason:?}", error.delivery())
        }
    }
}
