//! Carries requests over an HTTP stack of one's own, here hyper on a fresh connection for each,
//! which a sidecar could be on the other end of. Retries, tokens and certainty stay with the
//! client.
//!
//! `cargo run --example own_transport`

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use pushslots::bytes::Bytes;
use pushslots::chrono::{DateTime, Utc};
use pushslots::http::Request;
use pushslots::mock::{MockResponse, MockService};
use pushslots::{
    Client, PushSlots, Response, Slot, Transport, TransportContext, TransportError,
    TransportErrorKind,
};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Goes to one address, whatever the URL says.
struct Sidecar {
    address: String,
    connections: AtomicUsize,
}

impl Transport for Sidecar {
    async fn send(
        &self,
        request: Request<Bytes>,
        TransportContext { timeout: time, .. }: TransportContext,
    ) -> Result<Response, TransportError> {
        // Until a connection stands, nothing of the request can have left.
        let connected = timeout(time, TcpStream::connect(&self.address)).await;
        let connected =
            connected.map_err(|_| TransportError::not_sent(TransportErrorKind::Timeout))?;
        let stream =
            connected.map_err(|_| TransportError::not_sent(TransportErrorKind::Connect))?;
        self.connections.fetch_add(1, Ordering::Relaxed);
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) =
            shaken.map_err(|_| TransportError::not_sent(TransportErrorKind::Connect))?;

        // From here on it may have. When the time is over the client drops this, and takes it as
        // unknown too.
        let exchange = async {
            let (mut head, body) = request.into_parts();
            if let (Some(host), false) = (head.uri.authority(), head.headers.contains_key("host")) {
                let host = host
                    .as_str()
                    .parse()
                    .map_err(|_| TransportError::not_sent(TransportErrorKind::InvalidRequest))?;
                head.headers.insert("host", host);
            }
            // To a server itself a request names the path alone: RFC 9112, section 3.2.1.
            head.uri = head
                .uri
                .path()
                .parse()
                .map_err(|_| TransportError::not_sent(TransportErrorKind::InvalidRequest))?;
            let sent = sender.send_request(Request::from_parts(head, Full::new(body))).await;
            let (head, body) = sent
                .map_err(|_| TransportError::unknown(TransportErrorKind::Interrupted))?
                .into_parts();
            let body = body.collect().await.map(|body| body.to_bytes());
            let body = body.map_err(|_| TransportError::unknown(TransportErrorKind::Interrupted));
            Ok(Response::new(head.status, head.headers, body))
        };
        // Both are dropped together, so that nothing leaves when the send is given up.
        tokio::pin!(connection, exchange);
        tokio::select! {
            response = &mut exchange => response,
            _ = &mut connection => exchange.await,
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let service = MockService::start()?;
    service.respond_next(MockResponse::reset_after_read());
    let address = service.url().trim_start_matches("http://").to_owned();
    let sidecar = Arc::new(Sidecar { address, connections: AtomicUsize::new(0) });
    let client = Client::builder().mock(&service).transport(sidecar.clone()).build()?;

    let slot = Slot::new("2026-12-01T09:00:00Z".parse::<DateTime<Utc>>()?, 15).id("1");
    let receipt = client.send(&PushSlots::builder().slot(slot).build()?).await?;
    let connections = sidecar.connections.load(Ordering::Relaxed);
    println!("{} attempts and a token over {connections} connections", receipt.attempts().len());
    Ok(())
}
