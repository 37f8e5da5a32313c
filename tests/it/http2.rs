//! HTTP/2: every request on the wire is an attempt in the receipt, and no request is sent after its
//! attempt was abandoned.

use std::future::IntoFuture;
use std::time::Duration;

use h2::Reason;
use h2::server::SendResponse;
use pushslots::bytes::Bytes;
use pushslots::http::Response;
use pushslots::uuid::Uuid;
use pushslots::{Delivery, Error, ErrorKind, NextStep, OnUnknown, PushSlots, Receipt};
use support::batch::slots;
use support::http2::{serve_one, service};
use support::tls::{Authority, TlsListener};
use support::{MESSAGE, client, fixtures, message};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy_bidirectional, duplex};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

#[tokio::test]
async fn reset_stream_is_an_attempt_with_its_reason() {
    for (reason, delivery, error) in [
        (
            Reason::REFUSED_STREAM,
            Delivery::NotSent,
            "the service didn't process the request (HTTP/2: REFUSED_STREAM)",
        ),
        (
            Reason::INTERNAL_ERROR,
            Delivery::Unknown,
            "the connection was closed before the whole response arrived (HTTP/2: INTERNAL_ERROR)",
        ),
        (
            Reason::from(0xcafe),
            Delivery::Unknown,
            "the connection was closed before the whole response arrived \
             (HTTP/2: an unknown error code)",
        ),
    ] {
        let (client, mut arrived) = service(100).await;
        let message = message();
        let serve = async {
            arrived.recv().await.unwrap().respond.send_reset(reason);
            let body = arrived.recv().await.unwrap().accept().await;
            assert_eq!(String::from_utf8(body).unwrap(), MESSAGE);
        };
        let (receipt, ()) = tokio::join!(client.send(&message).into_future(), serve);
        let receipt = receipt.unwrap();
        let attempts: Vec<_> = receipt
            .attempts()
            .iter()
            .map(|attempt| (attempt.delivery, attempt.error.as_deref()))
            .collect();
        assert_eq!(attempts, [(delivery, Some(error)), (Delivery::Accepted, None)]);
        assert!(arrived.try_recv().is_err(), "the receipt has every request on the wire");
    }
}

/// Reads frames from a connection until a stream ends.
async fn read_one_request(stream: &mut (impl AsyncRead + Unpin)) {
    const PREFACE: usize = 24;
    const END_STREAM: u8 = 1;
    stream.read_exact(&mut [0; PREFACE]).await.unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).await.unwrap();
        let kind = head[3];
        let flags = head[4];
        if kind == 0 && flags & END_STREAM != 0 {
            return;
        }
    }
}

/// Encodes a GOAWAY frame (RFC 9113, section 6.8).
fn goaway(last_stream: u32, reason: Reason) -> Vec<u8> {
    let head = [0, 0, 8, 7, 0, 0, 0, 0, 0];
    [&head[..], &last_stream.to_be_bytes(), &u32::from(reason).to_be_bytes()].concat()
}

