//! Metrics of a worker.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use pushslots_outbox::OutboxError;

use crate::service::{DESTINATION, Reply, Service, message};

/// Returns the metrics by name and labels. A histogram is the number of its values.
fn values(snapshotter: &Snapshotter) -> BTreeMap<String, f64> {
    let metrics = snapshotter.snapshot().into_vec().into_iter();
    metrics
        .map(|(key, _, _, value)| {
            let labels =
                key.key().labels().map(|label| format!("{}={}", label.key(), label.value()));
            let mut labels: Vec<_> = labels.collect();
            labels.sort();
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(value) => value.into_inner(),
                DebugValue::Histogram(values) => values.len() as f64,
            };
            (format!("{}{{{}}}", key.key().name(), labels.join(",")), value)
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn metrics_show_attempts_certainty_and_the_backlog() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let service = Service::new();
    let outbox = service.outbox().await;
    let accepted = outbox.enqueue(&message(1)).await.unwrap().message_id();
    let rejected = outbox.enqueue(&message(2)).await.unwrap().message_id();
    service.reply_to(accepted, [Reply::Status(503)]);
    service.reply_to(rejected, [Reply::Status(400)]);
    outbox.hold("held").await.unwrap();
    outbox.enqueue(&message(3)).lane("held").await.unwrap();
    let client = service.client_builder().rate_limit(100, Duration::from_secs(60)).build().unwrap();
    let worker = outbox.worker(&client).start().unwrap();
    outbox.wait_for(accepted).await.unwrap();
    let error = outbox.wait_for(rejected).await.unwrap_err();
    assert!(matches!(error, OutboxError::NotAccepted(_)));
    // The state is recorded every 15 s.
    tokio::time::sleep(Duration::from_secs(16)).await;

    let values = values(&snapshotter);
    let expected = [
        ("pushslots.messages{delivery=accepted}", 1.0),
        ("pushslots.messages{delivery=rejected}", 1.0),
        ("pushslots.slots{delivery=accepted}", 1.0),
        ("pushslots.attempts{delivery=accepted,next=done,status=200}", 1.0),
        ("pushslots.attempts{delivery=rejected,next=not_retryable,status=400}", 1.0),
        ("http.client.request.duration{http.response.status_code=200}", 1.0),
        ("http.client.request.duration{http.response.status_code=503}", 1.0),
        ("pushslots.send.duration{}", 2.0),
        ("pushslots.token.requests{outcome=succeeded}", 1.0),
        ("pushslots.token.requests{outcome=failed}", 0.0),
        ("pushslots.outbox.pending{}", 1.0),
        ("pushslots.outbox.held_lanes{}", 1.0),
        ("pushslots.outbox.dead{reason=rejected}", 1.0),
        ("pushslots.outbox.dead{reason=unknown}", 0.0),
    ];
    for (name, value) in expected {
        assert_eq!(values.get(name), Some(&value), "{name} of {values:#?}");
    }
    assert!(values["pushslots.outbox.oldest_age{}"] > 0.0);
    assert!(values["pushslots.rate_limit.wait{}"] >= 2.0);
    let last = values[&format!("pushslots.last_accepted{{destination={DESTINATION}}}")];
    assert!(last > 1_700_000_000.0, "{last}");
    worker.shutdown(Duration::from_secs(1)).await;
}
