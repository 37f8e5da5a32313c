//! The page of the mock in a real browser. It shows the messages that arrive, and stores nothing.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use pushslots::chrono::{TimeZone, Utc};
use pushslots::mock::{MockResponse, MockService};
use pushslots::{Client, Provider, PushSlots, Slot};
use serde_json::{Value, json};
use support::examples::{Folder, program};
use support::{MESSAGE, any_http, message, or_skip, repository};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// A running program in `tests/peers/` that drives a browser. It stops on drop.
struct Browser {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Browser {
    /// Opens the page. If there is no browser, returns `None` and prints that the test is skipped,
    /// or panics if `CI=true`.
    fn open(url: &str) -> Option<Self> {
        Self::run("page.js", url)
    }

    /// Opens the page of a mock that has received nothing.
    fn open_empty(url: &str) -> Option<Self> {
        Self::run("empty_page.js", url)
    }

    fn run(program: &str, url: &str) -> Option<Self> {
        let mut child = or_skip(spawn(program, url))?;
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Some(Self { child, lines })
    }

    async fn next(&mut self) -> Value {
        let line = timeout(Duration::from_secs(90), self.lines.next_line());
        let line = line.await.expect("it prints in time").unwrap().expect("it did not fail");
        serde_json::from_str(&line).unwrap()
    }
}

fn spawn(program: &str, url: &str) -> Result<Child, String> {
    let folder = repository("tests/peers");
    if !folder.join("node_modules/playwright-core").exists() {
        return Err("run `npm ci` in tests/peers first".to_owned());
    }
    let chromium = chromium().ok_or("there is no Chromium; name one in CHROMIUM")?;
    Command::new("node")
        .args([program, url])
        .env("CHROMIUM", chromium)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("node does not start: {error}"))
}

fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|folder| {
            ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name))
        })
        .find(|program| program.is_file());
    named.or(found)
}

async fn push(client: &Client, messages: usize) {
    let message = message().encode().unwrap();
    let sends = (0..16).map(|_| async {
        for _ in 0..messages / 16 {
            client.send(&message).await.unwrap();
        }
    });
    futures_util::future::join_all(sends).await;
}

