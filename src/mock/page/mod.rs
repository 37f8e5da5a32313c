//! The page that shows which messages arrived, and the requests that it makes.

mod buttons;
mod state;
mod week;

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use buttons::BUTTONS;

use super::inbox::ReceivedRequest;
use super::mock_response::MockResponse;
use super::script::Script;
use super::service::{Service, is_json};

/// The content security policy: nothing from elsewhere, and no inline scripts or styles.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The files of the page: the path, the content type and the text.
const ASSETS: &[(&str, &str, &str)] = &[
    ("/", HTML, include_str!("assets/index.html")),
    ("/page.css", CSS, include_str!("assets/page.css")),
    ("/week.css", CSS, include_str!("assets/week.css")),
    ("/page.js", JAVASCRIPT, include_str!("assets/page.js")),
    ("/dom.js", JAVASCRIPT, include_str!("assets/dom.js")),
    ("/inbox.js", JAVASCRIPT, include_str!("assets/inbox.js")),
    ("/time.js", JAVASCRIPT, include_str!("assets/time.js")),
    ("/week.js", JAVASCRIPT, include_str!("assets/week.js")),
];

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// Returns the response to a request for the page, or `None` if the request is for the service.
pub(super) fn response(
    service: &Service,
    request: &ReceivedRequest,
    query: Option<&str>,
) -> Option<MockResponse> {
    let found = |json| MockResponse::new(StatusCode::OK).json(json);
    let (method, path) = (request.method.as_str(), request.path.as_str());
    let response: &dyn Fn() -> MockResponse = match (method, path) {
        ("GET", "/page/state") => &|| {
            let limit = parameter(query, "limit").unwrap_or(50).min(MOST_SHOWN);
            found(state::json(service, limit, parameter(query, "state")))
        },
        ("GET", "/page/settings") => &|| {
            let settings = service.shell_settings.clone();
            MockResponse::new(StatusCode::OK).content("text/plain", settings.into())
        },
        ("GET", "/page/week") => &|| {
            let range = parameter(query, "from").zip(parameter(query, "to"));
            found(week::json(service, range, parameter(query, "message")))
        },
        ("POST", "/page/next") => &|| next(service, &request.body),
        ("POST", "/page/outage") => &|| outage(service, &request.body),
        ("POST", "/page/destinations") => &|| destinations(service, &request.body),
        ("POST", "/page/clear") => &|| clear(service, &request.body),
        ("GET", path) => {
            let (_, kind, text) = ASSETS.iter().find(|(asset, ..)| *asset == path)?;
            &|| MockResponse::new(StatusCode::OK).content(kind, (*text).into())
        }
        _ => return None,
    };
    Some(if is_from_the_page(service, request) {
        guarded(response())
    } else {
        MockResponse::new(StatusCode::FORBIDDEN)
    })
}

/// Returns `false` if a page of another origin may have made the request.
///
/// Its host must be `localhost` or an address, so that no other host name leads here. A request
/// that changes something must be JSON, which a browser doesn't send to another origin without
/// asking it.
fn is_from_the_page(service: &Service, request: &ReceivedRequest) -> bool {
    let header = |name| value(&request.headers, name).unwrap_or_default();
    let host = header(HOST);
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name =
        host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name);
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    // A foreign host name can be made to resolve to this machine, but an address can't.
    let is_here = name.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.is_loopback() || !service.address.is_loopback());
    is_here && (request.method == Method::GET || is_json(header(CONTENT_TYPE)))
}

/// The maximum number of messages and responses that the page requests at once.
const MOST_SHOWN: usize = 10_000;

fn value(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn guarded(response: MockResponse) -> MockResponse {
    response
        .header(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
        // Names must not get into the browser's disk cache.
        .header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .header(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
        .header(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
}

/// Returns a parameter of the query, or `None` if it is missing or can't be read.
fn parameter<T: DeserializeOwned>(query: Option<&str>, name: &str) -> Option<T> {
    let mut pairs = url::form_urlencoded::parse(query?.as_bytes());
    let (_, text) = pairs.find(|(key, _)| key == name)?;
    let number = serde_json::from_str(&text);
    number.or_else(|_| serde_json::from_value(text.into())).ok()
}

#[derive(Deserialize)]
struct NextResponse {
    response: String,
    /// Which request gets the response.
    #[serde(default)]
    to: Recipient,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Recipient {
    #[default]
    Message,
    TokenRequest,
}

fn next(service: &Service, body: &Bytes) -> MockResponse {
    let Ok(asked) = serde_json::from_slice::<NextResponse>(body) else {
        return MockResponse::new(StatusCode::BAD_REQUEST);
    };
    let Some(button) = BUTTONS.iter().find(|button| button.name == asked.response) else {
        return MockResponse::new(StatusCode::BAD_REQUEST);
    };
    // The page identifies its buttons by this name.
    let response = MockResponse { name: button.name, ..(button.response)() };
    service.script(|script| {
        let queue = match asked.to {
            Recipient::Message => &mut script.messages,
            Recipient::TokenRequest => &mut script.tokens,
        };
        Script::add(queue, response);
    });
    MockResponse::new(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Outage {
    seconds: u32,
}

fn outage(service: &Service, body: &Bytes) -> MockResponse {
    let Ok(Outage { seconds }) = serde_json::from_slice(body) else {
        return MockResponse::new(StatusCode::BAD_REQUEST);
    };
    service.script(|script| script.fail_for(Duration::from_secs(seconds.into())));
    MockResponse::new(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Destinations {
    /// The known destinations in addition to the mock's own, or `None` to make any known.
    known: Option<Vec<Uuid>>,
}

fn destinations(service: &Service, body: &Bytes) -> MockResponse {
    let Ok(Destinations { known }) = serde_json::from_slice(body) else {
        return MockResponse::new(StatusCode::BAD_REQUEST);
    };
    service.set_known_destinations(known);
    MockResponse::new(StatusCode::NO_CONTENT)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Clear {
    queue: bool,
    inbox: bool,
}

fn clear(service: &Service, body: &Bytes) -> MockResponse {
    let Ok(asked) = serde_json::from_slice::<Clear>(body) else {
        return MockResponse::new(StatusCode::BAD_REQUEST);
    };
    if asked.inbox {
        service.clear_inbox();
    }
    if asked.queue {
        service.script(|script| *script = Script::default());
    }
    MockResponse::new(StatusCode::NO_CONTENT)
}
