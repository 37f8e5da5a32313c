//! A vendor's own program, and its test: what becomes of a day of slots while the service is out of
//! order?
//!
//! `cargo test --example test_your_integration`

use pushslots::chrono::{DateTime, TimeDelta, TimeZone, Utc};
use pushslots::{Client, Provider, PublishError, PublishReport, Slot};

/// What is to be tested: publishes a day, a slot every 15 minutes.
async fn publish_day(client: &Client, from: DateTime<Utc>) -> Result<PublishReport, PublishError> {
    let provider = Provider::new().id("4356789876", "NPI").name("Pat", "Granite").share();
    let day = (0..32).map(|n| Slot::new(from + TimeDelta::minutes(15 * n), 15).provider(&provider));
    let day: Vec<_> = day.collect();
    // Another day is another batch: message ids come from it.
    let batch = format!("slots-{}", from.date_naive());
    client.publish(&day).slots_per_message(10).batch_id(batch).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tuesday = Utc.with_ymd_and_hms(2026, 12, 1, 9, 0, 0).unwrap();
    let report = publish_day(&Client::from_env()?, tuesday).await?;
    println!(
        "{} slots in {} messages",
        report.run().accepted_slots,
        report.batch().messages.unwrap()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use pushslots::mock::{MockResponse, MockService};

    use super::*;

    #[tokio::test]
    async fn every_slot_of_the_day_arrives_once_in_spite_of_an_outage() {
        // Knows a repeated message by its Idempotency-Key, as the system behind the service should.
        let service = MockService::builder().deduplicate().start().unwrap();
        let client = Client::builder().mock(&service).build().unwrap();
        service.respond_next_token(MockResponse::unavailable());
        service.respond_next(MockResponse::throttled().retry_after(1));
        service.respond_next(MockResponse::reset_after_read().after_accepting());
        service.respond_next(MockResponse::truncated());

        let tuesday = Utc.with_ymd_and_hms(2026, 12, 1, 9, 0, 0).unwrap();
        let report = publish_day(&client, tuesday).await.unwrap();

        assert_eq!((report.run().accepted_slots, report.batch().messages.unwrap()), (32, 4));
        let starts: Vec<_> = service.slots().iter().filter_map(|slot| slot.date_time).collect();
        let expected: Vec<_> = (0..32).map(|n| tuesday + TimeDelta::minutes(15 * n)).collect();
        assert_eq!(starts, expected);
        let batch = service.batch("slots-2026-12-01");
        let places: Vec<_> =
            batch.iter().filter_map(|message| message.meta().current_batch).collect();
        assert_eq!(places, [1, 2, 3, 4]);
        assert_eq!(service.counts().duplicates, 1, "the one whose response was lost came again");
    }
}
