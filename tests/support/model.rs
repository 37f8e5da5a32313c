//! A scripted service that records the messages it accepted. A transport plays it, without sockets
//! and in simulated time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use pushslots::bytes::Bytes;
use pushslots::http::{HeaderMap, HeaderValue, Request, StatusCode};
use pushslots::uuid::Uuid;
use pushslots::{
    Client, ClientBuilder, Response, Transport, TransportContext, TransportError,
    TransportErrorKind,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep};

/// The outcome of a message that a client sends.
#[derive(Clone, Debug)]
pub enum ScriptedOutcome {
    /// No connection can be made.
    NoConnection,
    /// The timeout ends before any byte leaves.
    NeverLeaves,
    /// The connection turns out to be closed before the service took the request.
    Closed,
    /// HTTP/2 reports that the service did not process the request.
    NotProcessed,
    /// The connection is cut, before or after the service took the message.
    Cut { accepted: bool },
    /// No response arrives.
    Hangs { accepted: bool },
    /// No response arrives, and the transport ignores its timeout.
    HangsForEver { accepted: bool },
    /// The service responds.
    Response(Reply),
    /// All tokens are revoked, including the one of this message.
    Revoked,
}

/// Returns the outcome in which the service accepts the message and responds with 200.
pub fn ok() -> ScriptedOutcome {
    ScriptedOutcome::Response(Reply::accepted())
}

/// Returns the outcome in which the service doesn't accept the message and responds with this
/// status.
pub fn responds(status: u16) -> ScriptedOutcome {
    ScriptedOutcome::Response(Reply::new(status))
}

/// A response from the service.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub accepted: bool,
    pub after: Duration,
    pub retry_after: Option<String>,
    /// The name and value of an additional header.
    pub header: Option<(&'static str, &'static str)>,
    pub body: &'static str,
    /// Whether the connection is cut before the body arrives.
    pub body_lost: bool,
    /// Whether the response arrives before the whole request was sent.
    pub is_early: bool,
}

impl Reply {
    /// Sets the `Retry-After` header.
    pub fn retry_after(mut self, value: &str) -> Self {
        self.retry_after = Some(value.to_owned());
        self
    }

    /// Creates a response after 20 ms. The service doesn't accept the message.
    pub fn new(status: u16) -> Self {
        let after = Duration::from_millis(20);
        Self {
            status,
            accepted: false,
            after,
            retry_after: None,
            header: None,
            body: "",
            body_lost: false,
            is_early: false,
        }
    }

    /// Creates a response of a gateway. `accepted` is whether the service accepted the message.
    pub fn block_page(accepted: bool) -> Self {
        let header = Some(("content-type", "text/html"));
        Self { accepted, header, body: "<html>Request Rejected</html>", ..Self::new(200) }
    }

    /// Creates a response of a service that accepted the message.
    pub fn accepted() -> Self {
        let body = r#"{"Meta":{"Logs":[{"ID":"1","AttemptID":"2"}]}}"#;
        Self { accepted: true, body, ..Self::new(200) }
    }
}

/// The outcome of a token request.
#[derive(Clone, Debug)]
pub enum TokenOutcome {
    /// A token with this lifetime.
    Issued(Duration),
    Response(u16, Option<u64>),
    Cut,
    Hangs,
}

/// A message that a client passed to the transport, and its outcome.
#[derive(Clone, Debug)]
pub struct Call {
    pub message_id: Uuid,
    pub body: Bytes,
    pub began: Instant,
    /// Whether the request reached the service.
    pub has_left: bool,
    pub accepted: bool,
    /// Whether the response that the client received has log ids and errors.
    pub has_logs_and_errors: bool,
    /// Whether the response that the client received proves that the message was accepted.
    pub is_plainly_accepted: bool,
    /// The status of the response that the client received, and the time at which it arrived.
    pub responded: Option<(u16, Instant)>,
}

/// Returns a builder for a client that sends its requests to `model`.
pub fn client_of(model: &Arc<Model>) -> ClientBuilder {
    Client::builder()
        .transport(model.clone())
        .credentials(super::credentials())
        .destination(Uuid::from_u128(1))
}

type Outcomes<F> = Box<dyn FnMut(&mut StdRng, Duration) -> F + Send>;

/// Plays the service. Draws each outcome when a request arrives. It may depend on the time since
/// the start.
pub struct Model(Mutex<State>);

struct State {
    began: Instant,
    rng: StdRng,
    outcomes: Outcomes<ScriptedOutcome>,
    token_outcomes: Outcomes<TokenOutcome>,
    /// The time until which each token is valid, by its number.
    tokens: BTreeMap<usize, Instant>,
    token_requests: usize,
    calls: Vec<Call>,
    /// The maximum size of a message that the service accepts, in bytes.
    max_bytes: usize,
    /// Whether calls keep the bytes of their messages.
    keeps_bodies: bool,
    /// The time at which each request arrived, including token requests.
    arrivals: Vec<Instant>,
}

