//! Publishes a morning of slots to a mock of the service in this process, and prints the receipt.
//!
//! `cargo run --example quickstart`, or with a client id of `wiremock-fixtures/README.md` to see another outcome:
//! `cargo run --example quickstart -- throttled`.

#[path = "../tests/support/fixtures.rs"]
mod fixtures;
#[path = "../tests/support/keys.rs"]
#[allow(dead_code)]
mod keys;

use std::process::ExitCode;

use pushslots::chrono::{TimeDelta, TimeZone, Utc};
use pushslots::uuid::uuid;
use pushslots::{Client, Credentials, Location, Provider, PushSlots, SigningKey, Slot};

#[tokio::main]
async fn main() -> Result<ExitCode, pushslots::Error> {
    let service = fixtures::serve().await;
    let client_id = std::env::args().nth(1).unwrap_or_else(|| "quickstart".to_owned());

    // A real key comes from `SigningKey::from_pem_file`, and the base URL need not be set.
    let key = SigningKey::from_pem(keys::p384().pem, "key-id")?;
    let client = Client::builder()
        .base_url(service.uri())
        .credentials(Credentials::signed_jwt(client_id, key))
        .source(uuid!("7ce6f387-c33c-417d-8682-81e83628cbd9"))
        .destination(uuid!("af394f14-b34a-464f-8d24-895f370af4c9"))
        .build()?;

    let provider = Provider::new().id("4356789876", "NPI").name("Pat", "Granite").credential("MD").share();
    let location = Location::new().kind("Clinic").facility("RES General Hospital").room("136").share();
    let nine_o_clock = Utc.with_ymd_and_hms(2026, 12, 1, 9, 0, 0).unwrap();
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
        let again = attempt.delay.map_or(String::new(), |delay| format!(", again after {delay:.0?}"));
        println!(
            "  Attempt {}   {status}, {}, took {:.1?}{again}",
            attempt.number, attempt.delivery, attempt.elapsed
        );
    }
    Ok(if sent.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
