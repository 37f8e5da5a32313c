//! A service that checks its tokens, and the sends that go to it.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use http::header::AUTHORIZATION;
use tokio::task::JoinSet;

use super::*;

/// The token endpoint's reaction to a request.
#[derive(Clone)]
pub(super) enum Act {
    Issue,
    Response(u16, &'static str, &'static str),
    Reset,
    Hang,
    Reject { after: Duration },
}

/// A service that knows when it issued each token, until when it is valid, and which ones it
/// revoked.
pub(super) struct Service {
    pub(super) began: Instant,
    /// The token endpoint's reaction, by the time since `began`.
    pub(super) act: Box<dyn Fn(Duration) -> Act + Send + Sync>,
    /// The time that a token request takes.
    pub(super) token_time: Duration,
    /// The lifetime of tokens, and the members of the response that state it.
    pub(super) life: Duration,
    pub(super) lifetime_members: String,
    pub(super) issued: Mutex<Vec<Instant>>,
    pub(super) revoked: Mutex<BTreeSet<usize>>,
    /// The time of each token request, since `began`.
    pub(super) requests: Mutex<Vec<Duration>>,
    pub(super) accepted: AtomicUsize,
    pub(super) expired: AtomicUsize,
}

pub(super) const REJECTION: &str = r#"{"error":"invalid_client"}"#;

impl Service {
    pub(super) fn new(act: impl Fn(Duration) -> Act + Send + Sync + 'static) -> Self {
        Self {
            began: Instant::now(),
            act: Box::new(act),
            token_time: Duration::from_millis(50),
            life: Duration::from_secs(300),
            lifetime_members: r#","expires_in":300"#.to_owned(),
            issued: Mutex::default(),
            revoked: Mutex::default(),
            requests: Mutex::default(),
            accepted: AtomicUsize::new(0),
            expired: AtomicUsize::new(0),
        }
    }

    /// Sets the lifetime of tokens, and states it in responses.
    pub(super) fn life(mut self, seconds: f64) -> Self {
        self.life = Duration::from_secs_f64(seconds);
        self.lifetime_members = format!(r#","expires_in":{}"#, self.life.as_secs());
        self
    }

    pub(super) fn requests(&self) -> Vec<Duration> {
        self.requests.lock().unwrap().clone()
    }

    /// Issues a token, and returns its number.
    pub(super) fn issue(&self) -> usize {
        let mut issued = self.issued.lock().unwrap();
        issued.push(Instant::now());
        issued.len()
    }

    pub(super) fn revoke_all(&self) {
        self.revoked.lock().unwrap().extend(1..=self.issued.lock().unwrap().len());
    }

    async fn token(&self, timeout: Duration) -> Result<Response, TransportError> {
        self.requests.lock().unwrap().push(self.began.elapsed());
        let act = (self.act)(self.began.elapsed());
        sleep(self.token_time).await;
        match act {
            Act::Issue => {
                let number = self.issue();
                let lifetime_members = &self.lifetime_members;
                Ok(response(
                    200,
                    format!(
                        r#"{{"access_token":"{number}","token_type":"Bearer"{lifetime_members}}}"#
                    ),
                ))
            }
            Act::Response(status, retry_after, body) => {
                let mut response = response(status, body);
                if !retry_after.is_empty() {
                    response.headers.insert("retry-after", HeaderValue::from_static(retry_after));
                }
                Ok(response)
            }
            Act::Reset => Err(TransportError::unknown(TransportErrorKind::Interrupted)),
            Act::Reject { after } => {
                sleep(after).await;
                Ok(response(401, REJECTION))
            }
            Act::Hang => {
                sleep(timeout).await;
                Err(TransportError::unknown(TransportErrorKind::Timeout))
            }
        }
    }

    async fn message(&self, authorization: &HeaderValue) -> Result<Response, TransportError> {
        let number: usize =
            authorization.to_str().unwrap().trim_start_matches("Bearer ").parse().unwrap();
        assert!(authorization.is_sensitive());
        let age = self.issued.lock().unwrap()[number - 1].elapsed();
        let is_expired = age >= self.life;
        let is_revoked = self.revoked.lock().unwrap().contains(&number);
        sleep(Duration::from_millis(20)).await;
        self.expired.fetch_add(usize::from(is_expired), Ordering::Relaxed);
        if is_expired || is_revoked {
            return Ok(response(401, ""));
        }
        self.accepted.fetch_add(1, Ordering::Relaxed);
        Ok(response(200, ""))
    }
}

impl Transport for Service {
    async fn send(
        &self,
        request: Request<Bytes>,
        TransportContext { timeout, .. }: TransportContext,
    ) -> Result<Response, TransportError> {
        match request.uri().path() {
            "/v2/auth/token" => self.token(timeout).await,
            _ => self.message(&request.headers()[AUTHORIZATION]).await,
        }
    }
}

pub(super) fn serve(service: Service) -> (Arc<Service>, Arc<Sender>) {
    let service = Arc::new(service);
    (service.clone(), Arc::new(sender(service)))
}

/// Sends a message every `pace` for `time`, each in a task of its own. Returns when each send
/// began, and its result.
pub(super) async fn send_for(sender: &Arc<Sender>, time: Duration, pace: Duration) -> Vec<Sent> {
    let began = Instant::now();
    let mut sends = JoinSet::new();
    while began.elapsed() < time {
        sends.spawn(send(sender.clone()));
        sleep(pace).await;
    }
    sends.join_all().await
}

#[derive(Debug)]
pub(super) struct Sent {
    pub(super) began: Instant,
    pub(super) took: Duration,
    pub(super) result: Result<Receipt, Error>,
}

pub(super) async fn send(sender: Arc<Sender>) -> Sent {
    let began = Instant::now();
    let result = sender.deliver(&message(), &patient(), SendContext::default()).await;
    Sent { began, took: began.elapsed(), result }
}

pub(super) async fn send_at_once(sender: &Arc<Sender>, number: usize) -> Vec<Receipt> {
    let sends = (0..number).map(|_| send(sender.clone())).collect::<JoinSet<_>>();
    sends.join_all().await.into_iter().map(|sent| sent.result.unwrap()).collect()
}

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// Polls once a future that is awaited later.
pub(super) async fn poll_once<F: Future>(mut future: Pin<&mut F>) {
    poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}
