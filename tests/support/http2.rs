//! A service that speaks HTTP/2 and passes the messages to the test.

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::Response;
use pushslots::Client;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::client;
use super::tls::{Authority, TlsListener};

const LOGS: &str = r#"{"Meta":{"Logs":[{"ID":"1","AttemptID":"2"}]}}"#;

/// A message that has arrived and has no response yet.
pub struct Arrived {
    /// The number of its connection, starting at 0.
    pub connection: usize,
    pub message_id: String,
    /// The number of its token, starting at 1. It is 0 if another endpoint issued the token.
    pub token: usize,
    pub body: RecvStream,
    pub respond: SendResponse<Bytes>,
}

impl Arrived {
    /// Accepts the message without reading it.
    pub fn response(self) {
        response(self.respond, LOGS.to_owned());
    }

    /// Reads the whole message and rejects its token.
    pub async fn reject(mut self) {
        self.reply(401).await;
    }

    /// Reads the whole message and responds with this status and no body.
    pub async fn reply(&mut self, status: u16) {
        self.read().await;
        let response = Response::builder().status(status).body(()).unwrap();
        self.respond.send_response(response, true).unwrap();
    }

    /// Responds with this status without reading the message, and leaves the body of the response
    /// open.
    pub fn reply_without_end(&mut self, status: u16) -> SendStream<Bytes> {
        let response = Response::builder().status(status).body(()).unwrap();
        self.respond.send_response(response, false).unwrap()
    }

    /// Reads the whole message and accepts it.
    pub async fn accept(mut self) -> Vec<u8> {
        let body = self.read().await;
        self.response();
        body
    }

    /// Reads the whole message.
    pub async fn read(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        while let Some(chunk) = self.body.data().await {
            let chunk = chunk.unwrap();
            self.body.flow_control().release_capacity(chunk.len()).unwrap();
            body.extend_from_slice(&chunk);
        }
        body
    }
}

fn response(mut respond: SendResponse<Bytes>, json: String) {
    let response = Response::builder().header("content-type", "application/json").body(()).unwrap();
    let mut stream = respond.send_response(response, false).unwrap();
    stream.send_data(json.into(), true).unwrap();
}

/// Returns a client of a service with this number of concurrent streams per connection, and the
/// messages that arrive there.
pub async fn service(max_streams: u32) -> (Client, UnboundedReceiver<Arrived>) {
    let authority = Authority::generate();
    let listener = TlsListener::bind(&authority, None, &["h2"]).await;
    let client = client(&listener.url(), "plain").root_certificate(authority.pem.clone());
    let client = client.max_in_flight(1_000).build().unwrap();
    let (send, arrived) = unbounded_channel();
    // Ends with the runtime of the test at the latest.
    tokio::spawn(serve(listener, max_streams, send));
    (client, arrived)
}

/// Issues numbered tokens, and passes every message to the test.
pub async fn serve(listener: TlsListener, max_streams: u32, arrived: UnboundedSender<Arrived>) {
    let mut connections = JoinSet::new();
    for number in 0.. {
        let Some(stream) = listener.accept().await else { continue };
        connections.spawn(serve_one(stream, number, max_streams, arrived.clone()));
    }
}

/// Serves one connection.
pub async fn serve_one(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    number: usize,
    max_streams: u32,
    arrived: UnboundedSender<Arrived>,
) {
    let mut settings = h2::server::Builder::new();
    settings.max_concurrent_streams(max_streams);
    serve_with(settings, stream, number, arrived).await;
}

/// Serves one connection with these settings.
pub async fn serve_with(
    settings: h2::server::Builder,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    number: usize,
    arrived: UnboundedSender<Arrived>,
) {
    let connection = settings.handshake(stream).await;
    let mut connection = connection.unwrap();
    let mut issued = 0;
    while let Some(Ok((request, respond))) = connection.accept().await {
        if request.uri().path() == "/v2/auth/token" {
            issued += 1;
            let token =
                format!(r#"{{"access_token":"canary-token-{issued}","token_type":"Bearer"}}"#);
            response(respond, token);
            continue;
        }
        let header = |name: &str| request.headers()[name].to_str().unwrap();
        let message = Arrived {
            connection: number,
            message_id: header("idempotency-key").to_owned(),
            token: header("authorization").rsplit('-').next().unwrap().parse().unwrap_or_default(),
            body: request.into_body(),
            respond,
        };
        if arrived.send(message).is_err() {
            return;
        }
    }
}
