//! Serves `wiremock-fixtures/` in this process. Implements the part of WireMock's mapping format
//! that the fixtures use.
//!
//! Unknown keys are rejected, so that this server and WireMock never differ silently.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use handlebars::{Handlebars, handlebars_helper};
use http::{HeaderName, HeaderValue, StatusCode};
use pushslots::mock::{MockResponse, MockService, ReceivedRequest};
use pushslots::uuid::Uuid;
use serde::Deserialize;
use serde_json::{Value, json};

/// Starts a server on a free loopback port. It stops when dropped.
pub fn serve() -> MockService {
    let folder = super::repository("wiremock-fixtures/mappings");
    let stubs = Stubs::load(&folder).expect("the fixtures can be read");
    let service = MockService::builder().respond_with(move |request| Some(stubs.response(request)));
    service.start().expect("a port is free")
}

/// All mappings, and the state of each scenario.
pub struct Stubs {
    mappings: Vec<Mapping>,
    states: Mutex<BTreeMap<String, String>>,
    templates: Handlebars<'static>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    mappings: Vec<Mapping>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Mapping {
    name: String,
    #[serde(default = "default_priority")]
    priority: u32,
    scenario_name: Option<String>,
    required_scenario_state: Option<String>,
    new_scenario_state: Option<String>,
    request: Pattern,
    response: Response,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Pattern {
    method: String,
    url_path: String,
    #[serde(default)]
    headers: BTreeMap<String, Text>,
    #[serde(default)]
    form_parameters: BTreeMap<String, Text>,
    #[serde(default)]
    body_patterns: Vec<BodyPattern>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
enum BodyPattern {
    MatchesJsonPath(JsonPath),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum JsonPath {
    Present(String),
    Equal(EqualPath),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct EqualPath {
    expression: String,
    equal_to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
enum Text {
    EqualTo(String),
    Contains(String),
    Matches(String),
    DoesNotMatch(String),
    Absent(bool),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Response {
    #[serde(default = "default_status")]
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    json_body: Option<Value>,
    body: Option<String>,
    base64_body: Option<String>,
    #[serde(default)]
    fixed_delay_milliseconds: u64,
    fault: Option<Fault>,
    #[serde(default)]
    transformers: Vec<Transformer>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Fault {
    ConnectionResetByPeer,
    EmptyResponse,
    MalformedResponseChunk,
    RandomDataThenClose,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Transformer {
    ResponseTemplate,
}

fn default_priority() -> u32 {
    5
}

fn default_status() -> u16 {
    200
}

impl Stubs {
    pub fn load(folder: &Path) -> Result<Self, String> {
        let mut mappings = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(|error| error.to_string())? {
            let path = entry.map_err(|error| error.to_string())?.path();
            let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
            mappings.extend(read(&text).map_err(|error| format!("{}: {error}", path.display()))?);
        }
        Self::new(mappings)
    }

    /// Reads the mappings of one file.
    pub fn from_json(json: &str) -> Result<Self, String> {
        Self::new(read(json).map_err(|error| error.to_string())?)
    }

    fn new(mut mappings: Vec<Mapping>) -> Result<Self, String> {
        mappings.sort_by_key(|mapping| mapping.priority);
        let mut templates = Handlebars::new();
        templates.register_escape_fn(handlebars::no_escape);
        templates.register_helper("jsonPath", Box::new(json_path));
        templates.register_helper("randomValue", Box::new(random_value));
        for mapping in &mappings {
            if let (Some(body), [_, ..]) = (&mapping.response.body, &*mapping.response.transformers)
            {
                let added = templates.register_template_string(&mapping.name, body);
                added.map_err(|error| format!("{}: {error}", mapping.name))?;
            }
        }
        Ok(Self { mappings, states: Mutex::default(), templates })
    }

    /// Returns the response of the first mapping that matches, by priority.
    pub fn response(&self, request: &ReceivedRequest) -> MockResponse {
        let mut states = self.states.lock().unwrap();
        let in_state = |mapping: &Mapping| {
            let scenario = mapping.scenario_name.as_ref();
            let state =
                scenario.and_then(|name| states.get(name)).map_or("Started", String::as_str);
            mapping.required_scenario_state.as_ref().is_none_or(|required| required == state)
        };
        let found = self.mappings.iter().find(|m| in_state(m) && m.request.matches(request));
        let Some(mapping) = found else {
            return MockResponse::new(StatusCode::NOT_FOUND).body("no mapping matches the request");
        };
        if let Some((name, state)) =
            mapping.scenario_name.clone().zip(mapping.new_scenario_state.clone())
        {
            states.insert(name, state);
        }
        self.build_response(mapping, request)
    }

    fn build_response(&self, mapping: &Mapping, request: &ReceivedRequest) -> MockResponse {
        let recorded = &mapping.response;
        let mut response = match recorded.fault {
            None => MockResponse::new(StatusCode::from_u16(recorded.status).unwrap()),
            Some(Fault::ConnectionResetByPeer) => MockResponse::reset_after_read(),
            Some(Fault::EmptyResponse) => MockResponse::closed_after_read(),
            Some(Fault::MalformedResponseChunk) => MockResponse::malformed_chunk(),
            Some(Fault::RandomDataThenClose) => MockResponse::garbage(),
        };
        for (name, value) in &recorded.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            response = response.header(name, HeaderValue::from_str(value).unwrap());
        }
        let delay = Duration::from_millis(recorded.fixed_delay_milliseconds);
        if let Some(body) = &recorded.base64_body {
            return response.body(BASE64_STANDARD.decode(body).unwrap()).delay(delay);
        }
        let body = match (&recorded.json_body, &recorded.body) {
            (Some(json), _) => json.to_string(),
            (None, Some(_)) if self.templates.has_template(&mapping.name) => {
                let data =
                    json!({ "request": { "body": String::from_utf8_lossy(request.body()) } });
                self.templates.render(&mapping.name, &data).unwrap()
            }
            (None, body) => body.clone().unwrap_or_default(),
        };
        response.body(body).delay(delay)
    }
}

fn read(json: &str) -> serde_json::Result<Vec<Mapping>> {
    Ok(serde_json::from_str::<File>(json)?.mappings)
}

impl Pattern {
    fn matches(&self, request: &ReceivedRequest) -> bool {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let body = String::from_utf8_lossy(request.body());
        let form: BTreeMap<_, _> =
            url::form_urlencoded::parse(request.body()).into_owned().collect();
        request.method().as_str() == self.method
            && request.path() == self.url_path
            && self.headers.iter().all(|(name, text)| text.matches(header(name)))
            && self
                .form_parameters
                .iter()
                .all(|(name, text)| text.matches(form.get(name).map(|value| &**value)))
            && self
                .body_patterns
                .iter()
                .all(|BodyPattern::MatchesJsonPath(path)| path.matches(&body))
    }
}

impl Text {
    fn matches(&self, text: Option<&str>) -> bool {
        match self {
            Self::EqualTo(expected) => text == Some(expected),
            Self::Contains(part) => text.is_some_and(|text| text.contains(part)),
            Self::Matches(pattern) => text.is_some_and(|text| matches_whole(pattern, text)),
            Self::DoesNotMatch(pattern) => text.is_some_and(|text| !matches_whole(pattern, text)),
            Self::Absent(absent) => text.is_none() == *absent,
        }
    }
}

/// Returns whether the regular expression matches the whole text. Supports only plain text with
/// an optional `.*` at its end.
fn matches_whole(pattern: &str, text: &str) -> bool {
    let (plain, any) = pattern.strip_suffix(".*").map_or((pattern, false), |plain| (plain, true));
    assert!(
        plain.chars().all(|c| c.is_ascii_alphanumeric() || "_:-".contains(c)),
        "unsupported pattern: {pattern}"
    );
    if any { text.starts_with(plain) } else { text == plain }
}

impl JsonPath {
    fn matches(&self, body: &str) -> bool {
        match self {
            Self::Present(path) => !at_path(body, path).is_null(),
            Self::Equal(EqualPath { expression, equal_to }) => {
                at_path(body, expression) == **equal_to
            }
        }
    }
}

/// Returns the value at a path of member names, such as `$.A.B`, or null if there is none.
fn at_path(text: &str, path: &str) -> Value {
    assert!(
        path.chars().all(|c| c.is_ascii_alphanumeric() || "$.".contains(c)),
        "unsupported path: {path}"
    );
    let json: Value = serde_json::from_str(text).unwrap_or_default();
    json.pointer(&path.trim_start_matches('$').replace('.', "/")).cloned().unwrap_or_default()
}

// Implements `{{jsonPath request.body '$.A.B'}}`.
handlebars_helper!(json_path: |text: str, path: str| at_path(text, path));

// Implements `{{randomValue type='UUID'}}`.
handlebars_helper!(random_value: |**named| {
    let kind = named.get("type").and_then(|kind| kind.as_str());
    assert_eq!(kind, Some("UUID"), "unsupported type of randomValue");
    Uuid::new_v4().to_string()
});
