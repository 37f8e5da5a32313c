//! A proxy on loopback that passes bytes on until a fault strikes, after exactly as many bytes as it was told.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;

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

/// A fault that strikes a connection once so many bytes have passed in one direction. At none it strikes before TLS
/// begins.
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
    /// Whether bytes pass slowly toward the service, as over a narrow line.
    pub is_uplink_slow: bool,
}

impl From<Option<Fault>> for Course {
    fn from(fault: Option<Fault>) -> Self {
        Self { fault, ..Self::default() }
    }
}

/// A slow uplink passes so many bytes at a time, about 50 KB a second.
const SLOW_BYTES: usize = 512;
const SLOW_PAUSE: Duration = Duration::from_millis(10);

/// What the proxy has seen.
#[derive(Default)]
pub struct Seen {
    pub connections: usize,
    /// Connections with a slow uplink.
    pub slow: usize,
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
        let authority = Authority::new();
        let tls = TlsListener::bind(&authority, None, &["h2"]).await;
        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = match protocol {
            Protocol::Http1 => format!("http://{}", plain.local_addr().unwrap()),
            Protocol::Http2 => tls.url(),
        };
        let (dead, _) = watch::channel(0);
        let (seen, connections) = (Arc::default(), Arc::<Mutex<JoinSet<()>>>::default());
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
            let Course { fault, is_uplink_slow } = plan(number);
            seen.lock().unwrap().connections += 1;
            seen.lock().unwrap().slow += usize::from(is_uplink_slow);
            let passing =
                Passing { number, fault, is_uplink_slow, seen: seen.clone(), dead: dead.subscribe() };
            let (protocol, tls, service) = (self.protocol, self.tls.clone(), self.service);
            connections.lock().unwrap().spawn(async move {
                if let Some(Fault { strike, toward, after: 0 }) = passing.fault {
                    passing.note(strike, toward);
                    let requests = match protocol {
                        Protocol::Http1 => Requests::Http1(Http1::default()),
                        // What comes of TLS is no request yet.
                        Protocol::Http2 => return end(strike, &mut { client }, &mut |_: &[u8]| {}).await,
                    };
                    return end(strike, &mut { client }, &mut counting(passing.seen, requests)).await;
                }
                let service = TcpStream::connect(service).await.unwrap();
                service.set_nodelay(true).unwrap();
                match protocol {
                    Protocol::Http1 => passing.run(client, service, Requests::Http1(Http1::default())).await,
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
    fault: Option<Fault>,
    is_uplink_slow: bool,
    seen: Arc<Mutex<Seen>>,
    dead: watch::Receiver<usize>,
}

impl Passing {
    fn note(&self, strike: Strike, toward: Toward) {
        *self.seen.lock().unwrap().struck.entry((strike, toward)).or_default() += 1;
    }

    async fn run(self, mut client: impl Wire, service: TcpStream, requests: Requests) {
        let (seen, number) = (self.seen.clone(), self.number);
        let after = |toward| self.fault.filter(|fault| fault.toward == toward).map(|fault| fault.after);
        let (after_up, after_down) = (after(Toward::Service), after(Toward::Client));
        let tap = counting(seen, requests);
        let (mut from_client, to_client) = split(&mut client);
        let (mut from_service, to_service) = service.into_split();
        let is_dead = || number < *self.dead.borrow();
        let mut up = Lane { to: to_service, left: after_up, is_slow: self.is_uplink_slow, tap, is_dead };
        let mut down = Lane { to: to_client, left: after_down, is_slow: false, tap: |_: &[u8]| {}, is_dead };
        let mut dead = self.dead.clone();
        let fault = self.fault.map(|fault| fault.strike);
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
            std::future::pending().await
        };
        let ended = tokio::select! {
            _ = dead.wait_for(|dead| number < *dead) => End::Dead,
            end = upward => end,
            end = downward => end,
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
            _ => {}
        }
    }
}

/// How a connection ends.
enum End {
    ClientGone,
    Struck(Toward),
    Dead,
}

/// One direction of a connection.
struct Lane<W, T, D> {
    to: W,
    /// How many bytes may pass.
    left: Option<usize>,
    is_slow: bool,
    /// Sees all that comes, whether or not it passes.
    tap: T,
    is_dead: D,
}

enum Passed {
    /// The last byte that may pass has passed.
    Struck,
    NothingMore,
    NobodyTakes,
}

impl<W: AsyncWrite + Unpin, T: FnMut(&[u8]), D: Fn() -> bool> Lane<W, T, D> {
    async fn pass(&mut self, from: &mut (impl AsyncRead + Unpin)) -> Passed {
        let mut buffer = [0; 16 * 1024];
        loop {
            let bytes = match from.read(&mut buffer).await {
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
            if let Some(left) = &mut self.left {
                *left -= may_pass;
                if *left == 0 {
                    return Passed::Struck;
                }
            }
        }
    }
}

impl<W: AsyncWrite + Unpin, T, D> Lane<W, T, D> {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.is_slow {
            self.to.write_all(bytes).await?;
            return self.to.flush().await;
        }
        for bytes in bytes.chunks(SLOW_BYTES) {
            self.to.write_all(bytes).await?;
            self.to.flush().await?;
            sleep(SLOW_PAUSE).await;
        }
        Ok(())
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
        Strike::Reset => client.reset_when_dropped(),
        Strike::Close => {
            let _ = client.shutdown().await;
        }
        Strike::Stall | Strike::Blackhole => swallow(client, tap).await,
    }
}

/// The client's side of a connection.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {
    fn reset_when_dropped(&self);
}

impl Wire for TcpStream {
    fn reset_when_dropped(&self) {
        let _: io::Result<()> = self.set_zero_linger();
    }
}

impl Wire for TlsStream<TcpStream> {
    fn reset_when_dropped(&self) {
        self.get_ref().0.reset_when_dropped();
    }
}
