//! A proxy on loopback that passes bytes on until a fault strikes, after an exact number of bytes.
//! It can also close connections silently between requests, and slow the uplink down.

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::server::TlsStream;

use super::raw::{header, split as split_head};
use super::requests::{Http1, Http2, Requests};
use super::tls::{Authority, TlsListener};

/// What a client speaks with the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// HTTP/1.1 without TLS.
    Http1,
    /// HTTP/2 over TLS, which ends at the proxy, so that faults fall on plain bytes.
    Http2,
}

/// What strikes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strike {
    /// The connection is cut with RST.
    Reset,
    /// It is closed with FIN.
    Close,
    /// Nothing more passes in this direction, and the other goes on.
    Stall,
    /// Nothing more passes in either direction.
    Blackhole,
}

/// Where the bytes go that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Toward {
    Service,
    Client,
}

/// A fault that strikes a connection once so many bytes have passed in one direction. At none it
/// strikes before TLS begins.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub strike: Strike,
    pub toward: Toward,
    pub after: usize,
}

/// The course of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Course {
    pub fault: Option<Fault>,
    /// The bytes per second that pass toward the service, if the line limits them.
    pub uplink: Option<u32>,
    pub silent_close: Option<SilentClose>,
}

/// The service closes the connection with a FIN and doesn't announce it, neither by `Connection:
/// close` nor by GOAWAY. The next request may be in flight by then.
#[derive(Clone, Copy, Debug)]
pub struct SilentClose {
    /// The number of responses that pass on the connection first.
    pub responses: usize,
    /// The time from the last byte of these responses to the FIN.
    pub after: Duration,
}

impl From<Option<Fault>> for Course {
    fn from(fault: Option<Fault>) -> Self {
        Self { fault, ..Self::default() }
    }
}

/// A slow uplink passes this many parts per second.
const PARTS_PER_SECOND: u32 = 100;

/// What the proxy has seen.
#[derive(Default)]
pub struct Seen {
    pub connections: usize,
    /// Connections with a slow uplink.
    pub slow: usize,
    /// Connections that closed silently.
    pub closed_silently: usize,
    /// How often each fault struck.
    pub struck: BTreeMap<(Strike, Toward), usize>,
    /// Requests that left the client, as far as a byte of their body.
    pub requests: usize,
    /// Those of each message, where the protocol shows it.
    pub of_message: BTreeMap<String, usize>,
}

/// The course of each connection, by its number from 0.
type Plan = Box<dyn FnMut(usize) -> Course + Send>;

/// Passes connections on until it is dropped.
pub struct Proxy {
    pub url: String,
    /// What vouches for it over TLS.
    pub authority: Authority,
    seen: Arc<Mutex<Seen>>,
    /// Connections with a lower number are dead.
    dead: watch::Sender<usize>,
    listening: JoinHandle<()>,
    connections: Arc<Mutex<JoinSet<()>>>,
}

