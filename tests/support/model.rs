//! A service that knows what it accepted, played by a transport: no sockets, and time that the test
//! winds on.

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

/// What becomes of a message that a client sends.
#[derive(Clone, Debug)]
pub enum ScriptedOutcome {
    /// No connection comes about.
    NoConnection,
    /// Time runs out before anything leaves.
    NeverLeaves,
    /// The connection is found closed before the service took the request.
    Closed,
    /// HTTP/2 reports that the service did not process the request.
    NotProcessed,
    /// The connection is cut, before or after the service took the message.
    Cut { accepted: bool },
    /// No response comes.
    Hangs { accepted: bool },
    /// No response comes, and the transport does not mind its time.
    HangsForEver { accepted: bool },
    /// The service answers.
    Answered(Reply),
    /// All tokens are revoked, this message's among them.
    Revoked,
}

/// The service takes the message and says so.
pub fn ok() -> ScriptedOutcome {
    ScriptedOutcome::Answered(Reply::accepted())
}

/// The service does not take the message, and answers this status.
pub fn answers(status: u16) -> ScriptedOutcome {
    ScriptedOutcome::Answered(Reply::new(status))
}

/// A response of the service.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub accepted: bool,
    pub after: Duration,
    pub retry_after: Option<String>,
    /// A header, by its name.
    pub header: Option<(&'static str, &'static str)>,
    pub body: &'static str,
    /// Whether the body is lost on its way.
    pub body_lost: bool,
    /// Whether the response comes before the whole request was sent.
    pub is_early: bool,
}

impl Reply {
    /// With `Retry-After`.
    pub fn hint(mut self, hint: &str) -> Self {
        self.retry_after = Some(hint.to_owned());
        self
    }

    /// A response that comes after 20 ms, and says that nothing was accepted.
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

    /// A gateway responds instead of the service, which may have the message.
    pub fn block_page(accepted: bool) -> Self {
        let header = Some(("content-type", "text/html"));
        Self { accepted, header, body: "<html>Request Rejected</html>", ..Self::new(200) }
    }

    /// The service took the message, whatever the status.
    pub fn accepted() -> Self {
        let body = r#"{"Meta":{"Logs":[{"ID":"1","AttemptID":"2"}]}}"#;
        Self { accepted: true, body, ..Self::new(200) }
    }
}

/// What becomes of a request for a token.
#[derive(Clone, Debug)]
pub enum TokenFate {
    /// A token that lives that long.
    Issued(Duration),
    Answered(u16, Option<u64>),
    Cut,
    Hangs,
}

/// A message that a client handed to the transport, and what became of it.
#[derive(Clone, Debug)]
pub struct Call {
    pub message_id: Uuid,
    pub body: Bytes,
    pub began: Instant,
    /// Whether anything left.
    pub has_left: bool,
    pub accepted: bool,
    /// Whether the client got log ids and errors.
    pub has_logs_and_errors: bool,
    /// Whether the client got a response that leaves no doubt that the message was accepted.
    pub is_plainly_accepted: bool,
    /// The status, and when the client was told.
    pub told: Option<(u16, Instant)>,
}

/// A client whose requests go to `model`.
pub fn client_of(model: &Arc<Model>) -> ClientBuilder {
    Client::builder()
        .transport(model.clone())
        .credentials(super::credentials())
        .destination(Uuid::from_u128(1))
}

type Fates<F> = Box<dyn FnMut(&mut StdRng, Duration) -> F + Send>;

/// Plays the service. What is to come is drawn when a request arrives, by the time since the
/// beginning.
pub struct Model(Mutex<State>);

struct State {
    began: Instant,
    rng: StdRng,
    fates: Fates<ScriptedOutcome>,
    token_fates: Fates<TokenFate>,
    /// Until when each token is good, by its number.
    tokens: BTreeMap<usize, Instant>,
    token_requests: usize,
    calls: Vec<Call>,
    /// The longest message that the service takes, in bytes.
    longest: usize,
    /// Whether what came is remembered with its bytes.
    keeps_bodies: bool,
    /// When each request arrived, those for tokens included.
    arrivals: Vec<Instant>,
}

