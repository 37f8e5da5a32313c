//! What one send does when the connection or the answer breaks: over bare sockets.

mod support;

use std::future::IntoFuture;
use std::time::{Duration, Instant, SystemTime};

use pushslots::mock::MockService;
use pushslots::{Client, Delivery, Error, ErrorKind, Receipt};
use support::raw::{Act, RawServer, header, split};
use support::{MESSAGE, client, fixtures, message};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const LOGS: &str = r#"{"Meta":{"Logs":[{"ID":"d9f5","AttemptID":"925d"}]}}"#;

fn accepted() -> Act {
    Act::answer("200 OK", "", LOGS)
}

/// A client whose tokens come from `tokens` and whose messages go to `service`.
fn faulty(service: &RawServer, tokens: &MockService) -> pushslots::ClientBuilder {
    client(&service.url, "plain").token_url(format!("{}/v2/auth/token", tokens.url()))
}

/// Sends the message through the acts: its result, and the bytes of every request.
async fn sent_through(acts: impl IntoIterator<Item = Act>) -> (Result<Receipt, Error>, Vec<Vec<u8>>) {
    let (service, tokens) = (RawServer::start(acts).await, fixtures::serve());
    let client = faulty(&service, &tokens).attempt_timeout(Duration::from_secs(2)).build().unwrap();
    let result = client.send(&message()).await;
    (result, service.finish().await)
}

fn deliveries(attempts: &[pushslots::Attempt]) -> Vec<Delivery> {
    attempts.iter().map(|attempt| attempt.delivery).collect()
}

fn body(request: &[u8]) -> &str {
    std::str::from_utf8(split(request).1.unwrap()).unwrap()
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_the_same_bytes_go_again() {
    for act in [Act::ResetAfterReading, Act::CloseAfterReading, Act::Stall(String::new())] {
        let (result, requests) = sent_through([act, accepted()]).await;
        let receipt = result.unwrap();
        assert_eq!(deliveries(receipt.attempts()), [Delivery::Unknown, Delivery::Accepted]);
        assert_eq!(receipt.attempts()[0].status, None);
        assert!(receipt.attempts()[0].error.is_some());

        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0], requests[1], "head and body, byte for byte");
        assert_eq!(body(&requests[0]), MESSAGE);
        let key = header(split(&requests[0]).0, "idempotency-key");
        assert_eq!(key, Some(receipt.message_id().to_string().as_str()));
    }
}

#[tokio::test]
async fn a_connection_cut_before_the_request_is_read_is_tried_again() {
    let (result, requests) = sent_through([Act::ResetBeforeReading, accepted()]).await;
    let receipt = result.unwrap();
    let deliveries = deliveries(receipt.attempts());
    // Where the request was written before the cut was seen, nothing tells whether it was read.
    assert!(matches!(deliveries[..], [Delivery::Unknown | Delivery::NotSent, Delivery::Accepted]));
    assert_eq!(requests.len(), 1);
    assert_eq!(body(&requests[0]), MESSAGE);
}

