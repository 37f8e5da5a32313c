//! Clients of many customers in one process, with one rate limiter, one transport, and separate
//! credentials.
//!
//! `PUSHSLOTS_CUSTOMER_SENDS=20000` sends this number of messages instead of 3,000.

use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use pushslots::http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use pushslots::mock::{MockResponse, MockService, ReceivedRequest};
use pushslots::uuid::Uuid;
use pushslots::{Client, Credentials, Error, ErrorKind, HttpTransport, PushSlots, RateLimiter};
use serde_json::Value;
use support::batch::slots;
use support::model::{Model, client_of, responds};
use support::seeds::setting;
use support::windows::most_in;

const CUSTOMERS: u64 = 50;
const REQUESTS: u32 = 500;
const WINDOW: Duration = Duration::from_millis(500);

/// The requests that arrived, and the number of them with the token of another customer.
#[derive(Default)]
struct Seen {
    arrivals: Vec<Instant>,
    messages: u64,
    throttled: u64,
    wrong_tokens: usize,
}

fn destination_of(customer: u64) -> Uuid {
    Uuid::from_u128(u128::from(customer) + 1)
}

/// Plays a service whose tokens name their customer. It responds to every 97th message with 429.
fn respond(request: &ReceivedRequest, seen: &Mutex<Seen>) -> MockResponse {
    let mut seen = seen.lock().unwrap();
    seen.arrivals.push(Instant::now());
    let json: Value = serde_json::from_slice(request.body()).unwrap();
    if request.path() == "/auth/authenticate" {
        let customer = json["apiKey"].as_str().unwrap();
        let expires = "2100-01-01T00:00:00Z";
        let token =
            serde_json::json!({"accessToken": format!("token-{customer}"), "expires": expires});
        return MockResponse::new(StatusCode::OK).body(token.to_string());
    }
    seen.messages += 1;
    let token = request.headers()["authorization"].to_str().unwrap();
    let destination: Uuid =
        json["Meta"]["Destinations"][0]["ID"].as_str().unwrap().parse().unwrap();
    let customer = destination.as_u128() - 1;
    seen.wrong_tokens += usize::from(token != format!("Bearer token-{customer}"));
    if seen.messages % 97 == 0 {
        seen.throttled += 1;
        let soon = HeaderValue::from_static("0.05");
        return MockResponse::new(StatusCode::TOO_MANY_REQUESTS).header(RETRY_AFTER, soon);
    }
    let accepted = r#"{"Meta":{"Logs":[{"ID":"1","AttemptID":"2"}]}}"#;
    MockResponse::new(StatusCode::OK).body(accepted)
}

fn credentials(customer: u64) -> Credentials {
    Credentials::api_key(customer.to_string(), "secret")
}

/// Creates half of the clients from another client, and builds the others with the shared limiter
/// and transport.
fn clients(service: &MockService) -> Vec<Client> {
    let limiter = RateLimiter::new(REQUESTS, WINDOW);
    let transport = HttpTransport::builder().build().unwrap();
    let builder = |customer| {
        Client::builder()
            .base_url(service.url())
            .transport(transport.clone())
            .rate_limiter(limiter.clone())
            .credentials(credentials(customer))
            .destination(destination_of(customer))
            .without_retry_budget()
            .max_attempts(20)
    };
    let first = builder(0).build().unwrap();
    let client = |customer| match customer % 2 {
        0 => builder(customer).build().unwrap(),
        _ => first
            .with_credentials(credentials(customer))
            .unwrap()
            .with_destinations([destination_of(customer)]),
    };
    (0..CUSTOMERS).map(client).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_many_customers_stay_within_one_rate_limit() {
    let sends = setting("PUSHSLOTS_CUSTOMER_SENDS").unwrap_or(3_000);
    let seen = Arc::new(Mutex::new(Seen::default()));
    let at_service = seen.clone();
    let service = MockService::builder()
        .respond_with(move |request| Some(respond(request, &at_service)))
        .start()
        .unwrap();
    let clients = clients(&service);
    let message = PushSlots::builder().slots(slots(0..1)).build().unwrap().encode().unwrap();
    let began = Instant::now();
    let results: Vec<_> = stream::iter(0..sends)
        .map(|number| {
            clients[(number % CUSTOMERS) as usize]
                .send(&message)
                .deadline(Duration::from_secs(600))
                .into_future()
        })
        .buffer_unordered(64)
        .collect()
        .await;
    let failed = results.iter().filter(|result| result.is_err()).count();
    let mut seen = seen.lock().unwrap();
    seen.arrivals.sort();
    let most = most_in(WINDOW, &seen.arrivals);
    println!(
        "{} customers, {} requests in {:.1?}: {} with 429, \
         at most {most} of {REQUESTS} in {WINDOW:?}, \
         {} with another customer's token, {failed} sends failed",
        CUSTOMERS,
        seen.arrivals.len(),
        began.elapsed(),
        seen.throttled,
        seen.wrong_tokens
    );
    assert_eq!((failed, seen.wrong_tokens), (0, 0));
    assert!(most <= REQUESTS as usize, "{most}");
    assert!(seen.throttled > 0 && seen.messages >= sends + seen.throttled);
    // Each customer requests one token, which counts toward the limit.
    assert_eq!(seen.arrivals.len() as u64, seen.messages + CUSTOMERS);
}

#[tokio::test]
async fn empty_credentials_are_an_error() {
    let service = MockService::start().unwrap();
    let client = Client::builder().mock(&service).build().unwrap();
    let error = client.with_credentials(Credentials::api_key("key", "")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert_eq!(error.problems()[0].path(), "credentials");
    assert_eq!(service.requests().len(), 0);
}

#[tokio::test]
async fn client_with_other_credentials_sends_nothing_to_the_destinations_of_the_first() {
    let service = MockService::start().unwrap();
    let first = Client::builder().mock(&service).source(Uuid::from_u128(1)).build().unwrap();
    let (key, secret) = service.api_key();
    let other = first.with_credentials(Credentials::api_key(key, secret)).unwrap();
    let message = PushSlots::builder().slots(slots(0..1)).build().unwrap();
    let error = other.send(&message).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.problems()[0].path()),
        (ErrorKind::InvalidMessage, "Meta.Destinations")
    );
    other.with_destinations([service.destination()]).send(&message).await.unwrap();
    assert!(service.received()[0].meta().source.is_none());
}

#[tokio::test(start_paused = true)]
async fn clients_derived_from_one_another_share_the_retry_budget() {
    let model = Model::scripted([responds(500)]);
    let client = client_of(&model).retry_budget(14).build().unwrap();
    let other =
        client.with_credentials(credentials(1)).unwrap().with_destinations([destination_of(1)]);
    let message = PushSlots::builder().slots(slots(0..1)).build().unwrap();
    let attempts = |error: Error| error.attempts().len();
    assert_eq!(
        attempts(client.send(&message).await.unwrap_err()),
        2,
        "there is one retry for both"
    );
    assert_eq!(attempts(other.send(&message).await.unwrap_err()), 1);
}

#[tokio::test]
async fn client_with_another_source_keeps_the_token() {
    let service = MockService::start().unwrap();
    let client = Client::builder().mock(&service).build().unwrap();
    let message = PushSlots::builder().slots(slots(0..1)).build().unwrap();
    client.send(&message).await.unwrap();
    let source = Uuid::from_u128(7);
    client.with_source(source).send(&message).await.unwrap();
    let received = service.received();
    assert_eq!(received[1].meta().source.as_ref().and_then(|source| source.id), Some(source));
    assert_eq!(service.requests().len(), 3, "one token request and two messages");
}
