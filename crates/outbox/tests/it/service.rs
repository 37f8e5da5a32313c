//! A service under paused time: a transport that a test scripts, and a clock that follows tokio's.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pushslots::bytes::Bytes;
use pushslots::chrono::{DateTime, TimeDelta, Utc};
use pushslots::http::{HeaderMap, HeaderValue, Request, StatusCode};
use pushslots::uuid::{Uuid, uuid};
use pushslots::{
    AccessToken, AuthError, Client, ClientBuilder, Credentials, PushSlots, Response, Slot,
    TokenRequest, TokenSource, Transport, TransportContext, TransportError, TransportErrorKind,
};
use pushslots_outbox::{Outbox, OutboxBuilder};
use tokio::time::Instant;

pub const DESTINATION: Uuid = uuid!("af394f14-b34a-464f-8d24-895f370af4c9");

/// The start of the tests' clock.
pub fn start() -> DateTime<Utc> {
    "2026-11-30T08:00:00Z".parse().unwrap()
}

/// The response to one request.
#[derive(Clone, Copy)]
pub enum Reply {
    Accept,
    Status(u16),
    /// A response that repeats the request's body.
    Echo(u16),
    /// A 429 with `Retry-After` in seconds.
    Throttle(u64),
    /// The message arrives, and the response is lost.
    Lost,
    /// No connection.
    Down,
    /// The message arrives after this time.
    Late(Duration),
    /// The transport panics.
    Panic,
}

/// A request that arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    pub message_id: Uuid,
    /// The time since the start of the test.
    pub after: Duration,
    pub body: Bytes,
    pub accepted: bool,
}

/// The scripted service.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    begin: Instant,
    script: Mutex<Script>,
    arrivals: Mutex<Vec<Arrival>>,
}

#[derive(Default)]
struct Script {
    to: HashMap<Uuid, VecDeque<Reply>>,
    down_until: Option<Duration>,
}

impl Service {
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            begin: Instant::now(),
            script: Mutex::default(),
            arrivals: Mutex::default(),
        }))
    }

    /// Returns the start of the test.
    pub fn begin(&self) -> Instant {
        self.0.begin
    }

    pub fn reply_to(&self, id: Uuid, replies: impl IntoIterator<Item = Reply>) {
        self.0.script.lock().unwrap().to.entry(id).or_default().extend(replies);
    }

    /// Refuses connections until this time after the start.
    pub fn down_until(&self, end: Duration) {
        self.0.script.lock().unwrap().down_until = Some(end);
    }

    pub fn arrivals(&self) -> Vec<Arrival> {
        self.0.arrivals.lock().unwrap().clone()
    }

    /// Returns the ids of the accepted messages in order.
    pub fn accepted(&self) -> Vec<Uuid> {
        let arrivals = self.arrivals().into_iter().filter(|arrival| arrival.accepted);
        arrivals.map(|arrival| arrival.message_id).collect()
    }

    /// Returns an outbox in memory whose clock follows tokio's.
    pub async fn outbox(&self) -> Outbox {
        self.builder().in_memory().await.unwrap()
    }

    pub fn builder(&self) -> OutboxBuilder {
        let begin = self.0.begin;
        let clock = move || start() + TimeDelta::from_std(begin.elapsed()).unwrap();
        Outbox::builder().destination(DESTINATION).clock(clock)
    }

    pub fn client(&self) -> Client {
        self.client_builder().build().unwrap()
    }

    pub fn client_builder(&self) -> ClientBuilder {
        Client::builder()
            .transport(self.clone())
            .credentials(Credentials::token_source(FixedToken))
            .without_rate_limit()
    }
}

impl Transport for Service {
    async fn send(
        &self,
        request: Request<Bytes>,
        _: TransportContext,
    ) -> Result<Response, TransportError> {
        let id = request.headers()["idempotency-key"].to_str().unwrap().parse().unwrap();
        let after = self.0.begin.elapsed();
        let reply = {
            let mut script = self.0.script.lock().unwrap();
            let own = script.to.get_mut(&id).and_then(VecDeque::pop_front);
            let is_down = script.down_until.is_some_and(|end| after < end);
            let usual = if is_down { Reply::Down } else { Reply::Accept };
            own.unwrap_or(usual)
        };
        let arrive = |accepted| {
            let after = self.0.begin.elapsed();
            let arrival = Arrival { message_id: id, after, body: request.body().clone(), accepted };
            self.0.arrivals.lock().unwrap().push(arrival);
        };
        match reply {
            Reply::Accept => {
                arrive(true);
                Ok(accepted())
            }
            Reply::Late(time) => {
                tokio::time::sleep(time).await;
                arrive(true);
                Ok(accepted())
            }
            Reply::Lost => {
                arrive(true);
                Err(TransportError::unknown(TransportErrorKind::Interrupted))
            }
            Reply::Panic => panic!("a bug in a transport"),
            Reply::Down => {
                arrive(false);
                Err(TransportError::not_sent(TransportErrorKind::Connect))
            }
            Reply::Status(status) => {
                arrive(false);
                let status = StatusCode::from_u16(status).unwrap();
                Ok(Response::new(status, HeaderMap::new(), Ok(Bytes::new())))
            }
            Reply::Echo(status) => {
                arrive(false);
                let status = StatusCode::from_u16(status).unwrap();
                Ok(Response::new(status, HeaderMap::new(), Ok(request.body().clone())))
            }
            Reply::Throttle(seconds) => {
                arrive(false);
                let headers = HeaderMap::from_iter([(
                    pushslots::http::header::RETRY_AFTER,
                    HeaderValue::from(seconds),
                )]);
                Ok(Response::new(StatusCode::TOO_MANY_REQUESTS, headers, Ok(Bytes::new())))
            }
        }
    }
}

fn accepted() -> Response {
    let id = Uuid::new_v4();
    let body = format!(
        r#"{{"Meta":{{"DataModel":"Scheduling","EventType":"PushSlots","Logs":[{{"ID":"{id}","AttemptID":"{id}"}}]}}}}"#
    );
    let json = HeaderValue::from_static("application/json");
    let headers = HeaderMap::from_iter([(pushslots::http::header::CONTENT_TYPE, json)]);
    Response::new(StatusCode::OK, headers, Ok(body.into()))
}

struct FixedToken;

impl TokenSource for FixedToken {
    async fn token(&self, _: TokenRequest<'_>) -> Result<AccessToken, AuthError> {
        Ok(AccessToken::new("token"))
    }
}

/// Returns a message with one slot, a week after the start of the tests' clock.
pub fn message(number: i64) -> PushSlots {
    let slot = Slot::new(start() + TimeDelta::days(7) + TimeDelta::minutes(15 * number), 15);
    PushSlots::builder().slot(slot.id(number.to_string())).build().unwrap()
}