#[tokio::test]
async fn a_yes_is_a_yes_whatever_becomes_of_its_body() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"Meta\":{\"Lo";
    for act in [
        Act::Answer(cut.to_owned()),
        Act::Stall(cut.to_owned()),
        Act::answer("200 OK", "", ""),
        Act::answer("204 No Content", "", ""),
        Act::answer("202 Accepted", "Content-Type: text/html\r\n", "<html><body>Welcome</body></html>"),
        Act::answer("200 OK", "", "OK"),
        Act::answer("200 OK", "", "[1,2]"),
        Act::answer("200 OK", "", r#"{"Meta":{"Logs":"none","Errors":[]}}"#),
        Act::answer("200 OK", "", r#"{"Meta":{"Logs":null,"Errors":null}}"#),
        Act::answer("200 OK", "", r#"{"Meta":{"Errors":{}}}"#),
        Act::answer("200 OK", "", r#"{"Meta":{"Errors":[null,{}]}}"#),
        Act::answer("200 OK", "", r#"{"Meta":{"Errors":""}}"#),
        Act::answer("200 OK", "", &"[".repeat(5_000)),
        Act::answer("200 OK", "", &"x".repeat(5_000_000)),
    ] {
        let (result, requests) = sent_through([act]).await;
        let receipt = result.unwrap();
        assert_eq!(deliveries(receipt.attempts()), [Delivery::Accepted]);
        assert_eq!(receipt.attempts()[0].error, None);
        assert!(receipt.logs().is_empty());
        assert_eq!(requests.len(), 1, "an accepted message is never sent again");
    }
}

#[tokio::test]
async fn logs_are_read_in_every_shape() {
    for (answer, expected) in [
        (LOGS, [(Some("d9f5"), Some("925d"))].as_slice()),
        (
            r#"{"Meta":{"Logs":[{"ID":1234567890123456789,"AttemptID":987654321},{"ID":"b"}]}}"#,
            &[(Some("1234567890123456789"), Some("987654321")), (Some("b"), None)],
        ),
        (r#"{"Meta":{"Message":{"ID":4242}}}"#, &[(Some("4242"), None)]),
        (r#"{"Meta":{"Message":{"ID":4242},"Transmission":{"ID":17}}}"#, &[(Some("4242"), Some("17"))]),
    ] {
        let (result, _) = sent_through([Act::answer("200 OK", "", answer)]).await;
        let receipt = result.unwrap();
        let logs: Vec<_> =
            receipt.logs().iter().map(|log| (log.id.as_deref(), log.attempt_id.as_deref())).collect();
        assert_eq!(logs, expected, "{answer}");
    }
}

#[tokio::test]
async fn errors_in_a_yes_are_a_no_and_final() {
    let answer =
        r#"{"Meta":{"Logs":[{"ID":1}],"Errors":[{"ID":2,"Text":"Granite is unknown","Type":"message"}]}}"#;
    let (result, requests) = sent_through([Act::answer("200 OK", "", answer)]).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Refused, Delivery::Refused));
    assert_eq!(error.attempts()[0].status, Some(200));
    assert_eq!(error.service_text(), Some("Granite is unknown"));
    assert_eq!(error.logs()[0].id.as_deref(), Some("1"));
    assert!(!format!("{error} {error:?}").contains("Granite"));
    assert_eq!(requests.len(), 1);
}

#[tokio::test]
async fn errors_are_seen_in_every_shape_and_encoding() {
    let latin1 =
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"Meta\":{\"Errors\":[{\"Text\":\"M\xfcller\"}]}}";
    for answer in [
        Act::Bytes(latin1.to_vec()),
        Act::answer("200 OK", "", r#"{"Meta":{"Errors":{"ID":2}}}"#),
        Act::answer("200 OK", "", r#"{"Meta":{"Errors":["no"]}}"#),
        Act::answer("200 OK", "", r#"{"Meta":{"Errors":"no"}}"#),
    ] {
        let (result, requests) = sent_through([answer]).await;
        assert_eq!(result.unwrap_err().delivery(), Delivery::Refused);
        assert_eq!(requests.len(), 1);
    }
}

#[tokio::test]
async fn other_statuses_are_final_and_never_followed() {
    for status in ["301 Moved", "307 Elsewhere", "400 Bad", "403 No", "404 No", "413 Long", "422 No"] {
        let elsewhere = Act::answer(status, "Location: /elsewhere\r\n", "");
        let (result, requests) = sent_through([elsewhere]).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Refused, Delivery::Refused), "{status}");
        assert_eq!(requests.len(), 1, "{status}");
    }
}

#[tokio::test]
async fn the_service_is_quoted_in_every_shape_of_refusal() {
    for (body, expected) in [
        (r#"{"error":"invalid","error_description":"no"}"#, Some("invalid: no")),
        (r#"{"error":"invalid","error_description":""}"#, Some("invalid")),
        (r#"{"errorDetail":"broken"}"#, Some("broken")),
        (r#"{"Meta":{"Errors":[{"Text":"one"},{"Text":"two"}]}}"#, Some("one; two")),
        ("Invalid request", Some("Invalid request")),
        ("<html>gateway</html>", None),
        ("", None),
        ("{}", None),
    ] {
        let (result, _) = sent_through([Act::answer("400 Bad Request", "", body)]).await;
        assert_eq!(result.unwrap_err().service_text(), expected, "{body}");
    }
}

#[tokio::test]
async fn an_error_of_the_service_leaves_open_whether_it_has_the_message() {
    for (status, delivery) in [
        ("500 Unknown", Delivery::Unknown),
        ("502 Dropped", Delivery::Unknown),
        ("504 Late", Delivery::Unknown),
        ("599 Odd", Delivery::Unknown),
        ("503 Busy", Delivery::Refused),
        ("429 Busy", Delivery::Refused),
    ] {
        let (service, tokens) =
            (RawServer::start(vec![Act::answer(status, "", ""); 2]).await, fixtures::serve());
        let client = faulty(&service, &tokens).max_attempts(2).build().unwrap();
        let error = client.send(&message()).await.unwrap_err();
        assert_eq!(error.delivery(), delivery, "{status}");
        assert!(error.is_retryable(), "{status}");
        assert_eq!(error.attempts().len(), 2);
        let requests = service.finish().await;
        assert_eq!(requests.len(), 2, "{status}");
        assert_eq!(requests[0], requests[1], "{status}");
    }
}

#[tokio::test]
async fn one_unknown_attempt_makes_the_whole_send_unknown() {
    let (result, requests) =
        sent_through([Act::ResetAfterReading, Act::answer("400 Bad Request", "", "")]).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(deliveries(error.attempts()), [Delivery::Unknown, Delivery::Refused]);
    assert_eq!(error.delivery(), Delivery::Unknown, "the first copy may have been taken");
    assert_eq!(requests.len(), 2);
}

#[tokio::test]
async fn max_attempts_counts_requests() {
    for max_attempts in [1, 3] {
        let acts = vec![Act::ResetAfterReading; 5];
        let (service, tokens) = (RawServer::start(acts).await, fixtures::serve());
        let client = faulty(&service, &tokens).max_attempts(max_attempts).build().unwrap();
        let error = client.send(&message()).await.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Connection, Delivery::Unknown));
        assert_eq!(service.finish().await.len(), usize::try_from(max_attempts).unwrap());
        let numbers: Vec<_> = error.attempts().iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers, (1..=max_attempts).collect::<Vec<_>>());
        let (last, before) = error.attempts().split_last().unwrap();
        assert_eq!(last.delay, None);
        assert!(before.iter().all(|attempt| attempt.delay.is_some()));
    }
}

#[tokio::test]
async fn a_service_that_does_not_listen_never_got_the_message() {
    let tokens = fixtures::serve();
    // Bound, so that nobody else takes the port, and never listening.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = format!("http://{}", socket.local_addr().unwrap());
    let client =
        client(&nobody, "plain").token_url(format!("{}/v2/auth/token", tokens.url())).build().unwrap();
    let error = client.send(&message()).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Connection, Delivery::NotSent));
    assert_eq!(deliveries(error.attempts()), [Delivery::NotSent; 4]);
    assert!(
        error.to_string().contains("no connection could be made (127.0.0.1: Connection refused"),
        "{error}"
    );
    assert!(error.to_string().contains("the message never reached the service"), "{error}");
}

#[tokio::test]
async fn time_that_runs_out_while_connecting_is_known_to_have_sent_nothing() {
    let tokens = fixtures::serve();
    // A listener whose queue is full leaves further connections without an answer.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener: TcpListener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued: Vec<TcpStream> = Vec::new();
    while let Ok(stream) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        queued.push(stream.unwrap());
        assert!(queued.len() < 100, "the queue is full at some point");
    }
    let builder = || {
        let tokens = format!("{}/v2/auth/token", tokens.url());
        client(&format!("http://{address}"), "plain").token_url(tokens).max_attempts(1)
    };
    for client in [
        builder().attempt_timeout(Duration::from_secs(2)),
        builder().connect_timeout(Duration::from_millis(300)),
        builder().deadline(Duration::from_secs(2)),
    ] {
        let error = client.build().unwrap().send(&message()).await.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Timeout, Delivery::NotSent), "{error}");
    }
}

#[tokio::test]
async fn a_connection_that_the_service_closed_meanwhile_does_not_cost_the_message() {
    let kept = Act::Answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned());
    let (service, tokens) = (RawServer::start([kept, accepted()]).await, fixtures::serve());
    let client = faulty(&service, &tokens).build().unwrap();
    client.send(&message()).await.unwrap();
    let receipt = client.send(&message()).await.unwrap();
    assert_eq!(receipt.logs().len(), 1);
    let requests = service.finish().await;
    assert_eq!(requests.len(), 2);
    assert_eq!(body(&requests[1]), MESSAGE);
}

