//! Connections that a client shares: between sends, between impatient and patient callers, and between runtimes.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pushslots::mock::MockService;
use pushslots::{Client, ErrorKind};
use support::http2::{Arrived, service};
use support::message;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// Accepts every message after a while; counts the connections.
fn accept_all(
    mut arrived: UnboundedReceiver<Arrived>,
    after: Duration,
) -> (Arc<AtomicUsize>, JoinHandle<()>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let serving = tokio::spawn(async move {
        let mut accepting = JoinSet::new();
        while let Some(message) = arrived.recv().await {
            count.fetch_max(message.connection + 1, Ordering::Relaxed);
            accepting.spawn(async move {
                sleep(after).await;
                drop(message.accept().await);
            });
        }
    });
    (connections, serving)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_impatient_caller_costs_others_no_connections() {
    let (client, arrived) = service(200).await;
    let (connections, serving) = accept_all(arrived, Duration::from_millis(60));
    client.send(&message()).await.unwrap();
    let end = Instant::now() + Duration::from_secs(3);
    let mut sends: JoinSet<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            async move {
                let mut sent = 0;
                while Instant::now() < end {
                    client.send(&message()).await.unwrap();
                    sent += 1;
                }
                sent
            }
        })
        .collect();
    let mut timeouts = 0;
    while Instant::now() < end {
        let error = client.send(&message()).deadline(Duration::from_millis(50)).await.unwrap_err();
        timeouts += usize::from(error.kind() == ErrorKind::Timeout);
    }
    let mut sent = 0;
    while let Some(others) = sends.join_next().await {
        sent += others.unwrap();
    }
    let connections = connections.load(Ordering::Relaxed);
    println!("{sent} sends beside {timeouts} timeouts: {connections} connections");
    assert!(timeouts > 10 && connections <= 2, "{timeouts} timeouts, {connections} connections");
    serving.abort();
}

fn undriven() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Uses a client in one runtime, and then in another while the first is alive and stands still.
fn use_in_two_runtimes(client: &Client) {
    let (first, second) = (undriven(), undriven());
    first.block_on(async { client.send(&message()).await.unwrap() });
    for runtime in [&second, &first, &second] {
        let began = Instant::now();
        let receipt = runtime.block_on(async { client.send(&message()).await.unwrap() });
        // Far below the connect timeout of 5 s, and at the first attempt.
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        assert_eq!(receipt.attempts().len(), 1, "{:?}", receipt.attempts());
    }
}

#[test]
fn a_client_works_in_one_runtime_while_another_stands_still() {
    let server = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mock = MockService::start().unwrap();
    let over_http1 = Client::builder().mock(&mock).build().unwrap();
    use_in_two_runtimes(&over_http1);
    let (over_http2, connections, _serving) = server.block_on(async {
        let (client, arrived) = service(100).await;
        let (connections, serving) = accept_all(arrived, Duration::ZERO);
        (client, connections, serving)
    });
    use_in_two_runtimes(&over_http2);
    assert_eq!(connections.load(Ordering::Relaxed), 2, "one for each runtime");
}

#[test]
fn a_token_request_that_stands_still_is_made_again_elsewhere() {
    let mock = MockService::start().unwrap();
    let client = Client::builder().mock(&mock).build().unwrap();
    let (first, second) = (undriven(), undriven());
    // The token request has begun when the runtime stops, and the send that waits for it is still there.
    let message = message();
    let mut send = Box::pin(client.send(&message).into_future());
    first.block_on(async {
        tokio::select! {
            biased;
            sent = &mut send => panic!("{sent:?}"),
            () = tokio::task::yield_now() => {}
        }
    });
    let began = Instant::now();
    second.block_on(async { client.send(&message).await.unwrap() });
    println!("a token after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    first.block_on(async { send.await.unwrap() });
}
