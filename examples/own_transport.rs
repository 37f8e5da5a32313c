//! Sends requests over an HTTP stack of your own: here hyper, with a connection for each request.
//!
//! `cargo run --example own_transport` prints:
//!
//! ```text
//! 2 attempts and a token over 3 connections
//! ```
//!
//! The client still does everything else: retries, tokens, and the state of each outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use pushslots::bytes::Bytes;
use pushslots::chrono::{DateTime, Utc};
use pushslots::http::header::{HOST, HeaderValue};
use pushslots::http::{Request, Uri};
use pushslots::mock::{MockResponse, MockService};
use pushslots::{
    Client, PushSlots, Response, Slot, Transport, TransportContext, TransportError,
    TransportErrorKind,
};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A transport that connects to one address, whatever the URL is: a sidecar's, for example.
struct Sidecar {
    address: String,
    connections: AtomicUsize,
}

impl Transport for Sidecar {
    async fn send(
        &self,
        request: Request<Bytes>,
        context: TransportContext,
    ) -> Result<Response, TransportError> {
        // The request can't have been sent before there is a connection.
        let request = for_http1(request)?;
        let stream = match timeout(context.timeout, TcpStream::connect(&self.address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) => return Err(TransportError::not_sent(TransportErrorKind::Connect)),
            Err(_) => return Err(TransportError::not_sent(TransportErrorKind::Timeout)),
        };
        self.connections.fetch_add(1, Ordering::Relaxed);
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|_| TransportError::not_sent(TransportErrorKind::Connect))?;

        // From here on, the request may have left. If the time runs out, the client drops this
        // future and counts the outcome as unknown.
        let exchange = send_and_receive(sender, request);
        // hyper reads and writes only while `connection` is polled. A task of its own could still
        // send the request after the client has dropped this future.
        tokio::pin!(connection, exchange);
        tokio::select! {
            response = &mut exchange => response,
            _ = &mut connection => exchange.await,
        }
    }
}

/// Sends the request on a new connection, and reads the whole response.
async fn send_and_receive(
    mut sender: SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Response, TransportError> {
    let interrupted = |_: hyper::Error| TransportError::unknown(TransportErrorKind::Interrupted);
    let response = sender.send_request(request).await.map_err(interrupted)?;
    let (head, body) = response.into_parts();
    // The status has arrived, so this is a response even if the rest of it is lost.
    let body = body.collect().await.map(|body| body.to_bytes()).map_err(interrupted);
    Ok(Response::new(head.status, head.headers, body))
}

/// Moves the host from the URL to a header, as HTTP/1.1 requires (RFC 9112, section 3.2.1).
fn for_http1(request: Request<Bytes>) -> Result<Request<Full<Bytes>>, TransportError> {
    let invalid = || TransportError::not_sent(TransportErrorKind::InvalidRequest);
    let (mut head, body) = request.into_parts();
    let host = head.uri.authority().ok_or_else(invalid)?;
    let host = HeaderValue::from_str(host.as_str()).map_err(|_| invalid())?;
    head.headers.insert(HOST, host);
    let path = head.uri.path_and_query().cloned().ok_or_else(invalid)?;
    head.uri = Uri::from(path);
    Ok(Request::from_parts(head, Full::new(body)))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let service = MockService::start()?;
    // The first response is lost, so the client sends the message again.
    service.respond_next(MockResponse::reset_after_read());
    let address = service.url().trim_start_matches("http://").to_owned();
    let sidecar = Arc::new(Sidecar { address, connections: AtomicUsize::new(0) });
    let client = Client::builder().mock(&service).transport(sidecar.clone()).build()?;

    let nine: DateTime<Utc> = "2026-12-01T09:00:00Z".parse()?;
    let message = PushSlots::builder().slot(Slot::new(nine, 15).id("1")).build()?;
    let receipt = client.send(&message).await?;
    let connections = sidecar.connections.load(Ordering::Relaxed);
    println!("{} attempts and a token over {connections} connections", receipt.attempts().len());
    Ok(())
}
