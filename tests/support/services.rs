//! Three services for one suite: the mock, the fixtures in this process, and the fixtures on the
//! real WireMock.

use std::process::Stdio;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue, StatusCode};
use pushslots::mock::{MockResponse, MockService, ReceivedRequest};
use pushslots::uuid::Uuid;
use pushslots::{Client, ClientBuilder, Credentials, SigningKey};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::examples::Folder;
use super::{DESTINATION, SOURCE, any_http, fixtures, key, or_skip};

/// A service that behaves as `wiremock-fixtures/README.md` describes for each client id.
pub enum Service {
    Mock(MockService),
    Fixtures(MockService),
    WireMock(WireMock),
}

/// The parts of a received request that the tests check.
#[derive(Debug)]
pub struct Seen {
    pub path: String,
    pub message_id: Option<String>,
    pub body: String,
}

impl Service {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mock(_) => "MockService",
            Self::Fixtures(_) => "the fixtures in this process",
            Self::WireMock(_) => "the fixtures on WireMock",
        }
    }

    pub fn url(&self) -> &str {
        match self {
            Self::Mock(service) | Self::Fixtures(service) => service.url(),
            Self::WireMock(server) => &server.url,
        }
    }

    /// Returns a builder for a client that meets this behavior of the service.
    pub fn client(&self, behavior: &str) -> ClientBuilder {
        let credentials = match self {
            Self::Mock(service) => {
                script(service, behavior);
                let key =
                    SigningKey::from_pem(service.private_key_pem(), service.key_id()).unwrap();
                Credentials::signed_jwt(service.client_id(), key)
            }
            _ => Credentials::signed_jwt(behavior, key()),
        };
        self.builder(credentials)
    }

    /// Returns a builder for a client with this legacy key.
    pub fn legacy_client(&self, api_key: &str) -> ClientBuilder {
        if let Self::Mock(service) = self {
            script_for_key(service, api_key);
        }
        self.builder(Credentials::api_key(api_key, "secret"))
    }

    fn builder(&self, credentials: Credentials) -> ClientBuilder {
        let builder = Client::builder().base_url(self.url()).credentials(credentials);
        builder.source(SOURCE).destination(DESTINATION)
    }

    /// Returns the requests since the last call.
    pub async fn take_requests(&self) -> Vec<Seen> {
        match self {
            Self::Mock(service) | Self::Fixtures(service) => {
                let requests = service.requests().iter().map(Seen::from).collect();
                service.clear_inbox();
                service.clear_script();
                requests
            }
            Self::WireMock(server) => server.take_requests().await,
        }
    }
}

impl From<&ReceivedRequest> for Seen {
    fn from(request: &ReceivedRequest) -> Self {
        Self {
            path: request.path().to_owned(),
            message_id: request.message_id().map(|id| id.to_string()),
            body: String::from_utf8(request.body().to_vec()).unwrap(),
        }
    }
}

/// Returns the mock, with the API keys of the fixtures.
pub fn mock() -> Service {
    let builder = MockService::builder().api_key("my-key", "secret");
    let builder =
        builder.api_key("api-key-revoked", "secret").api_key("api-key-refresh-rejected", "secret");
    Service::Mock(builder.start().unwrap())
}

pub fn fixtures() -> Service {
    Service::Fixtures(fixtures::serve())
}

