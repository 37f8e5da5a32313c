//! The sockets of the mock: HTTP/1.1, and scripted violations of it.

use std::future::{Future, poll_fn};
use std::io::{self, Write};
use std::net::{IpAddr, TcpListener};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, oneshot};

use super::inbox::ReceivedRequest;
use super::mock_response::{MockResponse, Transmission};
use super::routes;
use super::service::{IncomingRequest, Service};
use crate::clock;

/// Binds a listener, and returns it with its port.
pub(super) fn listen(address: IpAddr, port: u16) -> io::Result<(TcpListener, u16)> {
    let unavailable = |error: io::Error| {
        io::Error::new(error.kind(), format!("port {port} of {address}: {error}"))
    };
    let listener = TcpListener::bind((address, port)).map_err(unavailable)?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

/// The thread that serves requests. It has a runtime of its own, so that it runs regardless of what
/// the test does with its thread and its clock.
pub(super) struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(listener: TcpListener, service: Arc<Service>) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        // The thread creates and drops the runtime, because a runtime must not be dropped within
        // another.
        let run = move || match begin(listener) {
            Ok((runtime, listener)) => {
                let _ = ready.send(Ok(()));
                runtime.block_on(serve(listener, service, stopped));
            }
            Err(error) => drop(ready.send(Err(error))),
        };
        let thread = thread::Builder::new().name("pushslots mock".to_owned()).spawn(run)?;
        is_ready.recv().map_err(io::Error::other)??;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Stops the server and all its connections.
    pub(super) fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Panics are caught and recorded where they happen.
            let _ = thread.join();
        }
    }
}

fn begin(listener: TcpListener) -> io::Result<(Runtime, tokio::net::TcpListener)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let listener = tokio::net::TcpListener::from_std(listener)?;
    drop(entered);
    Ok((runtime, listener))
}

async fn serve(
    listener: tokio::net::TcpListener,
    service: Arc<Service>,
    mut stopped: oneshot::Receiver<()>,
) {
    loop {
        let accepted = match select(&mut stopped, pin!(listener.accept())).await {
            Either::Left(_) => return,
            Either::Right((accepted, _)) => accepted,
        };
        match accepted {
            // The connections end with the runtime.
            Ok((stream, _)) => drop(tokio::spawn(watched(stream, service.clone()))),
            // The machine lacks a resource for the moment, such as open files.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Serves a connection, and records a panic for the test that holds the mock.
async fn watched(stream: TcpStream, service: Arc<Service>) {
    let served = AssertUnwindSafe(connection(stream, service.clone())).catch_unwind();
    if let Err(panic) = served.await {
        service.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
    }
}

/// A scripted response that violates HTTP. The request sets it and then never ends, so that the
/// connection sends it instead.
#[derive(Default)]
struct Break {
    response: Mutex<Option<MockResponse>>,
    asked: Notify,
}

async fn connection(stream: TcpStream, service: Arc<Service>) {
    let _ = stream.set_nodelay(true);
    let broken = Arc::new(Break::default());
    let responder = {
        let broken = broken.clone();
        service_fn(move |request| respond(request, service.clone(), broken.clone()))
    };
    let mut http = http1::Builder::new().serve_connection(TokioIo::new(stream), responder);
    {
        let served = poll_fn(|context| http.poll_without_shutdown(context));
        match select(pin!(served), pin!(broken.asked.notified())).await {
            // The connection ended, whatever the client did to it.
            Either::Left(_) => return,
            Either::Right(_) => {}
        }
    }
    let stream = http.into_parts().io.into_inner();
    let response = broken.response.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(response) = response {
        let _ = end(stream, &response).await;
    }
}

type Responding = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, hyper::Error>> + Send>>;

fn respond(
    request: Request<hyper::body::Incoming>,
    service: Arc<Service>,
    broken: Arc<Break>,
) -> Responding {
    Box::pin(async move {
        let mut response = match read(request, &service).await? {
            Some(incoming) => routes::response(&service, incoming).await,
            None => MockResponse::new(StatusCode::INTERNAL_SERVER_ERROR),
        };
        if response.is_compressed
            && matches!(response.transmission, Transmission::Whole | Transmission::OddHeaders)
        {
            response.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response.body = gzip(&response.body);
        }
        if response.transmission == Transmission::Whole {
            return Ok(whole(response));
        }
        *broken.response.lock().unwrap_or_else(PoisonError::into_inner) = Some(response);
        broken.asked.notify_one();
        std::future::pending().await
    })
}

/// The maximum memory in bytes that is reserved for a body before it arrives.
const MOST_AT_ONCE: usize = 64 << 20;

/// A request that is still arriving. If it breaks off, it is logged.
struct Arriving<'a> {
    service: &'a Service,
    request: Option<ReceivedRequest>,
    began: Instant,
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        if let Some(request) = self.request.take() {
            self.service.broke_off(request, self.began);
        }
    }
}

/// Reads a request to its end. Keeps no more of its body than the mock's maximum.
async fn read(
    request: Request<hyper::body::Incoming>,
    service: &Service,
) -> hyper::Result<Option<IncomingRequest>> {
    let began = Instant::now();
    let at = clock::now();
    let (head, mut rest) = request.into_parts();
    let length =
        head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let query = head.uri.query().map(str::to_owned);
    let request = ReceivedRequest::new(at, head.method, head.uri.path(), head.headers);
    let mut arriving = Arriving { service, request: Some(request), began };
    let mut body =
        BytesMut::with_capacity(length.unwrap_or(0).min(service.max_bytes).min(MOST_AT_ONCE));
    let mut is_too_large = false;
    while let Some(frame) = rest.frame().await {
        if let Ok(data) = frame?.into_data() {
            is_too_large |= data.len() > service.max_bytes - body.len();
            if !is_too_large {
                body.extend_from_slice(&data);
            }
        }
    }
    let request = arriving.request.take();
    let whole = request.map(|request| ReceivedRequest { body: body.freeze(), ..request });
    Ok(whole.map(|request| IncomingRequest { request, query, is_too_large, began }))
}

/// Converts the response into the form that hyper sends.
fn whole(response: MockResponse) -> Response<Full<Bytes>> {
    let mut whole = Response::new(Full::new(response.body));
    *whole.status_mut() = response.status;
    *whole.headers_mut() = response.headers;
    whole
}

fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory can't fail.
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.unwrap_or_default().into()
}

