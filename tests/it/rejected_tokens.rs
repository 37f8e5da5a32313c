//! New tokens that the message endpoint rejects: the second try, and the cooldown before the next
//! token request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pushslots::bytes::Bytes;
use pushslots::http::{HeaderMap, Request, StatusCode};
use pushslots::{
    AccessToken, AuthError, Client, Credentials, Delivery, ErrorKind, NextStep, Response,
    TokenRequest, TokenSource, Transport, TransportContext, TransportError,
};
use support::{DESTINATION, key, message};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// A service that issues numbered tokens. It accepts a message if `is_valid` returns true for the
/// number and the age of its token.
struct Service {
    is_valid: fn(usize, Duration) -> bool,
    /// The lifetime of tokens, in seconds.
    lifetime: u32,
    issued: Mutex<Vec<Instant>>,
    /// The number of messages with each token.
    messages: Mutex<BTreeMap<usize, usize>>,
}

impl Service {
    fn new(is_valid: fn(usize, Duration) -> bool) -> Arc<Self> {
        Self::with_lifetime(is_valid, 300)
    }

    fn with_lifetime(is_valid: fn(usize, Duration) -> bool, lifetime: u32) -> Arc<Self> {
        Arc::new(Self { is_valid, lifetime, issued: Mutex::default(), messages: Mutex::default() })
    }

    fn issued(&self) -> Vec<Instant> {
        self.issued.lock().unwrap().clone()
    }
}

