//! Sends for several customers from one process, each with its own credentials and destination.
//!
//! `cargo run --example many_customers` prints:
//!
//! ```text
//! north: slots 0..8 accepted at attempt 2, 1 message arrived
//! south: slots 0..8 accepted at attempt 1, 1 message arrived
//! west: slots 0..8 accepted at attempt 1, 1 message arrived
//! 7 requests, one of them a 429
//! ```
//!
//! The customers share the connections and the rate limit, because the service counts requests by
//! IP address. Each customer has its own access token: 3 of the 7 requests obtain one.

use std::time::Duration;

use pushslots::chrono::{DateTime, TimeDelta, Utc};
use pushslots::mock::{MockResponse, MockService};
use pushslots::uuid::Uuid;
use pushslots::{Client, Credentials, HttpTransport, PushSlots, RateLimiter, Slot};

const SECRET: &str = "secret";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Each customer's API key and destination.
    let customers = [
        ("north", Uuid::from_u128(1)),
        ("south", Uuid::from_u128(2)),
        ("west", Uuid::from_u128(3)),
    ];
    let mut service = MockService::builder();
    for (api_key, _) in customers {
        service = service.api_key(api_key, SECRET);
    }
    let service = service.start()?;
    // A 429 for one customer delays the requests of all customers.
    service.respond_next(MockResponse::throttled().retry_after(1));

    // The user agent identifies your product to the service.
    let transport = HttpTransport::builder().user_agent("acme-scheduler/4.2").build()?;
    // This client holds everything that the customers share.
    let shared = Client::builder()
        .base_url(service.url())
        .transport(transport)
        .rate_limiter(RateLimiter::new(7_500, Duration::from_secs(300)))
        .credentials(Credentials::api_key("north", SECRET))
        .build()?;

    let nine: DateTime<Utc> = "2026-12-01T09:00:00Z".parse()?;
    let morning = (0..8).map(|quarter| Slot::new(nine + TimeDelta::minutes(15 * quarter), 15));
    // Encoded once, and sent by every customer.
    let message = PushSlots::builder().slots(morning).build()?.encode()?;
    for (api_key, destination) in customers {
        let client = shared.with_credentials(Credentials::api_key(api_key, SECRET))?;
        let client = client.with_destinations([destination]);
        let receipt = client.send(&message).await?;
        println!(
            "{api_key}: slots {:?} accepted at attempt {}, {} message arrived",
            receipt.slots(),
            receipt.attempts().len(),
            service.received_for(destination).len()
        );
    }

    println!("{} requests, one of them a 429", service.requests().len());
    Ok(())
}
