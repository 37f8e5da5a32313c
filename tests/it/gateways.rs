//! Sends through gateways and proxies that respond instead of the service, or that change its
//! responses in transit.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use pushslots::http::StatusCode;
use pushslots::mock::MockService;
use pushslots::{Client, ClientBuilder, Credentials, Delivery, ErrorKind, NextStep, PushSlots};
use support::batch::slots;
use support::raw::{Act, RawServer, header, is_whole, split};
use support::scripted::{Scripted, response};
use support::{DESTINATION, client, fixtures, message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::yield_now;
use tokio::time::Instant;

const LOGS: &str = r#"{"Meta":{"Logs":[{"ID":"d9f5","AttemptID":"925d"}]}}"#;
const ERRORS: &str = r#"{"Meta":{"Errors":[{"Text":"No destination"}]}}"#;

/// Returns a service that issues tokens, and a builder for a client that sends messages to `url`.
fn messages_to(url: &str) -> (MockService, ClientBuilder) {
    let tokens = fixtures::serve();
    let token_url = format!("{}/v2/auth/token", tokens.url());
    (tokens, client(url, "plain").token_url(token_url))
}

/// Creates a response with these header lines, which may violate HTTP.
fn with_header_lines(lines: &[u8]) -> Act {
    let head =
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n", LOGS.len());
    Act::Bytes([head.as_bytes(), lines, b"\r\n", LOGS.as_bytes()].concat())
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn encoded(status: &str, coding: &str, body: &[u8]) -> Act {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Encoding: {coding}\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    Act::Bytes([head.as_bytes(), body].concat())
}

#[tokio::test]
async fn every_request_asks_for_a_response_without_content_coding() {
    let token = Act::response("200 OK", "", r#"{"access_token":"token","accessToken":"token"}"#);
    for credentials in
        [Credentials::signed_jwt("client", support::key()), Credentials::api_key("key", "secret")]
    {
        let service = RawServer::start([token.clone(), Act::response("200 OK", "", LOGS)]).await;
        let builder = Client::builder().base_url(&service.url).destination(DESTINATION);
        builder.credentials(credentials).build().unwrap().send(&message()).await.unwrap();
        for request in service.finish().await {
            assert_eq!(header(split(&request).0, "accept-encoding"), Some("identity"));
        }
    }
}

#[tokio::test]
async fn success_in_a_content_coding_is_unknown_and_names_the_coding() {
    for (coding, name) in [
        ("gzip", "gzip"),
        ("X-GZIP", "x-gzip"),
        ("identity, br", "br"),
        ("zstd", "zstd"),
        ("canary", "unknown"),
    ] {
        for body in [ERRORS, LOGS] {
            let service = RawServer::start([encoded("200 OK", coding, &gzip(body))]).await;
            let (_tokens, builder) = messages_to(&service.url);
            let error =
                builder.max_attempts(1).build().unwrap().send(&message()).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.delivery()),
                (ErrorKind::Unavailable, Delivery::Unknown)
            );
            assert_eq!((error.service_text(), error.is_retryable()), (None, true));
            let expected =
                format!("the response can't be read: its content coding is {name}, although");
            assert!(error.to_string().contains(&expected), "{error}");
            service.finish().await;
        }
    }
}

#[tokio::test]
async fn reason_in_a_compressed_response_is_not_shown() {
    // A gateway may also compress a response without announcing it.
    let unmarked = [b"HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\n", &gzip(ERRORS)[..]].concat();
    for act in [encoded("400 Bad Request", "gzip", &gzip(ERRORS)), Act::Bytes(unmarked)] {
        let service = RawServer::start([act]).await;
        let (_tokens, builder) = messages_to(&service.url);
        let error = builder.build().unwrap().send(&message()).await.unwrap_err();
        assert_eq!((error.delivery(), error.service_text()), (Delivery::Rejected, None));
        service.finish().await;
    }
}

#[tokio::test]
async fn header_lines_that_other_clients_tolerate_are_accepted() {
    let many = |count: usize| {
        (0..count)
            .flat_map(|number| format!("X-Gateway-{number}: passed\r\n").into_bytes())
            .collect::<Vec<_>>()
    };
    // `Connection` and `Content-Length` are two more headers.
    let over_a_hundred = many(99);
    let as_many_as_possible = many(254);
    for lines in [
        &b"X-Note: one\x01two\r\n"[..],
        b"X-Note: \x1b[31m\x7f\r\n",
        b"X-Note: M\xfcller\r\n",
        b"X Note: spaced\r\n",
        b"X-Note : late colon\r\n",
        b"X-N\xf6te: umlaut\r\n",
        b"X-Note: folded\r\n over two lines\r\n",
        b"X-Note: folded\r\n\tby a tab\r\nX-Other: plain\r\n",
        b"X-Note:\r\n",
        &over_a_hundred,
        &as_many_as_possible,
    ] {
        let shown = String::from_utf8_lossy(&lines[..lines.len().min(60)]).into_owned();
        let service = RawServer::start([with_header_lines(lines)]).await;
        let (_tokens, builder) = messages_to(&service.url);
        let receipt = builder.max_attempts(1).build().unwrap().send(&message()).await;
        let receipt = receipt.unwrap_or_else(|error| panic!("{shown:?}: {error}"));
        assert_eq!(receipt.logs()[0].id.as_deref(), Some("d9f5"), "{shown:?}");
        service.finish().await;
    }
}

#[tokio::test]
async fn response_with_too_many_header_lines_leaves_the_outcome_unknown() {
    // `Connection` and `Content-Length` are two more headers.
    let lines = "X-Gateway: passed\r\n".repeat(255);
    let service = RawServer::start([with_header_lines(lines.as_bytes())]).await;
    let (_tokens, builder) = messages_to(&service.url);
    let error = builder.max_attempts(1).build().unwrap().send(&message()).await.unwrap_err();
    assert_eq!(error.delivery(), Delivery::Unknown);
    service.finish().await;
}

#[tokio::test]
async fn content_length_next_to_chunks_does_not_hide_an_error() {
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
                Content-Length: 900\r\n\r\n";
    let body = format!("{head}{:x}\r\n{ERRORS}\r\n0\r\n\r\n", ERRORS.len());
    let service = RawServer::start([Act::Response(body)]).await;
    let (_tokens, builder) = messages_to(&service.url);
    let error = builder.max_attempts(1).build().unwrap().send(&message()).await.unwrap_err();
    assert_eq!(
        (error.delivery(), error.service_text()),
        (Delivery::Rejected, Some("No destination"))
    );
    service.finish().await;
}

#[tokio::test(start_paused = true)]
async fn retry_after_with_a_fraction_is_waited_for() {
    let mut steps = vec![429, 503, 429].into_iter();
    let service = Scripted::with(
        || response(StatusCode::OK, &[], r#"{"access_token":"token"}"#),
        move || match steps.next() {
            Some(status) => {
                response(StatusCode::from_u16(status).unwrap(), &[("retry-after", b"3.5")], "")
            }
            None => response(StatusCode::OK, &[], LOGS),
        },
    );
    let began = Instant::now();
    let receipt = service.client().send(&message()).await.unwrap();
    let delay = Duration::from_millis(3_500);
    assert!(began.elapsed() >= 3 * delay, "{:?}", began.elapsed());
    for attempt in &receipt.attempts()[..3] {
        assert_eq!((attempt.retry_after, attempt.next_step), (Some(delay), NextStep::RetryAfter));
        assert_eq!(serde_json::to_value(attempt).unwrap()["retry_after_s"], 4, "rounded up");
    }
}

#[tokio::test(start_paused = true)]
async fn too_long_retry_after_ends_the_send_and_is_shown_rounded_up() {
    let busy = || response(StatusCode::TOO_MANY_REQUESTS, &[("retry-after", b"299.997")], "");
    let service =
        Scripted::with(|| response(StatusCode::OK, &[], r#"{"access_token":"token"}"#), busy);
    let error = service.client().send(&message()).await.unwrap_err();
    assert_eq!((service.messages(), error.kind()), (1, ErrorKind::Throttled));
    assert_eq!(error.retry_after(), Some(Duration::from_millis(299_997)));
    assert!(error.to_string().contains("the service asks for a delay of 300 s"), "{error}");
    assert_eq!(serde_json::to_value(&error).unwrap()["retry_after_s"], 300);
}

#[tokio::test(start_paused = true)]
async fn retry_after_date_is_compared_with_the_date_of_the_response() {
    // The service's clock is decades behind that of this machine, or decades ahead.
    for year in ["2001", "2101"] {
        let at = |time: &str| format!("{}, 06 Nov {year} {time} GMT", weekday(year));
        let date = at("08:49:34");
        let later = at("08:49:37");
        let mut is_first = true;
        let service = Scripted::with(
            || response(StatusCode::OK, &[], r#"{"access_token":"token"}"#),
            move || match std::mem::take(&mut is_first) {
                true => {
                    let headers = [("retry-after", later.as_bytes()), ("date", date.as_bytes())];
                    response(StatusCode::TOO_MANY_REQUESTS, &headers, "")
                }
                false => response(StatusCode::OK, &[], LOGS),
            },
        );
        let began = Instant::now();
        let receipt = service.client().send(&message()).await.unwrap();
        assert_eq!(receipt.attempts()[0].retry_after, Some(Duration::from_secs(3)), "{year}");
        assert!((3..5).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    }
}

/// Returns the weekday of 6 November.
fn weekday(year: &str) -> &'static str {
    if year == "2001" { "Tue" } else { "Sun" }
}

#[tokio::test]
async fn success_before_the_whole_message_was_sent_is_unknown() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 4096]).await.unwrap();
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{LOGS}", LOGS.len());
        stream.write_all(response.as_bytes()).await.unwrap();
        // Only the bytes in transit still arrive, because the client cuts off the upload.
        let mut read = 0;
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(bytes @ 1..) = stream.read(&mut buffer).await {
            read += bytes;
        }
        read
    });
    let (_tokens, builder) = messages_to(&url);
    // This message is larger than the socket buffers between client and service.
    let large = PushSlots::builder().slots(slots(0..200_000)).build().unwrap();
    let error = builder.max_attempts(1).build().unwrap().send(&large).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::Unknown));
    assert_eq!(error.attempts()[0].status.map(u16::from), Some(200));
    assert_eq!(error.logs()[0].id.as_deref(), Some("d9f5"));
    assert!(
        error.to_string().contains("responded with 200 before the whole message was sent"),
        "{error}"
    );
    let read = served.await.unwrap();
    let length = large.to_json().len();
    assert!(read < length / 2, "{read} of {length}");
}

