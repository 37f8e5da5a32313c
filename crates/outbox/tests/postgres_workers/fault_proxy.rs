//! A proxy on loopback whose connections end or stall at random moments.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A proxy in front of a server.
pub struct FaultProxy {
    address: SocketAddr,
    is_calm: Arc<AtomicBool>,
    accepting: JoinHandle<()>,
}

impl FaultProxy {
    /// Starts a proxy in front of the server at `url`, such as `http://127.0.0.1:80`.
    pub fn start(url: &str, seed: u64) -> Self {
        let target: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let is_calm = Arc::new(AtomicBool::new(false));
        let calm = is_calm.clone();
        let mut random = StdRng::seed_from_u64(seed);
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let life = Duration::from_millis(random.gen_range(200..4_000));
                let stall = random
                    .gen_bool(0.2)
                    .then(|| Duration::from_millis(random.gen_range(100..2_000)));
                tokio::spawn(forward(client, target, life, stall, calm.clone()));
            }
        });
        Self { address, is_calm, accepting }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets connections live from now on.
    pub fn calm_down(&self) {
        self.is_calm.store(true, Ordering::Relaxed);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Forwards a connection until its life ends. It may stall before that.
async fn forward(
    mut client: TcpStream,
    target: SocketAddr,
    life: Duration,
    stall: Option<Duration>,
    is_calm: Arc<AtomicBool>,
) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    {
        let mut copying = Box::pin(tokio::io::copy_bidirectional(&mut client, &mut server));
        loop {
            tokio::select! {
                _ = &mut copying => return,
                () = tokio::time::sleep(life) => {}
            }
            if !is_calm.load(Ordering::Relaxed) {
                break;
            }
        }
    }
    if let Some(stall) = stall {
        // Nothing passes, and neither side gets an error.
        tokio::time::sleep(stall).await;
    }
}
