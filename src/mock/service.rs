//! The handling of requests by the mock.

use std::any::Any;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, StatusCode};
use tokio::sync::watch;
use uuid::Uuid;

use super::check;
use super::inbox::ReceivedRequest;
use super::json::{accepted_json, error_json, fresh_log, with_error};
use super::mock_response::{Handling, MockResponse, Transmission};
use super::request_log::{JudgedRequest, LoggedRequest, RequestLog, SentResponse};
use super::script::{Endpoint, Script};
use super::tokens::Tokens;
use crate::clock;
use crate::message::{Log, Meta, PushSlots};

/// The user's function, which is called first with every request.
pub(super) type Hook = Arc<dyn Fn(&ReceivedRequest) -> Option<MockResponse> + Send + Sync>;

/// The service, independent of its sockets.
pub(super) struct Service {
    pub(super) url: String,
    /// The environment variables of a client, as shell commands.
    pub(super) shell_settings: String,
    pub(super) audiences: Vec<String>,
    /// The mock's own destination, which is always known.
    pub(super) destination: Uuid,
    /// The address that the mock is bound to.
    pub(super) address: IpAddr,
    pub(super) requires_source: bool,
    pub(super) max_bytes: usize,
    pub(super) deduplicates: bool,
    pub(super) accepts_warnings: bool,
    pub(super) hook: Option<Hook>,
    pub(super) state: Mutex<ServiceState>,
    /// The number of messages in the inbox.
    pub(super) received: watch::Sender<usize>,
    /// The first panic in a thread or task of the mock.
    pub(super) panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// Returns whether a `Content-Type` is JSON.
pub(super) fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

pub(super) struct ServiceState {
    pub(super) tokens: Tokens,
    pub(super) log: RequestLog,
    pub(super) script: Script,
    pub(super) window: RateWindow,
    /// The known destinations, or `None` if any is known.
    pub(super) known_destinations: Option<Vec<Uuid>>,
}

/// A maximum number of requests in any rolling window.
pub(super) struct RateWindow {
    pub(super) limit: Option<(u32, Duration)>,
    pub(super) taken: VecDeque<Instant>,
}

impl RateWindow {
    fn has_room(&mut self) -> bool {
        let Some((limit, window)) = self.limit else { return true };
        let now = Instant::now();
        while self.taken.front().is_some_and(|taken| now.duration_since(*taken) >= window) {
            self.taken.pop_front();
        }
        let has_room = self.taken.len() < limit as usize;
        if has_room {
            self.taken.push_back(now);
        }
        has_room
    }
}

/// A request as it arrived on the socket.
pub(super) struct IncomingRequest {
    pub(super) request: ReceivedRequest,
    pub(super) query: Option<String>,
    /// Whether the body was larger than the mock's maximum.
    pub(super) is_too_large: bool,
    pub(super) began: Instant,
}

/// A request that waits for its response. If the client disconnects first, no response is logged.
struct Waiting<'a> {
    service: &'a Service,
    entry: LoggedRequest,
    given: SentResponse,
    began: Instant,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.service.state().log.ended(&self.entry, &self.given, self.began.elapsed());
    }
}

/// The service's response to a request without a script.
struct DefaultResponse {
    response: MockResponse,
    outcome: &'static str,
    reason: Option<String>,
    accepted: Option<(PushSlots, Arc<[Log]>)>,
    /// Whether the message was accepted before and isn't accepted again.
    is_duplicate: bool,
}

impl DefaultResponse {
    fn rejected(response: MockResponse, reason: impl Into<String>) -> Self {
        Self {
            response,
            outcome: "rejected",
            reason: Some(reason.into()),
            accepted: None,
            is_duplicate: false,
        }
    }
}

impl Service {
    pub(super) fn state(&self) -> MutexGuard<'_, ServiceState> {
        // A panic while the lock is held can't leave the state inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the user function's response to a request.
    pub(super) fn hooked(&self, request: &ReceivedRequest) -> Option<MockResponse> {
        self.hook.as_ref().and_then(|hook| hook(request))
    }

    /// Returns the response to a request that isn't for the page, after the response's delay.
    pub(super) async fn response(
        &self,
        incoming: IncomingRequest,
        hooked: Option<MockResponse>,
    ) -> MockResponse {
        let IncomingRequest { request, is_too_large, began, .. } = incoming;
        let (response, entry) = self.settle(request, is_too_large, hooked);
        let mut waiting = Waiting { service: self, entry, given: SentResponse::NOTHING, began };
        // Even a sleep of zero duration takes one tick of the timer.
        if !response.delay.is_zero() {
            tokio::time::sleep(response.delay).await;
        }
        waiting.given = SentResponse::of(&response);
        response
    }