/// Scripts the mock to behave as the fixtures do.
fn script(service: &MockService, behavior: &str) {
    let status = |status| MockResponse::new(StatusCode::from_u16(status).unwrap());
    let json = |response: MockResponse, json: Value| response.body(json.to_string());
    let oauth = |description: &str| {
        json(status(400), json!({ "error": "invalid_request", "error_description": description }))
    };
    let detail = |code, detail: &str| json(status(code), json!({ "errorDetail": detail }));
    let always = 10;
    let coded =
        |code: &str, description: &str| json!({ "error": code, "error_description": description });
    match behavior {
        "plain" => {}
        "throttled" => service.respond_next(MockResponse::throttled().retry_after(1)),
        "rate-limited" => service.respond_next(MockResponse::throttled()),
        "server-error" => service.respond_next(status(500)),
        "bad-gateway" => service.respond_next(status(502)),
        "unavailable" => service.respond_next(MockResponse::unavailable()),
        "gateway-timeout" => service.respond_next(status(504)),
        "down" => service.respond_next(MockResponse::unavailable().times(always)),
        "rejected" => service.respond_next(MockResponse::rejected("No subscriptions.")),
        "rejected-oauth" => service.respond_next(oauth("Meta.Source.ID is required")),
        "rejected-detail" => {
            service.respond_next(detail(400, "Slots[0].Duration must be a number"))
        }
        "rejected-text" => service.respond_next(status(400).body("Meta.DataModel is missing")),
        "unauthorized" => {
            let error = coded("invalid_token", "The access token is invalid");
            service.respond_next(json(status(401), error).times(always));
        }
        "forbidden" => service.respond_next(detail(403, "The source may not send PushSlots")),
        "not-found" => service.respond_next(status(404).body("Not Found")),
        "content-too-large" => service.respond_next(status(413).body("<html><h1>413</h1></html>")),
        "unprocessable" => service.respond_next(detail(422, "Slots[0].DateTime is no date")),
        "numeric-logs" => {
            let logs =
                json!({ "Meta": { "Logs": [{ "ID": 1234567890, "AttemptID": 987654321 }] } });
            service.respond_next(json(MockResponse::usual(), logs));
        }
        "no-logs" => service.respond_next(json(
            MockResponse::usual(),
            json!({ "Meta": { "Message": { "ID": 4242 } } }),
        )),
        "empty-body" => service.respond_next(MockResponse::usual().body("")),
        "accepted-with-errors" => {
            service.respond_next(MockResponse::accepted_with_errors(
                "The transmission to the destination failed",
            ));
        }
        "block-page" => service.respond_next(MockResponse::block_page()),
        "compressed" => service.respond_next(MockResponse::usual().gzip()),
        "unavailable-for-1s" => service.respond_next(MockResponse::unavailable().retry_after(1)),
        "throttled-for-a-fraction" => {
            let half = HeaderValue::from_static("0.5");
            service.respond_next(MockResponse::throttled().header(RETRY_AFTER, half));
        }
        "request-timeout" => service.respond_next(status(408)),
        "misdirected" => service.respond_next(status(421)),
        "too-early" => service.respond_next(status(425)),
        "many-headers" => {
            service.respond_next((0..120).fold(MockResponse::usual(), |response, number| {
                let name = HeaderName::try_from(format!("x-gateway-{number}")).unwrap();
                response.header(name, HeaderValue::from_static("passed"))
            }))
        }
        "error-in-success" => {
            service.respond_next(json(
                status(200),
                coded("invalid_request", "The message was not read"),
            ));
        }
        "problem-details" => {
            let detail = "The gateway lets no PushSlots pass";
            service.respond_next(json(
                status(403),
                json!({ "title": "Forbidden", "status": 403, "detail": detail }),
            ));
        }
        "token-error-in-success" => {
            service.respond_next_token(json(
                status(200),
                coded("invalid_client", "The client is not known"),
            ));
        }
        "token-request-timeout" => service.respond_next_token(status(408)),
        "token-odd-json" => {
            // The mock rejects tokens that it didn't issue, so the response to the message is
            // scripted too.
            let token = "\u{feff}{\"access_token\":\"x\",\"token_type\":\"bearer\",\
                \"expires_in\":\"299.5\"}";
            service.respond_next_token(status(200).body(token));
            let log = json!({ "ID": Uuid::new_v4(), "AttemptID": Uuid::new_v4() });
            service.respond_next(json(status(200), json!({ "Meta": { "Logs": [log] } })));
        }
        "connection-reset" => service.respond_next(MockResponse::reset_after_read()),
        "empty-response" => service.respond_next(MockResponse::closed_after_read()),
        "malformed-chunk" => {
            service.respond_next(MockResponse::malformed_chunk().after_accepting())
        }
        "random-data" => service.respond_next(MockResponse::garbage()),
        "slow" => service.respond_next(MockResponse::usual().delay(Duration::from_millis(1_500))),
        "token-connection-reset" => service.respond_next_token(MockResponse::reset_after_read()),
        "token-rejected" => {
            service.respond_next_token(oauth(
                "Public key not found, check client_id, kid and environment",
            ));
        }
        "token-no-kid" => service.respond_next_token(oauth("JWT header kid property is required")),
        "token-wrong-audience" => service.respond_next_token(oauth("Unexpected aud claim value")),
        "token-no-description" => service.respond_next_token(oauth("")),
        "token-no-expiry" => {
            // The mock rejects tokens that it didn't issue, so the response to the message is
            // scripted too.
            service.respond_next_token(json(
                status(200),
                json!({ "access_token": "x", "token_type": "Bearer" }),
            ));
            let log = json!({ "ID": Uuid::new_v4(), "AttemptID": Uuid::new_v4() });
            service.respond_next(json(status(200), json!({ "Meta": { "Logs": [log] } })));
        }
        "token-throttled" => service.respond_next_token(MockResponse::throttled().retry_after(1)),
        "token-server-error" => service.respond_next_token(status(500)),
        "token-unavailable" => service.respond_next_token(MockResponse::unavailable()),
        "revoked" => service.respond_next(status(401)),
        _ => panic!("unknown behavior: {behavior}"),
    }
}