#[tokio::test]
async fn stream_above_the_last_of_a_goaway_is_reported_as_not_sent() {
    for (last_stream, reason, delivery, error, next) in [
        // The only stream has number 1.
        (
            0,
            Reason::NO_ERROR,
            Delivery::NotSent,
            "the connection was closed before the service took the request (HTTP/2: NO_ERROR)",
            NextStep::Backoff,
        ),
        (
            0,
            Reason::ENHANCE_YOUR_CALM,
            Delivery::NotSent,
            "the service didn't process the request (HTTP/2: ENHANCE_YOUR_CALM)",
            // The service has a problem, and the retry budget is empty.
            NextStep::RetryBudgetExhausted,
        ),
        (
            1,
            Reason::NO_ERROR,
            Delivery::Unknown,
            "the connection was closed before the whole response",
            NextStep::RetryBudgetExhausted,
        ),
        (
            1,
            Reason::INTERNAL_ERROR,
            Delivery::Unknown,
            "the connection was closed before the whole",
            NextStep::RetryBudgetExhausted,
        ),
    ] {
        let authority = Authority::generate();
        let listener = TlsListener::bind(&authority, None, &["h2"]).await;
        let tokens = fixtures::serve();
        let builder = client(&listener.url(), "plain").root_certificate(authority.pem.clone());
        let builder = builder.token_url(format!("{}/v2/auth/token", tokens.url())).retry_budget(0);
        let client = builder.build().unwrap();
        let (send, mut arrived) = unbounded_channel();
        let serve = async {
            let mut stream = listener.accept().await.unwrap();
            const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
            stream.write_all(&SETTINGS).await.unwrap();
            read_one_request(&mut stream).await;
            stream.write_all(&goaway(last_stream, reason)).await.unwrap();
            stream.shutdown().await.unwrap();
            if next == NextStep::Backoff {
                let next = listener.accept().await.unwrap();
                tokio::join!(serve_one(next, 1, 100, send), async {
                    arrived.recv().await.unwrap().accept().await;
                    arrived.close();
                });
            }
        };
        let message = message();
        let sent = async {
            let sent = client.send(&message).await;
            drop(client);
            sent
        };
        let (sent, ()) = tokio::join!(sent, serve);
        let attempts =
            sent.as_ref().map_or_else(|error| error.attempts(), |receipt| receipt.attempts());
        let reported = (attempts[0].delivery, attempts[0].next_step);
        assert_eq!(reported, (delivery, next), "{last_stream} {reason:?}: {:?}", attempts[0].error);
        let text = attempts[0].error.as_deref().unwrap();
        assert!(text.starts_with(error), "{last_stream} {reason:?}: {text}");
        assert_eq!(sent.is_ok(), next == NextStep::Backoff);
    }
}

#[tokio::test]
async fn attempt_after_a_421_uses_another_connection() {
    let (client, mut arrived) = service(100).await;
    let message = message();
    let serve = async {
        let mut misdirected = arrived.recv().await.unwrap();
        misdirected.reply(421).await;
        assert_eq!(misdirected.connection, 0);
        let next = arrived.recv().await.unwrap();
        assert_eq!(next.connection, 1);
        next.accept().await;
    };
    let (receipt, ()) = tokio::join!(client.send(&message).into_future(), serve);
    let statuses: Vec<_> =
        receipt.unwrap().attempts().iter().map(|attempt| attempt.status.map(u16::from)).collect();
    assert_eq!(statuses, [Some(421), Some(200)]);
}

/// Returns a message that exceeds the window of a stream, but still shares the connection of short
/// messages.
fn large() -> PushSlots {
    PushSlots::builder().slots(slots(0..400)).build().unwrap()
}

#[tokio::test]
async fn success_before_the_whole_message_was_sent_is_unknown() {
    let (client, mut arrived) = service(100).await;
    let message = large();
    let serve = async { arrived.recv().await.unwrap().response() };
    let send = client.send(&message).on_unknown(OnUnknown::Stop).into_future();
    let (sent, ()) = tokio::join!(send, serve);
    let error = sent.unwrap_err();
    assert_eq!(
        (error.delivery(), error.attempts()[0].status.map(u16::from)),
        (Delivery::Unknown, Some(200))
    );
    assert!(
        error.to_string().contains("responded with 200 before the whole message was sent"),
        "{error}"
    );
}

/// Accepts one message, then responds to another with `respond` without reading it.
///
/// Both arrive on a connection with these settings, which the client knows after the first
/// response.
async fn second_response(
    settings: h2::server::Builder,
    respond: impl FnOnce(SendResponse<Bytes>),
) -> Result<Receipt, Error> {
    let authority = Authority::generate();
    let listener = TlsListener::bind(&authority, None, &["h2"]).await;
    let tokens = fixtures::serve();
    let builder =
        client(&listener.url(), "plain").root_certificate(authority.pem.clone()).max_attempts(1);
    let client = builder.token_url(format!("{}/v2/auth/token", tokens.url())).build().unwrap();
    let message = message();
    let serve = async {
        let stream = listener.accept().await.unwrap();
        let mut connection = settings.handshake(stream).await.unwrap();
        let mut is_accepted = false;
        let (mut request, mut response) = connection.accept().await.unwrap().unwrap();
        let accept = async {
            while request.body_mut().data().await.is_some() {}
            response.send_response(Response::new(()), true).unwrap();
        };
        tokio::pin!(accept);
        let (request, response) = loop {
            tokio::select! {
                () = &mut accept, if !is_accepted => is_accepted = true,
                next = connection.accept() => break next.unwrap().unwrap(),
            }
        };
        respond(response);
        while connection.accept().await.is_some() {}
        drop(request);
    };
    let sent = async {
        client.send(&message).await.unwrap();
        client.send(&message).await
    };
    tokio::select! {
        sent = sent => sent,
        () = serve => panic!("the connection ended"),
    }
}

