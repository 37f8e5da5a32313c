//! Tests a program of your own against an outage: every slot arrives, and in the right order.
//!
//! `cargo test --example test_your_integration`

use pushslots::chrono::{DateTime, TimeDelta, Utc};
use pushslots::{Client, Provider, PublishError, PublishReport, Slot};

/// The code under test: publishes a day with a slot every 15 minutes.
async fn publish_day(client: &Client, from: DateTime<Utc>) -> Result<PublishReport, PublishError> {
    let provider = Provider::new().id("4356789876", "NPI").name("Pat", "Granite").share();
    let mut day = Vec::new();
    for quarter in 0..32 {
        let start = from + TimeDelta::minutes(15 * quarter);
        day.push(Slot::new(start, 15).provider(&provider));
    }
    // The message ids are derived from the batch id, so each day has its own.
    let batch_id = format!("slots-{}", from.date_naive());
    client.publish(&day).slots_per_message(10).batch_id(batch_id).await
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
        // The mock recognizes a repeated message by its Idempotency-Key.
        let service = MockService::builder().deduplicate().start()?;
        let client = Client::builder().mock(&service).build()?;
        service.respond_next_token(MockResponse::unavailable());
        service.respond_next(MockResponse::throttled().retry_after(1));
        service.respond_next(MockResponse::reset_after_read().after_accepting());
        service.respond_next(MockResponse::truncated());

        let tuesday: DateTime<Utc> = "2026-12-01T09:00:00Z".parse()?;
        let report = publish_day(&client, tuesday).await?;

        assert_eq!(report.run().accepted_slots, 32);
        assert_eq!(report.batch().messages, Some(4));
        let starts: Vec<_> = service.slots().iter().filter_map(|slot| slot.date_time).collect();
        let expected: Vec<_> = (0..32).map(|n| tuesday + TimeDelta::minutes(15 * n)).collect();
        assert_eq!(starts, expected);
        let batch = service.batch("slots-2026-12-01");
        let numbers: Vec<_> = batch.iter().map(|message| message.meta().current_batch).collect();
        assert_eq!(numbers, [Some(1), Some(2), Some(3), Some(4)]);
        assert_eq!(service.counts().duplicates, 1, "the message with the lost response");
        Ok(())
    }
}
