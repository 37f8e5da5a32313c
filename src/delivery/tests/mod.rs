//! Tests of the send loop under paused time: a scripted transport, no sockets, no real waiting.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{InFlight, InProgress, SendContext, Sender};
use crate::auth::{
    AuthError, Credentials, LegacyEndpoints, Signer, SigningAlgorithm, SigningInput, TokenCache,
    TokenEndpoints,
};
use crate::error::{Error, ErrorKind};
use crate::message::{PermittedProblems, PreparedMessage};
use crate::random::Jitter;
use crate::receipt::{Delivery, Receipt};
use crate::retry::Policy;
use crate::transport::{
    AnyTransport, Response, Timed, Transport, TransportContext, TransportError, TransportErrorKind,
};

mod rotation;
mod service;
mod sources;
mod state;
mod tokens;

/// The service's reaction to the next message.
#[derive(Clone)]
enum Step {
    Response(u16, &'static str),
    Late(u16, Duration),
    Fail(TransportError),
    Hang,
}

/// A service that issues a token for every token request and responds to messages by its script.
/// The last step repeats.
#[derive(Default)]
struct Script {
    steps: Mutex<VecDeque<Step>>,
    tokens: Mutex<Vec<Instant>>,
    messages: Mutex<Vec<(Instant, Duration, HeaderValue)>>,
}

impl Script {
    fn new(steps: impl IntoIterator<Item = Step>) -> Arc<Self> {
        let steps = Mutex::new(steps.into_iter().collect());
        Arc::new(Self { steps, ..Self::default() })
    }

    fn step(&self) -> Step {
        let mut steps = self.steps.lock().unwrap();
        if steps.len() > 1 { steps.pop_front().unwrap() } else { steps[0].clone() }
    }

    fn token(&self) -> Response {
        let mut tokens = self.tokens.lock().unwrap();
        tokens.push(Instant::now());
        let number = tokens.len();
        response(
            200,
            format!(
                r#"{{"access_token":"token-{number}","token_type":"Bearer","expires_in":300}}"#
            ),
        )
    }
}

fn response(status: u16, body: impl Into<Bytes>) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    Response::new(status, HeaderMap::new(), Ok(body.into()))
}

impl Transport for Script {
    async fn send(
        &self,
        request: Request<Bytes>,
        TransportContext { timeout, .. }: TransportContext,
    ) -> Result<Response, TransportError> {
        sleep(Duration::from_millis(10)).await;
        if request.uri().path() == "/v2/auth/token" {
            return Ok(self.token());
        }
        let authorization = request.headers()["authorization"].clone();
        self.messages.lock().unwrap().push((Instant::now(), timeout, authorization));
        match self.step() {
            Step::Response(status, retry_after) => {
                let mut response = response(status, "");
                if !retry_after.is_empty() {
                    response.headers.insert("retry-after", HeaderValue::from_static(retry_after));
                }
                Ok(response)
            }
            Step::Late(status, delay) => {
                sleep(delay).await;
                Ok(response(status, ""))
            }
            Step::Fail(failure) => Err(failure),
            Step::Hang => {
                sleep(timeout).await;
                Err(TransportError::unknown(TransportErrorKind::Timeout))
            }
        }
    }
}

fn sender(transport: impl Transport) -> Sender {
    let transport: Arc<dyn AnyTransport> = Arc::new(Timed(transport));
    let jitter = Jitter::new(None);
    let endpoints = TokenEndpoints {
        token: Uri::from_static("https://service.example/v2/auth/token"),
        audience: "https://service.example/v2/auth/token".to_owned(),
        legacy: LegacyEndpoints {
            authenticate: Uri::from_static("https://service.example/auth/authenticate"),
            refresh: Uri::from_static("https://service.example/auth/refreshToken"),
        },
    };
    let time = patient().attempt_timeout;
    Sender {
        endpoint: Uri::from_static("https://service.example/endpoint"),
        tokens: Arc::new(TokenCache::new(
            credentials("client"),
            endpoints,
            transport.clone(),
            time,
            jitter.clone(),
        )),
        transport,
        limiter: None,
        in_flight: InFlight::new(2_000, time),
        in_progress: InProgress::default(),
        classifier: Arc::new(|exchange| exchange.classification()),
        budget: None,
        jitter,
        observer: None,
    }
}

fn credentials(client_id: &str) -> Credentials {
    Credentials::signed_jwt(client_id, SlowSigner(Duration::ZERO))
}

/// A signer that takes this long. Its signature is invalid, because this service verifies none.
struct SlowSigner(Duration);

impl Signer for SlowSigner {
    fn key_id(&self) -> &str {
        "key-id"
    }

    fn algorithm(&self) -> SigningAlgorithm {
        SigningAlgorithm::Es384
    }

    async fn sign(&self, _: SigningInput<'_>) -> Result<Vec<u8>, AuthError> {
        sleep(self.0).await;
        Ok(vec![0; 96])
    }
}

fn message() -> PreparedMessage {
    PreparedMessage {
        problems: PermittedProblems::default(),
        message_id: Uuid::from_u128(1),
        slots: 0..0,
        slot_count: 0,
        destination_count: 1,
        batch: None,
        body: Bytes::from_static(b"{}"),
    }
}

async fn deliver(script: &Arc<Script>, policy: &Policy) -> Result<Receipt, Error> {
    sender(script.clone()).deliver(&message(), policy, SendContext::default()).await
}

fn patient() -> Policy {
    Policy { max_attempts: 20, ..Policy::default() }
}