impl Transport for Service {
    async fn send(
        &self,
        request: Request<Bytes>,
        _: TransportContext,
    ) -> Result<Response, TransportError> {
        sleep(Duration::from_millis(20)).await;
        let respond =
            |status, body: String| Ok(Response::new(status, HeaderMap::new(), Ok(body.into())));
        if request.uri().path() != "/endpoint" {
            let mut issued = self.issued.lock().unwrap();
            issued.push(Instant::now());
            // The response has the form of both token endpoints.
            let token = format!("token-{}", issued.len());
            let body = format!(
                r#"{{"access_token":"{token}","accessToken":"{token}","expires_in":{}}}"#,
                self.lifetime
            );
            return respond(StatusCode::OK, body);
        }
        let token =
            request.headers()["authorization"].to_str().unwrap().rsplit('-').next().unwrap();
        let token: usize = token.parse().unwrap();
        *self.messages.lock().unwrap().entry(token).or_default() += 1;
        let age = self.issued.lock().unwrap().get(token - 1).map(Instant::elapsed);
        match (self.is_valid)(token, age.unwrap_or_default()) {
            true => respond(StatusCode::OK, r#"{"Meta":{"Logs":[{"ID":"1"}]}}"#.to_owned()),
            false => respond(StatusCode::UNAUTHORIZED, String::new()),
        }
    }
}

fn client(service: &Arc<Service>, credentials: Credentials) -> Client {
    let builder = Client::builder().transport(service.clone()).credentials(credentials);
    builder.destination(DESTINATION).without_rate_limit().jitter_seed(1).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn rejected_new_tokens_are_replaced_at_most_every_ten_seconds() {
    for credentials in
        [Credentials::signed_jwt("client", key()), Credentials::api_key("key", "secret")]
    {
        let service = Service::new(|_, _| false);
        let client = client(&service, credentials);
        let mut sends = tokio::task::JoinSet::new();
        for _ in 0..6_000 {
            let client = client.clone();
            sends.spawn(async move { client.send(&message()).await });
            sleep(SECOND / 10).await;
        }
        let mut rejected = 0;
        let mut in_cooldown = 0;
        while let Some(sent) = sends.join_next().await {
            let error = sent.unwrap().unwrap_err();
            assert_eq!(
                (error.kind(), error.is_retryable()),
                (ErrorKind::Credentials, false),
                "{error}"
            );
            match error.delivery() {
                Delivery::NotSent => {
                    in_cooldown += 1;
                    assert!(
                        error
                            .to_string()
                            .contains("the message endpoint rejected a new access token"),
                        "{error}"
                    );
                }
                _ => rejected += 1,
            }
        }
        let tokens = service.issued();
        let messages = service.messages.lock().unwrap().values().sum::<usize>();
        println!(
            "6,000 sends in 600 s with rejected tokens: {} tokens, {messages} messages; \
             {rejected} sends were rejected, {in_cooldown} ended in the cooldown without a request",
            tokens.len()
        );
        // One token at first, one to replace it, and then one every 10 s.
        assert!(tokens.len() <= 61, "{} tokens", tokens.len());
        assert!(tokens[1..].windows(2).all(|pair| pair[1] - pair[0] >= 10 * SECOND), "{tokens:?}");
        assert!(in_cooldown > 3_000 && messages < 4_000, "{in_cooldown} {messages}");
    }
}

#[tokio::test(start_paused = true)]
async fn token_that_becomes_valid_a_second_late_is_tried_again() {
    let service = Service::new(|_, age| age >= SECOND);
    let client = client(&service, Credentials::signed_jwt("client", key()));
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.send(&message()).await }
    });
    // A send that begins before the token is valid also waits for it.
    sleep(SECOND / 2).await;
    let second = client.send(&message()).await.unwrap();
    assert_eq!(second.attempts().len(), 1, "{:?}", second.attempts());
    let first = first.await.unwrap().unwrap();
    let next_steps: Vec<_> = first.attempts().iter().map(|attempt| attempt.next_step).collect();
    assert_eq!(next_steps, [NextStep::NewToken, NextStep::TokenCooldown, NextStep::Done]);
    assert_eq!(service.issued().len(), 2);

    // Afterwards the token is used normally.
    client.send(&message()).await.unwrap();
    assert_eq!(service.issued().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn burst_with_a_token_that_is_not_valid_yet_is_accepted() {
    let service = Service::new(|_, age| age >= SECOND);
    let client = client(&service, Credentials::signed_jwt("client", key()));
    let send = |client: Client| async move { client.send(&message()).await.map(drop) };
    let sends: tokio::task::JoinSet<_> = (0..200).map(|_| send(client.clone())).collect();
    for sent in sends.join_all().await {
        sent.unwrap();
    }
    assert_eq!(service.issued().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn cooldown_applies_to_short_lived_tokens() {
    let service = Service::with_lifetime(|_, _| false, 2);
    let client = client(&service, Credentials::signed_jwt("client", key()));
    for _ in 0..600 {
        client.send(&message()).await.unwrap_err();
        sleep(SECOND / 10).await;
    }
    let issued = service.issued();
    let apart = |pair: &[Instant]| pair[1] - pair[0] >= 10 * SECOND;
    assert!(issued.len() > 5 && issued[1..].windows(2).all(apart), "{issued:?}");
}

#[tokio::test(start_paused = true)]
async fn after_the_cooldown_a_new_token_is_requested_and_used() {
    let service = Service::new(|token, _| token > 2);
    let client = client(&service, Credentials::signed_jwt("client", key()));
    let error = client.send(&message()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (ErrorKind::Credentials, 3));
    let error = client.send(&message()).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Credentials, Delivery::NotSent));
    sleep(10 * SECOND).await;
    assert_eq!(client.send(&message()).await.unwrap().attempts().len(), 1);
    assert_eq!(service.issued().len(), 3);
}

/// A token source with its own cache, which drops a rejected token.
struct Cache(Mutex<usize>);

impl TokenSource for Cache {
    async fn token(
        &self,
        TokenRequest { rejected, .. }: TokenRequest<'_>,
    ) -> Result<AccessToken, AuthError> {
        let mut current = self.0.lock().unwrap();
        *current += usize::from(rejected.is_some());
        Ok(AccessToken::new(format!("token-{current}")))
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_source_is_called_at_once_after_a_rejection() {
    let service = Service::new(|token, _| token == 2);
    let client = client(&service, Credentials::token_source(Cache(Mutex::new(1))));
    let began = Instant::now();
    let receipt = client.send(&message()).await.unwrap();
    assert_eq!(
        (receipt.attempts().len(), receipt.attempts()[0].next_step),
        (2, NextStep::NewToken)
    );
    assert!(began.elapsed() < SECOND);
}
