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
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use buttons::BUTTONS;

use super::check::MOST_DESTINATIONS;
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

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Returns the response to a request for the page, or `None` if the request is for the service.
pub(super) fn response(
    service: &Service,
    request: &ReceivedRequest,
    query: Option<&str>,
) -> Option<MockResponse> {
    let (method, path) = (request.method.as_str(), request.path.as_str());
    let response: &dyn Fn() -> MockResponse = match (method, path) {
        ("GET", "/page/state") => &|| found(requested_state(service, query)),
        ("GET", "/page/settings") => &|| {
            let settings = service.shell_settings.clone();
            MockResponse::new(StatusCode::OK).content("text/plain", settings.into())
        },
        ("GET", "/page/week") => &|| found(requested_week(service, query)),
        ("POST", "/page/next") => &|| done(next(service, &request.body)),
        ("POST", "/page/outage") => &|| done(outage(service, &request.body)),
        ("POST", "/page/destinations") => &|| done(destinations(service, &request.body)),
        ("POST", "/page/clear") => &|| done(clear(service, &request.body)),
        ("GET", path) => {
            let (_, kind, text) = ASSETS.iter().find(|(asset, ..)| *asset == path)?;
            &|| MockResponse::new(StatusCode::OK).content(kind, (*text).into())
        }
        _ => return None,
    };
    Some(rejection(service, request).unwrap_or_else(|| guarded(response())))
}

/// Returns the rejection of a request that a page of another origin may have made.
///
/// The host must be `localhost` or an address, so that no other host name leads here. A request
/// that changes something must be JSON, which a browser doesn't send to another origin without
/// asking it.
fn rejection(service: &Service, request: &ReceivedRequest) -> Option<MockResponse> {
    let header = |name| value(&request.headers, name).unwrap_or_default();
    let host = header(HOST);
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name =
        host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name);
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    // A foreign host name can be made to resolve to this machine, but an address can't.
    let is_here = name.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.is_loopback() || !service.address.is_loopback());
    if !is_here {
        let text = "the page is only for hosts that are localhost or an address";
        return Some(MockResponse::new(StatusCode::FORBIDDEN).text(text));
    }
    let is_allowed = request.method == Method::GET || is_json(header(CONTENT_TYPE));
    (!is_allowed).then(|| {
        let text = "add the header Content-Type: application/json";
        MockResponse::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).text(text)
    })
}

/// Parses the body of a request for the page.
fn parsed<T: DeserializeOwned>(body: &Bytes) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("invalid body: {error}"))
}

/// The maximum number of messages and responses that the page requests at once.
const MOST_SHOWN: usize = 10_000;

fn value(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn found(result: Result<Vec<u8>, String>) -> MockResponse {
    result.map_or_else(invalid, |json| MockResponse::new(StatusCode::OK).json(json))
}

fn done(result: Result<(), String>) -> MockResponse {
    result.map_or_else(invalid, |()| MockResponse::new(StatusCode::NO_CONTENT))
}

fn invalid(text: String) -> MockResponse {
    MockResponse::new(StatusCode::BAD_REQUEST).text(text)
}

fn guarded(response: MockResponse) -> MockResponse {
    response
        .header(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
        // Names must not get into the browser's disk cache.
        .header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .header(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
        .header(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
        .header(RESOURCE_POLICY, HeaderValue::from_static("same-origin"))
}

fn requested_state(service: &Service, query: Option<&str>) -> Result<Vec<u8>, String> {
    let limit = parameter(query, "limit")?.unwrap_or(50).min(MOST_SHOWN);
    Ok(state::json(service, limit, parameter(query, "state")?))
}

fn requested_week(service: &Service, query: Option<&str>) -> Result<Vec<u8>, String> {
    let range = parameter(query, "from")?.zip(parameter(query, "to")?);
    Ok(week::json(service, range, parameter(query, "message")?))
}

/// Returns a parameter of the query, if it is given.
fn parameter<T: DeserializeOwned>(query: Option<&str>, name: &str) -> Result<Option<T>, String> {
    let mut pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let Some((_, text)) = pairs.find(|(key, _)| key == name) else { return Ok(None) };
    let number = serde_json::from_str(&text);
    let value = number.or_else(|_| serde_json::from_value(text.into()));
    value.map(Some).map_err(|error| format!("invalid {name}: {error}"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NextResponse {
    /// The name of a button, or `usual`.
    response: String,
    /// The request that gets the response.
    #[serde(default)]
    to: Recipient,
    #[serde(default = "once")]
    times: u32,
    #[serde(default)]
    delay_ms: u32,
}

fn once() -> u32 {
    1
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Recipient {
    #[default]
    Message,
    TokenRequest,
}

fn next(service: &Service, body: &Bytes) -> Result<(), String> {
    let NextResponse { response: name, to, times, delay_ms } = parsed(body)?;
    let button = BUTTONS.iter().find(|button| button.name == name);
    let response = match button {
        // The page identifies its buttons by this name.
        Some(button) => MockResponse { name: button.name, ..(button.response)() },
        None if name == "usual" => MockResponse::usual(),
        None => {
            let names: Vec<_> = BUTTONS.iter().map(|button| button.name).collect();
            return Err(format!("unknown response; use usual, {}", names.join(", ")));
        }
    };
    let response = response.times(times).delay(Duration::from_millis(delay_ms.into()));
    service.script(|script| {
        let queue = match to {
            Recipient::Message => &mut script.messages,
            Recipient::TokenRequest => &mut script.tokens,
        };
        Script::add(queue, response);
    });
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outage {
    seconds: u32,
}

fn outage(service: &Service, body: &Bytes) -> Result<(), String> {
    let Outage { seconds } = parsed(body)?;
    service.script(|script| script.fail_for(Duration::from_secs(seconds.into())));
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Destinations {
    /// The known destinations in addition to the mock's own, or `None` to make any known.
    known: Option<Vec<Uuid>>,
}

fn destinations(service: &Service, body: &Bytes) -> Result<(), String> {
    let Destinations { known } = parsed(body)?;
    if known.as_ref().is_some_and(|known| known.len() > MOST_DESTINATIONS) {
        return Err(format!("too many destinations; use at most {MOST_DESTINATIONS}"));
    }
    service.set_known_destinations(known);
    Ok(())
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Clear {
    queue: bool,
    inbox: bool,
}

fn clear(service: &Service, body: &Bytes) -> Result<(), String> {
    let Clear { queue, inbox } = parsed(body)?;
    if inbox {
        service.clear_inbox();
    }
    if queue {
        service.script(|script| *script = Script::default());
    }
    Ok(())
}
