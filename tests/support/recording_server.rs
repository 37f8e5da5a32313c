//! A service over real sockets that knows what it accepted, and fails now and then.

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

/// A whole response.
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

    /// The bytes of HTTP/1.1.
    fn written(&self) -> Vec<u8> {
        let status = self.status;
        let (name, value) = self.header;
        let length = self.body.len();
        let head = format!(
            "HTTP/1.1 {status} Scripted\r\n{name}: {value}\r\nContent-Length: {length}\r\n\r\n"
        );
        [head.as_bytes(), &self.body].concat()
    }

    /// Responds over HTTP/2.
    fn send(self, mut respond: SendResponse<Bytes>) {
        let head = Response::builder().status(self.status).header(self.header.0, self.header.1);
        // The client may have gone.
        if let Ok(mut stream) = respond.send_response(head.body(()).unwrap(), false) {
            let _ = stream.send_data(self.body, true);
        }
    }
}

/// What the service does with a message.
#[derive(Clone, Copy, Debug)]
pub enum FaultMode {
    Accepts,
    AcceptsLate,
    /// It answers with this status, having accepted the message or not.
    Answers(u16, bool),
    /// A gateway answers 200 with a page of its own, whether or not the service accepted the
    /// message.
    BlockPage(bool),
    /// A gateway compresses the response of the service, which accepted the message or not.
    Compressed(bool),
    /// It accepts the message and answers with log ids and errors: one of several destinations may
    /// have failed.
    Partial,
    /// It ends the exchange without a response, having accepted the message or not.
    Breaks(bool),
    /// HTTP/2 alone: it rejects the stream unread, which says that nothing was done: RFC 9113,
    /// section 8.7.
    RejectsStream,
    /// HTTP/2 alone: it accepts the message and wants no further ones on this connection.
    GoesAway,
    /// HTTP/2 alone: it ends the connection with all that is on it.
    Collapses,
}

impl FaultMode {
    /// Mostly a good one.
    pub fn sample(rng: &mut StdRng) -> Self {
        let accepted = rng.gen_bool(0.5);
        match rng.gen_range(0..44) {
            0 => Self::AcceptsLate,
            // Without `Retry-After`.
            1 => Self::Answers(503, accepted),
            2 => Self::Answers(429, false),
            3 => Self::Answers([500, 502, 504][rng.gen_range(0..3)], accepted),
            4 => Self::Answers(401, false),
            5 => Self::Answers(400, false),
            6 => Self::Breaks(accepted),
            7 => Self::RejectsStream,
            8 => Self::GoesAway,
            9 => Self::Collapses,
            10 => Self::BlockPage(accepted),
            11 => Self::Compressed(accepted),
            12 => Self::Partial,
            13 => Self::Answers([408, 421, 425][rng.gen_range(0..3)], false),
            _ => Self::Accepts,
        }
    }

    /// The response, if there is one.
    fn scripted(self) -> Option<Scripted> {
        let said =
            |status, body: &'static str| Some(Scripted { status, header: JSON, body: body.into() });
        match self {
            Self::Accepts | Self::AcceptsLate | Self::GoesAway => said(200, LOGS),
            Self::Answers(status, _) => said(status, ""),
            Self::BlockPage(_) => {
                let body = "<html><body>Request Rejected</body></html>".into();
                Some(Scripted { status: 200, header: ("content-type", "text/html"), body })
            }
            Self::Compressed(_) => {
                let body = "\u{1f}whatever it says".into();
                Some(Scripted { status: 200, header: ("content-encoding", "gzip"), body })
            }
            Self::Partial => said(200, PARTIAL),
            Self::Breaks(_) | Self::RejectsStream | Self::Collapses => None,
        }
    }

    fn accepts(self) -> bool {
        match self {
            Self::Accepts | Self::AcceptsLate | Self::GoesAway | Self::Partial => true,
            Self::Answers(_, accepted) | Self::Breaks(accepted) => accepted,
            Self::BlockPage(accepted) | Self::Compressed(accepted) => accepted,
            Self::RejectsStream | Self::Collapses => false,
        }
    }
}

