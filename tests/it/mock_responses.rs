//! The mock plays scripted responses, and records them.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use http::StatusCode;
use pushslots::mock::{MockResponse, MockService};
use pushslots::{Delivery, ErrorKind};
use support::any::{Any, client, token};
use support::{MESSAGE, any_http, message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

#[tokio::test]
async fn scripted_responses_are_given_in_order() {
    let service = MockService::start().unwrap();
    let client = client(&service).max_attempts(10).build().unwrap();
    service.respond_next(MockResponse::unavailable().times(2));
    service.respond_next(MockResponse::usual().times(0));
    service.respond_next(MockResponse::new(StatusCode::BAD_GATEWAY));
    service.respond_next_token(MockResponse::unavailable());
    assert_eq!(service.pending_responses(), 4);
    let receipt = client.send(&message()).await.unwrap();
    assert_eq!(service.pending_responses(), 0);
    let statuses: Vec<_> =
        receipt.attempts().iter().map(|attempt| attempt.status.map(u16::from)).collect();
    assert_eq!(statuses, [None, Some(503), Some(503), Some(502), Some(200)]);
    // A rejected token takes precedence over a scripted response that accepts the message.
    service.respond_next(MockResponse::reset_after_read().after_accepting());
    service.revoke_tokens();
    let receipt = client.send(&message()).await.unwrap();
    assert_eq!(receipt.attempts()[0].status.map(u16::from), Some(401));

    service.respond_next(MockResponse::rejected("Try elsewhere"));
    let error = client.send(&message()).await.unwrap_err();
    assert_eq!((error.kind(), error.service_text()), (ErrorKind::Rejected, Some("Try elsewhere")));
    service.respond_next(MockResponse::unavailable());
    service.clear_script();
    assert_eq!(client.send(&message()).await.unwrap().attempts().len(), 1);
}

#[tokio::test]
async fn outage_ends_when_its_time_is_over() {
    let service = MockService::start().unwrap();
    let outage = Duration::from_millis(600);
    let began = Instant::now();
    service.fail_for(outage);
    let receipt =
        client(&service).max_attempts(100).build().unwrap().send(&message()).await.unwrap();
    assert!(began.elapsed() >= outage && receipt.attempts().len() > 1);
    assert_eq!(service.received().len(), 1);
    service.fail_for(Duration::MAX);
    let client = client(&service).max_attempts(1).build().unwrap();
    assert_eq!(client.send(&message()).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

/// Starts a request that announces the length of the whole message, and sends only `body`.
async fn begin_request(service: &MockService, token: &str, body: &str) -> tokio::net::TcpStream {
    let head = format!(
        "POST /endpoint HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        MESSAGE.len()
    );
    let address = service.url().strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn malformed_responses_are_malformed_on_the_wire() {
    let service = MockService::builder().without_rate_limit().start().unwrap();
    let token = token(&service, &Any::of(&service)).await;
    let long = Duration::from_secs(30);
    let response_bytes = |response: MockResponse, limit: Duration| {
        service.respond_next(response);
        let service = &service;
        let token = &token;
        async move {
            let mut stream = begin_request(service, token, MESSAGE).await;
            let mut bytes = Vec::new();
            let read = timeout(limit, stream.read_to_end(&mut bytes)).await;
            (
                read.map(|result| result.map_err(|error| error.kind())),
                String::from_utf8(bytes).unwrap(),
            )
        }
    };
    let (read, bytes) = response_bytes(MockResponse::reset_after_read(), long).await;
    assert_eq!((read.unwrap(), &*bytes), (Err(std::io::ErrorKind::ConnectionReset), ""));
    let (read, bytes) = response_bytes(MockResponse::closed_after_read(), long).await;
    assert_eq!((read.unwrap(), &*bytes), (Ok(0), ""));
    let (read, bytes) = response_bytes(MockResponse::stall(), Duration::from_millis(300)).await;
    assert!(read.is_err() && bytes.is_empty());
    let (read, bytes) = response_bytes(MockResponse::truncated(), long).await;
    assert!(read.unwrap().is_ok() && bytes.starts_with("HTTP/1.1 200 OK\r\n"), "{bytes}");
    let (head, body) = bytes.split_once("\r\n\r\n").unwrap();
    let length: usize = support::raw::header(head, "content-length").unwrap().parse().unwrap();
    assert!(body.starts_with(r#"{"Meta":"#) && body.len() < length, "{length}: {body}");
    let (read, bytes) = response_bytes(MockResponse::malformed_chunk(), long).await;
    assert!(
        read.unwrap().is_ok() && bytes.starts_with("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked")
    );
    let (read, bytes) = response_bytes(MockResponse::garbage(), long).await;
    assert!(read.unwrap().is_ok() && !bytes.is_empty() && !bytes.starts_with("HTTP"), "{bytes}");
    // Only the message with the truncated response was accepted.
    assert_eq!((service.received().len(), service.counts().without_response), (1, 6));
}

#[tokio::test]
async fn record_of_a_request_has_the_name_of_its_response() {
    let service = MockService::start().unwrap();
    let client = client(&service).max_attempts(1).build().unwrap();
    for (response, outcome) in [
        (MockResponse::new(StatusCode::CONFLICT), "Conflict"),
        (MockResponse::throttled(), "throttled"),
        (MockResponse::unavailable(), "unavailable"),
        (MockResponse::unavailable().after_accepting(), "accepted, then unavailable"),
        (MockResponse::rejected("Duration"), "rejected"),
        (MockResponse::block_page(), "block page"),
        (MockResponse::reset_after_read(), "reset after read"),
        (MockResponse::closed_after_read(), "closed after read"),
        (MockResponse::truncated(), "accepted, then truncated"),
        (MockResponse::malformed_chunk(), "malformed chunk"),
        (MockResponse::garbage(), "garbage"),
        (MockResponse::odd_headers(), "accepted, then odd headers"),
        (MockResponse::usual(), "accepted"),
        (MockResponse::usual().body("{}"), "accepted, then usual"),
    ] {
        let shown = format!("{response:?}");
        service.respond_next(response);
        client.send(&message()).await.ok();
        assert_eq!(service.requests().last().unwrap().outcome(), outcome);
        let name = outcome.rsplit(", then ").next().unwrap();
        assert!(outcome == "accepted" || shown.contains(&format!("{name:?}")), "{shown}");
    }
}

#[tokio::test]
async fn gateway_responses_are_simulated() {
    let service = MockService::start().unwrap();
    let client = client(&service).max_attempts(1).build().unwrap();

    service.respond_next(MockResponse::block_page());
    let error = client.send(&message()).await.unwrap_err();
    assert_eq!((error.delivery(), service.received().len()), (Delivery::Unknown, 0));
    service.respond_next(MockResponse::block_page().after_accepting());
    let error = client.send(&message()).await.unwrap_err();
    assert_eq!((error.delivery(), service.received().len()), (Delivery::Unknown, 1));

    service.respond_next(MockResponse::usual().gzip());
    let error = client.send(&message()).await.unwrap_err();
    assert!(error.to_string().contains("its content coding is gzip"), "{error}");
    assert_eq!((error.delivery(), service.received().len()), (Delivery::Unknown, 2));

    service.respond_next(MockResponse::accepted_with_errors("Granite is unknown"));
    let error = client.send(&message()).await.unwrap_err();
    assert_eq!(
        (error.delivery(), error.service_text()),
        (Delivery::Unknown, Some("Granite is unknown"))
    );
    assert!(!error.is_retryable());
    assert_eq!(error.logs(), service.received()[2].logs());
    assert_eq!(service.requests().last().unwrap().outcome(), "accepted, then errors");

    service.respond_next(MockResponse::odd_headers());
    let receipt = client.send(&message()).await.unwrap();
    assert_eq!(receipt.logs(), service.received()[3].logs());
    assert_eq!(service.requests().last().unwrap().status(), Some(StatusCode::OK));
    assert_eq!(service.counts().without_response, 0);
}

#[tokio::test]
async fn compressed_response_is_valid_gzip() {
    let service = MockService::start().unwrap();
    let any = Any::of(&service);
    let token = token(&service, &any).await;
    service.respond_next(MockResponse::usual().gzip());
    let url = format!("{}/endpoint", service.url());
    let request =
        any_http().post(url).bearer_auth(token).header("content-type", "application/json");
    let response = request.body(MESSAGE).send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let mut json = String::new();
    let body = response.bytes().await.unwrap();
    flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut json).unwrap();
    assert!(json.starts_with(r#"{"Meta":{"DataModel":"Scheduling""#), "{json}");
}

/// Waits until the mock has counted this number of requests without a complete response.
async fn wait_for_requests_without_response(service: &MockService, count: usize) {
    let counted = async {
        while service.counts().without_response < count {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), counted).await.expect("the mock didn't count the requests");
}

#[tokio::test]
async fn client_that_disconnects_early_counts_as_without_response() {
    let service = MockService::start().unwrap();
    let token = token(&service, &Any::of(&service)).await;
    service.respond_next(MockResponse::usual().delay(Duration::from_secs(3_600)));
    let stream = begin_request(&service, &token, MESSAGE).await;
    timeout(Duration::from_secs(30), service.wait_for(1)).await.unwrap();
    drop(stream);
    wait_for_requests_without_response(&service, 1).await;
    let request = service.requests().pop().unwrap();
    assert_eq!((request.status(), request.outcome()), (None, "accepted"));

    // A request with a cut body isn't a message, but it is recorded.
    let stream = begin_request(&service, &token, &MESSAGE[..100]).await;
    drop(stream);
    wait_for_requests_without_response(&service, 2).await;
    let request = service.requests().pop().unwrap();
    assert_eq!(
        (request.status(), request.reason()),
        (None, Some("the client disconnected before the end of the request"))
    );
    let counts = service.counts();
    assert_eq!((counts.accepted, counts.rejected, counts.message_requests), (1, 0, 2));
}

#[tokio::test]
async fn throttled_response_names_the_configured_limit() {
    let service = MockService::builder().rate_limit(0, Duration::from_secs(60)).start().unwrap();
    let response = any_http().post(format!("{}/endpoint", service.url())).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["x-ratelimit-limit"]),
        (429, &"0".parse().unwrap())
    );
}

#[tokio::test]
async fn requests_above_the_rate_get_429_until_the_window_has_passed() {
    let window = Duration::from_secs(1);
    let service = MockService::builder().rate_limit(3, window).start().unwrap();
    let any = Any::of(&service);
    let began = Instant::now();
    let token = token(&service, &any).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(any.push(&token, MESSAGE).await.0);
    }
    if began.elapsed() < window {
        assert_eq!(statuses, [200, 200, 429, 429]);
        assert_eq!(service.requests().last().unwrap().reason(), Some("over the rate limit"));
    }
    // Rejected requests don't count, so the limit ends even if more of them arrive.
    let until_accepted = async { while any.push(&token, MESSAGE).await.0 != 200 {} };
    timeout(Duration::from_secs(30), until_accepted).await.unwrap();
    assert!(began.elapsed() >= window);
}

#[test]
fn panic_in_the_mock_fails_the_test_that_drops_it() {
    let use_mock = |respond: fn(&pushslots::mock::ReceivedRequest) -> Option<MockResponse>| {
        let service = MockService::builder().respond_with(respond).start().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = client(&service).max_attempts(1).build().unwrap();
        let sent = runtime.block_on(async { client.send(&message()).await });
        (sent.is_ok(), catch_unwind(AssertUnwindSafe(|| drop(service))))
    };
    let (_, dropped) = use_mock(|request| {
        assert_ne!(request.path(), "/endpoint", "no message was expected");
        None
    });
    let panic = dropped.unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("no message was expected"), "{text}");
    let (is_ok, dropped) = use_mock(|_| None);
    assert!(is_ok && dropped.is_ok());
}
