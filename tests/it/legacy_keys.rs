//! Legacy API keys: authenticating, refreshing, and authenticating again if a refresh fails.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pushslots::bytes::Bytes;
use pushslots::chrono::{TimeDelta, Utc};
use pushslots::http::{HeaderMap, HeaderValue, Request, StatusCode};
use pushslots::{
    Client, Credentials, Delivery, ErrorKind, Response, Transport, TransportContext,
    TransportError, TransportErrorKind,
};
use support::raw::{Act, RawServer, split};
use support::{DESTINATION, fixtures, message};
use tokio::time::{Instant, sleep};

fn client(base_url: &str, key: &str) -> Client {
    let builder = Client::builder().base_url(base_url).destination(DESTINATION);
    builder.credentials(Credentials::api_key(key, "my-secret")).build().unwrap()
}

/// Returns the path of each request, and its body unless it is a message.
fn paths_and_bodies(requests: &[Vec<u8>]) -> Vec<String> {
    let line = |request: &Vec<u8>| {
        let (head, body) = split(request);
        let path = head.split(' ').nth(1).unwrap();
        let body = std::str::from_utf8(body.unwrap()).unwrap();
        if path == "/endpoint" { path.to_owned() } else { format!("{path} {body}") }
    };
    requests.iter().map(line).collect()
}