impl Model {
    pub fn new(
        seed: u64,
        outcomes: impl FnMut(&mut StdRng, Duration) -> ScriptedOutcome + Send + 'static,
        token_outcomes: impl FnMut(&mut StdRng, Duration) -> TokenOutcome + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            began: Instant::now(),
            rng: StdRng::seed_from_u64(seed),
            outcomes: Box::new(outcomes),
            token_outcomes: Box::new(token_outcomes),
            tokens: BTreeMap::new(),
            token_requests: 0,
            calls: Vec::new(),
            max_bytes: usize::MAX,
            keeps_bodies: true,
            arrivals: Vec::new(),
        })))
    }

    /// Creates a model that plays these outcomes in order, repeats the last one, and grants every
    /// token request.
    pub fn scripted(outcomes: impl IntoIterator<Item = ScriptedOutcome>) -> Arc<Self> {
        let mut outcomes: VecDeque<_> = outcomes.into_iter().collect();
        let next = move |_: &mut StdRng, _| match outcomes.len() {
            1 => outcomes[0].clone(),
            _ => outcomes.pop_front().unwrap(),
        };
        Self::new(0, next, |_, _| TokenOutcome::Issued(Duration::from_secs(300)))
    }

    /// Returns every message that a client passed to the transport, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// Returns the time at which each request arrived, including token requests.
    pub fn arrivals(&self) -> Vec<Instant> {
        self.state().arrivals.clone()
    }

    /// Stops keeping the bytes of messages, for runs with many of them.
    pub fn keep_no_bodies(&self) {
        self.state().keeps_bodies = false;
    }

    /// Makes the service reject messages with more than `max_bytes`. A scripted response becomes a
    /// 413.
    pub fn limit_bytes(&self, max_bytes: usize) {
        self.state().max_bytes = max_bytes;
    }

    /// Returns the number of token requests.
    pub fn token_requests(&self) -> usize {
        self.state().token_requests
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    async fn token(&self, is_legacy: bool, timeout: Duration) -> Result<Response, TransportError> {
        let outcome = {
            let state = &mut *self.state();
            state.token_requests += 1;
            state.arrivals.push(Instant::now());
            (state.token_outcomes)(&mut state.rng, state.began.elapsed())
        };
        sleep(Duration::from_millis(30)).await;
        match outcome {
            TokenOutcome::Issued(life) => {
                let mut state = self.state();
                let number = state.tokens.len() + 1;
                state.tokens.insert(number, Instant::now() + life);
                Ok(token_response(number, life, is_legacy))
            }
            TokenOutcome::Response(status, retry_after) => {
                let retry_after = retry_after.map(|seconds| seconds.to_string());
                Ok(response(status, retry_after.as_deref(), ""))
            }
            TokenOutcome::Cut => Err(TransportError::unknown(TransportErrorKind::Interrupted)),
            TokenOutcome::Hangs => {
                sleep(timeout).await;
                Err(TransportError::unknown(TransportErrorKind::Timeout))
            }
        }
    }

    async fn message(
        &self,
        request: Request<Bytes>,
        timeout: Duration,
    ) -> Result<Response, TransportError> {
        let (index, outcome) = self.arrive(request);
        let no_response = |kind| Err(TransportError::unknown(kind));
        match outcome {
            ScriptedOutcome::NoConnection => {
                sleep(Duration::from_millis(5)).await;
                Err(TransportError::not_sent(TransportErrorKind::Connect))
            }
            ScriptedOutcome::NeverLeaves => {
                sleep(timeout).await;
                Err(TransportError::not_sent(TransportErrorKind::Timeout))
            }
            ScriptedOutcome::Closed => {
                Err(TransportError::not_sent(TransportErrorKind::Interrupted))
            }
            ScriptedOutcome::NotProcessed => {
                sleep(Duration::from_millis(10)).await;
                Err(TransportError::not_sent(TransportErrorKind::NotProcessed))
            }
            ScriptedOutcome::Cut { .. } => {
                sleep(Duration::from_millis(10)).await;
                no_response(TransportErrorKind::Interrupted)
            }
            ScriptedOutcome::Hangs { .. } => {
                sleep(timeout).await;
                no_response(TransportErrorKind::Timeout)
            }
            ScriptedOutcome::HangsForEver { .. } => std::future::pending().await,
            ScriptedOutcome::Response(reply) if reply.after >= timeout => {
                sleep(timeout).await;
                no_response(TransportErrorKind::Timeout)
            }
            ScriptedOutcome::Response(reply) => {
                sleep(reply.after).await;
                let call = &mut self.state().calls[index];
                call.responded = Some((reply.status, Instant::now()));
                let has = |part| !reply.body_lost && reply.body.contains(part);
                call.has_logs_and_errors = has("Logs") && has("Errors");
                let is_plain = reply.header.is_none() && !reply.is_early && !has("Errors");
                call.is_plainly_accepted =
                    is_plain && reply.accepted && (200..300).contains(&reply.status);
                let mut response = response(reply.status, reply.retry_after.as_deref(), reply.body);
                if reply.body_lost {
                    response.body = Err(TransportError::unknown(TransportErrorKind::Interrupted));
                }
                if let Some((name, value)) = reply.header {
                    response.headers.insert(name, HeaderValue::from_static(value));
                }
                response.is_early = reply.is_early;
                Ok(response)
            }
            ScriptedOutcome::Revoked => {
                sleep(Duration::from_millis(10)).await;
                self.state().calls[index].responded = Some((401, Instant::now()));
                Ok(response(401, None, ""))
            }
        }
    }

    /// Records a message and determines its outcome. If the service accepts the message, it does so
    /// at once, even if the client stops waiting.
    fn arrive(&self, request: Request<Bytes>) -> (usize, ScriptedOutcome) {
        let state = &mut *self.state();
        let header = |name: &str| request.headers()[name].to_str().unwrap();
        let token: usize = header("authorization").rsplit('-').next().unwrap().parse().unwrap();
        let mut outcome = (state.outcomes)(&mut state.rng, state.began.elapsed());
        if matches!(outcome, ScriptedOutcome::Revoked) {
            state.tokens.values_mut().for_each(|until| *until = Instant::now());
        }
        let reaches_the_service = !matches!(
            outcome,
            ScriptedOutcome::NoConnection
                | ScriptedOutcome::NeverLeaves
                | ScriptedOutcome::Closed
                | ScriptedOutcome::NotProcessed
        );
        if reaches_the_service && state.tokens[&token] <= Instant::now() {
            outcome = ScriptedOutcome::Revoked;
        }
        let is_too_long = request.body().len() > state.max_bytes;
        if matches!(outcome, ScriptedOutcome::Response(_)) && is_too_long {
            outcome = responds(413);
        }
        let accepted = match &outcome {
            _ if is_too_long => false,
            ScriptedOutcome::NoConnection
            | ScriptedOutcome::NeverLeaves
            | ScriptedOutcome::Closed
            | ScriptedOutcome::NotProcessed
            | ScriptedOutcome::Revoked => false,
            ScriptedOutcome::Cut { accepted }
            | ScriptedOutcome::Hangs { accepted }
            | ScriptedOutcome::HangsForEver { accepted } => *accepted,
            ScriptedOutcome::Response(reply) => reply.accepted,
        };
        state.arrivals.push(Instant::now());
        state.calls.push(Call {
            message_id: header("idempotency-key").parse().unwrap(),
            began: Instant::now(),
            has_left: reaches_the_service,
            accepted,
            has_logs_and_errors: false,
            is_plainly_accepted: false,
            responded: None,
            body: if state.keeps_bodies { request.into_body() } else { Bytes::new() },
        });
        (state.calls.len() - 1, outcome)
    }
}

