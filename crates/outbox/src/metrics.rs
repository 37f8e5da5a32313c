//! The metrics of workers, for the recorder of the crate `metrics`.

use std::time::Duration;

use ::metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use pushslots::{Attempt, ClientMetrics, Delivery};

use crate::preparer::destinations;
use crate::state::{EntryRecord, EntryState};
use crate::stats::Stats;
use crate::time::Timestamp;

/// Describes the metrics to the recorder.
pub(crate) fn describe() {
    let counters = [
        ("pushslots.messages", "Accepted messages and dead letters, by certainty"),
        ("pushslots.slots", "The slots of these messages, by certainty"),
        ("pushslots.attempts", "Attempts, by status, certainty and next step"),
        ("pushslots.token.requests", "Token requests, by outcome"),
    ];
    for (name, description) in counters {
        describe_counter!(name, description);
    }
    let times = [
        ("http.client.request.duration", "The time of an attempt"),
        ("pushslots.send.duration", "The time of a send with all its attempts"),
        ("pushslots.rate_limit.wait", "The wait of a send for the rate limit"),
    ];
    for (name, description) in times {
        describe_histogram!(name, Unit::Seconds, description);
    }
    let unix_time = "The Unix time of the last accepted message, by destination";
    describe_gauge!("pushslots.last_accepted", Unit::Seconds, unix_time);
    let left = "The remainder of the retry budget";
    describe_gauge!("pushslots.retry_budget.available", Unit::Count, left);
    let pending = "Entries that wait or are being sent";
    describe_gauge!("pushslots.outbox.pending", Unit::Count, pending);
    let oldest = "The age of the oldest of these entries";
    describe_gauge!("pushslots.outbox.oldest_age", Unit::Seconds, oldest);
    describe_gauge!("pushslots.outbox.dead", Unit::Count, "Dead letters, by reason");
    describe_gauge!("pushslots.outbox.held_lanes", Unit::Count, "Lanes that are held");
}

/// Records an entry that was accepted or is a dead letter.
pub(crate) fn entry_changed(entry: &EntryRecord) {
    if !matches!(entry.state, EntryState::Accepted | EntryState::Dead(_)) {
        return;
    }
    let delivery = entry.delivery.unwrap_or(Delivery::NotSent).as_str();
    counter!("pushslots.messages", "delivery" => delivery).increment(1);
    let slots = u64::try_from(entry.slots).unwrap_or(u64::MAX);
    counter!("pushslots.slots", "delivery" => delivery).increment(slots);
}

/// Records the attempts of a send, and the time that it took.
pub(crate) fn send_ended(attempts: &[Attempt], time: Duration) {
    histogram!("pushslots.send.duration").record(time.as_secs_f64());
    for attempt in attempts {
        let status = attempt.status.map(|status| status.as_u16().to_string()).unwrap_or_default();
        counter!(
            "pushslots.attempts",
            "status" => status.clone(),
            "delivery" => attempt.delivery.as_str(),
            "next" => attempt.next_step.as_str(),
        )
        .increment(1);
        if attempt.token_age.is_some() {
            histogram!("http.client.request.duration", "http.response.status_code" => status)
                .record(attempt.elapsed.as_secs_f64());
        }
    }
}

/// Records the time at which a message was accepted, for each of its destinations.
pub(crate) fn accepted(body: &[u8], now: Timestamp) {
    // Milliseconds since 1970 are exact in an f64.
    let now = now.0 as f64 / 1_000.0;
    for destination in destinations(body) {
        gauge!("pushslots.last_accepted", "destination" => destination.to_string()).set(now);
    }
}

/// Records the wait of a send for the rate limit.
pub(crate) fn permit_obtained(waited: Duration) {
    histogram!("pushslots.rate_limit.wait").record(waited.as_secs_f64());
}

/// Records the state of the outbox and of the client.
pub(crate) fn state(stats: &Stats, client: ClientMetrics) {
    let number = |count: u64| count as f64;
    gauge!("pushslots.outbox.pending").set(number(stats.waiting.saturating_add(stats.sending)));
    let oldest = stats.oldest_age.unwrap_or_default().as_secs_f64();
    gauge!("pushslots.outbox.oldest_age").set(oldest);
    gauge!("pushslots.outbox.held_lanes").set(stats.held_lanes.len() as f64);
    let dead = stats.dead;
    for (reason, count) in [
        ("rejected", dead.rejected),
        ("abandoned", dead.abandoned),
        ("unknown", dead.unknown),
        ("expired", dead.expired),
        ("poison", dead.poison),
        ("invalid", dead.invalid),
    ] {
        gauge!("pushslots.outbox.dead", "reason" => reason).set(number(count));
    }
    let failed = client.failed_token_requests;
    let succeeded = client.token_requests.saturating_sub(failed);
    counter!("pushslots.token.requests", "outcome" => "failed").absolute(failed);
    counter!("pushslots.token.requests", "outcome" => "succeeded").absolute(succeeded);
    if let Some(left) = client.retry_budget_remaining {
        gauge!("pushslots.retry_budget.available").set(f64::from(left));
    }
}
