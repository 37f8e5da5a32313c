//! A client sends one copy of a message over slow lines and to slow services, with HTTP/1.1 and
//! HTTP/2.

use std::time::{Duration, Instant};

use pushslots::{Client, PushSlots};
use support::http2::serve_with;
use support::raw::{header, split};
use support::tls::{Authority, TlsListener};
use support::uplink::Uplink;
use support::{client, fixtures, message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::sleep;

/// Returns a message of at least this number of bytes.
fn large(bytes: usize) -> PushSlots {
    let message = String::from_utf8(message().to_json()).unwrap();
    let padding = "x".repeat(bytes);
    let padded = format!(r#"{},"Padding":"{padding}"}}"#, message.trim_end_matches('}'));
    PushSlots::from_json(&padded).unwrap()
}

/// Reads one request over HTTP/1.1 and accepts it after a delay. Returns the length of its body.
async fn accept_over_http1(listener: &TlsListener, after: Duration) -> usize {
    let mut stream = listener.accept().await.unwrap();
    let mut request = Vec::new();
    let mut length = None;
    while length.is_none_or(|length| request.len() < length) {
        assert!(stream.read_buf(&mut request).await.unwrap() > 0, "the request ended early");
        if length.is_none() {
            let (head, body) = split(&request);
            let content_length: Option<usize> =
                header(head, "content-length").map(|value| value.parse().unwrap());
            length = body.map(|_| head.len() + 4 + content_length.unwrap());
        }
    }
    sleep(after).await;
    let body = r#"{"Meta":{"Logs":[{"ID":"1"}]}}"#;
    let head =
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    split(&request).1.unwrap().len()
}

/// Reads one message over HTTP/2 and accepts it after a delay. Returns its length.
///
/// The window is larger than any message, as with Envoy, so nothing is sent back while a message
/// arrives.
async fn accept_over_http2(listener: &TlsListener, after: Duration) -> usize {
    let mut settings = h2::server::Builder::new();
    settings.initial_window_size(1 << 28).initial_connection_window_size(1 << 28);
    let stream = listener.accept().await.unwrap();
    let (send, mut arrived) = unbounded_channel();
    // Ends with the runtime of the test at the latest.
    tokio::spawn(serve_with(settings, stream, 0, send));
    let mut message = arrived.recv().await.unwrap();
    let length = message.read().await.len();
    sleep(after).await;
    message.response();
    length
}

/// Sends `message` over both versions of HTTP at the same time, with default settings, to services
/// that accept it after a delay. Asserts that each accepts the first attempt.
///
/// The line to each service carries `bytes_per_second`.
async fn send_both(message: &PushSlots, bytes_per_second: u32, after: Duration) -> Duration {
    let authority = Authority::generate();
    let tokens = fixtures::serve();
    let http1 = TlsListener::bind(&authority, None, &["http/1.1"]).await;
    let http2 = TlsListener::bind(&authority, None, &["h2"]).await;
    let lines =
        [&http1, &http2].map(|listener| Uplink::start(listener.address(), bytes_per_second));
    let clients = lines.each_ref().map(|line| {
        let builder = client(&format!("https://localhost:{}", line.port), "plain");
        let builder = builder.root_certificate(authority.pem.clone());
        builder.token_url(format!("{}/v2/auth/token", tokens.url())).build().unwrap()
    });
    let began = Instant::now();
    let send = async |client: &Client, version: &str| {
        let receipt = client.send(message).await.unwrap();
        println!("{version}: accepted after {:?}", began.elapsed());
        assert_eq!(receipt.attempts().len(), 1, "{version}: {:?}", receipt.attempts());
    };
    let ((), first, (), second) = tokio::join!(
        send(&clients[0], "HTTP/1.1"),
        accept_over_http1(&http1, after),
        send(&clients[1], "HTTP/2"),
        accept_over_http2(&http2, after),
    );
    assert_eq!(first, second, "the same message");
    began.elapsed()
}

#[tokio::test]
async fn upload_that_makes_progress_is_never_cut_off() {
    // On the slower line, a ping takes longer than the timeout after which a connection counts as
    // dead.
    let (large, medium) = (large(8 * 1024 * 1024), large(1_700_000));
    let (one, other) = tokio::join!(
        send_both(&large, 350_000, Duration::ZERO),
        send_both(&medium, 40_000, Duration::ZERO)
    );
    assert!(
        one > Duration::from_secs(20) && other > Duration::from_secs(40),
        "the lines are slow enough"
    );
}

#[tokio::test]
async fn a_slow_service_gets_one_copy() {
    send_both(&message(), u32::MAX, Duration::from_secs(40)).await;
}
