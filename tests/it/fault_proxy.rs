//! The client over real sockets, through a proxy that resets, closes, stalls and blackholes
//! connections, to a service that records the messages it accepted.
//!
//! `PUSHSLOTS_PROXY_SENDS=20000` sends this number of messages. `PUSHSLOTS_PROXY_SEED=7` draws
//! other faults.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pushslots::uuid::Uuid;
use pushslots::{Attempt, Client, ClientBuilder, Delivery, Error, Meta, PushSlots, Receipt};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use support::batch::slots;
use support::proxy::{Course, Fault, Protocol, Proxy, SilentClose, Strike, Toward};
use support::recording_server::{FaultMode, RecordingServer};
use support::seeds::setting;
use support::{DESTINATION, MESSAGE, SOURCE, client, message};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

const SENDS: usize = 2_000;
/// The number of sends that share a client.
const SENDS_PER_CLIENT: usize = 250;
/// The number of sends in flight at the same time.
const CONCURRENCY: usize = 32;

const STRIKES: [Strike; 4] = [Strike::Reset, Strike::Close, Strike::Stall, Strike::Blackhole];
const DIRECTIONS: [Toward; 2] = [Toward::Service, Toward::Client];

/// The bytes per second of slow uplinks.
const UPLINKS: [u32; 2] = [50_000, 350_000];
/// The time from a response to a silent close. Often the next request is already in flight.
const CLOSES_AFTER: Duration = Duration::from_micros(500);

/// Violations of the invariants. Under any connection faults, the number of each must be 0.
const VIOLATIONS: [&str; 7] = [
    "receipt says accepted, but the service did not accept",
    "requests that left without a matching attempt record",
    "sends repeated after a known acceptance",
    "reported as rejected or not sent, although the service had accepted",
    "duplicates not explained by an unknown attempt with the same message id",
    "attempts in a receipt or error that differ from those observed",
    "messages that arrived with other bytes",
];

/// Returns a builder for a client that sends messages through the proxy, and requests tokens
/// directly from `tokens`.
///
/// It has no rate limit, so a 429 delays only one send, and not all of them for a second.
fn through(proxy: &Proxy, tokens: &RecordingServer) -> ClientBuilder {
    let token_url = format!("http://{}/token", tokens.address);
    let builder = client(&proxy.url, "plain").root_certificate(proxy.authority.pem.clone());
    builder.token_url(token_url).without_rate_limit()
}

/// Starts a service that issues tokens and accepts every message.
async fn start_accepting(protocol: Protocol) -> RecordingServer {
    RecordingServer::start(protocol, [MESSAGE.into()], || FaultMode::Accepts).await
}

/// Returns a message that takes two writes on a connection.
fn long_message() -> PushSlots {
    let meta = Meta::new().source(SOURCE).destination(DESTINATION);
    PushSlots::builder().meta(meta).slots(slots(0..100)).build().unwrap()
}

/// Draws the plan for each connection. Most connections carry a few messages before a fault
/// strikes.
fn plan(protocol: Protocol, seed: u64) -> impl FnMut(usize) -> Course + Send + 'static {
    let mut rng = StdRng::seed_from_u64(seed);
    let max_responses = if protocol == Protocol::Http1 { 4 } else { 20 };
    move |_| {
        let toward = DIRECTIONS[rng.gen_range(0..2)];
        let max_bytes = match (protocol, toward) {
            (Protocol::Http1, Toward::Service) => 4_000,
            (Protocol::Http1, Toward::Client) => 800,
            (Protocol::Http2, Toward::Service) => 15_000,
            (Protocol::Http2, Toward::Client) => 1_500,
        };
        let after = if rng.gen_bool(0.05) { 0 } else { rng.gen_range(1..max_bytes) };
        let fault = Fault { strike: STRIKES[rng.gen_range(0..4)], toward, after };
        let fault = Some(fault).filter(|_| rng.gen_bool(0.95));
        let uplink = rng.gen_bool(0.1).then(|| UPLINKS[rng.gen_range(0..UPLINKS.len())]);
        let close =
            SilentClose { responses: rng.gen_range(1..=max_responses), after: CLOSES_AFTER };
        let silent_close = Some(close).filter(|_| rng.gen_bool(0.2));
        // If a connection had both, the fault would usually strike first.
        let fault = fault.filter(|_| silent_close.is_none());
        Course { fault, uplink, silent_close }
    }
}

/// A message id, and the result of its send, or `None` if the send was dropped.
type Sent = (Uuid, Option<Result<Receipt, Error>>);
type Observed = Arc<Mutex<BTreeMap<Uuid, Vec<Attempt>>>>;