impl Proxy {
    /// Passes connections on to `service`, each on the course that `plan` has for it.
    pub async fn start<C: Into<Course>>(
        protocol: Protocol,
        service: SocketAddr,
        mut plan: impl FnMut(usize) -> C + Send + 'static,
    ) -> Self {
        let authority = Authority::generate();
        let tls = TlsListener::bind(&authority, None, &["h2"]).await;
        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = match protocol {
            Protocol::Http1 => format!("http://{}", plain.local_addr().unwrap()),
            Protocol::Http2 => tls.url(),
        };
        let (dead, _) = watch::channel(0);
        let seen = Arc::default();
        let connections = Arc::<Mutex<JoinSet<()>>>::default();
        let acceptor = Acceptor { protocol, plain, tls: Arc::new(tls), service };
        let run = acceptor.run(
            Box::new(move |number| plan(number).into()),
            Arc::clone(&seen),
            dead.clone(),
            connections.clone(),
        );
        Self { url, authority, seen, dead, listening: tokio::spawn(run), connections }
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// From now on nothing passes, neither on the connections that there are nor on new ones.
    pub fn blackhole(&self) {
        self.dead.send_replace(usize::MAX);
    }

    /// From now on new connections are as the plan says. Those that there were stay dead.
    pub fn revive(&self) {
        self.dead.send_replace(self.seen().connections);
    }

    /// Waits until every client has gone and what it wrote has passed.
    pub async fn settle(&self) {
        self.listening.abort();
        let mut connections = std::mem::take(&mut *self.connections.lock().unwrap());
        let all = async { while connections.join_next().await.is_some() {} };
        timeout(Duration::from_secs(30), all).await.expect("every client has gone");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

struct Acceptor {
    protocol: Protocol,
    plain: TcpListener,
    tls: Arc<TlsListener>,
    service: SocketAddr,
}

impl Acceptor {
    async fn run(
        self,
        mut plan: Plan,
        seen: Arc<Mutex<Seen>>,
        dead: watch::Sender<usize>,
        connections: Arc<Mutex<JoinSet<()>>>,
    ) {
        loop {
            let client = match self.protocol {
                Protocol::Http1 => self.plain.accept().await.unwrap().0,
                Protocol::Http2 => self.tls.accept_tcp().await,
            };
            client.set_nodelay(true).unwrap();
            let number = seen.lock().unwrap().connections;
            let course = plan(number);
            seen.lock().unwrap().connections += 1;
            seen.lock().unwrap().slow += usize::from(course.uplink.is_some());
            let passing = Passing {
                number,
                protocol: self.protocol,
                course,
                seen: seen.clone(),
                dead: dead.subscribe(),
            };
            let protocol = self.protocol;
            let tls = self.tls.clone();
            let service = self.service;
            connections.lock().unwrap().spawn(async move {
                if let Some(Fault { strike, toward, after: 0 }) = passing.course.fault {
                    passing.note(strike, toward);
                    let requests = match protocol {
                        Protocol::Http1 => Requests::Http1(Http1::default()),
                        // What comes of TLS is no request yet.
                        Protocol::Http2 => {
                            return end(strike, &mut { client }, &mut |_: &[u8]| {}).await;
                        }
                    };
                    return end(strike, &mut { client }, &mut counting(passing.seen, requests))
                        .await;
                }
                let service = TcpStream::connect(service).await.unwrap();
                service.set_nodelay(true).unwrap();
                match protocol {
                    Protocol::Http1 => {
                        passing.run(client, service, Requests::Http1(Http1::default())).await
                    }
                    Protocol::Http2 => {
                        let Ok(client) = tls.handshake(client).await else { return };
                        passing.run(client, service, Requests::Http2(Http2::default())).await;
                    }
                }
            });
        }
    }
}

/// One connection.
struct Passing {
    number: usize,
    protocol: Protocol,
    course: Course,
    seen: Arc<Mutex<Seen>>,
    dead: watch::Receiver<usize>,
}

impl Passing {
    fn note(&self, strike: Strike, toward: Toward) {
        *self.seen.lock().unwrap().struck.entry((strike, toward)).or_default() += 1;
    }

    async fn run(self, mut client: impl Wire, service: TcpStream, requests: Requests) {
        let seen = self.seen.clone();
        let number = self.number;
        let Course { fault, uplink, silent_close } = self.course;
        let after = |toward| fault.filter(|fault| fault.toward == toward).map(|fault| fault.after);
        let after_up = after(Toward::Service);
        let after_down = after(Toward::Client);
        let tap = counting(seen, requests);
        let (mut from_client, to_client) = split(&mut client);
        let (mut from_service, to_service) = service.into_split();
        let is_dead = || number < *self.dead.borrow();
        let (close, closes) = oneshot::channel();
        let mut responses = Responses::new(self.protocol);
        let mut close = Some(close);
        let passed = |bytes: &[u8]| {
            let Some(SilentClose { responses: last, .. }) = silent_close else { return };
            responses.read(bytes);
            if responses.ended >= last && !responses.is_end_announced {
                let _ = close.take().map(|close| close.send(()));
            }
        };
        let up_pace = uplink.map(Pace::new);
        let mut up = Lane {
            to: to_service,
            left: after_up,
            pace: up_pace,
            tap,
            passed: |_: &[u8]| {},
            is_dead,
        };
        let mut down = Lane {
            to: to_client,
            left: after_down,
            pace: None,
            tap: |_: &[u8]| {},
            passed,
            is_dead,
        };
        let mut dead = self.dead.clone();
        let fault = fault.map(|fault| fault.strike);
        let stalls = fault == Some(Strike::Stall);
        let upward = async {
            let passed = up.pass(&mut from_client).await;
            match passed {
                Passed::Struck if !stalls => return End::Struck(Toward::Service),
                Passed::Struck => self.note(Strike::Stall, Toward::Service),
                Passed::NothingMore | Passed::NobodyTakes => {}
            }
            if !matches!(passed, Passed::NothingMore) {
                swallow(&mut from_client, &mut up.tap).await;
            }
            End::ClientGone
        };
        let downward = async {
            match down.pass(&mut from_service).await {
                Passed::Struck if !stalls => return End::Struck(Toward::Client),
                Passed::Struck => self.note(Strike::Stall, Toward::Client),
                Passed::NothingMore | Passed::NobodyTakes => drop(down.to.shutdown().await),
            }
            // It ends when the client goes.
            pending().await
        };
        let silently = async {
            match (closes.await, silent_close) {
                (Ok(()), Some(SilentClose { after, .. })) => wait_exactly(after).await,
                _ => pending().await,
            }
        };
        let ended = tokio::select! {
            _ = dead.wait_for(|dead| number < *dead) => End::Dead,
            end = upward => end,
            end = downward => end,
            () = silently => End::ClosesSilently,
        };
        match (ended, fault) {
            (End::Struck(toward), Some(strike)) => {
                self.note(strike, toward);
                if strike == Strike::Blackhole {
                    return swallow(&mut from_client, &mut up.tap).await;
                }
                drop((from_client, down));
                end(strike, &mut client, &mut |_: &[u8]| {}).await;
            }
            (End::Dead, _) => {
                self.note(Strike::Blackhole, Toward::Service);
                swallow(&mut from_client, &mut up.tap).await;
            }
            (End::ClosesSilently, _) => {
                self.seen.lock().unwrap().closed_silently += 1;
                drop((from_client, down));
                // Without the `close_notify` of TLS.
                let _ = client.tcp().shutdown().await;
                // The client's bytes still count, although they get nowhere.
                swallow(&mut client, &mut up.tap).await;
            }
            _ => {}
        }
    }
}

/// How a connection ends.
enum End {
    ClientGone,
    Struck(Toward),
    Dead,
    ClosesSilently,
}

/// Waits for a fraction of a millisecond. The timers of tokio count in whole ones.
async fn wait_exactly(time: Duration) {
    spawn_blocking(move || std::thread::sleep(time)).await.unwrap();
}

/// One direction of a connection.
struct Lane<W, T, P, D> {
    to: W,
    /// How many bytes may pass.
    left: Option<usize>,
    pace: Option<Pace>,
    /// Sees all that comes, whether or not it passes.
    tap: T,
    /// Sees all that passes, after it has passed.
    passed: P,
    is_dead: D,
}

enum Passed {
    /// The last byte that may pass has passed.
    Struck,
    NothingMore,
    NobodyTakes,
}

impl<W: AsyncWrite + Unpin, T: FnMut(&[u8]), P: FnMut(&[u8]), D: Fn() -> bool> Lane<W, T, P, D> {
    async fn pass(&mut self, from: &mut (impl AsyncRead + Unpin)) -> Passed {
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = match from.read(&mut buffer).now_or_never() {
                Some(read) => read,
                None => {
                    let read = from.read(&mut buffer).await;
                    self.pace.iter_mut().for_each(Pace::rested);
                    read
                }
            };
            let bytes = match read {
                Ok(0) | Err(_) => return Passed::NothingMore,
                Ok(read) => &buffer[..read],
            };
            (self.tap)(bytes);
            if (self.is_dead)() {
                // Whoever waits for the death of the connection is about to hear of it.
                return std::future::pending().await;
            }
            let may_pass = self.left.map_or(bytes.len(), |left| left.min(bytes.len()));
            if self.write(&bytes[..may_pass]).await.is_err() {
                return Passed::NobodyTakes;
            }
            (self.passed)(&bytes[..may_pass]);
            if let Some(left) = &mut self.left {
                *left -= may_pass;
                if *left == 0 {
                    return Passed::Struck;
                }
            }
        }
    }
}

impl<W: AsyncWrite + Unpin, T, P, D> Lane<W, T, P, D> {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let part = self.pace.as_ref().map_or(bytes.len(), Pace::part);
        for bytes in bytes.chunks(part.max(1)) {
            if let Some(pace) = &mut self.pace {
                pace.pass(bytes.len()).await;
            }
            self.to.write_all(bytes).await?;
            self.to.flush().await?;
        }
        Ok(())
    }
}

/// The pace of a slow line. Late wake-ups don't add up, because each part has its own moment on the
/// line.
struct Pace {
    bytes_per_second: u32,
    /// When the line is free for the next part.
    free_at: Instant,
}

impl Pace {
    fn new(bytes_per_second: u32) -> Self {
        Self { bytes_per_second, free_at: Instant::now() }
    }

