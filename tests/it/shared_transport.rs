//! `HttpTransport` as a shared handle: its headers, its certificates, and transports that wrap it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pushslots::bytes::Bytes;
use pushslots::http::{HeaderValue, Request};
use pushslots::mock::MockService;
use pushslots::{
    Client, Delivery, ErrorKind, HttpTransport, RateLimiter, Response, Transport, TransportContext,
    TransportError,
};
use support::http2::serve;
use support::message;
use support::model::{Model, client_of, ok};
use support::tls::{Authority, TlsListener};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::unbounded_channel;

#[tokio::test]
async fn headers_and_user_agent_are_in_every_request() {
    let service = MockService::start().unwrap();
    let transport = HttpTransport::builder()
        .header("X-Gateway-Tenant", "south")
        .header("x-gateway-tenant", "north")
        .user_agent("acme-scheduler/4.2")
        .build()
        .unwrap();
    let client = Client::builder().mock(&service).transport(transport).build().unwrap();
    client.send(&message()).await.unwrap();
    let requests = service.requests();
    assert_eq!(requests.len(), 2, "a token request and a message");
    for request in &requests {
        let tenants: Vec<_> = request.headers().get_all("x-gateway-tenant").iter().collect();
        assert_eq!(tenants, ["north"]);
        assert_eq!(request.headers()["user-agent"], "acme-scheduler/4.2");
    }
}

#[test]
fn headers_that_the_client_sets_itself_are_an_error() {
    let error = HttpTransport::builder()
        .header("Authorization", "Bearer canary")
        .header("idempotency-key", "canary")
        .header("USER-AGENT", "canary")
        .header("content-length", "1")
        .header("Keep-Alive", "1")
        .header("not a name", "canary")
        .header("x-fine", "line\nbreak canary")
        .user_agent("line\nbreak canary")
        .connect_timeout(Duration::ZERO)
        .only_given_root_certificates()
        .proxy("socks5://canary")
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let paths: Vec<_> = error.problems().iter().map(pushslots::Problem::path).collect();
    assert_eq!(
        paths,
        [
            "header Authorization",
            "header idempotency-key",
            "header USER-AGENT",
            "header content-length",
            "header Keep-Alive",
            "header not a name",
            "header x-fine",
            "user_agent",
            "connect_timeout",
            "proxy",
            "only_given_root_certificates",
        ]
    );
    assert!(!error.to_string().contains("canary"), "{error}");
    let long = HttpTransport::builder().header(&"é".repeat(100_000), "").build().unwrap_err();
    assert!(long.to_string().len() < 1_000);
}

#[test]
fn connection_settings_are_an_error_with_a_given_transport() {
    let service = MockService::start().unwrap();
    let transport = HttpTransport::builder().build().unwrap();
    let builder = Client::builder().mock(&service).transport(transport);
    let error = builder.connect_timeout(Duration::from_secs(1)).build().unwrap_err();
    assert_eq!(error.problems()[0].path(), "transport");
}

/// A transport that adds a header and counts requests.
struct Tracing {
    inner: HttpTransport,
    requests: AtomicUsize,
}

impl Transport for Tracing {
    async fn send(
        &self,
        mut request: Request<Bytes>,
        context: TransportContext,
    ) -> Result<Response, TransportError> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        request.headers_mut().insert("x-request-number", HeaderValue::from(number));
        self.inner.send(request, context).await
    }
}

#[tokio::test]
async fn transport_can_wrap_the_http_transport() {
    let service = MockService::start().unwrap();
    let inner = HttpTransport::builder().build().unwrap();
    let tracing = Arc::new(Tracing { inner, requests: AtomicUsize::new(0) });
    let client = Client::builder().mock(&service).transport(tracing.clone()).build().unwrap();
    client.send(&message()).await.unwrap();
    assert_eq!(tracing.requests.load(Ordering::Relaxed), 2);
    let numbers: Vec<_> = service
        .requests()
        .iter()
        .map(|request| request.headers()["x-request-number"].clone())
        .collect();
    assert_eq!(numbers, ["0", "1"]);
}

