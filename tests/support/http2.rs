//! A service that speaks HTTP/2, and leaves the messages to the test.

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::Response;
use tokio::sync::mpsc::UnboundedSender;

use super::tls::TlsListener;

const LOGS: &str = r#"{"Meta":{"Logs":[{"ID":"1","AttemptID":"2"}]}}"#;

/// A message that arrived, not answered yet.
pub struct Arrived {
    pub message_id: String,
    pub body: RecvStream,
    pub respond: SendResponse<Bytes>,
}

impl Arrived {
    /// Accepts the message without reading it.
    pub fn answer(self) {
        answer(self.respond, LOGS);
    }

    /// Reads the whole message and accepts it.
    pub async fn accept(mut self) -> Vec<u8> {
        let mut body = Vec::new();
        while let Some(chunk) = self.body.data().await {
            let chunk = chunk.unwrap();
            self.body.flow_control().release_capacity(chunk.len()).unwrap();
            body.extend_from_slice(&chunk);
        }
        self.answer();
        body
    }
}

fn answer(mut respond: SendResponse<Bytes>, json: &'static str) {
    let response = Response::builder().header("content-type", "application/json").body(()).unwrap();
    let mut stream = respond.send_response(response, false).unwrap();
    stream.send_data(Bytes::from_static(json.as_bytes()), true).unwrap();
}

/// Issues tokens, and hands every message to the test.
pub async fn serve(listener: TlsListener, max_streams: u32, arrived: UnboundedSender<Arrived>) {
    loop {
        let Some(stream) = listener.accept().await else { continue };
        let mut builder = h2::server::Builder::new();
        let connection = builder.max_concurrent_streams(max_streams).handshake(stream).await;
        let mut connection = connection.unwrap();
        while let Some(Ok((request, respond))) = connection.accept().await {
            if request.uri().path() == "/v2/auth/token" {
                answer(respond, r#"{"access_token":"canary-token","token_type":"Bearer"}"#);
            } else {
                let message_id = request.headers()["idempotency-key"].to_str().unwrap().to_owned();
                let message = Arrived { message_id, body: request.into_body(), respond };
                if arrived.send(message).is_err() {
                    return;
                }
            }
        }
    }
}