impl Model {
    pub fn new(
        seed: u64,
        fates: impl FnMut(&mut StdRng, Duration) -> ScriptedOutcome + Send + 'static,
        token_fates: impl FnMut(&mut StdRng, Duration) -> TokenFate + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            began: Instant::now(),
            rng: StdRng::seed_from_u64(seed),
            fates: Box::new(fates),
            token_fates: Box::new(token_fates),
            tokens: BTreeMap::new(),
            token_requests: 0,
            calls: Vec::new(),
            longest: usize::MAX,
            keeps_bodies: true,
            arrivals: Vec::new(),
        })))
    }

    /// Plays these fates in order, the last one for ever, and issues every token that is asked for.
    pub fn scripted(fates: impl IntoIterator<Item = ScriptedOutcome>) -> Arc<Self> {
        let mut fates: VecDeque<_> = fates.into_iter().collect();
        let next = move |_: &mut StdRng, _| match fates.len() {
            1 => fates[0].clone(),
            _ => fates.pop_front().unwrap(),
        };
        Self::new(0, next, |_, _| TokenFate::Issued(Duration::from_secs(300)))
    }

    /// Every message that was handed over, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// When each request arrived, those for tokens included.
    pub fn arrivals(&self) -> Vec<Instant> {
        self.state().arrivals.clone()
    }

    /// Forgets what messages held, of which there are too many.
    pub fn keep_no_bodies(&self) {
        self.state().keeps_bodies = false;
    }

    /// Answers 413 to longer messages from now on.
    pub fn limit_bytes(&self, longest: usize) {
        self.state().longest = longest;
    }

    /// How many token requests came.
    pub fn token_requests(&self) -> usize {
        self.state().token_requests
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    async fn token(&self, is_legacy: bool, time: Duration) -> Result<Response, TransportError> {
        let fate = {
            let state = &mut *self.state();
            state.token_requests += 1;
            state.arrivals.push(Instant::now());
            (state.token_fates)(&mut state.rng, state.began.elapsed())
        };
        sleep(Duration::from_millis(30)).await;
        match fate {
            TokenFate::Issued(life) => {
                let mut state = self.state();
                let number = state.tokens.len() + 1;
                state.tokens.insert(number, Instant::now() + life);
                Ok(issue(number, life, is_legacy))
            }
            TokenFate::Answered(status, hint) => {
                Ok(response(status, hint.map(|hint| hint.to_string()).as_deref(), ""))
            }
            TokenFate::Cut => Err(TransportError::unknown(TransportErrorKind::Interrupted)),
            TokenFate::Hangs => {
                sleep(time).await;
                Err(TransportError::unknown(TransportErrorKind::Timeout))
            }
        }
    }

    async fn message(
        &self,
        request: Request<Bytes>,
        time: Duration,
    ) -> Result<Response, TransportError> {
        let (index, fate) = self.arrive(request);
        let unanswered = |kind| Err(TransportError::unknown(kind));
        match fate {
            ScriptedOutcome::NoConnection => {
                sleep(Duration::from_millis(5)).await;
                Err(TransportError::not_sent(TransportErrorKind::Connect))
            }
            ScriptedOutcome::NeverLeaves => {
                sleep(time).await;
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
                unanswered(TransportErrorKind::Interrupted)
            }
            ScriptedOutcome::Hangs { .. } => {
                sleep(time).await;
                unanswered(TransportErrorKind::Timeout)
            }
            ScriptedOutcome::HangsForEver { .. } => std::future::pending().await,
            ScriptedOutcome::Answered(reply) if reply.after >= time => {
                sleep(time).await;
                unanswered(TransportErrorKind::Timeout)
            }
            ScriptedOutcome::Answered(reply) => {
                sleep(reply.after).await;
                let call = &mut self.state().calls[index];
                call.told = Some((reply.status, Instant::now()));
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
                self.state().calls[index].told = Some((401, Instant::now()));
                Ok(response(401, None, ""))
            }
        }
    }

    /// Settles what becomes of a message. What the service takes it takes at once, whether or not
    /// the client waits on.
    fn arrive(&self, request: Request<Bytes>) -> (usize, ScriptedOutcome) {
        let state = &mut *self.state();
        let header = |name: &str| request.headers()[name].to_str().unwrap();
        let token: usize = header("authorization").rsplit('-').next().unwrap().parse().unwrap();
        let mut fate = (state.fates)(&mut state.rng, state.began.elapsed());
        if matches!(fate, ScriptedOutcome::Revoked) {
            state.tokens.values_mut().for_each(|until| *until = Instant::now());
        }
        let reaches_the_service = !matches!(
            fate,
            ScriptedOutcome::NoConnection
                | ScriptedOutcome::NeverLeaves
                | ScriptedOutcome::Closed
                | ScriptedOutcome::NotProcessed
        );
        if reaches_the_service && state.tokens[&token] <= Instant::now() {
            fate = ScriptedOutcome::Revoked;
        }
        let is_too_long = request.body().len() > state.longest;
        if matches!(fate, ScriptedOutcome::Answered(_)) && is_too_long {
            fate = answers(413);
        }
        let accepted = match &fate {
            _ if is_too_long => false,
            ScriptedOutcome::NoConnection
            | ScriptedOutcome::NeverLeaves
            | ScriptedOutcome::Closed
            | ScriptedOutcome::NotProcessed
            | ScriptedOutcome::Revoked => false,
            ScriptedOutcome::Cut { accepted }
            | ScriptedOutcome::Hangs { accepted }
            | ScriptedOutcome::HangsForEver { accepted } => *accepted,
            ScriptedOutcome::Answered(reply) => reply.accepted,
        };
        state.arrivals.push(Instant::now());
        state.calls.push(Call {
            message_id: header("idempotency-key").parse().unwrap(),
            began: Instant::now(),
            has_left: reaches_the_service,
            accepted,
            has_logs_and_errors: false,
            is_plainly_accepted: false,
            told: None,
            body: if state.keeps_bodies { request.into_body() } else { Bytes::new() },
        });
        (state.calls.len() - 1, fate)
    }
}

impl Transport for Model {
    async fn send(
        &self,
        request: Request<Bytes>,
        TransportContext { timeout: time, .. }: TransportContext,
    ) -> Result<Response, TransportError> {
        match request.uri().path() {
            "/endpoint" => self.message(request, time).await,
            path => self.token(path != "/v2/auth/token", time).await,
        }
    }
}

fn issue(number: usize, life: Duration, is_legacy: bool) -> Response {
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
    if let Some(hint) = retry_after {
        headers.insert("retry-after", HeaderValue::from_str(hint).unwrap());
    }
    let body = Bytes::copy_from_slice(body.as_bytes());
    Response::new(StatusCode::from_u16(status).unwrap(), headers, Ok(body))
}
