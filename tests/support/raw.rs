//! A server on plain sockets that plays a scripted fault on each connection.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The behavior of the server on one connection.
#[derive(Clone)]
pub enum Act {
    /// Cuts the connection before it reads anything.
    ResetBeforeReading,
    /// Reads the request and cuts the connection.
    ResetAfterReading,
    /// Reads the request and closes without a response.
    CloseAfterReading,
    /// Reads the request, sends these bytes and closes.
    Response(String),
    /// Like [`Act::Response`], with bytes that needn't be text.
    Bytes(Vec<u8>),
    /// Reads the request, sends these bytes, and waits until the client disconnects.
    Stall(String),
}

impl Act {
    /// Creates a complete response with this status, these additional headers and this body.
    pub fn response(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Response(format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\
             {headers}\r\n{body}"
        ))
    }
}

/// A server that plays its acts in order, one per connection. It panics if there are more
/// connections than acts.
pub struct RawServer {
    pub url: String,
    served: JoinHandle<Vec<Vec<u8>>>,
    stop: oneshot::Sender<()>,
    read: watch::Receiver<usize>,
}

impl RawServer {
    pub async fn start(acts: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut acts: Vec<_> = acts.into_iter().collect();
        acts.reverse();
        let (stop, mut stopped) = oneshot::channel();
        let (reading, read) = watch::channel(0);
        let served = tokio::spawn(async move {
            let mut requests = Vec::new();
            loop {
                let stream = tokio::select! {
                    accepted = listener.accept() => accepted.unwrap().0,
                    _ = &mut stopped => return requests,
                };
                let act = acts.pop().expect("there are no more connections than acts");
                let served =
                    timeout(Duration::from_secs(30), serve(stream, act, &mut requests, &reading));
                served.await.expect("each connection ends within 30 s");
            }
        });
        Self { url, served, stop, read }
    }

    /// Waits until the server has read a request.
    pub async fn read_a_request(&self) {
        self.read.clone().wait_for(|read| *read > 0).await.expect("the server did not panic");
    }

    /// Stops the server, and returns the bytes of every request that it read.
    pub async fn finish(self) -> Vec<Vec<u8>> {
        let _ = self.stop.send(());
        self.served.await.expect("the server did not panic")
    }
}

async fn serve(
    mut stream: TcpStream,
    act: Act,
    requests: &mut Vec<Vec<u8>>,
    read: &watch::Sender<usize>,
) {
    if !matches!(act, Act::ResetBeforeReading) {
        requests.push(read_request(&mut stream).await);
        read.send_replace(requests.len());
    }
    match act {
        Act::ResetBeforeReading | Act::ResetAfterReading => stream.set_zero_linger().unwrap(),
        Act::CloseAfterReading => {}
        Act::Response(text) => send(stream, text.as_bytes()).await,
        Act::Bytes(bytes) => send(stream, &bytes).await,
        Act::Stall(text) => {
            stream.write_all(text.as_bytes()).await.unwrap();
            // Ends when the client closes or resets.
            let _ = stream.read(&mut [0; 1]).await;
        }
    }
}

async fn send(mut stream: TcpStream, bytes: &[u8]) {
    // The client may have read enough and disconnected.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
}

/// Reads one whole request, or the part that arrives.
pub async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    try_read_request(stream).await.unwrap()
}

/// Reads one whole request, or the part that arrives before the end.
pub async fn try_read_request(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    loop {
        let read = stream.read_buf(&mut request).await?;
        if read == 0 || is_whole(&request) {
            return Ok(request);
        }
    }
}

/// Returns whether the request is complete.
pub fn is_whole(request: &[u8]) -> bool {
    let (head, body) = split(request);
    body.is_some_and(|body| {
        let length = header(head, "content-length").map_or(0, |value| value.parse().unwrap());
        body.len() >= length
    })
}

/// Returns the head of a request as text, and its body if the head is complete.
pub fn split(request: &[u8]) -> (&str, Option<&[u8]>) {
    let end = request.windows(4).position(|window| window == b"\r\n\r\n");
    let head = std::str::from_utf8(&request[..end.unwrap_or(request.len())]).unwrap();
    (head, end.map(|end| &request[end + 4..]))
}

/// Returns the value of a header.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