/// Returns a message whose names try to inject HTML and control characters.
fn hostile() -> PushSlots {
    let nine = Utc.with_ymd_and_hms(2026, 12, 2, 9, 0, 0).unwrap();
    let provider =
        Provider::new().id("7", "NPI").name("<script>alert(1)</script>", "\u{202e}Granite");
    let slot = Slot::new(nine, 20).reason("<b>Office</b> Visit").provider(provider);
    PushSlots::builder().slot(slot).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_shows_an_arriving_message_among_5000() {
    let service = MockService::builder().without_rate_limit().start().unwrap();
    let client = Client::builder().mock(&service).without_rate_limit().build().unwrap();
    push(&client, 5_008).await;
    service.respond_next(MockResponse::throttled().retry_after(1));
    client.send(&hostile()).await.unwrap();

    let Some(mut browser) = Browser::open(service.url()) else { return };
    let opened = browser.next().await;
    println!("opened in {} ms, with {} messages", opened["opened_ms"], service.counts().accepted);
    assert!(opened["newest"].as_str().unwrap().contains("5009"), "{opened}");

    service.respond_next(MockResponse::unavailable());
    let receipt = client.send(&hostile()).await.unwrap();
    browser.child.stdin.take().unwrap().write_all(b"pushed\n").await.unwrap();
    let arrived = browser.next().await;
    assert!(arrived["arrived"].as_str().unwrap().contains("5010"), "{arrived}");
    assert!(arrived["live"].as_str().unwrap().contains("5010"), "{arrived}");

    let page = browser.next().await;
    assert_eq!(page["log_ids"], json!([receipt.logs()[0].id]));
    let attempts = page["attempts"].as_array().unwrap();
    let has = |index: usize, text: &str| attempts[index].as_str().unwrap().contains(text);
    assert!(
        attempts.len() == 2 && has(0, "503") && has(1, "200") && has(1, "accepted"),
        "{attempts:?}"
    );
    let shown = |what: &str, text: &str| {
        page[what].as_array().unwrap().iter().any(|shown| shown.as_str().unwrap().contains(text))
    };
    // The page shows names as plain text.
    assert!(
        shown("providers", "<script>alert(1)</script>") && shown("providers", "Pat Granite"),
        "{}",
        page["providers"]
    );
    assert!(shown("slots", "<b>Office</b> Visit") && shown("slots", "09:00"));
    assert!(page["phone_slots"].as_str().unwrap().contains("Office"));

    let nothing = json!([]);
    for list in ["console_errors", "foreign_requests", "failed_requests", "unlabelled"] {
        assert_eq!(page[list], nothing, "{list}");
    }
    assert_eq!(page["phone_overflow_px"], 0);
    assert_eq!(page["storage"], json!({ "local": 0, "session": 0, "cookies": 0 }));
    // A failure was scripted with the keyboard alone, and the next message gets it.
    assert!(page["keyboard_next"].as_str().unwrap().contains("429"), "{}", page["keyboard_next"]);
    let receipt = client.send(&hostile()).await.unwrap();
    assert_eq!(receipt.attempts()[0].status.map(u16::from), Some(429));
    assert!(browser.child.wait().await.unwrap().success());
}

#[tokio::test]
async fn state_of_the_page_has_another_version_after_each_event() {
    let service = MockService::start().unwrap();
    let client = Client::builder().mock(&service).build().unwrap();
    let http = any_http();
    let version = async || -> Value {
        let state = http.get(format!("{}/page/state", service.url())).send().await.unwrap();
        let mut state: Value = serde_json::from_slice(&state.bytes().await.unwrap()).unwrap();
        state["version"].take()
    };
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
    let client = Client::builder().mock(&service).build().unwrap();
    client.send(&message()).await.unwrap();
    let http = any_http();
    let get = |path: &str| http.get(format!("{}{path}", service.url()));
    for path in ["/", "/page.js", "/page.css", "/page/state", "/page/week"] {
        let response = get(path).send().await.unwrap();
        assert_eq!(
            (response.status(), &response.headers()["cache-control"]),
            (200.try_into().unwrap(), &"no-store".parse().unwrap())
        );
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        // Another host name that resolves to this address, as in DNS rebinding.
        let response = get(path).header("host", "attacker.example").send().await.unwrap();
        assert_eq!(response.status(), 403, "{path}");
    }
    let week = get("/page/week").send().await.unwrap().bytes().await.unwrap();
    let week: Value = serde_json::from_slice(&week).unwrap();
    assert_eq!(week["monday"], "2026-11-30");
    assert_eq!(week["providers"][0]["name"], "Pat Granite");
    assert_eq!(week["providers"][0]["slots"][1]["start"], "2026-12-01T10:00:00Z");
    for (query, slots) in
        [("?monday=2026-12-07", 0), ("?monday=2026-12-02", 2), ("?message=2", 0), ("?message=1", 2)]
    {
        let week = get(&format!("/page/week{query}")).send().await.unwrap().bytes().await.unwrap();
        let week: Value = serde_json::from_slice(&week).unwrap();
        let shown = week["providers"].as_array().unwrap().iter();
        assert_eq!(
            shown.map(|row| row["slots"].as_array().unwrap().len()).sum::<usize>(),
            slots,
            "{query}"
        );
    }

    // The page also shows changes that the test makes without a message.
    let state = async || -> Value {
        let state = get("/page/state").send().await.unwrap().bytes().await.unwrap();
        serde_json::from_slice(&state).unwrap()
    };
    let before = state().await;
    service.respond_next(MockResponse::throttled());
    service.respond_next_token(MockResponse::stall());
    let queued = state().await;
    assert_eq!(
        (&queued["next"], &queued["next_tokens"]),
        (&json!(["throttled"]), &json!(["stall"]))
    );
    assert!(
        !queued["responses"]
            .as_array()
            .unwrap()
            .iter()
            .any(|response| response["name"] == "throttled")
    );
    service.clear_script();
    let cleared = state().await;
    service.fail_for(Duration::from_secs(3_600));
    let down = state().await;
    assert_eq!((&cleared["is_down"], &down["is_down"]), (&json!(false), &json!(true)));
    let versions = [&before, &queued, &cleared, &down].map(|state| state["version"].clone());
    assert!(versions.windows(2).all(|pair| pair[0] != pair[1]), "{versions:?}");
    service.clear_script();

    // The page shows whether a message with a lost response arrived, and why there is no token.
    service.respond_next(MockResponse::reset_after_read().after_accepting());
    client.send(&message()).await.unwrap();
    let form = http.post(format!("{}/v2/auth/token", service.url()));
    assert_eq!(form.body("{}").send().await.unwrap().status(), 400);
    let state = state().await;
    let newest = &state["messages"][0];
    assert_eq!((&newest["arrived"], &newest["state"]), (&json!(2), &json!("accepted")));
    assert_eq!(newest["attempts"][0]["outcome"], "accepted, then reset after read");
    assert_eq!(state["tokens"][0]["reason"], "x-www-form-urlencoded content-type required");
    assert_eq!(state["tokens"][1]["outcome"], "token issued");

    let post = |path: &str, kind: &str, body: &'static str| {
        http.post(format!("{}{path}", service.url())).header("content-type", kind).body(body).send()
    };
    // A form of another origin can't change anything.
    assert_eq!(post("/page/clear", "text/plain", r#"{"inbox":true}"#).await.unwrap().status(), 403);
    assert_eq!(
        post("/page/next", "application/json", r#"{"response":"no such"}"#).await.unwrap().status(),
        400
    );
    assert_eq!(service.received().len(), 3);
    let responses = [
        r#"{"response":"throttled-1s"}"#,
        r#"{"response":"unavailable"}"#,
        r#"{"response":"bad-gateway"}"#,
        r#"{"response":"rejected"}"#,
        r#"{"response":"block-page"}"#,
        r#"{"response":"errors"}"#,
        r#"{"response":"unauthorized"}"#,
        r#"{"response":"reset"}"#,
        r#"{"response":"lost"}"#,
        r#"{"response":"truncated"}"#,
        r#"{"response":"stall"}"#,
    ];
    for response in responses {
        assert_eq!(
            post("/page/next", "application/json", response).await.unwrap().status(),
            204,
            "{response}"
        );
    }
    assert_eq!(service.pending_responses(), responses.len());
    let token = r#"{"response":"unavailable","to":"token_request"}"#;
    assert_eq!(post("/page/next", "application/json", token).await.unwrap().status(), 204);
    let queued: Value =
        serde_json::from_slice(&get("/page/state").send().await.unwrap().bytes().await.unwrap())
            .unwrap();
    assert_eq!(queued["next_tokens"], json!(["unavailable"]));

    let outage = |seconds| post("/page/outage", "application/json", seconds);
    assert_eq!(outage(r#"{"seconds":-1}"#).await.unwrap().status(), 400);
    assert_eq!(outage(r#"{"seconds":3600}"#).await.unwrap().status(), 204);
    let response = http.post(format!("{}/endpoint", service.url())).send().await.unwrap();
    assert_eq!(response.status(), 503);
    let clear = r#"{"inbox":true,"queue":true}"#;
    assert_eq!(post("/page/clear", "application/json", clear).await.unwrap().status(), 204);
    assert!(service.received().is_empty());
    assert_eq!(client.send(&message()).await.unwrap().attempts().len(), 1);
    assert_eq!(service.counts().requests, 1, "those for the page do not count");
}

#[tokio::test]
async fn settings_of_the_page_connect_a_client() {
    let service = MockService::start().unwrap();
    let response = any_http().get(format!("{}/page/settings", service.url())).send().await.unwrap();
    let script = String::from_utf8(response.bytes().await.unwrap().to_vec()).unwrap();
    let folder = Folder::create();
    let message = folder.file("message.json", MESSAGE);
    // As if they were pasted into a terminal.
    let push_file = program("push_file");
    let script = format!("{script}exec '{}' '{}'", push_file.display(), message.display());
    let mut shell = Command::new("sh");
    let run = shell.env_clear().args(["-c", &script]).kill_on_drop(true).output();
    let run = timeout(Duration::from_secs(60), run).await.unwrap().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(service.received().len(), 1);
}

/// With `PUSHSLOTS_SCREENSHOTS=FOLDER`, the browser also writes screenshots there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn empty_page_offers_settings_and_failures() {
    let service = MockService::start().unwrap();
    let Some(mut browser) = Browser::open_empty(service.url()) else { return };
    let page = browser.next().await;
    assert_eq!(page["copied"], page["settings"]);
    assert!(page["settings"].as_str().unwrap().contains(service.url()), "{page}");
    assert_eq!(page["explanations"].as_array().unwrap().len(), 11);
    assert!(page["queue"].as_str().unwrap().contains("503, for a token request"), "{page}");
    assert_eq!(page["outage"], true);
    for list in ["console_errors", "failed_requests", "unlabelled"] {
        assert_eq!(page[list], json!([]), "{list}");
    }
    assert!(browser.child.wait().await.unwrap().success());
}
