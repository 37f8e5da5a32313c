//! The spans and events that a send records with `tracing`.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use pushslots::uuid::{Uuid, uuid};
use support::batch::slots;
use support::message;
use support::model::{Model, ScriptedOutcome, TokenOutcome, client_of, ok, responds};
use tokio::time::{sleep, timeout};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, set_default};
use tracing::{Event, Instrument, Level, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

const MESSAGE_ID: Uuid = uuid!("0b5c6b0e-3c59-4b57-8a3e-0d7a8d0f2f61");

/// The fields of a span or event, formatted.
#[derive(Clone, Debug, Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl Fields {
    /// Returns the values of these fields, in this order. A missing field is `-`.
    fn of<const N: usize>(&self, names: [&str; N]) -> [&str; N] {
        names.map(|name| self.0.get(name).map_or("-", String::as_str))
    }
}

/// The spans and events of the crate that the subscriber received.
#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<Log>>);

#[derive(Default)]
struct Log {
    /// The name, the parent's name and the fields of each span.
    spans: Vec<(&'static str, Option<&'static str>, Fields)>,
    /// The index in `spans` of each span, by its id.
    indexes: BTreeMap<u64, usize>,
    /// The level, the span's name and the fields of each event.
    events: Vec<(Level, Option<&'static str>, Fields)>,
}

impl Recorded {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap()
    }

    /// Returns the spans with this name.
    fn spans(&self, name: &str) -> Vec<Fields> {
        let log = self.log();
        log.spans.iter().filter(|span| span.0 == name).map(|span| span.2.clone()).collect()
    }

