//! The requests of the mock's page, which any HTTP client can send.

use std::time::Duration;

use pushslots::chrono::{TimeDelta, TimeZone, Utc};
use pushslots::http::StatusCode;
use pushslots::mock::{MockResponse, MockService};
use pushslots::{Client, Location, Meta, Provider, PushSlots, Slot};
use serde_json::{Value, json};
use support::examples::{Folder, push_file_in_shell};
use support::{MESSAGE, any_http, message};

/// A client of the page's requests.
struct Page {
    url: String,
    http: reqwest::Client,
}

impl Page {
    fn of(service: &MockService) -> Self {
        Self { url: service.url().to_owned(), http: any_http() }
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    }

    async fn state(&self) -> Value {
        self.get("/page/state").await
    }

    async fn post(&self, path: &str, body: &Value) -> StatusCode {
        let request = self.http.post(format!("{}{path}", self.url));
        let request = request.header("content-type", "application/json").body(body.to_string());
        request.send().await.unwrap().status()
    }
}

#[tokio::test]
async fn state_of_the_page_has_another_version_after_each_event() {
    let service = MockService::start().unwrap();
    let client = Client::builder().mock(&service).build().unwrap();
    let page = Page::of(&service);
    let version = async || page.state().await["version"].take();
    client.send(&message()).await.unwrap();
    let first = version().await;
    service.clear_inbox();
    // As many requests as before, including the token request.
    for _ in 0..2 {
        client.send(&message()).await.unwrap();
    }
    assert_ne!(version().await, first, "the inbox was emptied and filled again");

    service.respond_next(MockResponse::usual().delay(Duration::from_secs(3_600)));
    let queued = version().await;
    let sending = tokio::spawn(async move { client.send(&message()).await });
    service.wait_for(3).await;
    assert_ne!(version().await, queued, "a message arrived, and has no response yet");
    sending.abort();
}

