//! A vendor's own program, and its test: does every slot of a day arrive if the service fails?
//!
//! `cargo test --example test_your_integration`

use pushslots::chrono::{DateTime, TimeDelta, Utc};
use pushslots::{Client, Provider, PublishError, PublishReport, Slot};

/// The code under test: publishes a day with a slot every 15 minutes.
async fn publish_day(client: &Client, from: DateTime<Utc>) -> Result<PublishReport, PublishError> {
    let provider = Provider::new().id("4356789876", "NPI").name("Pat", "Granite").share();
    let day = (0..32).map(|n| Slot::new(from + TimeDelta::minutes(15 * n), 15).provider(&provider));
    let day: Vec<_> = day.collect();
    // The message ids are derived from the batch id, so each day has its own.
    let batch = format!("slots-{}", from.date_naive());
    client.publish(&day).slots_per_message(10).batch_id(batch).await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let tuesday = "2026-12-01T09:00:00Z".parse()?;
    let report = publish_day(&Client::from_env()?, tuesday).await?;
    println!("{} slots in {} messages", report.run().accepted_slots, report.receipts().len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use pushslots::mock::{MockResponse, MockService};

    use super::*;

    #[tokio::test]
    async fn every_slot_arrives_once_despite_an_outage() -> anyhow::Result<()> {
        // Recognizes a repeated message by its Idempotency-Key.
        let service = MockService::builder().deduplicate().start()?;
        let client = Client::builder().mock(&service).build()?;
        service.respond_next_token(MockResponse::unavailable());
        service.respond_next(MockResponse::throttled().retry_after(1));
        service.respond_next(MockResponse::reset_after_read().after_accepting());
        service.respond_next(MockResponse::truncated());

        let tuesday: DateTime<Utc> = "2026-12-01T09:00:00Z".parse()?;
        let report = publish_day(&client, tuesday).await?;

        assert_eq!((report.run().accepted_slots, report.batch().messages), (32, Some(4)));
        let starts: Vec<_> = service.slots().iter().filter_map(|slot| slot.date_time).collect();
        let expected: Vec<_> = (0..32).map(|n| tuesday + TimeDelta::minutes(15 * n)).collect();
        assert_eq!(starts, expected);
        let batch = service.batch("slots-2026-12-01");
        let places: Vec<_> =
            batch.iter().filter_map(|message| message.meta().current_batch).collect();
        assert_eq!(places, [1, 2, 3, 4]);
        assert_eq!(service.counts().duplicates, 1, "the message with the lost response");
        Ok(())
    }
}
