//! Over HTTP/2 too, every request on the wire is an attempt in the receipt, and none goes out after it was given up.

mod support;

use std::future::IntoFuture;
use std::time::Duration;

use h2::Reason;
use pushslots::uuid::Uuid;
use pushslots::{Delivery, ErrorKind};
use support::http2::{serve_one, service};
use support::tls::{Authority, TlsListener};
use support::{MESSAGE, client, message};
use tokio::io::{AsyncReadExt, copy_bidirectional, duplex};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

#[tokio::test]
async fn a_stream_that_is_refused_is_an_attempt() {
    for reason in [Reason::REFUSED_STREAM, Reason::INTERNAL_ERROR] {
        let (client, mut arrived) = service(100).await;
        let message = message();
        let serve = async {
            arrived.recv().await.unwrap().respond.send_reset(reason);
            let body = arrived.recv().await.unwrap().accept().await;
            assert_eq!(String::from_utf8(body).unwrap(), MESSAGE);
        };
        let (receipt, ()) = tokio::join!(client.send(&message).into_future(), serve);
        let receipt = receipt.unwrap();
        let deliveries: Vec<_> = receipt.attempts().iter().map(|attempt| attempt.delivery).collect();
        assert!(matches!(deliveries[..], [Delivery::Unknown | Delivery::NotSent, Delivery::Accepted]));
        assert!(arrived.try_recv().is_err(), "as many on the wire as in the receipt");
    }
}

#[tokio::test]
async fn a_message_that_waits_for_its_turn_does_not_go_out_after_it_was_given_up() {
    let (client, mut arrived) = service(1).await;
    let message = message();
    let first = tokio::spawn({
        let (client, message) = (client.clone(), message.clone());
        async move { client.send(&message).await }
    });
    let holds_the_stream = arrived.recv().await.unwrap();

    // Neither does a send that is dropped.
    let dropped = timeout(Duration::from_millis(500), client.send(&message).into_future());
    assert!(dropped.await.is_err());
    let error = client.send(&message).deadline(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Timeout, Delivery::NotSent), "{error}");

    holds_the_stream.accept().await;
    first.await.unwrap().unwrap();
    let id = Uuid::new_v4();
    let third = tokio::spawn(async move { client.send(&message).message_id(id).await });
    // Those given up may show as streams, which are reset before any of their message comes.
    loop {
        let mut next = arrived.recv().await.unwrap();
        if let Some(Ok(bytes)) = next.body.data().await {
            assert_eq!((next.message_id.clone(), &bytes[..]), (id.to_string(), MESSAGE.as_bytes()));
            next.answer();
            break;
        }
    }
    assert_eq!(third.await.unwrap().unwrap().attempts().len(), 1);
    assert!(arrived.try_recv().is_err());
}

#[tokio::test]
async fn a_message_that_gets_no_answer_does_not_harm_those_beside_it() {
    let (client, mut arrived) = service(100).await;
    let send = |deadline| {
        let client = client.clone();
        tokio::spawn(async move { client.send(&message()).deadline(deadline).await })
    };
    let patient = send(Duration::from_secs(60));
    let beside_it = arrived.recv().await.unwrap();
    let hung = send(Duration::from_secs(1));
    let unanswered = arrived.recv().await.unwrap();
    let error = hung.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Timeout, Delivery::Unknown));

    let next = send(Duration::from_secs(60));
    let over_another = arrived.recv().await.unwrap();
    assert_eq!((beside_it.connection, unanswered.connection), (0, 0));
    assert_eq!(over_another.connection, 1, "the one that may hang is left alone");
    for (arrived, sent) in [(beside_it, patient), (over_another, next)] {
        arrived.accept().await;
        assert_eq!(sent.await.unwrap().unwrap().attempts().len(), 1);
    }
}

#[tokio::test]
async fn a_connection_that_dies_while_it_is_idle_is_closed() {
    let authority = Authority::new();
    let listener = TlsListener::bind(&authority, None, &["h2"]).await;
    let client = client(&listener.url(), "plain").root_certificate(authority.pem.clone()).build().unwrap();
    let (send, mut arrived) = unbounded_channel();
    let (mut near, far) = duplex(64 * 1024);
    tokio::spawn(serve_one(far, 0, 100, send));

    let sent = tokio::spawn(async move { client.send(&message()).await.map(|_| client) });
    let mut stream = listener.accept().await.unwrap();
    let client = tokio::select! {
        ended = copy_bidirectional(&mut stream, &mut near) => panic!("the connection ended: {ended:?}"),
        client = async {
            arrived.recv().await.unwrap().accept().await;
            sent.await.unwrap().unwrap()
        } => client,
    };
    // From here on the connection is dead: what comes is read, and nothing is passed on or answered.
    let mut unanswered = Vec::new();
    let closed = timeout(Duration::from_secs(60), stream.read_to_end(&mut unanswered)).await;
    assert!(closed.is_ok(), "the client asks for a sign of life and closes the connection");
    drop(client);
    const PING: u8 = 6;
    assert_eq!(unanswered[3], PING, "the type of the first frame: RFC 9113, section 6.7");
}