/// Ends a connection in a way that HTTP doesn't allow.
async fn end(mut stream: TcpStream, response: &MockResponse) -> io::Result<()> {
    match response.transmission {
        Transmission::Whole | Transmission::Closed => {}
        Transmission::Reset => socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?,
        Transmission::Stall => {
            // Anything else that the client sends is discarded.
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
        }
        Transmission::Truncated => {
            let (half, _) = response.body.split_at(response.body.len() / 2);
            let head = format!(
                "HTTP/1.1 {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                response.status,
                response.body.len().max(1)
            );
            stream.write_all(&[head.as_bytes(), half].concat()).await?;
        }
        Transmission::MalformedChunk => {
            let head =
                format!("HTTP/1.1 {}\r\nTransfer-Encoding: chunked\r\n\r\n", response.status);
            stream.write_all(&[head.as_bytes(), GARBAGE].concat()).await?;
        }
        Transmission::Garbage => stream.write_all(GARBAGE).await?,
        Transmission::OddHeaders => {
            let status = response.status;
            let length = response.body.len();
            let mut head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{ODD_HEADERS}")
                    .into_bytes();
            for (name, value) in &response.headers {
                head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
            }
            stream.write_all(&[&head, &b"\r\n"[..], &response.body].concat()).await?;
        }
    }
    if response.transmission != Transmission::Reset {
        stream.shutdown().await?;
    }
    Ok(())
}

/// Header lines that no gateway should send, but some do (RFC 9110, section 5.5, and RFC 9112,
/// sections 5.1 and 5.2).
const ODD_HEADERS: &str = concat!(
    "Connection: close\r\n",
    "X-Control: one\u{1}two\r\n",
    "X Spaced: yes\r\n",
    "X-Late : yes\r\n",
    "X-Folded: over\r\n two lines\r\n",
);

/// Bytes that don't begin with a hexadecimal digit, so that they aren't a chunk size.
const GARBAGE: &[u8] = b"~~~ this is no HTTP at all ~~~\r\n\r\n";
