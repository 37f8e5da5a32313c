//! Connections shared by sends, by callers with different deadlines, and by runtimes.

use std::future::{IntoFuture, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pushslots::bytes::Bytes;
use pushslots::http::{HeaderMap, Request, StatusCode};
use pushslots::mock::MockService;
use pushslots::uuid::Uuid;
use pushslots::{
    Client, Credentials, ErrorKind, Response, Transport, TransportContext, TransportError,
};
use support::http2::{Arrived, serve, service};
use support::tls::{Authority, TlsListener};
use support::{DESTINATION, client, key, message};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// Accepts every message after a delay, except those with the nil id, which get no response.
/// Returns the number of connections.
fn accept_all(
    mut arrived: UnboundedReceiver<Arrived>,
    delay: Duration,
) -> (Arc<AtomicUsize>, JoinHandle<()>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let serving = tokio::spawn(async move {
        let mut accepting = JoinSet::new();
        while let Some(message) = arrived.recv().await {
            count.fetch_max(message.connection + 1, Ordering::Relaxed);
            accepting.spawn(async move {
                if message.message_id == Uuid::nil().to_string() {
                    pending::<()>().await;
                }
                sleep(delay).await;
                drop(message.accept().await);
            });
        }
    });
    (connections, serving)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_deadlines_do_not_close_shared_connections() {
    let (client, arrived) = service(200).await;
    let (connections, serving) = accept_all(arrived, Duration::from_millis(250));
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
    // One caller gives up before the response arrives. The messages of the other get none.
    let impatient = async |deadline, id| {
        let mut timeouts = 0;
        while Instant::now() < end {
            let message = message();
            let send = client.send(&message).deadline(deadline).message_id(id);
            timeouts += usize::from(send.await.unwrap_err().kind() == ErrorKind::Timeout);
        }
        timeouts
    };
    let (early, without_response) = tokio::join!(
        impatient(Duration::from_millis(50), Uuid::new_v4()),
        impatient(Duration::from_millis(700), Uuid::nil())
    );
    let mut sent = 0;
    while let Some(count) = sends.join_next().await {
        sent += count.unwrap();
    }
    let connections = connections.load(Ordering::Relaxed);
    println!(
        "{sent} sends, {early} early timeouts, {without_response} timeouts without a response: \
         {connections} connections"
    );
    assert!(early > 10 && without_response > 2, "{early} {without_response}");
    assert!(connections <= 2, "{connections} connections");
    serving.abort();
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Uses a client in one runtime, then in another while the first still exists but doesn't run.
fn use_in_two_runtimes(client: &Client) {
    let first = current_thread();
    let second = current_thread();
    first.block_on(async { client.send(&message()).await.unwrap() });
    for runtime in [&second, &first, &second] {
        let began = Instant::now();
        let receipt = runtime.block_on(async { client.send(&message()).await.unwrap() });
        // This is well below the connect timeout of 5 s.
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        assert_eq!(receipt.attempts().len(), 1, "{:?}", receipt.attempts());
    }
}

#[test]
fn client_works_in_one_runtime_while_another_is_not_running() {
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
fn token_request_of_a_stopped_runtime_is_repeated_in_another() {
    let mock = MockService::start().unwrap();
    let client = Client::builder().mock(&mock).build().unwrap();
    let first = current_thread();
    let second = current_thread();
    // The runtime stops after the token request has begun. The send that waits for it still exists.
    let message = message();
    let mut send = Box::pin(client.send(&message).into_future());
    first.block_on(async {
        tokio::select! {
            biased;
            result = &mut send => panic!("{result:?}"),
            () = tokio::task::yield_now() => {}
        }
    });
    let began = Instant::now();
    second.block_on(async { client.send(&message).await.unwrap() });
    println!("token obtained after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    first.block_on(async { send.await.unwrap() });
}

#[tokio::test]
async fn request_without_a_free_stream_opens_a_connection_in_the_same_attempt() {
    let authority = Authority::generate();
    let listener = TlsListener::bind(&authority, None, &["h2"]).await;
    let builder = client(&listener.url(), "plain").root_certificate(authority.pem.clone());
    let client = builder.connect_timeout(Duration::from_millis(500)).build().unwrap();
    let (send, mut arrived) = unbounded_channel();
    let serving = tokio::spawn(serve(listener, 1, send));
    let send = || {
        let client = client.clone();
        tokio::spawn(async move { client.send(&message()).await })
    };
    // This send takes the only stream of its connection.
    let first = send();
    let on_first = arrived.recv().await.unwrap();
    let second = send();
    let on_second = arrived.recv().await.unwrap();
    assert_eq!((on_first.connection, on_second.connection), (0, 1));
    for (message, sent) in [(on_second, second), (on_first, first)] {
        message.accept().await;
        assert_eq!(sent.await.unwrap().unwrap().attempts().len(), 1);
    }
    serving.abort();
}

/// Issues each token after 5 s, and accepts every message.
#[derive(Default)]
struct SlowTokens(AtomicUsize);

impl Transport for SlowTokens {
    async fn send(
        &self,
        request: Request<Bytes>,
        _: TransportContext,
    ) -> Result<Response, TransportError> {
        if request.uri().path() != "/endpoint" {
            self.0.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_secs(5)).await;
        }
        let body = r#"{"access_token":"slow","Meta":{"Logs":[{"ID":"1"}]}}"#;
        Ok(Response::new(StatusCode::OK, HeaderMap::new(), Ok(body.into())))
    }
}

#[test]
fn slow_token_request_is_shared_between_running_runtimes() {
    let transport = Arc::new(SlowTokens::default());
    let credentials = Credentials::signed_jwt("client", key());
    let builder = Client::builder().transport(transport.clone()).credentials(credentials);
    let client = builder.destination(DESTINATION).build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let client = client.clone();
            scope.spawn(move || {
                current_thread().block_on(async { client.send(&message()).await.unwrap() })
            });
        }
    });
    assert_eq!(transport.0.load(Ordering::Relaxed), 1);
}