#[tokio::test]
async fn success_before_the_window_opens_for_a_small_message_is_unknown() {
    let mut closed = h2::server::Builder::new();
    closed.initial_window_size(0);
    let sent = second_response(closed, |mut response| {
        response.send_response(Response::new(()), true).unwrap();
    });
    let error = sent.await.unwrap_err();
    assert_eq!(
        (error.delivery(), error.attempts()[0].status.map(u16::from)),
        (Delivery::Unknown, Some(200))
    );
    assert!(
        error.to_string().contains("responded with 200 before the whole message was sent"),
        "{error}"
    );
}

#[tokio::test]
async fn response_with_a_thousand_headers_is_read() {
    let sent = second_response(h2::server::Builder::new(), |mut response| {
        let mut head = Response::builder();
        for number in 0..1_000 {
            head = head
                .header(format!("x-gateway-{number}"), "passed on by a gateway with a long name");
        }
        let mut stream = response.send_response(head.body(()).unwrap(), false).unwrap();
        stream.send_data(r#"{"Meta":{"Logs":[{"ID":"1"}]}}"#.into(), true).unwrap();
    });
    assert_eq!(sent.await.unwrap().logs()[0].id.as_deref(), Some("1"));
}

#[tokio::test]
async fn body_cut_off_by_a_reset_without_error_counts_as_lost() {
    let authority = Authority::generate();
    let listener = TlsListener::bind(&authority, None, &["h2"]).await;
    let tokens = fixtures::serve();
    let builder = client(&listener.url(), "plain").root_certificate(authority.pem.clone());
    let client = builder.token_url(format!("{}/v2/auth/token", tokens.url())).build().unwrap();
    let serve = async {
        let mut stream = listener.accept().await.unwrap();
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        read_one_request(&mut stream).await;
        // HEADERS with status 200 and `content-length: 31` (RFC 7541), DATA with nine bytes, and
        // RST_STREAM with NO_ERROR.
        let head = [0, 0, 6, 1, 4, 0, 0, 0, 1, 0x88, 0x0f, 0x0d, 2, b'3', b'1'];
        let body = [&[0, 0, 9, 0, 0, 0, 0, 0, 1], &b"{\"Meta\":{"[..]].concat();
        let reset = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        stream.write_all(&[&head[..], &body, &reset].concat()).await.unwrap();
        let mut unread = Vec::new();
        let _ = stream.read_to_end(&mut unread).await;
    };
    let message = message();
    tokio::select! {
        sent = client.send(&message).into_future() => {
            let receipt = sent.unwrap();
            assert!(receipt.logs().is_empty() && receipt.attempts().len() == 1);
        }
        () = serve => panic!("the connection ended"),
    }
}

#[tokio::test]
async fn upload_is_cut_off_after_an_early_response() {
    let (client, mut arrived) = service(100).await;
    let large = large();
    let small = message();
    let serve = async {
        let mut unread = arrived.recv().await.unwrap();
        // Sends a whole response without reading the message. The first part of the message fills
        // the window of the connection.
        let mut stream = unread.reply_without_end(413);
        stream.send_data("too large".into(), true).unwrap();
        let reset = std::future::poll_fn(|context| stream.poll_reset(context));
        let reset = timeout(Duration::from_secs(20), reset)
            .await
            .expect("the client doesn't cut off the upload");
        assert!(reset.is_ok());
        // Every service drops a stream that was reset.
        let connection = unread.connection;
        drop(unread);
        let next = arrived.recv().await.unwrap();
        assert_eq!(next.connection, connection);
        next.accept().await;
    };
    let send = async {
        let error = client.send(&large).await.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Rejected, Delivery::Rejected));
        assert_eq!(
            (error.attempts()[0].status.map(u16::from), error.service_text()),
            (Some(413), Some("too large"))
        );
        client.send(&small).await.unwrap()
    };
    let (receipt, ()) = tokio::join!(send, serve);
    assert_eq!(receipt.attempts().len(), 1);
}

