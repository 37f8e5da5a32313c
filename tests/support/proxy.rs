//! A proxy on loopback that forwards bytes until a fault strikes, after an exact number of bytes.
//! It can also close connections silently between requests, and slow down the uplink.

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

/// The protocol between a client and the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// HTTP/1.1 without TLS.
    Http1,
    /// HTTP/2 over TLS. TLS ends at the proxy, so faults count plain bytes.
    Http2,
}

/// A fault of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strike {
    /// The connection is cut with RST.
    Reset,
    /// The connection is closed with FIN.
    Close,
    /// Nothing more passes in this direction. The other direction continues.
    Stall,
    /// Nothing more passes in either direction.
    Blackhole,
}

/// The direction in which bytes are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Toward {
    Service,
    Client,
}

/// A fault that strikes a connection after this number of bytes in one direction. At 0 it strikes
/// before TLS begins.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub strike: Strike,
    pub toward: Toward,
    pub after: usize,
}

/// The plan for a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Course {
    pub fault: Option<Fault>,
    /// The bytes per second toward the service, or `None` if they aren't limited.
    pub uplink: Option<u32>,
    pub silent_close: Option<SilentClose>,
}

/// A close with FIN that the service doesn't announce, neither with `Connection: close` nor with
/// GOAWAY. The next request may be in flight by then.
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

/// Counts of the events that the proxy observed.
#[derive(Default)]
pub struct Seen {
    pub connections: usize,
    /// Connections with a slow uplink.
    pub slow: usize,
    /// Connections that closed silently.
    pub closed_silently: usize,
    /// The number of times that each fault struck.
    pub struck: BTreeMap<(Strike, Toward), usize>,
    /// Requests that left the client. A request counts from the first byte of its body.
    pub requests: usize,
    /// The requests of each message, if the protocol shows its id.
    pub of_message: BTreeMap<String, usize>,
}

/// Returns the plan for a connection from its number, starting at 0.
type Plan = Box<dyn FnMut(usize) -> Course + Send>;

/// A proxy that forwards connections until dropped.
pub struct Proxy {
    pub url: String,
    /// The authority that signed its TLS certificate.
    pub authority: Authority,
    seen: Arc<Mutex<Seen>>,
    /// Connections with a lower number are dead.
    dead: watch::Sender<usize>,
    listening: JoinHandle<()>,
    connections: Arc<Mutex<JoinSet<()>>>,
}

impl Proxy {
    /// Starts a proxy that forwards connections to `service`. Each connection follows its plan.
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

    /// Stops all traffic on existing and new connections.
    pub fn blackhole(&self) {
        self.dead.send_replace(usize::MAX);
    }

    /// Lets new connections follow their plan again. Existing ones stay dead.
    pub fn revive(&self) {
        self.dead.send_replace(self.seen().connections);
    }

    /// Waits until every client has disconnected and all of its bytes have passed.
    pub async fn settle(&self) {
        self.listening.abort();
        let mut connections = std::mem::take(&mut *self.connections.lock().unwrap());
        let all = async { while connections.join_next().await.is_some() {} };
        timeout(Duration::from_secs(30), all).await.expect("every client disconnects");
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
            let connection = ProxiedConnection {
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
                if let Some(Fault { strike, toward, after: 0 }) = connection.course.fault {
                    connection.record(strike, toward);
                    let requests = match protocol {
                        Protocol::Http1 => Requests::Http1(Http1::default()),
                        // The bytes of TLS aren't a request yet.
                        Protocol::Http2 => {
                            return end(strike, &mut { client }, &mut |_: &[u8]| {}).await;
                        }
                    };
                    return end(strike, &mut { client }, &mut counting(connection.seen, requests))
                        .await;
                }
                let service = TcpStream::connect(service).await.unwrap();
                service.set_nodelay(true).unwrap();
                match protocol {
                    Protocol::Http1 => {
                        connection.run(client, service, Requests::Http1(Http1::default())).await
                    }
                    Protocol::Http2 => {
                        let Ok(client) = tls.handshake(client).await else { return };
                        connection.run(client, service, Requests::Http2(Http2::default())).await;
                    }
                }
            });
        }
    }
}

/// One connection through the proxy.
struct ProxiedConnection {
    number: usize,
    protocol: Protocol,
    course: Course,
    seen: Arc<Mutex<Seen>>,
    dead: watch::Receiver<usize>,
}

impl ProxiedConnection {
    fn record(&self, strike: Strike, toward: Toward) {
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
        let up_bandwidth = uplink.map(Bandwidth::new);
        let mut up = Pipe {
            to: to_service,
            left: after_up,
            bandwidth: up_bandwidth,
            tap,
            passed: |_: &[u8]| {},
            is_dead,
        };
        let mut down = Pipe {
            to: to_client,
            left: after_down,
            bandwidth: None,
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
                Passed::Struck => self.record(Strike::Stall, Toward::Service),
                Passed::SenderClosed | Passed::ReceiverClosed => {}
            }
            if !matches!(passed, Passed::SenderClosed) {
                discard(&mut from_client, &mut up.tap).await;
            }
            End::ClientGone
        };
        let downward = async {
            match down.pass(&mut from_service).await {
                Passed::Struck if !stalls => return End::Struck(Toward::Client),
                Passed::Struck => self.record(Strike::Stall, Toward::Client),
                Passed::SenderClosed | Passed::ReceiverClosed => drop(down.to.shutdown().await),
            }
            // The connection ends when the client disconnects.
            pending().await
        };
        let close_silently = async {
            match (closes.await, silent_close) {
                (Ok(()), Some(SilentClose { after, .. })) => wait_exactly(after).await,
                _ => pending().await,
            }
        };
        let ended = tokio::select! {
            _ = dead.wait_for(|dead| number < *dead) => End::Dead,
            end = upward => end,
            end = downward => end,
            () = close_silently => End::ClosesSilently,
        };
        match (ended, fault) {
            (End::Struck(toward), Some(strike)) => {
                self.record(strike, toward);
                if strike == Strike::Blackhole {
                    return discard(&mut from_client, &mut up.tap).await;
                }
                drop((from_client, down));
                end(strike, &mut client, &mut |_: &[u8]| {}).await;
            }
            (End::Dead, _) => {
                self.record(Strike::Blackhole, Toward::Service);
                discard(&mut from_client, &mut up.tap).await;
            }
            (End::ClosesSilently, _) => {
                self.seen.lock().unwrap().closed_silently += 1;
                drop((from_client, down));
                // Closes TCP without the `close_notify` of TLS.
                let _ = client.tcp().shutdown().await;
                // The client's bytes still count, although they don't arrive.
                discard(&mut client, &mut up.tap).await;
            }
            _ => {}
        }
    }
}