fn script_for_key(service: &MockService, api_key: &str) {
    let unauthorized = || MockResponse::new(StatusCode::UNAUTHORIZED).body("Invalid request");
    match api_key {
        "api-key-revoked" => service.respond_next(unauthorized()),
        "api-key-refresh-rejected" => {
            service.respond_next(unauthorized());
            service.respond_next_token(MockResponse::usual());
            service.respond_next_token(unauthorized());
        }
        _ => {}
    }
}

/// The third-party WireMock server, stopped on drop.
pub struct WireMock {
    url: String,
    http: reqwest::Client,
    _child: Child,
    _folder: Folder,
}

impl WireMock {
    /// Starts WireMock on the fixtures. If it isn't installed, returns `None` and prints that the
    /// test is skipped, or panics if `CI=true`.
    pub async fn start() -> Option<Service> {
        // The server creates a folder next to the mappings.
        let folder = Folder::create();
        let mut child = or_skip(spawn(&folder))?;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(port) = line.strip_prefix("port:") {
                    return port.trim().to_owned();
                }
            }
            panic!("WireMock exited before it printed its port")
        };
        let port =
            timeout(Duration::from_secs(60), port).await.expect("WireMock starts within 60 s");
        // A full pipe would block the server.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let http = any_http();
        let url = format!("http://127.0.0.1:{port}");
        Some(Service::WireMock(Self { url, http, _child: child, _folder: folder }))
    }

    async fn take_requests(&self) -> Vec<Seen> {
        let url = format!("{}/__admin/requests", self.url);
        let json = self.http.get(&url).send().await.unwrap().bytes().await.unwrap();
        let json: Value = serde_json::from_slice(&json).unwrap();
        self.http.delete(&url).send().await.unwrap();
        let mut seen: Vec<_> = json["requests"].as_array().unwrap().iter().collect();
        // WireMock returns the newest request first.
        seen.reverse();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let seen = seen.into_iter().map(|seen| &seen["request"]).map(|request| {
            let headers = request["headers"].as_object().unwrap();
            let key = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("idempotency-key"));
            Seen {
                path: text(&request["url"]).unwrap(),
                message_id: key.and_then(|(_, value)| text(value)),
                body: text(&request["body"]).unwrap(),
            }
        });
        seen.collect()
    }
}

fn spawn(folder: &Folder) -> Result<Child, String> {
    let builds = super::repository("tests/peers/node_modules/wiremock/build");
    let jar = std::fs::read_dir(builds).into_iter().flatten().flatten().map(|entry| entry.path());
    let jar =
        jar.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "jar"));
    let jar = jar.ok_or("run `npm ci` in tests/peers first")?;
    for entry in std::fs::read_dir(super::repository("wiremock-fixtures/mappings")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        folder.file_in("mappings", name.to_str().unwrap(), std::fs::read(entry.path()).unwrap());
    }
    Command::new("java")
        .arg("-jar")
        .arg(jar)
        .args(["--bind-address", "127.0.0.1", "--port", "0", "--disable-banner", "--root-dir"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("java does not start: {error}"))
}
