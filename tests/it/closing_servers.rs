//! Publications to services that close connections silently, and to services that fail now and
//! then.

use std::collections::{BTreeMap, BTreeSet};
use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pushslots::{Attempt, Delivery, NextStep};
use support::batch::{accepted, slots};
use support::client;
use support::model::{Model, TokenOutcome, client_of, ok, responds};
use support::proxy::{Course, Protocol, Proxy, SilentClose};
use support::recording_server::{FaultMode, RecordingServer};
use support::seeds::setting;
use tokio::time::timeout;

/// Publishes 300 messages with default settings to a service that closes each connection 0.5 ms
/// after its first response.
async fn publish_to_a_closing_server(protocol: Protocol) {
    const MESSAGES: usize = 300;
    let start_accepting =
        async |protocol| RecordingServer::start(protocol, Vec::new(), || FaultMode::Accepts).await;
    let service = start_accepting(protocol).await;
    let tokens = start_accepting(Protocol::Http1).await;
    let silent_close = Some(SilentClose { responses: 1, after: Duration::from_micros(500) });
    let proxy = Proxy::start(protocol, service.address, move |_| Course {
        silent_close,
        ..Course::default()
    });
    let proxy = proxy.await;
    let observed = Arc::<Mutex<Vec<Attempt>>>::default();
    let attempts = observed.clone();
    let client = client(&proxy.url, "plain")
        .root_certificate(proxy.authority.pem.clone())
        .token_url(format!("http://{}/token", tokens.address))
        .attempt_observer(move |attempt: &Attempt| attempts.lock().unwrap().push(attempt.clone()))
        .build()
        .unwrap();

    let slots = slots(0..MESSAGES);
    let publication = async { client.publish(&slots).slots_per_message(1).await };
    let report =
        timeout(Duration::from_secs(120), publication).await.expect("the publication timed out");
    let report = report.unwrap_or_else(|error| panic!("{error}"));
    drop(client);
    proxy.settle().await;

    let seen = proxy.seen();
    let known = service.known();
    let attempts = observed.lock().unwrap();
    let mut deliveries = BTreeMap::<_, usize>::new();
    // Per message id, the number of attempts that may have sent a part of the message.
    let mut possibly_sent = BTreeMap::<_, usize>::new();
    for attempt in &*attempts {
        *deliveries.entry(attempt.delivery.to_string()).or_default() += 1;
        let count = possibly_sent.entry(attempt.message_id.to_string()).or_default();
        *count += usize::from(attempt.delivery != Delivery::NotSent);
        assert_ne!(attempt.next_step, NextStep::RetryBudgetExhausted);
    }
    println!(
        "{protocol:?}: {MESSAGES} messages, {} connections, closed silently: {}, \
         requests sent: {}, attempts: {deliveries:?}, in {:?}",
        seen.connections,
        seen.closed_silently,
        seen.requests,
        report.elapsed()
    );
    // With one slot per message, every slot arrived if every message did.
    let receipts: BTreeSet<_> =
        report.receipts().iter().map(|receipt| receipt.message_id().to_string()).collect();
    let accepted: BTreeSet<_> = known.accepted.keys().cloned().collect();
    assert_eq!((report.run().accepted_slots, receipts.len()), (MESSAGES, MESSAGES));
    assert_eq!(receipts, accepted);
    for counts in [&known.arrived, &seen.of_message] {
        for (message_id, count) in counts {
            assert!(count <= &possibly_sent[message_id], "{message_id} was sent {count} times");
        }
    }
    // Over HTTP/2, the proxy doesn't know which message a request carries.
    assert!(seen.requests <= possibly_sent.values().sum(), "{} requests", seen.requests);
    assert!(
        seen.closed_silently > 0 && deliveries.contains_key("unknown"),
        "some requests hit a silent close"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publication_survives_silent_closes_over_http1() {
    publish_to_a_closing_server(Protocol::Http1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publication_survives_silent_closes_over_http2() {
    publish_to_a_closing_server(Protocol::Http2).await;
}

#[tokio::test(start_paused = true)]
async fn publication_survives_one_failure_in_six_requests() {
    for status in [503, 429, 500] {
        let mut requests = 0;
        let outcomes = move |_: &mut _, _| {
            requests += 1;
            if requests % 6 == 0 { responds(status) } else { ok() }
        };
        let model = Model::new(0, outcomes, |_, _| TokenOutcome::Issued(Duration::from_secs(300)));
        let client = client_of(&model).build().unwrap();
        let slots = slots(0..600);
        let report = client.publish(&slots).slots_per_message(1).await;
        let report = report.unwrap_or_else(|error| panic!("{status}: {error}"));
        assert_eq!(accepted(&model), (0..600).collect::<Vec<_>>(), "{status}");
        // The last message is accepted before the 120th failure.
        assert_eq!((model.calls().len(), report.run().requests), (719, 719), "{status}");
    }
}

/// Publishes to a service that fails every sixth request, closes the connection after each
/// response, and responds with 429 during three periods.
///
/// `PUSHSLOTS_CLOSING_MESSAGES=1000` publishes this number of messages instead of 100.
/// `PUSHSLOTS_THROTTLED_SECONDS=25` makes each 429 period this long instead of 2 seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publication_completes_despite_failures_closes_and_429s() {
    let messages = setting("PUSHSLOTS_CLOSING_MESSAGES").unwrap_or(100) as usize;
    let throttled = Duration::from_secs(setting("PUSHSLOTS_THROTTLED_SECONDS").unwrap_or(2));
    for concurrency in [1, 8] {
        let mut requests = 0;
        let mut throttled_until = None;
        let modes = move || {
            requests += 1;
            if requests % (3 * messages / 10) == 0 && requests <= 9 * messages / 10 {
                throttled_until = Some(Instant::now() + throttled);
            }
            match throttled_until.is_some_and(|until| Instant::now() < until) {
                true => FaultMode::Responds(429, false),
                false if requests % 6 == 0 => FaultMode::Responds(503, requests % 12 == 0),
                false => FaultMode::Accepts,
            }
        };
        let service = RecordingServer::start(Protocol::Http1, Vec::new(), modes).await;
        let tokens =
            RecordingServer::start(Protocol::Http1, Vec::new(), || FaultMode::Accepts).await;
        let silent_close = Some(SilentClose { responses: 1, after: Duration::from_micros(500) });
        let course = move |_| Course { silent_close, ..Course::default() };
        let proxy = Proxy::start(Protocol::Http1, service.address, course).await;
        let unknown = Arc::<Mutex<BTreeSet<String>>>::default();
        let seen = unknown.clone();
        let client = client(&proxy.url, "plain")
            .token_url(format!("http://{}/token", tokens.address))
            .attempt_observer(move |attempt: &Attempt| {
                if attempt.delivery == Delivery::Unknown {
                    seen.lock().unwrap().insert(attempt.message_id.to_string());
                }
            })
            .build()
            .unwrap();
        let slots = slots(0..messages);
        let publication = client.publish(&slots).slots_per_message(1).concurrency(concurrency);
        let report = timeout(Duration::from_secs(600), publication.into_future())
            .await
            .expect("the publication timed out");
        let report = report.unwrap_or_else(|error| panic!("{error}"));
        drop(client);
        proxy.settle().await;
        let known = service.known();
        let unknown = unknown.lock().unwrap();
        let lost = messages - known.accepted.len();
        let copies = known
            .accepted
            .iter()
            .filter(|(id, count)| **count > 1 && !unknown.contains(*id))
            .count();
        println!(
            "{concurrency} in flight: {messages} messages, 429 in three periods of {throttled:?}, \
             requests: {}, in {:?}; messages lost: {lost}, \
             accepted again without an unknown attempt: {copies}",
            report.run().requests,
            report.elapsed()
        );
        assert_eq!((lost, copies, report.run().accepted_slots), (0, 0, messages));
        assert!(report.elapsed() > 3 * throttled);
    }
}