    /// Logs a request that didn't arrive completely.
    pub(super) fn broke_off(&self, mut request: ReceivedRequest, began: Instant) {
        request.outcome = "broken off".into();
        request.reason = Some("the client disconnected before the end of the request".to_owned());
        let endpoint = Endpoint::of(&request.path);
        let settled = JudgedRequest { endpoint, request, accepted: None, is_duplicate: false };
        let mut state = self.state();
        let entry = state.log.add(settled);
        state.log.ended(&entry, &SentResponse::NOTHING, began.elapsed());
    }

    /// Sets the known destinations, in addition to the mock's own, or makes any known.
    pub(super) fn set_known_destinations(&self, known: Option<Vec<Uuid>>) {
        let mut state = self.state();
        state.known_destinations = known;
        state.log.version += 1;
    }

    /// Changes the scripted responses.
    pub(super) fn script(&self, change: impl FnOnce(&mut Script)) {
        let mut state = self.state();
        change(&mut state.script);
        state.log.version += 1;
    }

    /// Determines the response to a request, and logs the request.
    fn settle(
        &self,
        mut request: ReceivedRequest,
        is_too_large: bool,
        hooked: Option<MockResponse>,
    ) -> (MockResponse, LoggedRequest) {
        let endpoint = Endpoint::of(&request.path);
        // A browser's GET doesn't use up a scripted response.
        let is_post = request.method == Method::POST;
        let scripted =
            hooked.or_else(|| if is_post { self.state().script.take(endpoint) } else { None });
        let (response, accepted, is_duplicate) = match scripted {
            Some(response) if response.handling == Handling::Ignore => {
                request.outcome = response.name.into();
                (response, None, false)
            }
            scripted => {
                let usual = self.usual(endpoint, &request, is_too_large);
                request.outcome = usual.outcome.into();
                request.reason = usual.reason;
                let response = match scripted {
                    Some(scripted) if request.reason.is_none() => {
                        let is_whole = scripted.transmission == Transmission::Whole
                            && scripted.error.is_none();
                        if !is_whole || scripted.handling == Handling::Accept {
                            request.outcome =
                                format!("{}, then {}", usual.outcome, scripted.name).into();
                        }
                        with(scripted, usual.response)
                    }
                    _ => usual.response,
                };
                (response, usual.accepted, usual.is_duplicate)
            }
        };
        let settled = JudgedRequest { endpoint, request, accepted, is_duplicate };
        let mut state = self.state();
        let entry = state.log.add(settled);
        self.received.send_replace(state.log.messages.len());
        (response, entry)
    }

    fn usual(
        &self,
        endpoint: Endpoint,
        request: &ReceivedRequest,
        is_too_large: bool,
    ) -> DefaultResponse {
        let mut state = self.state();
        if !state.window.has_room() {
            let response = MockResponse::throttled().rate_limit(state.window.limit);
            return DefaultResponse::rejected(response, "over the rate limit");
        }
        if endpoint == Endpoint::Other || request.method != Method::POST {
            let response = MockResponse::new(StatusCode::NOT_FOUND).text("Not found");
            return DefaultResponse::rejected(response, "there is no such endpoint");
        }
        if is_too_large {
            let response =
                MockResponse::new(StatusCode::PAYLOAD_TOO_LARGE).text("Payload too large");
            return DefaultResponse::rejected(
                response,
                format!("over the size limit of {} bytes", self.max_bytes),
            );
        }
        let tokens = &mut state.tokens;
        let body = &request.body;
        let now = clock::now();
        let (response, reason) = match endpoint {
            Endpoint::Token => {
                tokens.exchange(&request.headers, body, &self.audiences(request), now)
            }
            Endpoint::Authenticate => tokens.authenticate(body, now),
            Endpoint::Refresh => tokens.refresh(body, now),
            Endpoint::Message | Endpoint::Other => {
                if let Some(problem) = tokens.problem(&request.headers) {
                    let response =
                        MockResponse::new(StatusCode::UNAUTHORIZED).text("Invalid access token");
                    return DefaultResponse::rejected(response, problem);
                }
                // Checking a message of 40 MB takes a while. The inbox stays accessible meanwhile.
                drop(state);
                return self.message(request);
            }
        };
        let outcome = if reason.is_none() { "token issued" } else { "rejected" };
        DefaultResponse { response, outcome, reason, accepted: None, is_duplicate: false }
    }