#[tokio::test]
async fn durations_of_any_size_are_none_too_long() {
    let (service, tokens) = (RawServer::start([accepted(), accepted()]).await, fixtures::serve());
    let patient = faulty(&service, &tokens)
        .deadline(Duration::MAX)
        .attempt_timeout(Duration::MAX)
        .connect_timeout(Duration::MAX)
        .build()
        .unwrap();
    patient.send(&message()).await.unwrap();
    patient.send(&message()).deadline(Duration::MAX).await.unwrap();
    let error = patient.send(&message()).deadline(Duration::ZERO).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Timeout, Delivery::NotSent));
    service.finish().await;
}

#[tokio::test]
async fn the_ids_of_every_answer_are_kept_for_support() {
    let with_id = |id: u32| format!(r#"{{"Meta":{{"Logs":[{{"ID":{id}}}]}}}}"#);
    let acts = [
        Act::answer("500 Unknown", "", &with_id(1)),
        Act::answer("502 Dropped", "", &with_id(2)),
        Act::CloseAfterReading,
        Act::answer("400 Bad", "", "no"),
    ];
    let (result, _) = sent_through(acts).await;
    let error = result.unwrap_err();
    let ids: Vec<_> = error.logs().iter().map(|log| log.id.as_deref().unwrap()).collect();
    assert_eq!(ids, ["1", "2"]);
    assert_eq!(error.service_text(), Some("no"));
    assert_eq!(error.delivery(), Delivery::Unknown);
    assert!(error.to_string().ends_with("whether the service has the message is not known"), "{error}");
}

#[tokio::test]
async fn the_deadline_ends_a_send_that_hangs() {
    let stall = vec![Act::Stall(String::new()); 3];
    let (service, tokens) = (RawServer::start(stall).await, fixtures::serve());
    let client = faulty(&service, &tokens).build().unwrap();
    let began = Instant::now();
    let error = client.send(&message()).deadline(Duration::from_secs(2)).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(10), "far from the 30 s of an attempt");
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Timeout, Delivery::Unknown));
    assert_eq!(error.attempts().len(), 1);
    assert!(error.to_string().contains("deadline of 2s"), "{error}");
    service.finish().await;
}