/// Starts a service that accepts this number of connections, and silently closes each after one
/// response.
///
/// Before each close it waits for a signal on the first channel. It confirms the close on the
/// second.
fn closes_silently(connections: usize) -> (String, mpsc::Sender<()>, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (close, signals) = mpsc::channel();
    let (closed, confirmations) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(connections) {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            while !is_whole(&request) {
                let mut buffer = [0; 4096];
                let read = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..read]);
            }
            let response =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{LOGS}", LOGS.len());
            stream.write_all(response.as_bytes()).unwrap();
            signals.recv().unwrap();
            drop(stream);
            closed.send(()).unwrap();
        }
    });
    (url, close, confirmations)
}

#[tokio::test]
async fn connection_closed_while_the_thread_was_busy_does_not_cost_an_attempt() {
    let (url, close, confirmations) = closes_silently(20);
    let (_tokens, builder) = messages_to(&url);
    let client = builder.max_attempts(1).build().unwrap();
    for _ in 0..20 {
        let receipt = client.send(&message()).await.unwrap();
        assert_eq!(receipt.attempts().len(), 1);
        // Lets the connection become idle.
        for _ in 0..100 {
            yield_now().await;
        }
        // Blocks the only thread of the runtime until the connection is closed, and for some time
        // after that.
        close.send(()).unwrap();
        confirmations.recv_timeout(Duration::from_secs(30)).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[tokio::test]
async fn success_with_text_after_its_json_is_unknown() {
    for (body, delivery) in
        [(LOGS.to_owned(), None), (format!("{LOGS} <!-- proxy -->"), Some(Delivery::Unknown))]
    {
        let service = RawServer::start([Act::response("200 OK", "", &body)]).await;
        let (_tokens, builder) = messages_to(&service.url);
        let sent = builder.max_attempts(1).build().unwrap().send(&message()).await;
        assert_eq!(sent.err().map(|error| error.delivery()), delivery, "{body}");
    }
}