    /// The bytes that pass together.
    fn part(&self) -> usize {
        (self.bytes_per_second / PARTS_PER_SECOND).max(1) as usize
    }

    /// Starts anew after the line had nothing to carry.
    fn rested(&mut self) {
        self.free_at = self.free_at.max(Instant::now());
    }

    /// Waits until these bytes have passed the line.
    async fn pass(&mut self, bytes: usize) {
        self.free_at +=
            Duration::from_secs(1) * u32::try_from(bytes).unwrap() / self.bytes_per_second;
        sleep_until(self.free_at).await;
    }
}

/// Counts the responses that ended on a connection. For HTTP/1.1, each must have a
/// `Content-Length`.
struct Responses {
    protocol: Protocol,
    unread: Vec<u8>,
    ended: usize,
    /// Whether the service has announced that it closes the connection.
    is_end_announced: bool,
}

/// A whole response of HTTP/1.1, or a frame of HTTP/2: RFC 9113, section 4.1.
struct Unit {
    length: usize,
    ends_response: bool,
    announces_end: bool,
}

impl Responses {
    fn new(protocol: Protocol) -> Self {
        Self { protocol, unread: Vec::new(), ended: 0, is_end_announced: false }
    }

    fn read(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        while let Some(unit) = self.first().filter(|unit| unit.length <= self.unread.len()) {
            self.unread.drain(..unit.length);
            self.ended += usize::from(unit.ends_response);
            self.is_end_announced |= unit.announces_end;
        }
    }