fn observe(builder: ClientBuilder, observed: &Observed) -> ClientBuilder {
    let observed = observed.clone();
    builder.attempt_observer(move |attempt: &Attempt| {
        observed.lock().unwrap().entry(attempt.message_id).or_default().push(attempt.clone());
    })
}

/// Sends `count` messages, several at a time. Some callers drop their send before its end.
async fn send_all(client: Client, seed: u64, count: usize) -> Vec<Sent> {
    let next = Arc::new(AtomicUsize::new(0));
    let worker = || {
        let client = client.clone();
        let next = next.clone();
        async move {
            let short = message();
            let long = long_message();
            let mut sent = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return sent;
                }
                let mut rng =
                    StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
                let message_id = Uuid::from_u128(rng.r#gen());
                let message = if number % 10 == 0 { &long } else { &short };
                let send = client.send(message).message_id(message_id).into_future();
                let limit = match rng.gen_bool(0.1) {
                    true => Duration::from_millis(rng.gen_range(1..300)),
                    false => Duration::from_secs(60),
                };
                sent.push((message_id, timeout(limit, send).await.ok()));
            }
        }
    };
    let workers: JoinSet<_> = (0..CONCURRENCY).map(|_| worker()).collect();
    workers.join_all().await.into_iter().flatten().collect()
}

#[derive(Default)]
struct Findings {
    sends: usize,
    receipts: usize,
    dropped: usize,
    deliveries: BTreeMap<String, usize>,
    connections: usize,
    slow: usize,
    closed_silently: usize,
    struck: BTreeMap<(Strike, Toward), usize>,
    requests: usize,
    accepted: usize,
    duplicates: usize,
    violations: [usize; VIOLATIONS.len()],
}

impl Findings {
    fn add(&mut self, other: Self) {
        self.sends += other.sends;
        self.receipts += other.receipts;
        self.dropped += other.dropped;
        self.connections += other.connections;
        self.slow += other.slow;
        self.closed_silently += other.closed_silently;
        self.requests += other.requests;
        self.accepted += other.accepted;
        self.duplicates += other.duplicates;
        other
            .deliveries
            .into_iter()
            .for_each(|(name, n)| *self.deliveries.entry(name).or_default() += n);
        other.struck.into_iter().for_each(|(fault, n)| *self.struck.entry(fault).or_default() += n);
        self.violations.iter_mut().zip(other.violations).for_each(|(sum, more)| *sum += more);
    }
}

/// Returns whether HTTP/2 reported that the service didn't process the attempt. The proxy may still
/// have seen bytes of it.
fn was_not_processed(attempt: &Attempt) -> bool {
    let error = attempt.error.as_deref().unwrap_or_default();
    attempt.delivery == Delivery::NotSent && error.contains("(HTTP/2: ")
}

