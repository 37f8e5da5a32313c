//! Over HTTP/2 too, every request on the wire is an attempt in the receipt.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use pushslots::Delivery;
use support::tls::{Authority, TlsListener};
use support::{MESSAGE, client, message};

async fn body(request: Request<RecvStream>) -> Vec<u8> {
    let mut stream = request.into_body();
    let mut body = Vec::new();
    while let Some(chunk) = stream.data().await {
        let chunk = chunk.unwrap();
        stream.flow_control().release_capacity(chunk.len()).unwrap();
        body.extend_from_slice(&chunk);
    }
    body
}

/// A service that issues tokens, turns the first message away as HTTP/2 does for one it has not looked at, and
/// accepts the rest. Counts the messages.
async fn service(listener: TlsListener, reason: Reason, messages: Arc<AtomicUsize>) {
    loop {
        let Some(stream) = listener.accept().await else { continue };
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let answer = if request.uri().path() == "/v2/auth/token" {
                r#"{"access_token":"h2","token_type":"Bearer"}"#
            } else if messages.fetch_add(1, Ordering::SeqCst) == 0 {
                respond.send_reset(reason);
                continue;
            } else {
                r#"{"Meta":{"Logs":[{"ID":"1","AttemptID":"2"}]}}"#
            };
            tokio::spawn(async move {
                let path = request.uri().path().to_owned();
                let body = body(request).await;
                assert!(path != "/endpoint" || body == MESSAGE.as_bytes());
                let response = Response::builder().header("content-type", "application/json");
                let mut stream = respond.send_response(response.body(()).unwrap(), false).unwrap();
                stream.send_data(Bytes::from_static(answer.as_bytes()), true).unwrap();
            });
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_refused_is_an_attempt() {
    for reason in [Reason::REFUSED_STREAM, Reason::INTERNAL_ERROR] {
        let authority = Authority::new();
        let listener = TlsListener::bind(&authority, None, &["h2"]).await;
        let client = client(&listener.url(), "plain").root_certificate(authority.pem.clone());
        let messages = Arc::new(AtomicUsize::new(0));
        let service = tokio::spawn(service(listener, reason, messages.clone()));

        let receipt = client.build().unwrap().send(&message()).await.unwrap();
        let deliveries: Vec<_> = receipt.attempts().iter().map(|attempt| attempt.delivery).collect();
        assert!(matches!(deliveries[..], [Delivery::Unknown | Delivery::NotSent, Delivery::Accepted]));
        assert_eq!(messages.load(Ordering::SeqCst), 2, "as many on the wire as in the receipt");
        assert_eq!(receipt.logs().len(), 1);
        service.abort();
    }
}
