//! The result of a send over plain sockets if the connection or the response is faulty.

use std::future::IntoFuture;
use std::time::{Duration, Instant, SystemTime};

use pushslots::mock::MockService;
use pushslots::{
    BodyKind, Classification, Client, Delivery, Error, ErrorKind, NextStep, OnUnknown, Receipt,
};
use support::raw::{Act, RawServer, header, split};
use support::{MESSAGE, client, fixtures, message};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const LOGS: &str = r#"{"Meta":{"Logs":[{"ID":"d9f5","AttemptID":"925d"}]}}"#;

fn accepted() -> Act {
    Act::response("200 OK", "", LOGS)
}

/// Returns a builder for a client that requests tokens from `tokens` and sends messages to
/// `service`.
fn builder_for(service: &RawServer, tokens: &MockService) -> pushslots::ClientBuilder {
    client(&service.url, "plain").token_url(format!("{}/v2/auth/token", tokens.url()))
}

/// Sends a message to a server that plays these acts. Returns the result and the bytes of every
/// request.
async fn sent_through(
    acts: impl IntoIterator<Item = Act>,
) -> (Result<Receipt, Error>, Vec<Vec<u8>>) {
    let service = RawServer::start(acts).await;
    let tokens = fixtures::serve();
    let client =
        builder_for(&service, &tokens).attempt_timeout(Duration::from_secs(2)).build().unwrap();
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
async fn lost_response_is_unknown_and_the_same_bytes_are_sent_again() {
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
async fn connection_cut_before_the_request_is_read_is_retried() {
    let (result, requests) = sent_through([Act::ResetBeforeReading, accepted()]).await;
    let receipt = result.unwrap();
    let deliveries = deliveries(receipt.attempts());
    // If the request was written before the client noticed the cut, it is unknown whether the
    // server read it.
    assert!(matches!(deliveries[..], [Delivery::Unknown | Delivery::NotSent, Delivery::Accepted]));
    assert_eq!(requests.len(), 1);
    assert_eq!(body(&requests[0]), MESSAGE);
}

#[tokio::test]
async fn success_without_a_whole_body_is_accepted() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"Meta\":{\"Lo";
    for act in [
        Act::Response(cut.to_owned()),
        Act::Stall(cut.to_owned()),
        Act::response("200 OK", "", ""),
        Act::response("200 OK", "", " \r\n"),
        Act::response("204 No Content", "", ""),
        Act::response("202 Accepted", "Content-Type: text/html\r\nContent-Encoding: gzip\r\n", ""),
        Act::response("200 OK", "", r#"{"Meta":{}}"#),
        Act::response("200 OK", "", "\u{feff}{\"Meta\":{\"DataModel\":\"Scheduling\"}}"),
        Act::response(
            "200 OK",
            "Content-Encoding: Identity\r\n",
            r#"{"Meta":{"Logs":"none","Errors":[]}}"#,
        ),
        Act::response("200 OK", "", r#"{"Meta":{"Logs":null,"Errors":null}}"#),
        Act::response("200 OK", "", r#"{"Meta":{"Errors":{}}}"#),
        Act::response("200 OK", "", r#"{"Meta":{"Errors":[null,{}]},"error":null}"#),
        Act::response("200 OK", "", r#"{"Meta":{"Errors":""},"error":""}"#),
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
async fn success_with_a_body_that_the_service_does_not_send_is_unknown() {
    let block_page = "<html><head><title>Request Rejected</title></head>\
                      <body>Your support ID is: 1</body></html>";
    for (headers, body) in [
        ("Content-Type: text/html\r\n", block_page),
        ("Content-Type: text/plain\r\n", "please log in"),
        ("", "OK"),
        ("", "[1,2]"),
        ("", "[]"),
        ("", "{}"),
        ("", "null"),
        ("", r#""accepted""#),
        ("", r#"{"status":"ok"}"#),
        ("", r#"{"message":"received"}"#),
        ("", r#"{"errors":[{"message":"upstream timed out"}]}"#),
        ("", r#"{"error":null,"errorDetail":"","result":1}"#),
        ("", r#"{"Meta":null}"#),
        ("", r#"{"Meta":"ok"}"#),
        ("", r#"{"meta":{"logs":[{"id":"1"}]}}"#),
        ("", r#"[{"Meta":{"Logs":[{"ID":"1"}]}}]"#),
        ("", r#"[{"error":"no"}] and more"#),
        ("", &"[".repeat(5_000)),
        ("", &"x".repeat(5_000_000)),
    ] {
        let shown = &body[..body.len().min(60)];
        let acts = vec![Act::response("200 OK", headers, body); 2];
        let service = RawServer::start(acts).await;
        let tokens = fixtures::serve();
        let client = builder_for(&service, &tokens).max_attempts(2).build().unwrap();
        let error = client.send(&message()).await.unwrap_err();
        assert_eq!(deliveries(error.attempts()), [Delivery::Unknown; 2], "{shown}");
        assert_eq!(
            (error.kind(), error.delivery()),
            (ErrorKind::Unavailable, Delivery::Unknown),
            "{shown}"
        );
        assert!(
            error.is_retryable() && error.attempts()[0].status.map(u16::from) == Some(200),
            "{shown}"
        );
        assert!(error.to_string().contains("the response with 200 isn't the service's"), "{error}");
        service.finish().await;

        let acts = [Act::response("200 OK", headers, body)];
        let service = RawServer::start(acts).await;
        let tokens = fixtures::serve();
        let client = builder_for(&service, &tokens).on_unknown(OnUnknown::Stop).build().unwrap();
        assert_eq!(client.send(&message()).await.unwrap_err().attempts().len(), 1);
        assert_eq!(service.finish().await.len(), 1, "the message isn't sent again");
    }
}

#[tokio::test]
async fn success_with_a_lost_body_that_the_service_does_not_send_is_unknown() {
    for header in ["Content-Type: text/html", "Content-Type: text/plain", "Content-Encoding: br"] {
        let cut = format!("HTTP/1.1 200 OK\r\n{header}\r\nContent-Length: 500\r\n\r\n");
        let (result, _) = sent_through([Act::Response(cut), accepted()]).await;
        let deliveries = deliveries(result.unwrap().attempts());
        assert_eq!(deliveries, [Delivery::Unknown, Delivery::Accepted], "{header}");
    }
    let json = "HTTP/1.1 200 OK\r\nContent-Type: application/JSON; charset=utf-8\r\n\
                Content-Length: 500\r\n\r\n";
    let (result, requests) = sent_through([Act::Response(json.to_owned())]).await;
    assert_eq!((result.unwrap().attempts().len(), requests.len()), (1, 1));
}

#[tokio::test]
async fn custom_classifier_sees_the_kind_of_body() {
    let gzip = "Content-Encoding: gzip\r\n";
    for (headers, body, kind) in [
        ("", LOGS, BodyKind::Service),
        ("", "", BodyKind::Empty),
        ("", r#"{"error":"no"}"#, BodyKind::KnownError),
        (gzip, "\u{1f}", BodyKind::Encoded),
        ("", r#"{"status":"queued"}"#, BodyKind::Other),
    ] {
        let service = RawServer::start([Act::response("200 OK", headers, body)]).await;
        let tokens = fixtures::serve();
        let client = builder_for(&service, &tokens).classifier(move |exchange| {
            assert_eq!((exchange.body_kind(), exchange.is_early()), (Some(kind), false));
            Classification::Accepted
        });
        client.build().unwrap().send(&message()).await.unwrap();
        service.finish().await;
    }
    let cut = Act::Response("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_owned());
    let service = RawServer::start([cut]).await;
    let tokens = fixtures::serve();
    let client = builder_for(&service, &tokens).classifier(|exchange| {
        assert_eq!(exchange.body_kind(), Some(BodyKind::Lost));
        exchange.classification()
    });
    client.build().unwrap().send(&message()).await.unwrap();
    service.finish().await;
}

#[tokio::test]
async fn logs_are_read_in_every_shape() {
    for (response, expected) in [
        (LOGS, [(Some("d9f5"), Some("925d"))].as_slice()),
        (
            r#"{"Meta":{"Logs":[{"ID":1234567890123456789,"AttemptID":987654321},{"ID":"b"}]}}"#,
            &[(Some("1234567890123456789"), Some("987654321")), (Some("b"), None)],
        ),
        (r#"{"Meta":{"Message":{"ID":4242}}}"#, &[(Some("4242"), None)]),
        (
            r#"{"Meta":{"Message":{"ID":4242},"Transmission":{"ID":17}}}"#,
            &[(Some("4242"), Some("17"))],
        ),
    ] {
        let (result, _) = sent_through([Act::response("200 OK", "", response)]).await;
        let receipt = result.unwrap();
        let logs: Vec<_> = receipt
            .logs()
            .iter()
            .map(|log| (log.id.as_deref(), log.attempt_id.as_deref()))
            .collect();
        assert_eq!(logs, expected, "{response}");
    }
}

#[tokio::test]
async fn success_with_errors_and_no_log_id_is_rejected() {
    let latin1 = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\
          {\"Meta\":{\"Errors\":[{\"Text\":\"M\xfcller\"}]}}";
    let response = |body: &str| Act::response("200 OK", "", body);
    for (act, text) in [
        (
            response(r#"{"Meta":{"Errors":[{"ID":2,"Text":"Granite is unknown"}]}}"#),
            Some("Granite is unknown"),
        ),
        (response(r#"{"Meta":{"Logs":[],"Errors":[{"Text":"Granite"}]}}"#), Some("Granite")),
        (
            response(r#"{"Meta":{"Logs":[{"ID":null}],"Errors":[{"Text":"Granite"}]}}"#),
            Some("Granite"),
        ),
        (Act::Bytes(latin1.to_vec()), Some("M\u{fffd}ller")),
        (response(r#"{"Meta":{"Errors":{"ID":2}}}"#), None),
        (response(r#"{"Meta":{"Errors":["Granite"]}}"#), Some("Granite")),
        (response(r#"{"Meta":{"Errors":"Granite"}}"#), Some("Granite")),
        (response(r#"[{"Meta":{"Errors":[{"Text":"Granite"}]}}]"#), Some("Granite")),
        (response(r#"{"meta":{"errors":[{"text":"Granite"}]}}"#), Some("Granite")),
        (response(r#"{"Meta":{},"error":"Granite"}"#), Some("Granite")),
        (response(r#"{"Meta":{"Errors":[],"errors":[{"Text":"Granite"}]}}"#), Some("Granite")),
        (response(r#"{"Meta":{},"Errors":[{"Text":"Granite"}]}"#), Some("Granite")),
        (
            response(r#"{"error":"invalid_token","error_description":"Granite"}"#),
            Some("invalid_token: Granite"),
        ),
        (response(r#"{"error":{"code":7,"message":"Granite"}}"#), Some("Granite")),
        (response(r#"{"errorDetail":"Granite"}"#), Some("Granite")),
    ] {
        let (result, requests) = sent_through([act]).await;
        let error = result.unwrap_err();
        assert_eq!(
            (error.kind(), error.delivery()),
            (ErrorKind::Rejected, Delivery::Rejected),
            "{text:?}"
        );
        assert_eq!(
            (error.service_text(), error.attempts()[0].status.map(u16::from)),
            (text, Some(200))
        );
        assert!(!error.is_retryable() && !format!("{error} {error:?}").contains("Granite"));
        assert_eq!(requests.len(), 1);
    }
}

#[tokio::test]
async fn success_with_errors_and_a_log_id_is_unknown_and_final() {
    for body in [
        r#"{"Meta":{"Logs":[{"ID":1}],"Errors":[{"ID":2,"Text":"Granite is unknown","Type":"transmission"}]}}"#,
        r#"{"Meta":{"Message":{"ID":1},"Errors":[{"Text":"Granite is unknown"}]}}"#,
        r#"{"Meta":{"Logs":[],"logs":[{"ID":1}],"Errors":[{"Text":"Granite is unknown"}]}}"#,
        r#"[{"meta":{"logs":[{"id":"1"}]}},{"error":"Granite is unknown"}]"#,
    ] {
        let (result, requests) = sent_through([Act::response("200 OK", "", body)]).await;
        let error = result.unwrap_err();
        assert_eq!(
            (error.kind(), error.delivery()),
            (ErrorKind::Rejected, Delivery::Unknown),
            "{body}"
        );
        assert_eq!(
            (error.attempts()[0].status.map(u16::from), error.attempts()[0].next_step),
            (Some(200), NextStep::NotRetryable)
        );
        assert_eq!(error.service_text(), Some("Granite is unknown"));
        assert_eq!(error.logs()[0].id.as_deref(), Some("1"));
        assert!(!error.is_retryable(), "one of several destinations may have accepted it");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("look up its log ids") && !shown.contains("Granite"), "{shown}");
        assert_eq!(requests.len(), 1);
    }
}

#[tokio::test]
async fn redirects_and_client_errors_are_final() {
    for status in
        ["301 Moved", "307 Elsewhere", "400 Bad", "403 No", "404 No", "413 Long", "422 No"]
    {
        let act = Act::response(status, "Location: /elsewhere\r\n", "");
        let (result, requests) = sent_through([act]).await;
        let error = result.unwrap_err();
        assert_eq!(
            (error.kind(), error.delivery()),
            (ErrorKind::Rejected, Delivery::Rejected),
            "{status}"
        );
        assert_eq!(requests.len(), 1, "{status}");
    }
}

#[tokio::test]
async fn service_text_is_read_from_every_shape_of_rejection() {
    for (body, expected) in [
        (r#"{"error":"invalid","error_description":"no"}"#, Some("invalid: no")),
        (r#"{"error":"invalid","error_description":""}"#, Some("invalid")),
        (r#"{"errorDetail":"broken"}"#, Some("broken")),
        (r#"{"Meta":{"Logs":[{"ID":"1"}]},"message":"disabled"}"#, Some("disabled")),
        (r#"{"Meta":{"Errors":[{"Text":"one"},{"Text":"two"}]}}"#, Some("one; two")),
        ("Invalid request", Some("Invalid request")),
        ("<html>gateway</html>", None),
        (
            r#"{"type":"about:blank","title":"Forbidden","detail":"outside of hours"}"#,
            Some("Forbidden: outside of hours"),
        ),
        (r#"{"title":"Forbidden"}"#, Some("Forbidden")),
        (r#"{"message":"no API key"}"#, Some("no API key")),
        (r#"{"Message":"User is not authorized"}"#, Some("User is not authorized")),
        // Error bodies of Spring, Apigee, WSO2, Google, Azure and Axway.
        (
            r#"{"timestamp":"2026-12-01","status":403,"error":"Forbidden","message":"no access","path":"/endpoint"}"#,
            Some("Forbidden: no access"),
        ),
        (
            r#"{"fault":{"faultstring":"Invalid ApiKey","detail":{"errorcode":"oauth.v2.InvalidApiKey"}}}"#,
            Some("Invalid ApiKey"),
        ),
        (
            r#"{"fault":{"code":900902,"message":"Missing Credentials","description":"Send them"}}"#,
            Some("Missing Credentials"),
        ),
        (
            r#"{"error":{"code":403,"message":"no quota","status":"PERMISSION_DENIED"}}"#,
            Some("no quota"),
        ),
        (
            r#"{"error":{"code":"AuthorizationFailed","message":"no role"}}"#,
            Some("AuthorizationFailed: no role"),
        ),
        (
            r#"{"errors":[{"code":501,"message":"one"},{"code":502,"message":"two"}]}"#,
            Some("one; two"),
        ),
        (r#"[{"message":"one"},{"error":"two"},"three"]"#, Some("one; two; three")),
        (r#""not today""#, Some("not today")),
        ("{\"message\":\"\\u001b[2J\\u202enoon\"}", Some("\\u{1b}[2J\\u{202e}noon")),
        ("one\r\ntwo", Some("one\\r\\ntwo")),
        ("\u{1f}\u{8b}\u{8}\u{0}compressed", None),
        (r#"{"status":403}"#, None),
        ("", None),
        ("{}", None),
    ] {
        let (result, _) = sent_through([Act::response("400 Bad Request", "", body)]).await;
        assert_eq!(result.unwrap_err().service_text(), expected, "{body}");
    }
}

#[tokio::test]
async fn retryable_status_decides_the_delivery() {
    for (status, delivery) in [
        ("500 Unknown", Delivery::Unknown),
        ("502 Dropped", Delivery::Unknown),
        ("504 Late", Delivery::Unknown),
        ("599 Odd", Delivery::Unknown),
        ("503 Busy", Delivery::Unknown),
        ("429 Busy", Delivery::Rejected),
        ("408 Slow", Delivery::Rejected),
        ("421 Elsewhere", Delivery::Rejected),
        ("425 Early", Delivery::Rejected),
    ] {
        let service = RawServer::start(vec![Act::response(status, "", ""); 2]).await;
        let tokens = fixtures::serve();
        let client = builder_for(&service, &tokens).max_attempts(2).build().unwrap();
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
        sent_through([Act::ResetAfterReading, Act::response("400 Bad Request", "", "")]).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(deliveries(error.attempts()), [Delivery::Unknown, Delivery::Rejected]);
    assert_eq!(error.delivery(), Delivery::Unknown, "the first attempt may have been accepted");
    assert_eq!(requests.len(), 2);
}

#[tokio::test]
async fn max_attempts_counts_requests() {
    for max_attempts in [1, 3] {
        let acts = vec![Act::ResetAfterReading; 5];
        let service = RawServer::start(acts).await;
        let tokens = fixtures::serve();
        let client = builder_for(&service, &tokens).max_attempts(max_attempts).build().unwrap();
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
async fn message_is_not_sent_if_the_service_does_not_listen() {
    let tokens = fixtures::serve();
    // Binds the port, so that no other program takes it, but never listens.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let client =
        client(&url, "plain").token_url(format!("{}/v2/auth/token", tokens.url())).build().unwrap();
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
async fn timeout_while_connecting_is_reported_as_not_sent() {
    let tokens = fixtures::serve();
    // A listener with a full queue doesn't respond to further connections.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener: TcpListener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued: Vec<TcpStream> = Vec::new();
    while let Ok(stream) =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        queued.push(stream.unwrap());
        assert!(queued.len() < 100, "the queue never fills up");
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
        assert_eq!(
            (error.kind(), error.delivery()),
            (ErrorKind::Timeout, Delivery::NotSent),
            "{error}"
        );
    }
}

#[tokio::test]
async fn connection_closed_while_idle_does_not_lose_the_message() {
    let keep_alive = Act::Response("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned());
    let service = RawServer::start([keep_alive, accepted()]).await;
    let tokens = fixtures::serve();
    let client = builder_for(&service, &tokens).build().unwrap();
    client.send(&message()).await.unwrap();
    let receipt = client.send(&message()).await.unwrap();
    assert_eq!(receipt.logs().len(), 1);
    let requests = service.finish().await;
    assert_eq!(requests.len(), 2);
    assert_eq!(body(&requests[1]), MESSAGE);
}

#[tokio::test]
async fn durations_of_any_size_are_accepted() {
    let service = RawServer::start([accepted(), accepted()]).await;
    let tokens = fixtures::serve();
    let client = builder_for(&service, &tokens)
        .deadline(Duration::MAX)
        .attempt_timeout(Duration::MAX)
        .connect_timeout(Duration::MAX)
        .build()
        .unwrap();
    client.send(&message()).await.unwrap();
    client.send(&message()).deadline(Duration::MAX).await.unwrap();
    let error = client.send(&message()).deadline(Duration::ZERO).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Timeout, Delivery::NotSent));
    service.finish().await;
}

#[tokio::test]
async fn log_ids_of_every_response_are_kept() {
    let with_id = |id: u32| format!(r#"{{"Meta":{{"Logs":[{{"ID":{id}}}]}}}}"#);
    let acts = [
        Act::response("500 Unknown", "", &with_id(1)),
        Act::response("502 Dropped", "", &with_id(2)),
        Act::CloseAfterReading,
        Act::response("400 Bad", "", "no"),
    ];
    let (result, _) = sent_through(acts).await;
    let error = result.unwrap_err();
    let ids: Vec<_> = error.logs().iter().map(|log| log.id.as_deref().unwrap()).collect();
    assert_eq!(ids, ["1", "2"]);
    assert_eq!(error.service_text(), Some("no"));
    assert_eq!(error.delivery(), Delivery::Unknown);
    assert!(
        error.to_string().ends_with("it is unknown whether the message was delivered"),
        "{error}"
    );
}

#[tokio::test]
async fn deadline_ends_a_send_that_hangs() {
    let stall = vec![Act::Stall(String::new()); 3];
    let service = RawServer::start(stall).await;
    let tokens = fixtures::serve();
    let client = builder_for(&service, &tokens).build().unwrap();
    let began = Instant::now();
    let error = client.send(&message()).deadline(Duration::from_secs(2)).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(10), "well below the attempt timeout of 30 s");
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Timeout, Delivery::Unknown));
    assert_eq!(error.attempts().len(), 1);
    assert!(error.to_string().contains("deadline of 2s"), "{error}");
    service.finish().await;
}

#[tokio::test]
async fn too_long_retry_after_ends_the_send_and_is_reported() {
    let in_an_hour = || httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3_600));
    for (retry_after, deadline, expected) in [
        (&(|| "121".to_owned()) as &dyn Fn() -> String, Duration::from_secs(600), 121_u64),
        (&|| "120.25".to_owned(), Duration::from_secs(600), 120),
        // The reported delay is at most a day.
        (&|| "99999999999999999999999".to_owned(), Duration::from_secs(600), 86_400),
        (&|| "60".to_owned(), Duration::from_secs(30), 60),
        (&in_an_hour, Duration::from_secs(600), 3_595),
    ] {
        for status in ["429 Busy", "503 Busy", "500 Unknown"] {
            let act = Act::response(status, &format!("Retry-After: {}\r\n", retry_after()), "");
            let service = RawServer::start([act]).await;
            let tokens = fixtures::serve();
            let client = builder_for(&service, &tokens).deadline(deadline).build().unwrap();
            let error = client.send(&message()).await.unwrap_err();
            let reported = error.retry_after().unwrap().as_secs();
            // A date has whole seconds, and some time passes before it is read.
            assert!(
                (expected..=expected.saturating_add(5)).contains(&reported),
                "{expected}: {reported}"
            );
            assert!(error.is_retryable());
            assert_eq!(error.attempts().len(), 1);
            assert_eq!(service.finish().await.len(), 1);
        }
    }
}

#[tokio::test]
async fn rejected_token_is_replaced_once_and_the_message_sent_again() {
    let rejected = || Act::response("401 Unauthorized", "", "");
    let service = RawServer::start([rejected(), accepted()]).await;
    let tokens = fixtures::serve();
    let client = builder_for(&service, &tokens).build().unwrap();
    let receipt = client.send(&message()).await.unwrap();
    assert_eq!(deliveries(receipt.attempts()), [Delivery::Rejected, Delivery::Accepted]);
    assert_eq!(receipt.attempts()[0].delay, Some(Duration::ZERO));
    let requests = service.finish().await;
    assert_eq!(body(&requests[0]), body(&requests[1]));
    assert_eq!(tokens.requests().len(), 2);

    // The new token is tried twice.
    let service = RawServer::start([rejected(), rejected(), rejected()]).await;
    let tokens = fixtures::serve();
    let client = builder_for(&service, &tokens).build().unwrap();
    let error = client.send(&message()).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Credentials, Delivery::Rejected));
    assert!(!error.is_retryable());
    assert_eq!(service.finish().await.len(), 3);
    assert_eq!(tokens.requests().len(), 2);

    let with_retry_after = Act::response("401 Unauthorized", "Retry-After: 300\r\n", "");
    let service = RawServer::start([with_retry_after]).await;
    let tokens = fixtures::serve();
    let client = builder_for(&service, &tokens).max_attempts(1).build().unwrap();
    let error = client.send(&message()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(error.is_retryable(), "the message may be accepted with a new token");
    service.finish().await;
}

#[tokio::test]
async fn dropped_send_stops() {
    let acts = [Act::Stall(String::new()), accepted()];
    let service = RawServer::start(acts).await;
    let tokens = fixtures::serve();
    let client: Client = builder_for(&service, &tokens).build().unwrap();
    let message = message();
    tokio::select! {
        _ = client.send(&message).into_future() => panic!("the first connection stalls"),
        () = service.read_a_request() => {}
    }
    let receipt = client.send(&message).await.unwrap();
    assert_eq!(receipt.attempts().len(), 1, "the client is still usable");
    assert_eq!(service.finish().await.len(), 2);
}