#[tokio::test]
async fn a_wrapped_transport_still_reports_that_a_request_never_left() {
    // No program listens on this port.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let inner = HttpTransport::builder().build().unwrap();
    let tracing = Tracing { inner, requests: AtomicUsize::new(0) };
    let client = support::client(&format!("http://{closed}"), "client")
        .transport(tracing)
        .rate_limiter(RateLimiter::new(2, Duration::from_secs(3_600)))
        .max_attempts(4)
        .build()
        .unwrap();
    let error = client.send(&message()).await.unwrap_err();
    // If these requests counted, the rate limit would allow only two of them.
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Connection, Delivery::NotSent));
    assert_eq!(error.attempts().len(), 4);
}

/// A transport that uses another one if the first can't connect.
struct Fallback {
    first: HttpTransport,
    second: Arc<Model>,
}

impl Transport for Fallback {
    async fn send(
        &self,
        request: Request<Bytes>,
        context: TransportContext,
    ) -> Result<Response, TransportError> {
        match self.first.send(request.clone(), context).await {
            Err(failure) if !failure.may_have_arrived() => self.second.send(request, context).await,
            sent => sent,
        }
    }
}

#[tokio::test]
async fn request_sent_by_a_fallback_transport_counts_against_the_rate_limit() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let model = Model::scripted([ok()]);
    let transport =
        Fallback { first: HttpTransport::builder().build().unwrap(), second: model.clone() };
    let client = client_of(&model)
        .base_url(format!("http://{closed}"))
        .transport(transport)
        .rate_limiter(RateLimiter::new(2, Duration::from_secs(3_600)))
        .build()
        .unwrap();
    client.send(&message()).await.unwrap();
    let error = client.send(&message()).await.unwrap_err();
    assert_eq!((error.kind(), model.calls().len()), (ErrorKind::Throttled, 1));
}

#[tokio::test]
async fn only_given_root_certificates_are_trusted_if_they_are_pinned() {
    let ours = Authority::generate();
    let others = Authority::generate();
    let listener = TlsListener::bind(&ours, None, &["h2"]).await;
    let url = listener.url();
    let (arrived, mut arrivals) = unbounded_channel();
    tokio::spawn(serve(listener, 10, arrived));
    let accepting = tokio::spawn(async move {
        let message: support::http2::Arrived = arrivals.recv().await.unwrap();
        message.accept().await;
    });
    let client = |authority: &Authority| {
        let transport = HttpTransport::builder().root_certificate(authority.pem.clone());
        let transport = transport.only_given_root_certificates().build().unwrap();
        support::client(&url, "client").transport(transport).max_attempts(1).build().unwrap()
    };
    let error = client(&others).send(&message()).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Connection, Delivery::NotSent));
    client(&ours).send(&message()).await.unwrap();
    accepting.await.unwrap();
}

#[tokio::test]
async fn http1_only_offers_no_other_version() {
    let authority = Authority::generate();
    let listener = TlsListener::bind(&authority, None, &["h2", "http/1.1"]).await;
    let url = listener.url();
    let protocol = tokio::spawn(async move {
        let mut stream = listener.accept().await.unwrap();
        let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        let _ = stream.shutdown().await;
        protocol
    });
    let transport = HttpTransport::builder()
        .root_certificate(authority.pem.clone())
        .http1_only()
        .build()
        .unwrap();
    let client =
        support::client(&url, "client").transport(transport).max_attempts(1).build().unwrap();
    client.send(&message()).await.unwrap_err();
    assert_eq!(protocol.await.unwrap().as_deref(), Some(&b"http/1.1"[..]));
}

#[tokio::test]
async fn plain_http_to_this_machine_never_passes_through_a_proxy_on_another() {
    let service = MockService::start().unwrap();
    let transport = HttpTransport::builder().proxy("http://192.0.2.1:3128").build().unwrap();
    let client =
        Client::builder().mock(&service).transport(transport).max_attempts(1).build().unwrap();
    let error = client.send(&message()).await.unwrap_err();
    assert_eq!(error.delivery(), Delivery::NotSent);
    assert!(error.to_string().contains("a proxy on another machine"), "{error}");
}
