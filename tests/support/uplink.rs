//! A slow line to a service. Bytes toward the service pass at a constant rate.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// The receive buffer on the client's side of the line. It is small, so that bytes wait in the
/// client's buffers.
const BUFFER: u32 = 128 * 1024;

/// A line that forwards connections until dropped.
pub struct Uplink {
    pub port: u16,
    passed: JoinHandle<()>,
}

impl Uplink {
    /// Starts a line to `service` with this number of bytes per second.
    pub fn start(service: SocketAddr, bytes_per_second: u32) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(BUFFER).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = socket.local_addr().unwrap().port();
        let passed = tokio::spawn(pass_all(socket.listen(16).unwrap(), service, bytes_per_second));
        Self { port, passed }
    }
}

impl Drop for Uplink {
    fn drop(&mut self) {
        self.passed.abort();
    }
}

async fn pass_all(listener: TcpListener, service: SocketAddr, bytes_per_second: u32) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        tokio::spawn(pass(client, service, bytes_per_second));
    }
}

async fn pass(client: TcpStream, service: SocketAddr, bytes_per_second: u32) {
    let service = TcpStream::connect(service).await.unwrap();
    service.set_nodelay(true).unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_service, mut to_service) = service.into_split();
    let up = async {
        let mut buffer = vec![0; (bytes_per_second as usize / 50).min(64 * 1024)];
        let mut free_at = Instant::now();
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            // Each part takes its full time, even after an idle period.
            free_at = free_at.max(Instant::now())
                + Duration::from_secs_f64(read as f64 / f64::from(bytes_per_second));
            sleep_until(free_at).await;
            if to_service.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    let down = async { drop(copy(&mut from_service, &mut to_client).await) };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}