fn token(name: &str, rest: &str) -> Act {
    Act::response("200 OK", "", &format!(r#"{{"accessToken":"{name}"{rest}}}"#))
}

fn accept() -> Act {
    Act::response("200 OK", "", r#"{"Meta":{"Logs":[{"ID":"1"}]}}"#)
}

fn reject() -> Act {
    Act::response("401 Unauthorized", "Content-Type: text/html\r\n", "Invalid request")
}

const AUTHENTICATE: &str = r#"/auth/authenticate {"apiKey":"my-key","secret":"my-secret"}"#;
const REFRESH: &str = r#"/auth/refreshToken {"apiKey":"my-key","refreshToken":"again"}"#;

#[tokio::test]
async fn legacy_key_obtains_a_token() {
    let server = fixtures::serve();
    let builder = || Client::builder().base_url(server.url()).destination(DESTINATION);
    let client =
        builder().credentials(Credentials::api_key("my-key", "my-secret")).build().unwrap();
    client.send(&message()).await.unwrap();
    client.send(&message()).await.unwrap();
    let requests = server.requests();
    let paths: Vec<_> = requests.iter().map(|request| request.path()).collect();
    assert_eq!(paths, ["/auth/authenticate", "/endpoint", "/endpoint"]);
    assert_eq!(requests[0].body(), &br#"{"apiKey":"my-key","secret":"my-secret"}"#[..]);
    assert_eq!(requests[1].headers()["authorization"], "Bearer api-key");

    let client =
        builder().credentials(Credentials::api_key("api-key-rejected", "s")).build().unwrap();
    let error = client.send(&message()).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Credentials, Delivery::NotSent));
    assert_eq!(error.service_text(), Some("Invalid request"));
    let url = format!("{}/auth/authenticate", server.url());
    let expected =
        format!("{url} responded with status 401 to the API key; check the API key and its secret");
    assert!(error.to_string().contains(&expected), "{error}");
}

#[tokio::test]
async fn legacy_token_is_used_regardless_of_its_expiry() {
    for expires in
        [r#","expires":"soon""#, r#","expires":12"#, "", r#","expires":"2001-01-01T00:00:00Z""#]
    {
        let json = format!(r#"{{"accessToken":"legacy"{expires}}}"#);
        let acts = [Act::response("200 OK", "", &json), Act::response("200 OK", "", "")];
        let service = RawServer::start(acts).await;
        let client = Client::builder().base_url(&service.url).destination(DESTINATION);
        let client = client.credentials(Credentials::api_key("key", "secret")).build().unwrap();
        assert_eq!(client.send(&message()).await.unwrap().attempts().len(), 1);
        service.finish().await;
    }
}

#[tokio::test]
async fn token_is_refreshed_with_the_refresh_token() {
    let expires = (Utc::now() + TimeDelta::hours(24))
        .format(r#","expires":"%FT%T%.6fZ","refreshToken":"again""#);
    let service = RawServer::start([
        token("first", &expires.to_string()),
        accept(),
        // The service revokes the token before it expires.
        reject(),
        token("second", r#","refreshToken":"again""#),
        accept(),
        reject(),
        // If the refreshed token is rejected too, the client doesn't refresh again.
        token("third", r#","refreshToken":"again""#),
        accept(),
        reject(),
        token("fourth", ""),
        accept(),
    ])
    .await;
    let client = client(&service.url, "my-key");
    for attempts in [1, 2, 2, 2] {
        assert_eq!(client.send(&message()).await.unwrap().attempts().len(), attempts);
    }
    let requests = paths_and_bodies(&service.finish().await);
    let tokens: Vec<_> = requests.iter().filter(|request| *request != "/endpoint").collect();
    assert_eq!(tokens, [AUTHENTICATE, REFRESH, AUTHENTICATE, REFRESH]);
}

#[tokio::test]
async fn client_authenticates_again_after_a_refresh_without_a_token() {
    for response in [
        reject(),
        Act::response("400 Bad Request", "", r#"{"error":"invalid_grant"}"#),
        Act::response("404 Not Found", "", "<html></html>"),
        Act::response("500 Unknown", "", ""),
        Act::response("200 OK", "", "{}"),
    ] {
        let first = token("first", r#","refreshToken":"again""#);
        let acts = [first, reject(), response, token("second", ""), accept()];
        let service = RawServer::start(acts).await;
        let receipt = client(&service.url, "my-key").send(&message()).await.unwrap();
        assert_eq!(receipt.attempts().len(), 2);
        let requests = service.finish().await;
        assert_eq!(
            paths_and_bodies(&requests),
            [AUTHENTICATE, "/endpoint", REFRESH, AUTHENTICATE, "/endpoint"]
        );
    }
}

/// Returns failures of the refresh endpoint other than final responses.
fn failures() -> [Act; 3] {
    [
        Act::ResetAfterReading,
        Act::response("429 Busy", "", ""),
        Act::response("503 Busy", "Retry-After: 1\r\n", ""),
    ]
}

#[tokio::test]
async fn client_authenticates_again_after_a_rejected_token_and_a_failed_refresh() {
    for failure in failures() {
        let first = token("first", r#","refreshToken":"again""#);
        let acts = [first, reject(), failure, token("second", ""), accept()];
        let service = RawServer::start(acts).await;
        let receipt = client(&service.url, "my-key").send(&message()).await.unwrap();
        let deliveries: Vec<_> =
            receipt.attempts().iter().map(|attempt| attempt.delivery).collect();
        assert_eq!(deliveries, [Delivery::Rejected, Delivery::Accepted]);
        let requests = service.finish().await;
        assert_eq!(
            paths_and_bodies(&requests),
            [AUTHENTICATE, "/endpoint", REFRESH, AUTHENTICATE, "/endpoint"]
        );
    }
}

/// Returns a failure of the refresh endpoint, at the latest after the given timeout.
type Fail = fn(Duration) -> BoxFuture<'static, Result<Response, TransportError>>;

/// A service with access tokens of 60 s and a refresh endpoint that fails.
struct RefreshFails {
    failure: Fail,
    requests: Mutex<BTreeMap<String, usize>>,
}

impl Transport for RefreshFails {
    async fn send(
        &self,
        request: Request<Bytes>,
        TransportContext { timeout, .. }: TransportContext,
    ) -> Result<Response, TransportError> {
        *self.requests.lock().unwrap().entry(request.uri().path().to_owned()).or_default() += 1;
        let body = match request.uri().path() {
            "/auth/refreshToken" => return (self.failure)(timeout).await,
            "/auth/authenticate" => {
                let expires = (Utc::now() + TimeDelta::seconds(60)).format("%FT%T%.6fZ");
                format!(
                    r#"{{"accessToken":"legacy","expires":"{expires}","refreshToken":"again"}}"#
                )
            }
            _ => r#"{"Meta":{"Logs":[{"ID":"1"}]}}"#.to_owned(),
        };
        Ok(Response::new(StatusCode::OK, HeaderMap::new(), Ok(body.into())))
    }
}

#[tokio::test(start_paused = true)]
async fn outage_of_the_refresh_endpoint_for_an_hour_loses_no_message() {
    let failures: [Fail; 4] = [
        |_| ready(Err(TransportError::unknown(TransportErrorKind::Interrupted))).boxed(),
        |_| ready(Ok(response(500, None))).boxed(),
        |_| ready(Ok(response(503, Some("1")))).boxed(),
        |timeout| {
            let hangs = async move {
                sleep(timeout).await;
                Err(TransportError::unknown(TransportErrorKind::Timeout))
            };
            hangs.boxed()
        },
    ];
    for (number, failure) in failures.into_iter().enumerate() {
        let service = Arc::new(RefreshFails { failure, requests: Mutex::default() });
        let builder = Client::builder().transport(service.clone()).destination(DESTINATION);
        let client = builder.credentials(Credentials::api_key("key", "secret")).build().unwrap();
        for minute in 0..60 {
            let receipt = client.send(&message()).await.unwrap();
            assert_eq!(receipt.attempts().len(), 1, "failure {number}, minute {minute}");
            sleep(Duration::from_secs(60)).await;
        }
        let requests = service.requests.lock().unwrap();
        println!("failure {number}: {requests:?}");
        assert_eq!(
            (requests["/auth/authenticate"], requests["/endpoint"]),
            (60, 60),
            "{requests:?}"
        );
        assert!(requests["/auth/refreshToken"] <= 60, "{requests:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn outage_of_the_refresh_endpoint_does_not_delay_sends() {
    let failures: [Fail; 4] = [
        |_| ready(Err(TransportError::unknown(TransportErrorKind::Interrupted))).boxed(),
        |_| ready(Ok(response(503, Some("60")))).boxed(),
        |_| ready(Ok(response(503, Some("120")))).boxed(),
        |timeout| {
            sleep(timeout)
                .map(|()| Err(TransportError::unknown(TransportErrorKind::Timeout)))
                .boxed()
        },
    ];
    for (number, failure) in failures.into_iter().enumerate() {
        let service = Arc::new(RefreshFails { failure, requests: Mutex::default() });
        let builder = Client::builder().transport(service.clone()).destination(DESTINATION);
        let client = builder.credentials(Credentials::api_key("key", "secret")).build().unwrap();
        let mut longest = Duration::ZERO;
        for _ in 0..20 * 60 {
            let began = Instant::now();
            client.send(&message()).await.unwrap();
            longest = longest.max(began.elapsed());
            sleep(Duration::from_secs(1)).await;
        }
        println!(
            "failure {number}: a send took at most {longest:?}; {:?}",
            service.requests.lock().unwrap()
        );
        assert!(longest <= Duration::from_secs(1), "failure {number}: {longest:?}");
    }
}

/// Creates a response with this status and optional `Retry-After`.
fn response(status: u16, retry_after: Option<&'static str>) -> Response {
    let mut headers = HeaderMap::new();
    if let Some(seconds) = retry_after {
        headers.insert("retry-after", HeaderValue::from_static(seconds));
    }
    Response::new(StatusCode::from_u16(status).unwrap(), headers, Ok(Bytes::new()))
}
