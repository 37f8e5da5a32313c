//! The page of the mock in a real browser. It shows the messages that arrive, and stores nothing.
//!
//! With `PUSHSLOTS_SCREENSHOTS=FOLDER`, the browser also writes screenshots there.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use pushslots::chrono::{TimeDelta, TimeZone, Utc};
use pushslots::http::StatusCode;
use pushslots::mock::{MockResponse, MockService};
use pushslots::{Client, Location, Provider, PushSlots, Slot};
use serde_json::{Value, json};
use support::{DESTINATION, message, or_skip, repository};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// A running program in `tests/peers/` that drives a browser. It stops on drop.
struct Browser {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Browser {
    /// Opens the page with a program. If there is no browser, returns `None` and prints that the
    /// test is skipped, or panics if `CI=true`.
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

    let Some(mut browser) = Browser::run("page.js", service.url()) else { return };
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn empty_page_offers_settings_and_failures() {
    let service = MockService::start().unwrap();
    let Some(mut browser) = Browser::run("empty_page.js", service.url()) else { return };
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

/// Returns the morning of two providers on three days, and one slot at midnight in New York.
fn two_clinics() -> Vec<Slot> {
    let providers = [
        (Provider::new().id("1", "NPI").name("Pat", "Granite").share(), "RES General Hospital"),
        (Provider::new().id("2", "NPI").name("Lee", "Basalt").share(), "RES Clinic"),
    ];
    let mut slots = Vec::new();
    for (provider, facility) in providers {
        let location = Location::new().facility(facility).room("136").share();
        for day in 1..=3 {
            let nine = Utc.with_ymd_and_hms(2026, 12, day, 14, 0, 0).unwrap();
            // The slot at 15:00 is taken.
            for minutes in (0..180).step_by(20).filter(|minutes| *minutes != 60) {
                let slot = Slot::new(nine + TimeDelta::minutes(minutes), 20).reason("Office Visit");
                slots.push(slot.provider(provider.clone()).location(location.clone()));
            }
        }
        let late = Utc.with_ymd_and_hms(2026, 12, 3, 4, 40, 0).unwrap();
        for minutes in [0, 20] {
            let slot = Slot::new(late + TimeDelta::minutes(minutes), 20);
            slots.push(slot.provider(provider.clone()).location(location.clone()));
        }
    }
    slots
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_groups_batches_and_shows_a_week_in_any_time_zone() {
    let service = MockService::start().unwrap();
    let client = Client::builder().mock(&service).build().unwrap();
    service.respond_next(MockResponse::unavailable());
    client.publish(two_clinics()).batch_id("morning").slots_per_message(20).await.unwrap();
    service.respond_next(MockResponse::usual());
    service.respond_next(MockResponse::rejected("Slots[0].Duration: too short"));
    let publication = client.publish(two_clinics()).batch_id("evening").slots_per_message(20);
    publication.concurrency(1).await.unwrap_err();
    service.respond_next(MockResponse::reset_after_read());
    client.send(&message()).max_attempts(1).await.unwrap_err();

    let Some(mut browser) = Browser::run("filled_page.js", service.url()) else { return };
    let page = browser.next().await;
    let texts = |key: &str| -> Vec<String> { serde_json::from_value(page[key].clone()).unwrap() };
    assert_eq!(texts("groups"), ["message", "batch", "batch"]);
    let batches = texts("batches");
    assert!(batches[0].contains("evening 2 of 3 messages · 1 accepted, 1 rejected"), "{batches:?}");
    assert!(batches[1].contains("morning 3 of 3 messages · 3 accepted · 52 slots"), "{batches:?}");
    let lines = texts("lines");
    assert_eq!(lines.len(), 6, "{lines:?}");
    assert!(lines[1].contains("rejected part 2 of 3 · 20 slots · 1 attempt"), "{lines:?}");
    assert!(lines[1].contains("400") && lines[5].contains("2 attempts"), "{lines:?}");
    let heights: Vec<u32> = serde_json::from_value(page["line_heights"].clone()).unwrap();
    assert!(heights.iter().all(|height| *height < 48), "one line a message: {heights:?}");

    let utc = &page["utc"];
    assert_eq!(utc["caption"], "Slots, 2026-11-30 to 2026-12-06, UTC");
    let headings = json!([
        "Lee Basalt",
        "2, NPI",
        "RES Clinic, room 136",
        "Pat Granite",
        "1, NPI",
        "RES General Hospital, room 136",
    ]);
    assert_eq!(utc["rows"], headings);
    let [early, late] =
        ["14:00–15:00 3 × 20 min — Office Visit", "15:20–17:00 5 × 20 min — Office Visit"];
    let night = "04:40–05:20 2 × 20 min";
    assert_eq!(utc["runs"], json!([early, late, early, late, night, early, late]));
    let axis = |calendar: &Value| {
        let hours = calendar["axis"].as_array().unwrap();
        [hours[0].clone(), hours[hours.len() - 1].clone()]
    };
    assert_eq!(axis(utc), ["04:00", "16:00"]);

    // Five hours earlier, midnight splits the night.
    let new_york = &page["new_york"];
    assert_eq!(new_york["caption"], "Slots, 2026-11-30 to 2026-12-06, America/New_York");
    let runs: Vec<String> = serde_json::from_value(new_york["runs"].clone()).unwrap();
    assert_eq!(
        runs[..2],
        ["09:00–10:00 3 × 20 min — Office Visit", "10:20–12:00 5 × 20 min — Office Visit"]
    );
    assert_eq!(runs[4..6], ["23:40 20 min", "00:00 20 min"]);
    assert_eq!(axis(new_york), ["00:00", "23:00"]);
    assert!(page["zones"].as_u64().unwrap() > 400, "IANA time zones: {}", page["zones"]);

    assert!(texts("rejected")[0].starts_with("Message 5 rejected"), "{}", page["rejected"]);
    assert!(texts("rejected_batch")[0].contains("1 not listed here"), "{}", page["rejected_batch"]);
    assert!(
        texts("no_response")[0].starts_with("Message 6 no response"),
        "{}",
        page["no_response"]
    );
    assert!(texts("lines")[0].starts_with("Message 6"), "the first page lists all states");
    for list in ["console_errors", "failed_requests", "unlabelled"] {
        assert_eq!(page[list], json!([]), "{list}");
    }
    assert_eq!(page["destinations"], "2 destinations known. A message to another one gets a 403.");
    assert_eq!(page["overflow_px"], 0);
    assert!(browser.child.wait().await.unwrap().success());

    // The page made all destinations but two unknown.
    let error = client.with_destinations([DESTINATION]).send(&message()).await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::FORBIDDEN));
    client.send(&message()).await.unwrap();
}