#[tokio::test]
async fn message_that_waits_for_a_stream_is_not_sent_once_abandoned() {
    let (client, mut arrived) = service(1).await;
    let message = message();
    let first = tokio::spawn({
        let client = client.clone();
        let message = message.clone();
        async move { client.send(&message).await }
    });
    let holds_the_stream = arrived.recv().await.unwrap();

    // A dropped send isn't sent later either.
    let dropped = timeout(Duration::from_millis(500), client.send(&message).into_future());
    assert!(dropped.await.is_err());
    let error = client.send(&message).deadline(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.delivery()),
        (ErrorKind::Timeout, Delivery::NotSent),
        "{error}"
    );

    holds_the_stream.accept().await;
    first.await.unwrap().unwrap();
    let id = Uuid::new_v4();
    let third = tokio::spawn(async move { client.send(&message).message_id(id).await });
    // Abandoned messages may appear as streams that are reset before any of their body arrives.
    loop {
        let mut next = arrived.recv().await.unwrap();
        if let Some(Ok(bytes)) = next.body.data().await {
            assert_eq!((next.message_id.clone(), &bytes[..]), (id.to_string(), MESSAGE.as_bytes()));
            next.response();
            break;
        }
    }
    assert_eq!(third.await.unwrap().unwrap().attempts().len(), 1);
    assert!(arrived.try_recv().is_err());
}

#[tokio::test]
async fn message_without_response_does_not_affect_others_on_its_connection() {
    let (client, mut arrived) = service(100).await;
    let send = |deadline| {
        let client = client.clone();
        tokio::spawn(async move { client.send(&message()).deadline(deadline).await })
    };
    let first = send(Duration::from_secs(60));
    let first_request = arrived.recv().await.unwrap();
    let second = send(Duration::from_secs(1));
    let hanging_request = arrived.recv().await.unwrap();
    let error = second.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Timeout, Delivery::Unknown));

    let third = send(Duration::from_secs(60));
    let third_request = arrived.recv().await.unwrap();
    assert_eq!((first_request.connection, hanging_request.connection), (0, 0));
    assert_eq!(third_request.connection, 1, "the connection that may hang isn't used again");
    for (request, sent) in [(first_request, first), (third_request, third)] {
        request.accept().await;
        assert_eq!(sent.await.unwrap().unwrap().attempts().len(), 1);
    }
}

#[tokio::test]
async fn idle_connection_that_went_dead_is_closed() {
    let authority = Authority::generate();
    let listener = TlsListener::bind(&authority, None, &["h2"]).await;
    let client =
        client(&listener.url(), "plain").root_certificate(authority.pem.clone()).build().unwrap();
    let (send, mut arrived) = unbounded_channel();
    let (mut near, far) = duplex(64 * 1024);
    tokio::spawn(serve_one(far, 0, 100, send));

    let sent = tokio::spawn(async move { client.send(&message()).await.map(|_| client) });
    let mut stream = listener.accept().await.unwrap();
    let client = tokio::select! {
        result = copy_bidirectional(&mut stream, &mut near) => {
            panic!("the connection ended: {result:?}")
        }
        client = async {
            arrived.recv().await.unwrap().accept().await;
            sent.await.unwrap().unwrap()
        } => client,
    };
    // From here on the connection is dead: bytes from the client are read, but nothing is
    // forwarded or sent back.
    let mut received = Vec::new();
    let closed = timeout(Duration::from_secs(40), stream.read_to_end(&mut received)).await;
    assert!(closed.is_ok(), "the client pings the connection and closes it within 40 s");
    drop(client);
    const PING: u8 = 6;
    assert_eq!(received[3], PING, "the type of the first frame: RFC 9113, section 6.7");
}
