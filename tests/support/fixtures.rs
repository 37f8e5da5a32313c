//! Serves `wiremock-fixtures/` in this process: the part of WireMock's mapping format that the fixtures use.
//!
//! A key that is not known here is refused, so that this server and the real one never differ in silence.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use serde::Deserialize;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// Starts a server on a free loopback port; it stops when it is dropped.
pub async fn serve() -> MockServer {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("wiremock-fixtures/mappings");
    let stubs = Stubs::load(&folder).expect("the fixtures can be read");
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(stubs).mount(&server).await;
    server
}

/// Every mapping, and the state of each scenario.
pub struct Stubs {
    mappings: Vec<Mapping>,
    states: Mutex<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    mappings: Vec<Mapping>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Mapping {
    #[serde(rename = "name")]
    _name: String,
    #[serde(default = "usual_priority")]
    priority: u32,
    scenario_name: Option<String>,
    required_scenario_state: Option<String>,
    new_scenario_state: Option<String>,
    request: Pattern,
    response: Answer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Pattern {
    method: String,
    url_path: String,
    #[serde(default)]
    headers: BTreeMap<String, Text>,
    #[serde(default)]
    body_patterns: Vec<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
enum Text {
    EqualTo(String),
    Contains(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Answer {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    json_body: Option<serde_json::Value>,
    body: Option<String>,
    #[serde(default)]
    fixed_delay_milliseconds: u64,
}

fn usual_priority() -> u32 {
    5
}

impl Stubs {
    pub fn load(folder: &Path) -> Result<Self, String> {
        let mut mappings = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(|error| error.to_string())? {
            let path = entry.map_err(|error| error.to_string())?.path();
            let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
            let file: File =
                serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
            mappings.extend(file.mappings);
        }
        mappings.sort_by_key(|mapping| mapping.priority);
        Ok(Self { mappings, states: Mutex::default() })
    }
}

impl Respond for Stubs {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut states = self.states.lock().unwrap();
        let in_state = |mapping: &Mapping| {
            let scenario = mapping.scenario_name.as_ref();
            let state = scenario.and_then(|name| states.get(name)).map_or("Started", String::as_str);
            mapping.required_scenario_state.as_ref().is_none_or(|required| required == state)
        };
        let found = self.mappings.iter().find(|m| in_state(m) && m.request.matches(request));
        let Some(mapping) = found else {
            return ResponseTemplate::new(404).set_body_string("no mapping matches the request");
        };
        if let Some((name, state)) = mapping.scenario_name.clone().zip(mapping.new_scenario_state.clone()) {
            states.insert(name, state);
        }
        mapping.response.template()
    }
}

impl Pattern {
    fn matches(&self, request: &Request) -> bool {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        request.method.as_str() == self.method
            && request.url.path() == self.url_path
            && self.headers.iter().all(|(name, text)| header(name).is_some_and(|h| text.matches(h)))
            && self.body_patterns.iter().all(|text| text.matches(&String::from_utf8_lossy(&request.body)))
    }
}

impl Text {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::EqualTo(expected) => text == expected,
            Self::Contains(part) => text.contains(part),
        }
    }
}

impl Answer {
    fn template(&self) -> ResponseTemplate {
        let mut template = ResponseTemplate::new(self.status)
            .set_delay(Duration::from_millis(self.fixed_delay_milliseconds));
        if let Some(json) = &self.json_body {
            template = template.set_body_json(json);
        } else if let Some(body) = &self.body {
            template = template.set_body_string(body);
        }
        for (name, value) in &self.headers {
            template = template.insert_header(name.as_str(), value.as_str());
        }
        template
    }
}