impl Transport for Model {
    async fn send(
        &self,
        request: Request<Bytes>,
        TransportContext { timeout, .. }: TransportContext,
    ) -> Result<Response, TransportError> {
        match request.uri().path() {
            "/endpoint" => self.message(request, timeout).await,
            path => self.token(path != "/v2/auth/token", timeout).await,
        }
    }
}

fn token_response(number: usize, life: Duration, is_legacy: bool) -> Response {
    let seconds = life.as_secs();
    if !is_legacy {
        let body = format!(r#"{{"access_token":"token-{number}","expires_in":{seconds}}}"#);
        return response(200, None, &body);
    }
    let hours = seconds / 3_600;
    let minutes = seconds / 60 % 60;
    let seconds = seconds % 60;
    let expires = format!("2026-11-06T{hours:02}:{minutes:02}:{seconds:02}.000Z");
    let body = format!(
        r#"{{"accessToken":"token-{number}","refreshToken":"again","expires":"{expires}"}}"#
    );
    let mut response = response(200, None, &body);
    response.headers.insert("date", HeaderValue::from_static("Fri, 06 Nov 2026 00:00:00 GMT"));
    response
}

fn response(status: u16, retry_after: Option<&str>, body: &str) -> Response {
    let mut headers = HeaderMap::new();
    if let Some(value) = retry_after {
        headers.insert("retry-after", HeaderValue::from_str(value).unwrap());
    }
    let body = Bytes::copy_from_slice(body.as_bytes());
    Response::new(StatusCode::from_u16(status).unwrap(), headers, Ok(body))
}