#[tokio::test]
async fn a_hint_beyond_reason_or_deadline_ends_the_send_and_goes_to_the_caller() {
    let in_an_hour = || httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3_600));
    for (hint, deadline, expected) in [
        (&(|| "121".to_owned()) as &dyn Fn() -> String, Duration::from_secs(600), 121),
        (&|| "99999999999999999999999".to_owned(), Duration::from_secs(600), u64::MAX),
        (&|| "60".to_owned(), Duration::from_secs(30), 60),
        (&in_an_hour, Duration::from_secs(600), 3_595),
    ] {
        for status in ["429 Busy", "503 Busy", "500 Unknown"] {
            let act = Act::answer(status, &format!("Retry-After: {}\r\n", hint()), "");
            let (service, tokens) = (RawServer::start([act]).await, fixtures::serve());
            let client = faulty(&service, &tokens).deadline(deadline).build().unwrap();
            let error = client.send(&message()).await.unwrap_err();
            let told = error.retry_after().unwrap().as_secs();
            // A date is of whole seconds, and some time passes until it is read.
            assert!((expected..=expected.saturating_add(5)).contains(&told), "{expected}: {told}");
            assert!(error.is_retryable());
            assert_eq!(error.attempts().len(), 1);
            assert_eq!(service.finish().await.len(), 1);
        }
    }
}

#[tokio::test]
async fn a_refused_token_buys_one_new_one_and_one_replay() {
    let refused = || Act::answer("401 Unauthorized", "", "");
    let (service, tokens) = (RawServer::start([refused(), accepted()]).await, fixtures::serve());
    let client = faulty(&service, &tokens).build().unwrap();
    let receipt = client.send(&message()).await.unwrap();
    assert_eq!(deliveries(receipt.attempts()), [Delivery::Refused, Delivery::Accepted]);
    assert_eq!(receipt.attempts()[0].delay, Some(Duration::ZERO));
    let requests = service.finish().await;
    assert_eq!(body(&requests[0]), body(&requests[1]));
    assert_eq!(tokens.requests().len(), 2);

    let (service, tokens) = (RawServer::start([refused(), refused(), accepted()]).await, fixtures::serve());
    let client = faulty(&service, &tokens).build().unwrap();
    let error = client.send(&message()).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Credentials, Delivery::Refused));
    assert!(!error.is_retryable());
    assert_eq!(service.finish().await.len(), 2);
    assert_eq!(tokens.requests().len(), 2);

    let hinted = Act::answer("401 Unauthorized", "Retry-After: 300\r\n", "");
    let (service, tokens) = (RawServer::start([hinted]).await, fixtures::serve());
    let client = faulty(&service, &tokens).max_attempts(1).build().unwrap();
    let error = client.send(&message()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(error.is_retryable(), "with a new token the message may well be accepted");
    service.finish().await;
}

#[tokio::test]
async fn a_dropped_send_stops() {
    let acts = [Act::Stall(String::new()), accepted()];
    let (service, tokens) = (RawServer::start(acts).await, fixtures::serve());
    let client: Client = faulty(&service, &tokens).build().unwrap();
    let message = message();
    tokio::select! {
        _ = client.send(&message).into_future() => panic!("the first connection stalls"),
        () = service.read_a_request() => {}
    }
    let receipt = client.send(&message).await.unwrap();
    assert_eq!(receipt.attempts().len(), 1, "the client goes on");
    assert_eq!(service.finish().await.len(), 2);
}