/// The reason for the end of a connection.
enum End {
    ClientGone,
    Struck(Toward),
    Dead,
    ClosesSilently,
}

/// Waits for less than a millisecond, the resolution of tokio's timers.
async fn wait_exactly(time: Duration) {
    spawn_blocking(move || std::thread::sleep(time)).await.unwrap();
}

/// One direction of a connection.
struct Pipe<W, T, P, D> {
    to: W,
    /// The number of bytes that may still pass, or `None` if there is no limit.
    left: Option<usize>,
    bandwidth: Option<Bandwidth>,
    /// Sees every byte that arrives, even if it doesn't pass.
    tap: T,
    /// Sees every byte after it has passed.
    passed: P,
    is_dead: D,
}

enum Passed {
    /// The last byte that may pass has passed.
    Struck,
    SenderClosed,
    ReceiverClosed,
}

impl<W: AsyncWrite + Unpin, T: FnMut(&[u8]), P: FnMut(&[u8]), D: Fn() -> bool> Pipe<W, T, P, D> {
    async fn pass(&mut self, from: &mut (impl AsyncRead + Unpin)) -> Passed {
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = match from.read(&mut buffer).now_or_never() {
                Some(read) => read,
                None => {
                    let read = from.read(&mut buffer).await;
                    self.bandwidth.iter_mut().for_each(Bandwidth::reset_after_idle);
                    read
                }
            };
            let bytes = match read {
                Ok(0) | Err(_) => return Passed::SenderClosed,
                Ok(read) => &buffer[..read],
            };
            (self.tap)(bytes);
            if (self.is_dead)() {
                // `run` is about to notice this too, and then ends the connection.
                return std::future::pending().await;
            }
            let may_pass = self.left.map_or(bytes.len(), |left| left.min(bytes.len()));
            if self.write(&bytes[..may_pass]).await.is_err() {
                return Passed::ReceiverClosed;
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

impl<W: AsyncWrite + Unpin, T, P, D> Pipe<W, T, P, D> {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let part = self.bandwidth.as_ref().map_or(bytes.len(), Bandwidth::part);
        for bytes in bytes.chunks(part.max(1)) {
            if let Some(bandwidth) = &mut self.bandwidth {
                bandwidth.pass(bytes.len()).await;
            }
            self.to.write_all(bytes).await?;
            self.to.flush().await?;
        }
        Ok(())
    }
}

/// The bandwidth of a slow line. Late wake-ups don't add up, because each part is scheduled
/// relative to the previous part.
struct Bandwidth {
    bytes_per_second: u32,
    /// The time at which the line is free again.
    free_at: Instant,
}

impl Bandwidth {
    fn new(bytes_per_second: u32) -> Self {
        Self { bytes_per_second, free_at: Instant::now() }
    }

    /// Returns the number of bytes that pass together.
    fn part(&self) -> usize {
        (self.bytes_per_second / PARTS_PER_SECOND).max(1) as usize
    }

    /// Restarts the schedule after the line was idle.
    fn reset_after_idle(&mut self) {
        self.free_at = self.free_at.max(Instant::now());
    }

    /// Waits until these bytes have passed over the line.
    async fn pass(&mut self, bytes: usize) {
        self.free_at +=
            Duration::from_secs(1) * u32::try_from(bytes).unwrap() / self.bytes_per_second;
        sleep_until(self.free_at).await;
    }
}

/// Counts the responses that ended on a connection. Over HTTP/1.1, each must have a
/// `Content-Length`.
struct Responses {
    protocol: Protocol,
    unread: Vec<u8>,
    ended: usize,
    /// Whether the service has announced that it closes the connection.
    is_end_announced: bool,
}

/// A whole HTTP/1.1 response, or an HTTP/2 frame (RFC 9113, section 4.1).
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

    /// Returns the first unread unit, even if its last bytes are missing.
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
                // The type of DATA frames is 0.
                ends_response: *kind <= HEADERS && flags & END_STREAM != 0,
                announces_end: *kind == GOAWAY,
            }),
            (Protocol::Http2, _) => None,
        }
    }
}

/// Discards all bytes until the client disconnects.
async fn discard(from: &mut (impl AsyncRead + Unpin), tap: &mut impl FnMut(&[u8])) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        tap(&buffer[..read]);
    }
}

/// Counts the requests in the bytes that a client writes.
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

/// Applies a fault to a whole connection. `tap` sees the bytes that still arrive.
async fn end(strike: Strike, client: &mut impl Wire, tap: &mut impl FnMut(&[u8])) {
    match strike {
        Strike::Reset => drop(client.tcp().set_zero_linger()),
        Strike::Close => {
            let _ = client.shutdown().await;
        }
        Strike::Stall | Strike::Blackhole => discard(client, tap).await,
    }
}

/// The client side of a connection.
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