    fn levels(&self) -> Vec<Level> {
        self.log()
            .events
            .iter()
            .map(|event| event.0)
            .filter(|level| *level <= Level::INFO)
            .collect()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorded {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        if !metadata.target().starts_with("pushslots") && metadata.name() != "caller" {
            return;
        }
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let parent = context.span(id).unwrap().parent().map(|parent| parent.name());
        let mut log = self.log();
        let index = log.spans.len();
        log.indexes.insert(id.into_u64(), index);
        log.spans.push((attributes.metadata().name(), parent, fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut log = self.log();
        let index = log.indexes[&id.into_u64()];
        values.record(&mut log.spans[index].2);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !event.metadata().target().starts_with("pushslots") {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let span = context.event_span(event).map(|span| span.name());
        self.log().events.push((*event.metadata().level(), span, fields));
    }
}

fn record() -> (Recorded, DefaultGuard) {
    let recorded = Recorded::default();
    let guard = set_default(Registry::default().with(recorded.clone()));
    (recorded, guard)
}

#[tokio::test(start_paused = true)]
async fn send_has_a_child_span_for_each_attempt() {
    let (recorded, _guard) = record();
    let outcomes = [ScriptedOutcome::NoConnection, responds(503), ok()];
    let client = client_of(&Model::scripted(outcomes)).build().unwrap();
    client.send(&message()).message_id(MESSAGE_ID).await.unwrap();

    let sends = recorded.spans("send");
    assert_eq!(sends.len(), 1);
    let expected = ["0b5c6b0e-3c59-4b57-8a3e-0d7a8d0f2f61", "2", "1"];
    assert_eq!(
        sends[0].of(["pushslots.message_id", "pushslots.slots", "pushslots.destinations"]),
        expected
    );
    let ended = ["pushslots.attempts", "pushslots.delivery", "otel.status_code"];
    assert_eq!(sends[0].of(ended), ["3", "accepted", "-"]);

    let attempts = recorded.spans("attempt");
    let names =
        ["pushslots.attempt", "error.type", "pushslots.delivery", "otel.status_description"];
    let by_attempt: Vec<_> = attempts.iter().map(|attempt| attempt.of(names)).collect();
    assert_eq!(
        by_attempt,
        [
            ["1", "connection", "not_sent", "no connection could be made"],
            ["2", "503", "unknown", "the service responded with 503"],
            ["3", "-", "accepted", "-"]
        ]
    );
    let requests = recorded.spans("request");
    let names =
        ["url.full", "http.request.resend_count", "http.response.status_code", "error.type"];
    let url = "https://api.redoxengine.com/endpoint";
    let token_url = "https://api.redoxengine.com/auth/authenticate";
    assert_eq!(
        requests.iter().map(|request| request.of(names)).collect::<Vec<_>>(),
        [
            [token_url, "-", "200", "-"],
            [url, "-", "-", "connect"],
            [url, "1", "503", "503"],
            [url, "2", "200", "-"]
        ]
    );
    for request in &requests {
        let names = ["otel.kind", "http.request.method", "server.address", "server.port"];
        assert_eq!(request.of(names), ["client", "POST", "api.redoxengine.com", "443"]);
    }
    let parents: Vec<_> =
        recorded.log().spans.iter().map(|(name, parent, _)| (*name, *parent)).collect();
    let (attempt, request) = (("attempt", Some("send")), ("request", Some("attempt")));
    assert_eq!(
        parents,
        [("send", None), attempt, request, request, attempt, request, attempt, request],
        "the first attempt requests a token too"
    );

    assert_eq!(recorded.levels(), [Level::WARN, Level::WARN, Level::INFO]);
    let log = recorded.log();
    let events: Vec<_> = log.events.iter().filter(|event| event.0 <= Level::INFO).collect();
    assert!(events.iter().all(|(_, span, _)| *span == Some("send")));
    let names = [
        "message",
        "pushslots.attempt",
        "http.response.status_code",
        "pushslots.delivery",
        "error.message",
        "pushslots.next_step",
    ];
    let expected = [
        "attempt failed, retrying",
        "2",
        "503",
        "unknown",
        "the service responded with 503",
        "backoff",
    ];
    assert_eq!(events[1].2.of(names), expected);
    assert!(events[1].2.of(["pushslots.delay_ms"])[0].parse::<u64>().is_ok());
    let names = ["message", "pushslots.attempts", "pushslots.delivery"];
    assert_eq!(events[2].2.of(names), ["message accepted", "3", "accepted"]);
}

#[tokio::test(start_paused = true)]
async fn attempt_without_a_request_does_not_count_as_a_resend() {
    let (recorded, _guard) = record();
    let mut tokens = [TokenOutcome::Cut].into_iter();
    let issued = || TokenOutcome::Issued(Duration::from_secs(300));
    let model = Model::new(0, |_, _| ok(), move |_, _| tokens.next().unwrap_or_else(issued));
    client_of(&model).build().unwrap().send(&message()).await.unwrap();
    let attempts = recorded.spans("attempt");
    let by_attempt: Vec<_> = attempts
        .iter()
        .map(|attempt| attempt.of(["pushslots.attempt", "pushslots.delivery"]))
        .collect();
    assert_eq!(by_attempt, [["1", "not_sent"], ["2", "accepted"]]);
    let requests = recorded.spans("request");
    let names = ["url.full", "http.request.resend_count", "error.type"];
    let url = "https://api.redoxengine.com/endpoint";
    let token_url = "https://api.redoxengine.com/auth/authenticate";
    assert_eq!(
        requests.iter().map(|request| request.of(names)).collect::<Vec<_>>(),
        [[token_url, "-", "interrupted"], [token_url, "-", "-"], [url, "-", "-"]],
        "only requests that were sent have a span"
    );
}

#[tokio::test(start_paused = true)]
async fn only_an_abandoned_send_is_an_error() {
    let (recorded, _guard) = record();
    let client = client_of(&Model::scripted([responds(500)])).max_attempts(2).build().unwrap();
    client.send(&message()).await.unwrap_err();
    assert_eq!(recorded.levels(), [Level::WARN, Level::ERROR]);
    let log = recorded.log();
    let names = [
        "message",
        "pushslots.attempts",
        "pushslots.delivery",
        "error.message",
        "pushslots.next_step",
    ];
    let expected = [
        "message abandoned",
        "2",
        "unknown",
        "the service responded with 500",
        "attempts_exhausted",
    ];
    assert_eq!(log.events.last().unwrap().2.of(names), expected);
    let send = log.spans.iter().find(|span| span.0 == "send").unwrap();
    let names = ["otel.status_code", "error.type", "pushslots.delivery"];
    assert_eq!(send.2.of(names), ["ERROR", "unavailable", "unknown"]);
    assert!(
        send.2.of(["otel.status_description"])[0]
            .starts_with("attempt 2: the service responded with 500; ")
    );
}

#[tokio::test(start_paused = true)]
async fn dropped_send_is_recorded() {
    let (recorded, _guard) = record();
    let client =
        client_of(&Model::scripted([ScriptedOutcome::Hangs { accepted: true }])).build().unwrap();
    let message = message();
    let send = async { client.send(&message).await };
    assert!(timeout(Duration::from_secs(1), send).await.is_err());
    let attempts = recorded.spans("attempt");
    assert_eq!(
        attempts[0].of(["pushslots.delivery", "pushslots.next_step", "error.type"]),
        ["unknown", "dropped", "dropped"]
    );
    assert_eq!(recorded.levels(), [Level::INFO]);
    let log = recorded.log();
    let names = ["message", "pushslots.attempts", "pushslots.delivery"];
    let expected = ["send dropped before it ended", "1", "unknown"];
    assert_eq!(log.events.last().unwrap().2.of(names), expected);
}

#[tokio::test(start_paused = true)]
async fn the_sends_of_a_publication_are_in_a_span_with_its_batch_id() {
    let (recorded, _guard) = record();
    let client = client_of(&Model::scripted([ok()])).build().unwrap();
    client.publish(slots(0..5)).slots_per_message(2).batch_id("tuesday").await.unwrap();
    let log = recorded.log();
    let of = |name| log.spans.iter().filter(move |span| span.0 == name);
    let names = [
        "pushslots.batch_id",
        "pushslots.outcome",
        "pushslots.accepted_messages",
        "pushslots.accepted_slots",
        "pushslots.skipped_slots",
        "pushslots.requests",
        "otel.status_code",
    ];
    assert_eq!(
        of("publish").map(|span| span.2.of(names)).collect::<Vec<_>>(),
        [["tuesday", "complete", "3", "5", "0", "3", "-"]]
    );
    assert_eq!(
        of("send").map(|span| (span.1, span.2.of(["pushslots.slots"]))).collect::<Vec<_>>(),
        [(Some("publish"), ["2"]), (Some("publish"), ["2"]), (Some("publish"), ["1"])]
    );
}

#[tokio::test(start_paused = true)]
async fn failed_renewal_is_a_warning_only_while_the_token_stays_in_use() {
    // The token endpoint issues one token, and is down after that.
    let tokens = |_: &mut _, time: Duration| match time.is_zero() {
        true => TokenOutcome::Issued(Duration::from_secs(300)),
        false => TokenOutcome::Response(503, None),
    };
    let warnings = |recorded: &Recorded| {
        let log = recorded.log();
        let renewals = log
            .events
            .iter()
            .map(|(level, _, fields)| (*level, fields.of(["message"])[0].to_owned()));
        renewals.filter(|(_, message)| message.contains("renewing")).collect::<Vec<_>>()
    };
    for (revoked, expected) in [(false, 1), (true, 0)] {
        let (recorded, _guard) = record();
        let outcome =
            move |_: &mut _, time: Duration| match revoked && time > Duration::from_secs(200) {
                true => ScriptedOutcome::Revoked,
                false => ok(),
            };
        let client = client_of(&Model::new(0, outcome, tokens)).max_attempts(2).build().unwrap();
        client.send(&message()).await.unwrap();
        sleep(Duration::from_secs(if revoked { 210 } else { 260 })).await;
        assert_eq!(client.send(&message()).await.is_ok(), !revoked);
        let logged = warnings(&recorded);
        assert_eq!(logged.len(), expected, "{logged:?}");
        assert!(logged.iter().all(|(level, _)| *level == Level::WARN));
    }
}

#[tokio::test(start_paused = true)]
async fn failed_or_stopped_publication_records_its_outcome() {
    for (is_stopped, outcome, code) in [(false, "rejected", "ERROR"), (true, "stopped", "-")] {
        let (recorded, _guard) = record();
        let client = client_of(&Model::scripted([ok(), responds(400)])).build().unwrap();
        let slots = slots(0..3);
        let publication = client.publish(&slots).slots_per_message(1).batch_id("tuesday");
        if is_stopped {
            publication.handle().stop();
        }
        publication.await.unwrap_err();
        let spans = recorded.spans("publish");
        assert_eq!(spans[0].of(["pushslots.outcome", "otel.status_code"]), [outcome, code]);
        let description = spans[0].of(["otel.status_description"])[0].to_owned();
        let expected = if is_stopped { "-" } else { "message 2 of batch tuesday: " };
        assert!(description.starts_with(expected), "{description}");
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_count_tokens_waits_and_remaining_limits() {
    let issued = |_: &mut _, time: Duration| match time.is_zero() {
        true => TokenOutcome::Response(503, None),
        false => TokenOutcome::Issued(Duration::from_secs(3_600)),
    };
    let model = Model::new(0, |_, _| ok(), issued);
    let minute = Duration::from_secs(60);
    let client = client_of(&model).rate_limit(5, minute).retry_budget(100).build().unwrap();
    let fresh = client.metrics();
    assert_eq!((fresh.rate_limit_remaining, fresh.retry_budget_remaining), (Some(5), Some(100)));
    assert_eq!((fresh.token_requests, fresh.rate_limit_waits, fresh.messages_in_flight), (0, 0, 0));

    client.check().await.unwrap_err();
    sleep(Duration::from_secs(6)).await;
    client.clone().send(&message()).await.unwrap();
    let metrics = client.metrics();
    assert_eq!((metrics.token_requests, metrics.failed_token_requests), (2, 1));
    assert_eq!(
        (metrics.rate_limit_remaining, metrics.retry_budget_remaining),
        (Some(2), Some(100))
    );

    for _ in 0..3 {
        client.send(&message()).await.unwrap();
    }
    let metrics = client.metrics();
    assert_eq!((metrics.rate_limit_waits, metrics.rate_limit_remaining), (1, Some(0)));
    assert!(metrics.rate_limit_wait_time > minute / 2, "{metrics:?}");

    let unlimited = client_of(&model).without_rate_limit().without_retry_budget().build().unwrap();
    let metrics = unlimited.metrics();
    assert_eq!((metrics.rate_limit_remaining, metrics.retry_budget_remaining), (None, None));
}

#[tokio::test(start_paused = true)]
async fn spans_that_are_filtered_out_do_not_change_the_caller_span() {
    let recorded = Recorded::default();
    let other_crates = filter_fn(|metadata| !metadata.target().starts_with("pushslots"));
    let _guard = set_default(Registry::default().with(recorded.clone().with_filter(other_crates)));
    let client = client_of(&Model::scripted([responds(400)])).build().unwrap();
    let caller = tracing::info_span!(
        "caller",
        "otel.status_code" = tracing::field::Empty,
        "error.type" = tracing::field::Empty
    );
    async { client.send(&message()).await.unwrap_err() }.instrument(caller).await;
    assert_eq!(recorded.spans("caller")[0].of(["otel.status_code", "error.type"]), ["-", "-"]);
}

#[tokio::test(start_paused = true)]
async fn dropped_spans_record_the_drop() {
    let (recorded, _guard) = record();
    let hangs = ScriptedOutcome::Hangs { accepted: true };
    let client = client_of(&Model::scripted([ok(), hangs])).build().unwrap();
    let slots = slots(0..3);
    let publication = client.publish(&slots).slots_per_message(1).batch_id("tuesday");
    assert!(timeout(Duration::from_secs(5), publication).await.is_err());
    let publish = recorded.spans("publish");
    let names = ["pushslots.batch_id", "pushslots.outcome", "pushslots.accepted_slots"];
    assert_eq!(publish[0].of(names), ["tuesday", "dropped", "1"]);
    let send = recorded.spans("send");
    let names = ["pushslots.attempts", "pushslots.delivery", "error.type"];
    assert_eq!(send[1].of(names), ["1", "unknown", "dropped"]);
    let requests = recorded.spans("request");
    assert_eq!(requests.last().unwrap().of(["error.type"]), ["dropped"]);
}

#[tokio::test(start_paused = true)]
async fn description_of_a_span_with_many_problems_is_one_line() {
    let (recorded, _guard) = record();
    let client = client_of(&Model::scripted([ok()])).build().unwrap();
    let mut slots = slots(0..50);
    slots.iter_mut().for_each(|slot| slot.duration = Some(0.into()));
    client.publish(&slots).await.unwrap_err();
    let description = recorded.spans("publish")[0].of(["otel.status_description"])[0].to_owned();
    assert!(
        description.ends_with("(50 more lines)") && !description.contains('\n'),
        "{description}"
    );
}