/// Sends through the faults of one seed, and compares the reports of the client with the records of
/// the service and the proxy.
async fn drive(protocol: Protocol, seed: u64, count: usize) -> Findings {
    let expected = [MESSAGE.into(), long_message().to_json()];
    let service = RecordingServer::with_faults(protocol, expected, seed).await;
    let tokens = start_accepting(Protocol::Http1).await;
    let proxy = Proxy::start(protocol, service.address, plan(protocol, seed)).await;
    let observed = Observed::default();
    let time = Duration::from_millis(match protocol {
        Protocol::Http1 => 250,
        // The client abandons a connection only after a silence of at least 500 ms.
        Protocol::Http2 => 500,
    });
    let mut builder = through(&proxy, &tokens);
    if protocol == Protocol::Http1 {
        // Over HTTP/1.1 the proxy distinguishes token requests from messages, so both can go
        // through it.
        builder = builder.token_url(format!("{}/token", proxy.url));
    }
    let builder = builder
        .attempt_timeout(time)
        .connect_timeout(time)
        .deadline(Duration::from_secs(3))
        .without_retry_budget()
        .jitter_seed(seed);
    let client = observe(builder, &observed).build().unwrap();
    let sent = send_all(client, seed, count).await;
    proxy.settle().await;

    let seen = proxy.seen();
    let known = service.known();
    let observed = observed.lock().unwrap();
    let mut found = Findings {
        sends: sent.len(),
        connections: seen.connections,
        slow: seen.slow,
        closed_silently: seen.closed_silently,
        struck: seen.struck.clone(),
        requests: seen.requests,
        ..Findings::default()
    };
    let mut check = |index: usize, holds: bool| found.violations[index] += usize::from(!holds);
    let mut may_have_left = 0;
    for (message_id, result) in &sent {
        let id = message_id.to_string();
        let attempts = observed.get(message_id).map_or(&[][..], Vec::as_slice);
        let of = |delivery| attempts.iter().filter(|attempt| attempt.delivery == delivery).count();
        let count_of =
            |counts: &BTreeMap<String, usize>| counts.get(&id).copied().unwrap_or_default();
        let arrived = count_of(&known.arrived);
        let accepted = count_of(&known.accepted);
        // No body bytes of an attempt that wasn't sent reach the proxy, unless HTTP/2 reported
        // that it wasn't processed. Those of all other attempts may.
        let unprocessed = attempts.iter().filter(|attempt| was_not_processed(attempt)).count();
        let left = attempts.len() - of(Delivery::NotSent) + unprocessed;
        may_have_left += left;

        check(0, !matches!(result, Some(Ok(_))) || accepted > 0);
        check(0, of(Delivery::Accepted) == 0 || accepted > 0);
        check(1, count_of(&seen.of_message) <= left && arrived <= left);
        let known_at = attempts.iter().position(|attempt| attempt.delivery == Delivery::Accepted);
        check(2, known_at.is_none_or(|known_at| known_at + 1 == attempts.len()));
        if let Some(Err(error)) = result {
            check(3, accepted == 0 || error.delivery() == Delivery::Unknown);
        }
        check(3, accepted <= of(Delivery::Accepted) + of(Delivery::Unknown));
        check(4, accepted <= 1 + of(Delivery::Unknown));
        let reported = result.as_ref().map(|result| match result {
            Ok(receipt) => receipt.attempts(),
            Err(error) => error.attempts(),
        });
        check(5, reported.is_none_or(|reported| reported == attempts));

        found.receipts += usize::from(matches!(result, Some(Ok(_))));
        found.dropped += usize::from(result.is_none());
        found.accepted += accepted.min(1);
        found.duplicates += accepted.saturating_sub(1);
        for attempt in attempts {
            *found.deliveries.entry(attempt.delivery.to_string()).or_default() += 1;
        }
    }
    // Over HTTP/2 the proxy can't assign requests to messages.
    found.violations[1] += seen.requests.saturating_sub(may_have_left);
    found.violations[6] += known.altered;
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reported_outcomes_are_true_under_http1_faults() {
    check_invariants(Protocol::Http1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reported_outcomes_are_true_under_http2_faults() {
    check_invariants(Protocol::Http2).await;
}

/// Checks the invariants for half of the sends.
async fn check_invariants(protocol: Protocol) {
    let sends = setting("PUSHSLOTS_PROXY_SENDS").map_or(SENDS, |sends| sends.try_into().unwrap());
    let first = setting("PUSHSLOTS_PROXY_SEED").unwrap_or(1);
    let mut all = Findings::default();
    for round in 0..(sends / 2).div_ceil(SENDS_PER_CLIENT) {
        let found = drive(protocol, first + round as u64, SENDS_PER_CLIENT.min(sends / 2)).await;
        all.add(found);
    }
    let numbers = VIOLATIONS
        .iter()
        .zip(all.violations)
        .map(|(violation, number)| format!("\n  {violation}: {number}"));
    // Prints everything at once, because the test of the other protocol prints at the same time.
    println!(
        "{protocol:?}, seed {first}: sends: {}, receipts: {}, dropped: {}\n  \
         connections: {}, with a slow uplink: {}, closed silently: {}, faults: {:?}\n  \
         requests sent: {}, attempts: {:?}\n  \
         messages that the service accepted: {}, duplicates: {}{}",
        all.sends,
        all.receipts,
        all.dropped,
        all.connections,
        all.slow,
        all.closed_silently,
        all.struck,
        all.requests,
        all.deliveries,
        all.accepted,
        all.duplicates,
        numbers.collect::<String>(),
    );
    assert!(
        all.receipts > 0 && all.duplicates > 0 && all.slow > 0 && all.deliveries.len() == 4,
        "some sends hit a fault, and others don't"
    );
    assert!(all.closed_silently > 0, "some connections close silently");
    // Over HTTP/2 many requests share a connection, so faults strike only few connections.
    let enough = if protocol == Protocol::Http1 { 1_000 } else { 10_000 };
    assert!(all.sends < enough || all.struck.len() == 8, "every fault strikes");
    assert_eq!(
        all.violations.iter().sum::<usize>(),
        0,
        "to repeat: PUSHSLOTS_PROXY_SEED={first} PUSHSLOTS_PROXY_SENDS={sends} \
         cargo test --test it fault_proxy:: -- --nocapture"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_one_attempt_at_most_one_request_is_sent() {
    let offsets = [0, 1, 100, 400, 700, 1_200];
    let faults = STRIKES.into_iter().flat_map(|strike| {
        DIRECTIONS
            .into_iter()
            .flat_map(move |toward| offsets.map(|after| Fault { strike, toward, after }))
    });
    let mut cases = JoinSet::new();
    let permits = Arc::new(Semaphore::new(16));
    for (protocol, fault) in
        faults.flat_map(|fault| [(Protocol::Http1, fault), (Protocol::Http2, fault)])
    {
        let permits = permits.clone();
        cases.spawn(async move {
            let _permit = permits.acquire().await;
            let service = start_accepting(protocol).await;
            let tokens = start_accepting(Protocol::Http1).await;
            let proxy = Proxy::start(protocol, service.address, move |_| Some(fault)).await;
            let builder = through(&proxy, &tokens).max_attempts(1);
            let client = builder.attempt_timeout(Duration::from_secs(1)).build().unwrap();
            let (attempts, delivery) = match client.send(&message()).await {
                Ok(receipt) => (receipt.attempts().len(), Delivery::Accepted),
                Err(error) => (error.attempts().len(), error.delivery()),
            };
            drop(client);
            proxy.settle().await;
            let seen = proxy.seen().requests;
            let known = service.known().accepted.values().sum::<usize>();
            let case = format!("{protocol:?} {fault:?}: {delivery}, {seen} seen, {known} accepted");
            assert_eq!(attempts, 1, "{case}");
            assert!(seen <= 1 && known <= seen, "{case}");
            assert!(seen == 0 || delivery != Delivery::NotSent, "{case}");
            assert!(
                known == 0 || matches!(delivery, Delivery::Accepted | Delivery::Unknown),
                "{case}"
            );
            assert!(known == 1 || delivery != Delivery::Accepted, "{case}");
            (seen, delivery)
        });
    }
    let cases = cases.join_all().await;
    let most = cases.iter().map(|(seen, _)| *seen).max().unwrap();
    println!("max_attempts(1): {} faults, at most {most} request on the wire", cases.len());
    for delivery in [Delivery::Accepted, Delivery::NotSent, Delivery::Unknown] {
        assert!(cases.iter().any(|case| case.1 == delivery), "{delivery}");
    }
}

/// Cuts responses after different numbers of bytes, and finds the lowest number at which the
/// message counts as accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_response_counts_as_accepted_once_its_head_is_complete() {
    let mut accepted_from = None;
    for after in (1..=150).step_by(7) {
        let service = start_accepting(Protocol::Http1).await;
        let tokens = start_accepting(Protocol::Http1).await;
        let fault = Fault { strike: Strike::Close, toward: Toward::Client, after };
        let proxy = Proxy::start(Protocol::Http1, service.address, move |number| {
            Some(fault).filter(|_| number == 0)
        })
        .await;
        let client = through(&proxy, &tokens).build().unwrap();
        let receipt = client.send(&message()).await.unwrap();
        let deliveries: Vec<_> =
            receipt.attempts().iter().map(|attempt| attempt.delivery).collect();
        let copies = service.known().accepted.values().sum::<usize>();
        match deliveries[..] {
            [Delivery::Unknown, Delivery::Accepted] => {
                assert!(accepted_from.is_none() && copies == 2, "{after} bytes: {copies} copies");
            }
            [Delivery::Accepted] => {
                accepted_from = accepted_from.or(Some(after));
                assert_eq!(copies, 1, "{after} bytes");
            }
            _ => panic!("{after} bytes: {deliveries:?}"),
        }
    }
    // The status line and the two headers take 77 bytes.
    assert!(accepted_from.is_some_and(|from| from <= 90), "{accepted_from:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempt_after_a_dead_connection_uses_a_new_one() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let service = start_accepting(protocol).await;
        let tokens = start_accepting(Protocol::Http1).await;
        let proxy = Arc::new(Proxy::start(protocol, service.address, |_| None).await);
        let attempt_timeout = Duration::from_secs(1);
        let connect_timeout = Duration::from_secs(5);
        let network = proxy.clone();
        let client = through(&proxy, &tokens)
            .attempt_timeout(attempt_timeout)
            .connect_timeout(connect_timeout)
            .attempt_observer(move |_: &Attempt| network.revive())
            .build()
            .unwrap();
        client.send(&message()).await.unwrap();
        proxy.blackhole();
        let began = Instant::now();
        let receipt = client.send(&message()).await.unwrap();
        let took = began.elapsed();
        let [hung, accepted] = receipt.attempts() else { panic!("{:?}", receipt.attempts()) };
        assert_eq!((hung.delivery, accepted.delivery), (Delivery::Unknown, Delivery::Accepted));
        let delay = hung.delay.unwrap();
        let rest = took.saturating_sub(attempt_timeout + delay);
        println!(
            "blackholed, {protocol:?}: first success after {took:?}; \
             attempt timeout {attempt_timeout:?}, delay {delay:?}, remainder {rest:?}"
        );
        assert!(took <= attempt_timeout + delay + connect_timeout, "{took:?}");
        assert!(accepted.elapsed < connect_timeout, "{:?}", accepted.elapsed);
    }
}
