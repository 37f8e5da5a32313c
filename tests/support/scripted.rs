//! A service without sockets. The test provides its responses, including headers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use pushslots::bytes::Bytes;
use pushslots::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use pushslots::{Client, Credentials, Response, Transport, TransportContext, TransportError};

use super::{DESTINATION, key};

type Respond = Box<dyn FnMut() -> Response + Send>;

/// A service that responds to token requests and messages with the responses of the test.
#[derive(Clone)]
pub struct Scripted(Arc<Inner>);

struct Inner {
    token: Mutex<Respond>,
    message: Mutex<Respond>,
    token_requests: AtomicUsize,
    messages: AtomicUsize,
}

impl Scripted {
    /// Creates a service that responds to token requests with `token`, and accepts every message.
    pub fn new(token: impl FnMut() -> Response + Send + 'static) -> Self {
        let accepted = r#"{"Meta":{"Logs":[{"ID":"1"}]}}"#;
        Self::with(token, move || response(StatusCode::OK, &[], accepted))
    }

    /// Creates a service that responds to token requests with `token`, and to messages with
    /// `message`.
    pub fn with(
        token: impl FnMut() -> Response + Send + 'static,
        message: impl FnMut() -> Response + Send + 'static,
    ) -> Self {
        let token = Mutex::new(Box::new(token) as Respond);
        let message = Mutex::new(Box::new(message) as Respond);
        Self(Arc::new(Inner { token, message, token_requests: 0.into(), messages: 0.into() }))
    }

    /// Returns a client of this service with default settings.
    pub fn client(&self) -> Client {
        let credentials = Credentials::signed_jwt("client-id", key());
        let builder = Client::builder().transport(self.clone()).credentials(credentials);
        builder.destination(DESTINATION).jitter_seed(1).build().unwrap()
    }

    pub fn token_requests(&self) -> usize {
        self.0.token_requests.load(Ordering::Relaxed)
    }

    pub fn messages(&self) -> usize {
        self.0.messages.load(Ordering::Relaxed)
    }
}

impl Transport for Scripted {
    async fn send(
        &self,
        request: Request<Bytes>,
        _: TransportContext,
    ) -> Result<Response, TransportError> {
        let (respond, count) = match request.uri().path() {
            "/endpoint" => (&self.0.message, &self.0.messages),
            _ => (&self.0.token, &self.0.token_requests),
        };
        count.fetch_add(1, Ordering::Relaxed);
        Ok(respond.lock().unwrap()())
    }
}

/// Creates a response with these headers. Their values may be any bytes that HTTP allows.
pub fn response(status: StatusCode, headers: &[(&'static str, &[u8])], body: &str) -> Response {
    let header = |(name, value): &(&'static str, &[u8])| {
        Some((HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?))
    };
    let headers: HeaderMap = headers.iter().filter_map(header).collect();
    Response::new(status, headers, Ok(Bytes::copy_from_slice(body.as_bytes())))
}