    /// The first unread unit. Its last bytes may be missing.
    fn first(&self) -> Option<Unit> {
        const HEADERS: u8 = 1;
        const GOAWAY: u8 = 7;
        const END_STREAM: u8 = 1;
        match (self.protocol, &self.unread[..]) {
            (Protocol::Http1, unread) => {
                let (head, body) = split_head(unread);
                body?;
                let length: usize = header(head, "content-length")?.parse().unwrap();
                let announces_end = header(head, "connection") == Some("close");
                Some(Unit { length: head.len() + 4 + length, ends_response: true, announces_end })
            }
            (Protocol::Http2, [a, b, c, kind, flags, _, _, _, _, ..]) => Some(Unit {
                length: 9 + u32::from_be_bytes([0, *a, *b, *c]) as usize,
                // DATA is 0.
                ends_response: *kind <= HEADERS && flags & END_STREAM != 0,
                announces_end: *kind == GOAWAY,
            }),
            (Protocol::Http2, _) => None,
        }
    }
}

/// Reads until the client goes away, and answers nothing.
async fn swallow(from: &mut (impl AsyncRead + Unpin), tap: &mut impl FnMut(&[u8])) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        tap(&buffer[..read]);
    }
}

/// Counts the requests in what a client writes.
fn counting(seen: Arc<Mutex<Seen>>, mut requests: Requests) -> impl FnMut(&[u8]) {
    move |bytes| {
        let begun = requests.read(bytes);
        let mut seen = seen.lock().unwrap();
        seen.requests += begun.len();
        for message_id in begun.into_iter().flatten() {
            *seen.of_message.entry(message_id).or_default() += 1;
        }
    }
}

/// Ends a connection as a fault on all of it does; `tap` sees what still comes.
async fn end(strike: Strike, client: &mut impl Wire, tap: &mut impl FnMut(&[u8])) {
    match strike {
        Strike::Reset => drop(client.tcp().set_zero_linger()),
        Strike::Close => {
            let _ = client.shutdown().await;
        }
        Strike::Stall | Strike::Blackhole => swallow(client, tap).await,
    }
}

/// The client's side of a connection.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {
    fn tcp(&mut self) -> &mut TcpStream;
}

impl Wire for TcpStream {
    fn tcp(&mut self) -> &mut TcpStream {
        self
    }
}

impl Wire for TlsStream<TcpStream> {
    fn tcp(&mut self) -> &mut TcpStream {
        self.get_mut().0
    }
}
