//! A service over real sockets that records the messages it accepted, and sometimes fails.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::proxy::Protocol;
use super::raw::{header, is_whole, split, try_read_request};

const LOGS: &str = r#"{"Meta":{"Logs":[{"ID":"1","AttemptID":"2"}]}}"#;
const PARTIAL: &str =
    r#"{"Meta":{"Logs":[{"ID":"1","AttemptID":"2"}],"Errors":[{"ID":1,"Text":"no"}]}}"#;

/// A complete response.
struct Scripted {
    status: u16,
    header: (&'static str, &'static str),
    body: Bytes,
}

const JSON: (&str, &str) = ("content-type", "application/json");

impl Scripted {
    fn token(json: String) -> Self {
        Self { status: 200, header: JSON, body: json.into() }
    }

    /// Returns the bytes of the response over HTTP/1.1.
    fn http1_bytes(&self) -> Vec<u8> {
        let status = self.status;
        let (name, value) = self.header;
        let length = self.body.len();
        let head = format!(
            "HTTP/1.1 {status} Scripted\r\n{name}: {value}\r\nContent-Length: {length}\r\n\r\n"
        );
        [head.as_bytes(), &self.body].concat()
    }

    /// Sends the response over HTTP/2.
    fn send(self, mut respond: SendResponse<Bytes>) {
        let head = Response::builder().status(self.status).header(self.header.0, self.header.1);
        // The client may have disconnected.
        if let Ok(mut stream) = respond.send_response(head.body(()).unwrap(), false) {
            let _ = stream.send_data(self.body, true);
        }
    }
}

/// The behavior of the service for one message.
#[derive(Clone, Copy, Debug)]
pub enum FaultMode {
    Accepts,
    AcceptsLate,
    /// The service responds with this status. The flag is whether it accepted the message.
    Responds(u16, bool),
    /// A gateway responds with 200 and a page of its own. The flag is whether the service accepted
    /// the message.
    BlockPage(bool),
    /// A gateway compresses the response of the service. The flag is whether the service accepted
    /// the message.
    Compressed(bool),
    /// The service accepts the message and responds with log ids and errors, because one of several
    /// destinations may have failed.
    Partial,
    /// The service ends the exchange without a response. The flag is whether it accepted the
    /// message.
    Breaks(bool),
    /// HTTP/2 only: the service rejects the stream with REFUSED_STREAM, which guarantees that it
    /// processed nothing (RFC 9113, section 8.7).
    RejectsStream,
    /// HTTP/2 only: the service accepts the message and sends GOAWAY.
    GoesAway,
    /// HTTP/2 only: the service ends the connection with all of its streams.
    Collapses,
}

impl FaultMode {
    /// Draws a mode, most often [`FaultMode::Accepts`].
    pub fn sample(rng: &mut StdRng) -> Self {
        let accepted = rng.gen_bool(0.5);
        match rng.gen_range(0..44) {
            0 => Self::AcceptsLate,
            // This 503 has no `Retry-After`.
            1 => Self::Responds(503, accepted),
            2 => Self::Responds(429, false),
            3 => Self::Responds([500, 502, 504][rng.gen_range(0..3)], accepted),
            4 => Self::Responds(401, false),
            5 => Self::Responds(400, false),
            6 => Self::Breaks(accepted),
            7 => Self::RejectsStream,
            8 => Self::GoesAway,
            9 => Self::Collapses,
            10 => Self::BlockPage(accepted),
            11 => Self::Compressed(accepted),
            12 => Self::Partial,
            13 => Self::Responds([408, 421, 425][rng.gen_range(0..3)], false),
            _ => Self::Accepts,
        }
    }

    /// Returns the response, or `None` if the service sends none.
    fn scripted(self) -> Option<Scripted> {
        let response =
            |status, body: &'static str| Some(Scripted { status, header: JSON, body: body.into() });
        match self {
            Self::Accepts | Self::AcceptsLate | Self::GoesAway => response(200, LOGS),
            Self::Responds(status, _) => response(status, ""),
            Self::BlockPage(_) => {
                let body = "<html><body>Request Rejected</body></html>".into();
                Some(Scripted { status: 200, header: ("content-type", "text/html"), body })
            }
            Self::Compressed(_) => {
                let body = "\u{1f}whatever it says".into();
                Some(Scripted { status: 200, header: ("content-encoding", "gzip"), body })
            }
            Self::Partial => response(200, PARTIAL),
            Self::Breaks(_) | Self::RejectsStream | Self::Collapses => None,
        }
    }

    fn accepts(self) -> bool {
        match self {
            Self::Accepts | Self::AcceptsLate | Self::GoesAway | Self::Partial => true,
            Self::Responds(_, accepted) | Self::Breaks(accepted) => accepted,
            Self::BlockPage(accepted) | Self::Compressed(accepted) => accepted,
            Self::RejectsStream | Self::Collapses => false,
        }
    }
}

/// The messages that the service received.
#[derive(Default)]
pub struct Known {
    /// The number of times that each message arrived completely, by message id.
    pub arrived: BTreeMap<String, usize>,
    /// The number of times that each message was accepted, by message id.
    pub accepted: BTreeMap<String, usize>,
    /// Messages with unexpected bytes.
    pub altered: usize,
    tokens: usize,
}

