//! Code that the tests share.

pub mod any;
pub mod batch;
pub mod compared;
pub mod examples;
pub mod fault_schedule;
pub mod fixtures;
pub mod generate;
pub mod holds;
pub mod http2;
pub mod keys;
pub mod model;
pub mod peer;
pub mod permits;
pub mod proxy;
pub mod pruned;
pub mod publications;
pub mod raw;
pub mod reading;
pub mod recording_server;
pub mod relay;
pub mod requests;
pub mod scripted;
pub mod seeds;
pub mod services;
pub mod simulation;
pub mod tls;
pub mod uplink;
pub mod windows;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;

use pushslots::chrono::{TimeZone, Utc};
use pushslots::uuid::{Uuid, uuid};
use pushslots::{Client, ClientBuilder, Credentials, Provider, PushSlots, SigningKey, Slot};

pub const SOURCE: Uuid = uuid!("7ce6f387-c33c-417d-8682-81e83628cbd9");
pub const DESTINATION: Uuid = uuid!("af394f14-b34a-464f-8d24-895f370af4c9");

/// Returns the key that all tests of a process share.
pub fn key() -> SigningKey {
    static PEM: OnceLock<String> = OnceLock::new();
    let pem = PEM.get_or_init(|| keys::p384().pem);
    SigningKey::from_pem(pem, "key-id").unwrap()
}

/// Returns credentials that every [`model::Model`] accepts.
pub fn credentials() -> Credentials {
    Credentials::api_key("key", "secret")
}

/// Returns a builder for a client of `base_url` with the client id that selects a fixture.
pub fn client(base_url: &str, client_id: &str) -> ClientBuilder {
    Client::builder()
        .base_url(base_url)
        .credentials(Credentials::signed_jwt(client_id, key()))
        .source(SOURCE)
        .destination(DESTINATION)
}

/// Returns the path of a file or folder of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

/// Returns an HTTP client that isn't under test.
pub fn any_http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Returns a third-party program that a test needs. If it is missing, the test is skipped, or fails
/// if `CI=true`.
pub fn or_skip<T>(found: Result<T, String>) -> Option<T> {
    let reason = match found {
        Ok(found) => return Some(found),
        Err(reason) => reason,
    };
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{reason}");
    skip(&reason);
    None
}

/// Prints that this test is skipped, and the reason.
pub fn skip(reason: &str) {
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    // In a passing test, the harness hides the output of `eprintln!`.
    let _ = writeln!(io::stderr(), "skipped: {test}: {reason}");
}

/// Returns a message with two slots.
pub fn message() -> PushSlots {
    let nine = Utc.with_ymd_and_hms(2026, 12, 1, 9, 0, 0).unwrap();
    let ten = Utc.with_ymd_and_hms(2026, 12, 1, 10, 0, 0).unwrap();
    let provider = Provider::new().id("4356789876", "NPI").name("Pat", "Granite");
    PushSlots::builder()
        .slot(Slot::new(nine, 15).id("1").provider(provider.clone()))
        .slot(Slot::new(ten, 30).id("2").provider(provider))
        .build()
        .unwrap()
}

/// The bytes of [`message`] as [`client`] sends it.
pub const MESSAGE: &str = r#"{"Meta":{"DataModel":"Scheduling","EventType":"PushSlots","Source":{"ID":"7ce6f387-c33c-417d-8682-81e83628cbd9"},"Destinations":[{"ID":"af394f14-b34a-464f-8d24-895f370af4c9"}]},"Slots":[{"ID":"1","DateTime":"2026-12-01T09:00:00Z","Duration":15,"Provider":{"ID":"4356789876","IDType":"NPI","FirstName":"Pat","LastName":"Granite"}},{"ID":"2","DateTime":"2026-12-01T10:00:00Z","Duration":30,"Provider":{"ID":"4356789876","IDType":"NPI","FirstName":"Pat","LastName":"Granite"}}]}"#;