#[tokio::test]
async fn page_is_served_to_loopback_hosts_only_and_is_never_cached() {
    let service = MockService::start().unwrap();
    let http = any_http();
    let files = ["/", "/page.css", "/week.css", "/page.js", "/dom.js", "/inbox.js", "/time.js"];
    for path in files.into_iter().chain(["/week.js", "/page/state", "/page/week", "/page/settings"])
    {
        let get = || http.get(format!("{}{path}", service.url()));
        let response = get().send().await.unwrap();
        assert_eq!(
            (response.status(), &response.headers()["cache-control"]),
            (StatusCode::OK, &"no-store".parse().unwrap())
        );
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert_eq!(
            policy,
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src \
             data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        // Another host name that resolves to this address, as in DNS rebinding.
        let response = get().header("host", "attacker.example").send().await.unwrap();
        assert_eq!(response.status(), 403, "{path}");
    }
    // A form of another origin can't change anything.
    let clear = http.post(format!("{}/page/clear", service.url()));
    let clear = clear.header("content-type", "text/plain").body(r#"{"inbox":true}"#);
    assert_eq!(clear.send().await.unwrap().status(), 415);
}

#[tokio::test]
async fn week_merges_slots_that_follow_each_other() {
    let service = MockService::start().unwrap();
    let client = Client::builder().mock(&service).build().unwrap();
    let page = Page::of(&service);
    let runs = |week: &Value| -> Vec<Value> {
        let rows = week["rows"].as_array().unwrap();
        rows.iter().flat_map(|row| row["runs"].as_array().unwrap().clone()).collect()
    };
    let empty = page.get("/page/week").await;
    assert_eq!((&empty["first"], &empty["rows"]), (&Value::Null, &json!([])));

    let at =
        |minutes| Utc.with_ymd_and_hms(2026, 12, 2, 9, 0, 0).unwrap() + TimeDelta::minutes(minutes);
    let location = Location::new().facility("RES General Hospital").department("Cardiology");
    let location = location.room("136").kind("Clinic").share();
    let provider = Provider::new().id("7", "NPI").name("Pat", "Granite").share();
    let slot = |minutes, length: u32| {
        Slot::new(at(minutes), length).provider(provider.clone()).location(location.clone())
    };
    // Three in a row, one after a gap, one of another length, and one elsewhere.
    let slots = [slot(0, 20), slot(20, 20), slot(40, 20), slot(80, 20), slot(100, 30)];
    let elsewhere = Slot::new(at(60), 20).provider(provider.clone());
    let first = PushSlots::builder().slots(slots.clone()).slot(elsewhere).build().unwrap();
    client.send(&first).await.unwrap();
    // The same slots again, in a second message, and one that continues the first run.
    let again = PushSlots::builder().slots(slots).slot(slot(60, 20)).build().unwrap();
    client.send(&again).await.unwrap();

    let week = page.get("/page/week").await;
    assert_eq!(week["from"], "2026-11-30T00:00:00Z");
    assert_eq!((&week["first"], &week["last"]), (&json!(at(0)), &json!(at(100))));
    let headings: Vec<_> =
        week["rows"].as_array().unwrap().iter().map(|row| &row["location"]).collect();
    assert_eq!(
        headings,
        [&Value::Null, &json!("RES General Hospital, Cardiology, room 136 (Clinic)")]
    );
    assert_eq!(week["rows"][1]["provider"], "Pat Granite");
    assert_eq!(week["rows"][1]["provider_id"], "7, NPI");
    let shown = |run: &Value| {
        let number = |key: &str| run[key].as_f64().unwrap();
        (
            run["start"].clone(),
            number("minutes"),
            number("slots"),
            number("first_message"),
            number("last_message"),
        )
    };
    let merged: Vec<_> = runs(&week).iter().map(shown).collect();
    assert_eq!(
        merged,
        [
            (json!(at(60)), 20.0, 1.0, 1.0, 1.0),
            (json!(at(0)), 20.0, 5.0, 1.0, 2.0),
            (json!(at(100)), 30.0, 1.0, 1.0, 2.0),
        ]
    );

    for (query, slots) in [
        ("?message=1", 6),
        ("?message=2", 6),
        ("?message=3", 0),
        ("?from=2026-12-02T09:20:00Z&to=2026-12-02T10:00:00Z", 2),
        ("?from=2026-12-07T00:00:00Z&to=2026-12-14T00:00:00Z", 0),
    ] {
        let week = page.get(&format!("/page/week{query}")).await;
        let shown: u64 = runs(&week).iter().map(|run| run["slots"].as_u64().unwrap()).sum();
        assert_eq!(shown, slots, "{query}");
    }
}

#[tokio::test]
async fn week_keeps_slots_without_an_end_apart() {
    let service = MockService::start().unwrap();
    let client = Client::builder().mock(&service).build().unwrap();
    let nine = Utc.with_ymd_and_hms(2026, 12, 2, 9, 0, 0).unwrap();
    let endless = |minutes| Slot::new(nine + TimeDelta::minutes(minutes), 1e300);
    client.publish([endless(0), endless(10)]).await.unwrap();
    let week = Page::of(&service).get("/page/week").await;
    assert_eq!(week["rows"][0]["runs"].as_array().unwrap().len(), 2, "{week}");
}

#[tokio::test]
async fn invalid_query_is_reported() {
    let service = MockService::start().unwrap();
    for query in ["state?state=acepted", "state?limit=-1", "week?message=abc", "week?from=monday"] {
        let url = format!("{}/page/{query}", service.url());
        let response = any_http().get(url).send().await.unwrap();
        assert_eq!(response.status(), 400, "{query}");
        let text = response.text().await.unwrap();
        assert!(text.starts_with("invalid "), "{text}");
    }
}

#[tokio::test]
async fn week_is_sorted_and_counts_the_slots_that_it_leaves_out() {
    let service = MockService::start().unwrap();
    let client = Client::builder().mock(&service).build().unwrap();
    let nine = Utc.with_ymd_and_hms(2026, 12, 2, 9, 0, 0).unwrap();
    // Slots that overlap, the last one first.
    let slots = (0..1_200).rev().map(|number| Slot::new(nine + TimeDelta::minutes(number), 2));
    client.publish(slots.collect::<Vec<_>>()).slots_per_message(100).await.unwrap();
    let week = Page::of(&service).get("/page/week").await;
    let runs = week["rows"][0]["runs"].as_array().unwrap();
    let starts: Vec<_> = runs.iter().map(|run| run["start"].as_str().unwrap()).collect();
    assert!(starts.is_sorted());
    let shown: u64 = runs.iter().map(|run| run["slots"].as_u64().unwrap()).sum();
    assert_eq!((runs.len(), shown), (1_000, 1_000));
    assert_eq!(week["left_out"], 200);
}

#[tokio::test]
async fn state_lists_messages_by_state_and_batch() {
    let service = MockService::start().unwrap();
    let client = Client::builder().mock(&service).build().unwrap();
    let page = Page::of(&service);
    let part = |number| {
        let mut meta = Meta::new();
        meta.batch_id = Some("tuesday".to_owned());
        meta.current_batch = Some(number);
        meta.total_batches = Some(4);
        PushSlots::builder().meta(meta).slots(message().slots().to_vec()).build().unwrap()
    };
    client.send(&part(1)).await.unwrap();
    client.send(&message()).await.unwrap();
    service.respond_next(MockResponse::rejected("no room"));
    client.send(&part(2)).await.unwrap_err();
    service.respond_next(MockResponse::reset_after_read());
    client.send(&part(3)).max_attempts(1).await.unwrap_err();

    let numbers = |state: &Value| -> Vec<u64> {
        let messages = state["messages"].as_array().unwrap();
        messages.iter().map(|message| message["number"].as_u64().unwrap()).collect()
    };
    let batch = json!([{
        "id": "tuesday",
        "total": 4,
        "states": { "accepted": 1, "rejected": 1, "no_response": 1 },
        "slots": 6,
    }]);
    for (query, expected, matching, batches) in [
        ("", vec![4, 3, 2, 1], 4, &batch),
        ("?limit=1", vec![4], 4, &batch),
        ("?state=accepted", vec![2, 1], 2, &batch),
        ("?state=accepted&limit=1", vec![2], 2, &json!([])),
        ("?state=rejected", vec![3], 1, &batch),
        ("?state=no_response", vec![4], 1, &batch),
    ] {
        let state = page.get(&format!("/page/state{query}")).await;
        assert_eq!(numbers(&state), expected, "{query}");
        assert_eq!((&state["matching"], &state["batches"]), (&json!(matching), batches), "{query}");
        assert_eq!(state["states"], json!({ "accepted": 2, "rejected": 1, "no_response": 1 }));
    }
    assert_eq!(
        page.state().await["messages"][0]["batch"],
        json!({ "id": "tuesday", "current": 3, "total": 4 })
    );
}

#[tokio::test]
async fn state_shows_what_a_test_scripts_and_why_a_request_failed() {
    let service = MockService::start().unwrap();
    let client = Client::builder().mock(&service).build().unwrap();
    let page = Page::of(&service);
    let before = page.state().await;
    service.respond_next(MockResponse::throttled());
    service.respond_next_token(MockResponse::stall());
    let queued = page.state().await;
    assert_eq!(
        (&queued["next"], &queued["next_tokens"]),
        (&json!(["throttled"]), &json!(["stall"]))
    );
    let buttons = queued["responses"].as_array().unwrap();
    assert!(buttons.iter().all(|button| button["name"] != "throttled"));
    service.clear_script();
    let cleared = page.state().await;
    service.fail_for(Duration::from_secs(3_600));
    let down = page.state().await;
    assert_eq!((&cleared["is_down"], &down["is_down"]), (&json!(false), &json!(true)));
    let versions = [&before, &queued, &cleared, &down].map(|state| state["version"].clone());
    assert!(versions.windows(2).all(|pair| pair[0] != pair[1]), "{versions:?}");
    service.clear_script();

    // The page shows whether a message with a lost response arrived, and why there is no token.
    service.respond_next(MockResponse::reset_after_read().after_accepting());
    client.send(&message()).await.unwrap();
    assert_eq!(page.post("/v2/auth/token", &json!({})).await, 400);
    let state = page.state().await;
    let newest = &state["messages"][0];
    assert_eq!((&newest["arrived"], &newest["state"]), (&json!(2), &json!("accepted")));
    assert_eq!(newest["attempts"][0]["outcome"], "accepted, then reset after read");
    assert_eq!(state["tokens"][0]["reason"], "x-www-form-urlencoded content-type required");
    assert_eq!(state["tokens"][1]["outcome"], "token issued");
}

#[tokio::test]
async fn page_scripts_failures_and_outages() {
    let service = MockService::start().unwrap();
    let client = Client::builder().mock(&service).build().unwrap();
    let page = Page::of(&service);
    let next = async |body: Value| page.post("/page/next", &body).await;
    for invalid in [
        json!({ "response": "no such" }),
        json!({ "response": "stall", "times": -1 }),
        json!({ "response": "stall", "delay": 5 }),
        json!("stall"),
    ] {
        assert_eq!(next(invalid.clone()).await, 400, "{invalid}");
    }
    assert_eq!(service.pending_responses(), 0);
    let responses = page.state().await["responses"].as_array().unwrap().clone();
    assert_eq!(responses.len(), 11);
    for response in &responses {
        assert_eq!(next(json!({ "response": response["name"] })).await, 204, "{response}");
    }
    assert_eq!(service.pending_responses(), responses.len());
    assert_eq!(next(json!({ "response": "unavailable", "to": "token_request" })).await, 204);
    assert_eq!(page.state().await["next_tokens"], json!(["unavailable"]));

    assert_eq!(page.post("/page/outage", &json!({ "seconds": -1 })).await, 400);
    assert_eq!(page.post("/page/outage", &json!({ "seconds": 3_600 })).await, 204);
    assert_eq!(page.post("/endpoint", &json!({})).await, 503);
    let everything = json!({ "inbox": true, "queue": true });
    assert_eq!(page.post("/page/clear", &everything).await, 204);
    assert!(service.received().is_empty());
    assert_eq!(client.send(&message()).await.unwrap().attempts().len(), 1);
    assert_eq!(service.counts().requests, 2, "requests for the page don't count");
}

#[tokio::test]
async fn page_repeats_and_delays_responses() {
    let service = MockService::start().unwrap();
    let client = Client::builder().mock(&service).build().unwrap();
    let page = Page::of(&service);
    let unavailable = json!({ "response": "unavailable", "times": 2 });
    assert_eq!(page.post("/page/next", &unavailable).await, 204);
    assert_eq!(page.post("/page/next", &json!({ "response": "usual", "delay_ms": 50 })).await, 204);
    let receipt = client.send(&message()).await.unwrap();
    assert_eq!(receipt.attempts().len(), 3);
    assert!(receipt.attempts()[2].elapsed >= Duration::from_millis(50));
}

#[tokio::test]
async fn page_limits_the_known_destinations() {
    let service = MockService::start().unwrap();
    let base = Client::builder().mock(&service).build().unwrap();
    let client = |destination| base.with_destinations([destination]);
    let page = Page::of(&service);
    let [known, other] = [support::DESTINATION, pushslots::uuid::Uuid::from_u128(1)];
    let destinations =
        async |known: Value| page.post("/page/destinations", &json!({ "known": known })).await;
    client(other).send(&message()).await.unwrap();

    assert_eq!(destinations(json!([known])).await, 204);
    let error = client(other).send(&message()).await.unwrap_err();
    assert_eq!(error.status().map(u16::from), Some(403));
    client(known).send(&message()).await.unwrap();
    client(service.destination()).send(&message()).await.unwrap();
    assert_eq!(page.state().await["known_destinations"], json!([known]));

    // Invalid input changes nothing.
    assert_eq!(destinations(json!(["no UUID"])).await, 400);
    assert_eq!(destinations(json!(vec![known; 1_001])).await, 400);
    assert_eq!(page.state().await["known_destinations"], json!([known]));
    assert_eq!(destinations(Value::Null).await, 204);
    client(other).send(&message()).await.unwrap();
}

#[tokio::test]
async fn settings_of_the_page_connect_a_client() {
    let service = MockService::start().unwrap();
    let response = any_http().get(format!("{}/page/settings", service.url())).send().await.unwrap();
    let script = String::from_utf8(response.bytes().await.unwrap().to_vec()).unwrap();
    let folder = Folder::create();
    let message = folder.file("message.json", MESSAGE);
    push_file_in_shell(&script, &message).await;
    assert_eq!(service.received().len(), 1);
}
