//! Logs the spans of a send, with the field names that OpenTelemetry has for an HTTP client, and
//! counts every attempt.
//!
//! `cargo run --example observe`. With `tracing-opentelemetry` instead of the layer for the
//! console, the spans go to a collector.

use std::io::IsTerminal;

use pushslots::chrono::{DateTime, Utc};
use pushslots::mock::{MockResponse, MockService};
use pushslots::{Attempt, Client, PushSlots, Slot};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::INFO)
        // A span is told when it ends, with what was recorded in it meanwhile.
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(std::io::stdout().is_terminal())
        .init();

    let service = MockService::start()?;
    service.respond_next(MockResponse::unavailable());
    service.respond_next(MockResponse::truncated());
    let client = Client::builder()
        .mock(&service)
        // For metrics: called as each attempt ends, also when its send is dropped. It must not
        // block.
        .attempt_observer(|attempt: &Attempt| {
            let status = attempt.status.map_or("none".to_owned(), |status| status.as_u16().to_string());
            println!(
                "metric: attempts_total{{status={status}, delivery={}, next_step={}}} +1, duration {:.1?}",
                attempt.delivery, attempt.next_step, attempt.elapsed
            );
        })
        .build()?;

    let slot = Slot::new("2026-12-01T09:00:00Z".parse::<DateTime<Utc>>()?, 15).id("1");
    let receipt = client.send(&PushSlots::builder().slot(slot).build()?).await?;
    println!("accepted as {}, no body and no name is in any line", receipt.message_id());
    Ok(())
}