/// A service that runs until dropped.
pub struct RecordingServer {
    pub address: SocketAddr,
    known: Arc<Mutex<Known>>,
    listening: JoinHandle<()>,
}

#[derive(Clone)]
struct Service {
    known: Arc<Mutex<Known>>,
    mode: Arc<Mutex<dyn FnMut() -> FaultMode + Send>>,
    /// The bodies that a message may have.
    expected: Arc<[Vec<u8>]>,
}

impl RecordingServer {
    /// Starts a service that speaks HTTP/1.1, or HTTP/2 without TLS and with prior knowledge. Calls
    /// `mode` for each message.
    pub async fn start(
        protocol: Protocol,
        expected: impl Into<Arc<[Vec<u8>]>>,
        mode: impl FnMut() -> FaultMode + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let known = Arc::<Mutex<Known>>::default();
        let service = Service {
            known: known.clone(),
            mode: Arc::new(Mutex::new(mode)),
            expected: expected.into(),
        };
        let listening = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                match protocol {
                    Protocol::Http1 => connections.spawn(service.clone().http1(stream)),
                    Protocol::Http2 => connections.spawn(service.clone().http2(stream)),
                };
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, known, listening }
    }

    /// Starts a service that draws its modes from a seed.
    pub async fn with_faults(
        protocol: Protocol,
        expected: impl Into<Arc<[Vec<u8>]>>,
        seed: u64,
    ) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        Self::start(protocol, expected, move || FaultMode::sample(&mut rng)).await
    }

    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }
}

impl Drop for RecordingServer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Service {
    /// Records a complete message, and determines its outcome before any response is sent.
    fn record(&self, message_id: &str, body: &[u8]) -> FaultMode {
        let mode = (self.mode.lock().unwrap())();
        let known = &mut *self.known.lock().unwrap();
        *known.arrived.entry(message_id.to_owned()).or_default() += 1;
        known.altered += usize::from(!self.expected.iter().any(|expected| expected == body));
        if mode.accepts() {
            *known.accepted.entry(message_id.to_owned()).or_default() += 1;
        }
        mode
    }

    fn token(&self) -> String {
        let known = &mut *self.known.lock().unwrap();
        known.tokens += 1;
        format!(
            r#"{{"access_token":"token-{}","token_type":"Bearer","expires_in":300}}"#,
            known.tokens
        )
    }

    async fn http1(self, mut stream: TcpStream) {
        while let Ok(request) = try_read_request(&mut stream).await {
            if !is_whole(&request) {
                return;
            }
            let (head, body) = split(&request);
            let response = match header(head, "idempotency-key") {
                None => Scripted::token(self.token()),
                Some(message_id) => {
                    let mode = self.record(message_id, body.unwrap());
                    if let FaultMode::AcceptsLate = mode {
                        sleep(LATE).await;
                    }
                    let Some(response) = mode.scripted() else { return };
                    response
                }
            };
            if stream.write_all(&response.http1_bytes()).await.is_err() {
                return;
            }
        }
    }

    async fn http2(self, stream: TcpStream) {
        let Ok(mut connection) = h2::server::handshake(stream).await else { return };
        let (end, mut ended) = tokio::sync::mpsc::unbounded_channel();
        loop {
            let accepted = tokio::select! {
                accepted = connection.accept() => accepted,
                Some(mode) = ended.recv() => {
                    match mode {
                        FaultMode::GoesAway => connection.graceful_shutdown(),
                        _ => connection.abrupt_shutdown(Reason::INTERNAL_ERROR),
                    }
                    continue;
                }
            };
            let Some(Ok((request, respond))) = accepted else { return };
            let service = self.clone();
            let end = end.clone();
            tokio::spawn(async move {
                if let Some(mode) = service.exchange(request, respond).await {
                    let _ = end.send(mode);
                }
            });
        }
    }

    /// Handles one exchange. Returns the mode if it ends the whole connection.
    async fn exchange(
        self,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
    ) -> Option<FaultMode> {
        let message_id =
            request.headers().get("idempotency-key").map(|id| id.to_str().unwrap().to_owned());
        let body = read(request.into_body()).await?;
        let Some(message_id) = message_id else {
            Scripted::token(self.token()).send(respond);
            return None;
        };
        let mode = self.record(&message_id, &body);
        if let FaultMode::AcceptsLate = mode {
            sleep(LATE).await;
        }
        match (mode, mode.scripted()) {
            (_, Some(response)) => response.send(respond),
            (FaultMode::RejectsStream, _) => respond.send_reset(Reason::REFUSED_STREAM),
            (FaultMode::Breaks(_), _) => respond.send_reset(Reason::INTERNAL_ERROR),
            _ => {}
        }
        Some(mode).filter(|mode| matches!(mode, FaultMode::GoesAway | FaultMode::Collapses))
    }
}

/// The delay of a late response. Some attempts time out earlier, and others don't.
const LATE: Duration = Duration::from_millis(200);

/// Returns the whole body, or `None` if it is cut.
async fn read(mut body: RecvStream) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.ok()?;
        body.flow_control().release_capacity(chunk.len()).ok()?;
        read.extend_from_slice(&chunk);
    }
    Some(read)
}
