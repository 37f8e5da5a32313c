//! Sends for several customers from one process: each has credentials and a destination of its own,
//! and all share the connections and the rate limit, because the service counts requests by IP
//! address.
//!
//! `cargo run --example many_customers`

use std::time::Duration;

use pushslots::chrono::{DateTime, TimeDelta, Utc};
use pushslots::http::StatusCode;
use pushslots::mock::{MockResponse, MockService};
use pushslots::uuid::Uuid;
use pushslots::{Client, Credentials, HttpTransport, PushSlots, RateLimiter, Slot};

const CUSTOMERS: [(&str, u128); 3] = [("north", 1), ("south", 2), ("west", 3)];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut service = MockService::builder();
    for (name, _) in CUSTOMERS {
        service = service.api_key(name, "secret");
    }
    let service = service.start()?;

    // Everything that the customers share is in one client.
    let shared = Client::builder()
        .base_url(service.url())
        .transport(HttpTransport::builder().user_agent("acme-scheduler/4.2").build()?)
        .rate_limiter(RateLimiter::new(7_500, Duration::from_secs(300)))
        .credentials(Credentials::api_key("north", "secret"))
        .build()?;
    // A 429 for one of them makes all wait.
    service.respond_next(MockResponse::new(StatusCode::TOO_MANY_REQUESTS).retry_after(1));

    let nine: DateTime<Utc> = "2026-12-01T09:00:00Z".parse()?;
    let morning = (0..8).map(|quarter| Slot::new(nine + TimeDelta::minutes(15 * quarter), 15));
    let message = PushSlots::builder().slots(morning).build()?.encode()?;
    for (name, number) in CUSTOMERS {
        let destination = Uuid::from_u128(number);
        let client = shared
            .with_credentials(Credentials::api_key(name, "secret"))?
            .with_destinations([destination]);
        let receipt = client.send(&message).await?;
        let arrived = service.received_for(destination).len();
        println!(
            "{name}: slots {:?} accepted after {} attempts, {arrived} message arrived",
            receipt.slots(),
            receipt.attempts().len()
        );
    }
    let agents = service
        .requests()
        .iter()
        .filter(|request| request.headers()["user-agent"] == "acme-scheduler/4.2")
        .count();
    println!("{agents} requests, one of them a 429");
    Ok(())
}