/// What the service knows.
#[derive(Default)]
pub struct Known {
    /// How often each message arrived whole, and how often it was accepted.
    pub arrived: BTreeMap<String, usize>,
    pub accepted: BTreeMap<String, usize>,
    /// Messages whose bytes are other than they should be.
    pub altered: usize,
    tokens: usize,
}

/// Serves until it is dropped.
pub struct FarSide {
    pub address: SocketAddr,
    known: Arc<Mutex<Known>>,
    listening: JoinHandle<()>,
}

#[derive(Clone)]
struct Service {
    known: Arc<Mutex<Known>>,
    mood: Arc<Mutex<dyn FnMut() -> FaultMode + Send>>,
    /// The bytes that a message may have.
    expected: Arc<[Vec<u8>]>,
}

impl FarSide {
    /// Speaks HTTP/1.1, or HTTP/2 without TLS and from the first byte; `mood` is asked for each
    /// message.
    pub async fn start(
        protocol: Protocol,
        expected: impl Into<Arc<[Vec<u8>]>>,
        mood: impl FnMut() -> FaultMode + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let known = Arc::<Mutex<Known>>::default();
        let service = Service {
            known: known.clone(),
            mood: Arc::new(Mutex::new(mood)),
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

    /// One whose moods come from a seed.
    pub async fn moody(protocol: Protocol, expected: impl Into<Arc<[Vec<u8>]>>, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        Self::start(protocol, expected, move || FaultMode::sample(&mut rng)).await
    }

    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }
}

impl Drop for FarSide {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Service {
    /// Takes note of a message that arrived whole, and settles what becomes of it before anything
    /// is answered.
    fn arrived(&self, message_id: &str, body: &[u8]) -> FaultMode {
        let mood = (self.mood.lock().unwrap())();
        let known = &mut *self.known.lock().unwrap();
        *known.arrived.entry(message_id.to_owned()).or_default() += 1;
        known.altered += usize::from(!self.expected.iter().any(|expected| expected == body));
        if mood.accepts() {
            *known.accepted.entry(message_id.to_owned()).or_default() += 1;
        }
        mood
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
            let said = match header(head, "idempotency-key") {
                None => Scripted::token(self.token()),
                Some(message_id) => {
                    let mood = self.arrived(message_id, body.unwrap());
                    if let FaultMode::AcceptsLate = mood {
                        sleep(LATE).await;
                    }
                    let Some(said) = mood.scripted() else { return };
                    said
                }
            };
            if stream.write_all(&said.written()).await.is_err() {
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
                Some(mood) = ended.recv() => {
                    match mood {
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
                if let Some(mood) = service.exchange(request, respond).await {
                    let _ = end.send(mood);
                }
            });
        }
    }

    /// One exchange; gives what becomes of the whole connection after it, if anything.
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
        let mood = self.arrived(&message_id, &body);
        if let FaultMode::AcceptsLate = mood {
            sleep(LATE).await;
        }
        match (mood, mood.scripted()) {
            (_, Some(said)) => said.send(respond),
            (FaultMode::RejectsStream, _) => respond.send_reset(Reason::REFUSED_STREAM),
            (FaultMode::Breaks(_), _) => respond.send_reset(Reason::INTERNAL_ERROR),
            _ => {}
        }
        Some(mood).filter(|mood| matches!(mood, FaultMode::GoesAway | FaultMode::Collapses))
    }
}

/// Longer than some attempts wait and shorter than others.
const LATE: Duration = Duration::from_millis(200);

/// The whole body; nothing where it ends before its end.
async fn read(mut body: RecvStream) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.ok()?;
        body.flow_control().release_capacity(chunk.len()).ok()?;
        read.extend_from_slice(&chunk);
    }
    Some(read)
}
