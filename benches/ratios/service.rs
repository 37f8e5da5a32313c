//! A service on its own thread that reads and accepts every message.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

const TOKEN: &str = r#"{"access_token":"token","token_type":"Bearer","expires_in":86400}"#;
const ACCEPTED: &str = r#"{"Meta":{"DataModel":"Scheduling","EventType":"PushSlots","Logs":[{"ID":"d9f5d293-7110-461e-a875-3beb089e79f3","AttemptID":"925d1617-2fe0-468c-a14c-f8c04b572c54"}]}}"#;

/// Starts the service. It responds to messages after `delay`, and runs until the process ends.
pub fn start(delay: Duration) -> SocketAddr {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    thread::Builder::new()
        .name("server".into())
        .spawn(move || {
            runtime.block_on(async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    stream.set_nodelay(true).unwrap();
                    let connection =
                        http1::Builder::new().timer(TokioTimer::new()).serve_connection(
                            TokioIo::new(stream),
                            service_fn(move |request| response(request, delay)),
                        );
                    tokio::spawn(connection);
                }
            });
        })
        .unwrap();
    address
}

async fn response(
    request: Request<Incoming>,
    delay: Duration,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_message = request.uri().path() == "/endpoint";
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        drop(frame);
    }
    if is_message && !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let json = if is_message { ACCEPTED } else { TOKEN };
    let response = Response::builder().header("content-type", "application/json");
    Ok(response.body(Full::new(Bytes::from_static(json.as_bytes()))).unwrap())
}
