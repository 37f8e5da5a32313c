//! Publishes a morning of slots to a mock of the service in this process, and prints the receipt.
//!
//! `cargo run --example quickstart`, or with what the service does first, to see another outcome:
//! `-- throttled`, `unavailable`, `lost` or `rejected`.

use std::process::ExitCode;

use anyhow::bail;
use pushslots::chrono::{DateTime, TimeDelta, Utc};
use pushslots::mock::{MockResponse, MockService};
use pushslots::uuid::uuid;
use pushslots::{Client, Credentials, Location, Provider, PushSlots, SigningKey, Slot};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let service = MockService::start()?;
    match std::env::args().nth(1).as_deref() {
        None => {}
        Some("throttled") => service.respond_next(MockResponse::throttled().retry_after(1)),
        Some("unavailable") => service.respond_next(MockResponse::unavailable().times(2)),
        Some("lost") => service.respond_next(MockResponse::reset_after_read().after_accepting()),
        Some("rejected") => service.respond_next(MockResponse::rejected("No subscriptions")),
        Some(_) => bail!("after --: throttled, unavailable, lost or rejected"),
    }

    // A real key comes from `SigningKey::from_pem_file`, and the base URL need not be set.
    let key = SigningKey::from_pem(service.private_key_pem(), service.key_id())?;
    let client = Client::builder()
        .base_url(service.url())
        .credentials(Credentials::signed_jwt(service.client_id(), key))
        .source(uuid!("7ce6f387-c33c-417d-8682-81e83628cbd9"))
        .destination(uuid!("af394f14-b34a-464f-8d24-895f370af4c9"))
        .build()?;

    let provider =
        Provider::new().id("4356789876", "NPI").name("Pat", "Granite").credential("MD").share();
    let location =
        Location::new().kind("Clinic").facility("RES General Hospital").room("136").share();
    let nine_o_clock: DateTime<Utc> = "2026-12-01T09:00:00Z".parse()?;
    let morning = (0..12).map(|quarter| {
        Slot::new(nine_o_clock + TimeDelta::minutes(15 * quarter), 15)
            .id((quarter + 1).to_string())
            .reason("Office Visit")
            .provider(&provider)
            .location(&location)
    });
    let message = PushSlots::builder().slots(morning).build()?;

    let sent = client.send(&message).await;
    let attempts = match &sent {
        Ok(receipt) => {
            println!("{} slots accepted", message.slots().len());
            println!("  Message ID  {}", receipt.message_id());
            for log in receipt.logs() {
                println!("  Log ID      {}", log.id.as_deref().unwrap_or("none"));
                println!("  AttemptID   {}", log.attempt_id.as_deref().unwrap_or("none"));
            }
            receipt.attempts()
        }
        Err(error) => {
            println!("{error}");
            println!("  The service says: {}", error.service_text().unwrap_or("nothing"));
            error.attempts()
        }
    };
    for attempt in attempts {
        let error = attempt.error.clone().unwrap_or_default();
        let status = attempt.status.map_or(error, |status| status.to_string());
        let again =
            attempt.delay.map_or(String::new(), |delay| format!(", again after {delay:.0?}"));
        println!(
            "  Attempt {}   {status}, {}, took {:.1?}{again}",
            attempt.number, attempt.delivery, attempt.elapsed
        );
    }
    Ok(if sent.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