#[tokio::test(start_paused = true)]
async fn delays_stay_below_ceilings_that_double_up_to_twenty_seconds() {
    let mut shortest = [Duration::MAX; 10];
    let mut longest = [Duration::ZERO; 10];
    for _ in 0..200 {
        let script =
            Script::new([Step::Fail(TransportError::not_sent(TransportErrorKind::Connect))]);
        let policy = Policy { max_attempts: 11, deadline: Duration::from_secs(1_000), ..patient() };
        let error = deliver(&script, &policy).await.unwrap_err();
        let delays = error.attempts().iter().filter_map(|attempt| attempt.delay);
        for ((shortest, longest), delay) in shortest.iter_mut().zip(&mut longest).zip(delays) {
            *shortest = delay.min(*shortest);
            *longest = delay.max(*longest);
        }
    }
    for (number, (shortest, longest)) in shortest.into_iter().zip(longest).enumerate() {
        let ceiling = Duration::from_millis(250 * 2_u64.pow(number.try_into().unwrap()));
        let ceiling = ceiling.min(Duration::from_secs(20));
        assert!(longest <= ceiling, "retry {number}: {longest:?} above {ceiling:?}");
        // With 200 draws over the whole range, the odds that a half gets none are 1 to 2^200.
        assert!(longest > ceiling / 2, "retry {number}: {longest:?} far below {ceiling:?}");
        assert!(shortest < ceiling / 2, "retry {number}: {shortest:?} far above zero");
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_never_outlives_its_deadline() {
    for step in [
        Step::Hang,
        Step::Fail(TransportError::unknown(TransportErrorKind::Interrupted)),
        Step::Response(503, ""),
        Step::Response(429, "20"),
        Step::Response(500, "119"),
    ] {
        for deadline in [1, 31, 119, 125] {
            let policy = Policy {
                max_attempts: 1_000,
                deadline: Duration::from_secs(deadline),
                ..patient()
            };
            let script = Script::new([step.clone()]);
            let began = Instant::now();
            let error = deliver(&script, &policy).await.unwrap_err();
            let took = began.elapsed();
            // Timers have whole milliseconds.
            assert!(
                took <= policy.deadline + Duration::from_millis(20),
                "{took:?} of {deadline} s"
            );
            assert!(error.to_string().contains("deadline"), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_gets_the_smaller_of_its_time_and_what_is_left() {
    let script = Script::new([Step::Hang]);
    let error = deliver(&script, &patient()).await.unwrap_err();
    let messages = script.messages.lock().unwrap();
    assert!(messages.len() > 2, "{error}");
    for (index, (_, timeout, _)) in messages.iter().enumerate() {
        assert!(*timeout <= Duration::from_secs(125), "attempt {index}: {timeout:?}");
    }
    let (_, last, _) = messages.last().unwrap();
    assert!(*last < Duration::from_secs(125), "what was left of the deadline: {last:?}");
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_a_minimum() {
    for retry_after in ["7", "100"] {
        let script = Script::new([Step::Response(429, retry_after), Step::Response(200, "")]);
        let receipt = deliver(&script, &patient()).await.unwrap();
        let floor = Duration::from_secs(retry_after.parse().unwrap());
        let delay = receipt.attempts()[0].delay.unwrap();
        assert!(delay >= floor && delay <= floor + Duration::from_secs(1), "{delay:?}");
        let messages = script.messages.lock().unwrap();
        assert!(messages[1].0 - messages[0].0 >= floor);
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalid_retry_after_is_ignored() {
    for retry_after in ["", "soon", "-5", "1.5 s", "Yesterday, 30 Feb 2026 25:00:00 GMT"] {
        let script = Script::new([Step::Response(503, retry_after), Step::Response(200, "")]);
        let receipt = deliver(&script, &patient()).await.unwrap();
        assert!(
            receipt.attempts()[0].delay.unwrap() <= Duration::from_millis(250),
            "{retry_after}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_401_does_not_cost_the_token_that_replaced_the_rejected_one() {
    let late = Duration::from_millis(200);
    let steps = [
        Step::Response(401, ""),
        Step::Late(401, late),
        Step::Response(200, ""),
        Step::Response(200, ""),
    ];
    let script = Script::new(steps);
    let sender = sender(script.clone());
    let message = message();
    let policy = patient();
    let (one, other) = tokio::join!(
        sender.deliver(&message, &policy, SendContext::default()),
        sender.deliver(&message, &policy, SendContext::default())
    );
    one.unwrap();
    other.unwrap();
    assert_eq!(script.tokens.lock().unwrap().len(), 2, "one at first, and one after the rejection");
    let messages = script.messages.lock().unwrap();
    assert!(messages[3].0 - messages[2].0 > late / 2, "the second 401 came after the new token");
}

#[tokio::test(start_paused = true)]
async fn jitter_after_retry_after_keeps_the_deadline() {
    for _ in 0..50 {
        let script = Script::new([Step::Response(429, "60"), Step::Response(200, "")]);
        // A second for the last attempt, and less to spare than the longest jitter of a second.
        let policy = Policy { deadline: Duration::from_millis(61_150), ..patient() };
        let receipt = deliver(&script, &policy).await.unwrap();
        assert!(receipt.attempts()[0].delay.unwrap() >= Duration::from_secs(60));
        assert!(
            script.messages.lock().unwrap()[1].1 >= Duration::from_secs(1),
            "the retry has time to end"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_third_401_after_other_failures_is_final() {
    let steps = [401, 429, 401, 401, 200].map(|status| Step::Response(status, ""));
    let script = Script::new(steps);
    let error = deliver(&script, &patient()).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Credentials, Delivery::Rejected));
    assert_eq!(error.attempts().len(), 4);
    let messages = script.messages.lock().unwrap();
    let tokens: Vec<_> =
        messages.iter().map(|(_, _, authorization)| authorization.to_str().unwrap()).collect();
    assert_eq!(tokens, ["Bearer token-1", "Bearer token-2", "Bearer token-2", "Bearer token-2"]);
}
