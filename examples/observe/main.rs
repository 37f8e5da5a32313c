//! Logs the spans of a send, and counts its attempts for metrics.
//!
//! `cargo run --example observe`. Its README shows the output. With `tracing-opentelemetry` instead
//! of `tracing_subscriber::fmt`, the spans go to a collector.

use std::io::IsTerminal;

use pushslots::chrono::{DateTime, Utc};
use pushslots::mock::{MockResponse, MockService};
use pushslots::{Attempt, Client, PushSlots, Slot};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Counts an attempt. The client calls this after every attempt, even if the send was dropped. It
/// must not block.
fn count(attempt: &Attempt) {
    let status = match attempt.status {
        Some(status) => status.as_u16().to_string(),
        None => "none".to_owned(),
    };
    let delivery = attempt.delivery;
    let next_step = attempt.next_step;
    let labels = format!("status={status}, delivery={delivery}, next_step={next_step}");
    println!("metric: attempts_total{{{labels}}} +1, duration {:.1?}", attempt.elapsed);
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::INFO)
        // Logs a span when it ends, because it has all its fields then.
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(std::io::stdout().is_terminal())
        .init();

    let service = MockService::start()?;
    service.respond_next(MockResponse::unavailable());
    service.respond_next(MockResponse::truncated());
    let client = Client::builder().mock(&service).attempt_observer(count).build()?;

    let nine: DateTime<Utc> = "2026-12-01T09:00:00Z".parse()?;
    let message = PushSlots::builder().slot(Slot::new(nine, 15).id("1")).build()?;
    let receipt = client.send(&message).await?;
    println!("accepted as {}; no line above shows a body or a name", receipt.message_id());
    Ok(())
}