    fn message(&self, request: &ReceivedRequest) -> DefaultResponse {
        let kind = request
            .headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        if !is_json(kind) {
            let text = "Content-Type: must be application/json";
            let response = MockResponse::new(StatusCode::BAD_REQUEST).json(error_json(
                None,
                &[],
                &[text.to_owned()],
            ));
            return DefaultResponse::rejected(response, text);
        }
        let message = match check::read(&request.body, self.accepts_warnings) {
            Ok(message) => message,
            Err(problems) => {
                let json = error_json(None, &[fresh_log()], &problems);
                let response = MockResponse::new(StatusCode::BAD_REQUEST).json(json);
                let (shown, others) = problems.split_at(problems.len().min(10));
                let others = if others.is_empty() { "" } else { "; and more" };
                return DefaultResponse::rejected(response, shown.join("; ") + others);
            }
        };
        let meta = message.meta();
        if meta.destinations.is_empty() {
            let text = "Meta.Destinations: empty, needs to contain a destination".to_owned();
            let json = error_json(Some(meta), &[fresh_log()], std::slice::from_ref(&text));
            return DefaultResponse::rejected(
                MockResponse::new(StatusCode::FORBIDDEN).json(json),
                text,
            );
        }
        if let Some(rejected) = self.rejection(meta, &request.headers) {
            return rejected;
        }
        let known = if self.deduplicates { self.logs_of(request.key()) } else { None };
        let is_duplicate = known.is_some();
        let logs = known.unwrap_or_else(|| meta.destinations.iter().map(|_| fresh_log()).collect());
        let response = MockResponse::new(StatusCode::OK).json(accepted_json(meta, &logs));
        let outcome = if is_duplicate { "accepted before" } else { "accepted" };
        let accepted = (!is_duplicate).then_some((message, logs));
        DefaultResponse { response, outcome, reason: None, accepted, is_duplicate }
    }

    /// Returns the rejection of a message to an unknown destination or without a required source.
    fn rejection(&self, meta: &Meta, headers: &HeaderMap) -> Option<DefaultResponse> {
        let has_source = meta.source.as_ref().is_some_and(|source| source.id.is_some());
        if self.requires_source && !has_source && !headers.contains_key("redox-source-id") {
            let text = "Meta.Source.ID: missing, and so is the header Redox-Source-Id";
            return Some(DefaultResponse::rejected(
                MockResponse::new(StatusCode::UNAUTHORIZED).text("Source is required"),
                text,
            ));
        }
        let state = self.state();
        let known = state.known_destinations.as_ref()?;
        let is_known = |id: Uuid| id == self.destination || known.contains(&id);
        let unknown = meta.destinations.iter().position(|each| !each.id.is_some_and(is_known))?;
        let text = format!("Meta.Destinations[{unknown}].ID: there is no such destination");
        let json = error_json(Some(meta), &[fresh_log()], std::slice::from_ref(&text));
        Some(DefaultResponse::rejected(MockResponse::new(StatusCode::FORBIDDEN).json(json), text))
    }

    fn logs_of(&self, key: Option<&str>) -> Option<Arc<[Log]>> {
        Some(self.state().log.accepted(key)?.logs.clone())
    }

    pub(super) fn clear_inbox(&self) {
        let mut state = self.state();
        state.log.clear();
        self.received.send_replace(0);
    }

    /// Returns the accepted audiences: the mock's own token URL, the URL by which the client
    /// reached it, and the configured ones.
    fn audiences(&self, request: &ReceivedRequest) -> Vec<String> {
        let host = request.headers.get(HOST).and_then(|host| host.to_str().ok());
        let found = host.map(|host| format!("http://{host}{}", Endpoint::TOKEN_PATH));
        let own = format!("{}{}", self.url, Endpoint::TOKEN_PATH);
        [own].into_iter().chain(found).chain(self.audiences.iter().cloned()).collect()
    }
}

impl SentResponse {
    const NOTHING: Self = Self { status: None, is_whole: false };

    fn of(response: &MockResponse) -> Self {
        let has_status = match response.transmission {
            Transmission::Whole
            | Transmission::OddHeaders
            | Transmission::Truncated
            | Transmission::MalformedChunk => true,
            Transmission::Reset
            | Transmission::Closed
            | Transmission::Stall
            | Transmission::Garbage => false,
        };
        Self {
            status: has_status.then_some(response.status),
            is_whole: matches!(
                response.transmission,
                Transmission::Whole | Transmission::OddHeaders
            ),
        }
    }
}

/// Applies a scripted response to the service's response to an accepted request.
fn with(scripted: MockResponse, mut usual: MockResponse) -> MockResponse {
    if scripted.handling == Handling::Accept {
        return scripted;
    }
    usual.headers.extend(scripted.headers);
    if let Some(error) = scripted.error {
        usual.body = with_error(&usual.body, &error).into();
    }
    let MockResponse { delay, transmission, is_compressed, .. } = scripted;
    MockResponse { delay, transmission, is_compressed, ..usual }
}
