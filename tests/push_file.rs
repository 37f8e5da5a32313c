//! The example `push_file` as a user runs it: what it prints, how it exits, and what its log never shows.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pushslots::uuid::Uuid;
use serde_json::{Value, json};
use support::http2::serve;
use support::raw::{Act, RawServer};
use support::tls::{Authority, TlsListener};
use support::{DESTINATION, MESSAGE, fixtures, keys};
use tokio::process::Command;
use tokio::sync::mpsc::unbounded_channel;

/// A folder of one test's own, removed when it ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("pushslots-{}", Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One run of `push_file`.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).expect("stdout is exactly one JSON object")
    }
}

async fn push_file(message: Option<&Path>, variables: &BTreeMap<&str, String>) -> Run {
    // cargo puts the examples beside the folder of the tests.
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples/push_file");
    assert!(program.exists(), "push_file is built by `cargo test` without a filter, or `--examples`");
    let mut command = Command::new(program);
    command.args(message).env_clear().envs(variables).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(60), command.output());
    let output = output.await.expect("push_file ends").unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Settings for the service at `url` and the client that chooses a fixture.
fn settings(url: &str, client_id: &str, folder: &Folder) -> BTreeMap<&'static str, String> {
    let key = folder.file("key.pem", keys::p384().pem);
    BTreeMap::from([
        ("PUSHSLOTS_BASE_URL", url.to_owned()),
        ("PUSHSLOTS_CLIENT_ID", client_id.to_owned()),
        ("PUSHSLOTS_KEY_ID", "key-7".to_owned()),
        ("PUSHSLOTS_PRIVATE_KEY_FILE", key.display().to_string()),
        ("PUSHSLOTS_DESTINATION_IDS", format!("{DESTINATION}, {}", Uuid::max())),
    ])
}

#[tokio::test]
async fn an_accepted_message_exits_with_0() {
    let (service, folder) = (fixtures::serve().await, Folder::new());
    let message = folder.file("message.json", MESSAGE);
    let run = push_file(Some(&message), &settings(&service.uri(), "throttled", &folder)).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let mut json = run.json();
    assert!(Uuid::try_parse(json["message_id"].as_str().unwrap()).is_ok());
    for attempt in json["attempts"].as_array_mut().unwrap() {
        assert!(attempt["elapsed_ms"].take().is_u64());
    }
    assert!(json["attempts"][0]["delay_ms"].take().as_u64().unwrap() >= 1_000);
    json["message_id"] = Value::Null;
    assert_eq!(
        json,
        json!({
            "message_id": null,
            "delivery": "accepted",
            "logs": [{
                "id": "d9f5d293-7110-461e-a875-3beb089e79f3",
                "attempt_id": "925d1617-2fe0-468c-a14c-f8c04b572c54"
            }],
            "attempts": [
                {
                    "number": 1, "status": 429, "delivery": "refused",
                    "error": "the service answered 429", "elapsed_ms": null, "delay_ms": null
                },
                {
                    "number": 2, "status": 200, "delivery": "accepted",
                    "error": null, "elapsed_ms": null, "delay_ms": null
                }
            ],
            "error": null,
            "retry_after_s": null
        })
    );
    assert!(run.stderr.is_empty(), "no log without RUST_LOG: {}", run.stderr);
}

#[tokio::test]
async fn a_message_that_is_not_accepted_exits_with_1() {
    let folder = Folder::new();
    let message = folder.file("message.json", MESSAGE);
    let service = fixtures::serve().await;
    for (client_id, delivery, status) in
        [("refused", "refused", json!(400)), ("token-refused", "not_sent", Value::Null)]
    {
        let run = push_file(Some(&message), &settings(&service.uri(), client_id, &folder)).await;
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        let json = run.json();
        assert_eq!((&json["delivery"], &json["attempts"][0]["status"]), (&json!(delivery), &status));
        assert!(json["error"].as_str().unwrap().starts_with("attempt 1: "), "{json}");
    }
    let busy = RawServer::start([token(), Act::answer("429 Busy", "Retry-After: 300\r\n", "")]).await;
    let run = push_file(Some(&message), &settings(&busy.url, "plain", &folder)).await;
    assert_eq!((run.code, &run.json()["retry_after_s"]), (Some(1), &json!(300)));
    busy.finish().await;

    let lost = RawServer::start([token(), Act::ResetAfterReading]).await;
    let mut once = settings(&lost.url, "plain", &folder);
    once.insert("PUSHSLOTS_MAX_ATTEMPTS", "1".to_owned());
    let run = push_file(Some(&message), &once).await;
    assert_eq!((run.code, &run.json()["delivery"]), (Some(1), &json!("unknown")));
    lost.finish().await;
}

#[tokio::test]
async fn a_wrong_message_exits_with_2_and_every_problem_on_stderr() {
    let (service, folder) = (fixtures::serve().await, Folder::new());
    let mut settings = settings(&service.uri(), "plain", &folder);
    settings.remove("PUSHSLOTS_DESTINATION_IDS");
    let json = r#"{"Slots":[{"DateTime":"2016-10-08","Duration":15},{"DateTime":"2026-12-01T09:00:00Z","Duration":0}]}"#;
    let message = folder.file("message.json", json);
    let run = push_file(Some(&message), &settings).await;
    assert_eq!(run.code, Some(2));
    for path in ["Slots[0].DateTime: ", "Slots[1].Duration: ", "Meta.Destinations: "] {
        assert!(run.stderr.contains(path), "{path} in {}", run.stderr);
    }
    assert_eq!(run.json()["delivery"], "not_sent");
    assert_eq!(run.json()["attempts"], json!([]));

    for (content, expected) in [
        (b"".as_slice(), "the input is empty at line 1"),
        (b"{\"Slots\": [", "the input ends before the JSON does at line 1"),
        (b"\xff\xfe{\x00}", "the input is not UTF-8 at line 1 column 1"),
        (&b"[".repeat(5_000), "the input ends before the JSON does at line 1"),
    ] {
        let message = folder.file("broken.json", content);
        let run = push_file(Some(&message), &settings).await;
        assert_eq!(run.code, Some(2));
        assert!(run.stderr.contains(expected), "{}", run.stderr);
        assert_eq!(run.json()["delivery"], "not_sent");
    }
    let run = push_file(Some(Path::new("no-such-file.json")), &settings).await;
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("no-such-file.json: "), "{}", run.stderr);
    let pem = keys::p384().pem;
    let secret = pem.lines().nth(1).unwrap();
    for misplaced in [pem.clone(), secret.to_owned()] {
        settings.insert("PUSHSLOTS_PRIVATE_KEY_FILE", misplaced);
        let run = push_file(Some(&message), &settings).await;
        assert_eq!(run.code, Some(2));
        assert!(run.stderr.contains("PUSHSLOTS_PRIVATE_KEY_FILE: the file can't be read"), "{}", run.stderr);
        assert!(!format!("{}{}", run.stdout, run.stderr).contains(secret), "{}", run.stderr);
    }
    let run = push_file(None, &settings).await;
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("usage: push_file MESSAGE.json"), "{}", run.stderr);
    assert!(service.received_requests().await.unwrap().is_empty(), "nothing went out");
}

#[tokio::test]
async fn wrong_settings_exit_with_2_and_name_every_variable() {
    let folder = Folder::new();
    let message = folder.file("message.json", r#"{"Slots":[{"Duration":15}]}"#);
    for (wrong, expected) in [
        (vec![("PUSHSLOTS_BASE_URL", "http://example.org")], vec!["PUSHSLOTS_BASE_URL"]),
        (vec![("PUSHSLOTS_TOKEN_URL", "nowhere")], vec!["PUSHSLOTS_TOKEN_URL"]),
        (vec![("PUSHSLOTS_CLIENT_ID", "")], vec!["PUSHSLOTS_CLIENT_ID"]),
        (vec![("PUSHSLOTS_KEY_ID", " ")], vec!["PUSHSLOTS_KEY_ID"]),
        (vec![("PUSHSLOTS_PRIVATE_KEY_FILE", "no-such.pem")], vec!["PUSHSLOTS_PRIVATE_KEY_FILE"]),
        (vec![("PUSHSLOTS_API_KEY", "key")], vec!["PUSHSLOTS_API_KEY"]),
        (vec![("PUSHSLOTS_SOURCE_ID", "me")], vec!["PUSHSLOTS_SOURCE_ID"]),
        (vec![("PUSHSLOTS_DESTINATION_IDS", "a,b,")], vec!["PUSHSLOTS_DESTINATION_IDS"]),
        (vec![("PUSHSLOTS_MAX_ATTEMPTS", "0")], vec!["PUSHSLOTS_MAX_ATTEMPTS"]),
        (vec![("PUSHSLOTS_MAX_ATTEMPTS", "many")], vec!["PUSHSLOTS_MAX_ATTEMPTS"]),
        (vec![("PUSHSLOTS_ATTEMPT_TIMEOUT", "10")], vec!["PUSHSLOTS_ATTEMPT_TIMEOUT"]),
        (vec![("PUSHSLOTS_DEADLINE", "18446744073709551615s 1000ms")], vec!["PUSHSLOTS_DEADLINE"]),
        (
            vec![("PUSHSLOTS_DEADLINE", "0s"), ("PUSHSLOTS_SOURCE_ID", "me")],
            vec!["PUSHSLOTS_DEADLINE", "PUSHSLOTS_SOURCE_ID"],
        ),
    ] {
        let mut settings = settings("http://127.0.0.1:9", "plain", &folder);
        settings.extend(wrong.into_iter().map(|(name, value)| (name, value.to_owned())));
        let run = push_file(Some(&message), &settings).await;
        assert_eq!(run.code, Some(2), "{expected:?}");
        for name in &expected {
            assert!(run.stderr.contains(&format!("{name}: ")), "{name} in {}", run.stderr);
        }
        assert_eq!(run.stderr.matches("\n  PUSHSLOTS_").count(), expected.len(), "{}", run.stderr);
        assert!(run.stderr.contains("Slots[0].DateTime: "), "the message is told too: {}", run.stderr);
        assert_eq!(run.json()["attempts"], json!([]));
    }
    let run = push_file(Some(&message), &BTreeMap::new()).await;
    for name in ["PUSHSLOTS_CLIENT_ID", "PUSHSLOTS_KEY_ID", "PUSHSLOTS_PRIVATE_KEY_FILE"] {
        assert!(run.stderr.contains(&format!("{name}: missing")), "{}", run.stderr);
    }
    let half = BTreeMap::from([("PUSHSLOTS_API_KEY", "key".to_owned())]);
    let run = push_file(Some(&message), &half).await;
    assert!(run.stderr.contains("PUSHSLOTS_API_SECRET: missing"), "{}", run.stderr);
}

#[tokio::test]
async fn every_setting_takes_effect() {
    let folder = Folder::new();
    let message =
        folder.file("message.json", r#"{"Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":15}]}"#);
    let (service, tokens) = (fixtures::serve().await, fixtures::serve().await);
    let mut settings = settings(&service.uri(), "plain", &folder);
    settings.insert("PUSHSLOTS_TOKEN_URL", format!("{}/v2/auth/token", tokens.uri()));
    settings.insert("PUSHSLOTS_SCOPE", "fhir:development".to_owned());
    settings.insert("PUSHSLOTS_SOURCE_ID", Uuid::nil().to_string());
    assert_eq!(push_file(Some(&message), &settings).await.code, Some(0));
    let form = String::from_utf8(tokens.received_requests().await.unwrap()[0].body.clone()).unwrap();
    assert!(form.contains("scope=fhir%3Adevelopment"), "{form}");
    let body = service.received_requests().await.unwrap()[0].body_json::<Value>().unwrap();
    assert_eq!(body["Meta"]["Source"]["ID"], Uuid::nil().to_string());
    assert_eq!(body["Meta"]["Destinations"], json!([{"ID": DESTINATION}, {"ID": Uuid::max()}]));

    let legacy = BTreeMap::from([
        ("PUSHSLOTS_BASE_URL", service.uri()),
        ("PUSHSLOTS_API_KEY", "key".to_owned()),
        ("PUSHSLOTS_API_SECRET", "secret".to_owned()),
        ("PUSHSLOTS_DESTINATION_IDS", DESTINATION.to_string()),
    ]);
    assert_eq!(push_file(Some(&message), &legacy).await.code, Some(0));

    for (name, text) in
        [("PUSHSLOTS_DEADLINE", "deadline of 1.5s"), ("PUSHSLOTS_ATTEMPT_TIMEOUT", "no answer came in time")]
    {
        let stalls = RawServer::start([token(), Act::Stall(String::new())]).await;
        let mut hasty = BTreeMap::from([(name, "1500ms".to_owned())]);
        hasty.insert("PUSHSLOTS_MAX_ATTEMPTS", "1".to_owned());
        let mut settings = self::settings(&stalls.url, "plain", &folder);
        settings.extend(hasty);
        if name == "PUSHSLOTS_DEADLINE" {
            settings.remove("PUSHSLOTS_MAX_ATTEMPTS");
        }
        let run = push_file(Some(&message), &settings).await;
        assert_eq!(run.code, Some(1));
        assert!(run.stderr.contains(text), "{}", run.stderr);
        stalls.finish().await;
    }
}

fn token() -> Act {
    // Read as an answer to an assertion and to a legacy key alike.
    let json = r#"{"access_token":"canary-token","token_type":"Bearer","accessToken":"canary-token"}"#;
    Act::answer("200 OK", "Content-Type: application/json\r\n", json)
}

/// A message full of what no log may show.
fn canaries() -> Value {
    json!({
        "Slots": [{
            "DateTime": "2026-12-01T09:00:00Z", "Duration": 15, "Reason": "canary-reason",
            "Provider": {
                "FirstName": "Canaryfirst", "LastName": "Canarylast", "EmailAddresses": ["canary@example.org"],
                "Address": {"StreetAddress": "1 Canary Street"}, "PhoneNumber": {"Office": "+16085550199"}
            }
        }],
        "Extensions": {"canary": "canary-extension"}
    })
}

/// Whether the log shows anything of [`canaries`], a token, an assertion, or a key.
fn assert_shows_nothing(name: &str, run: &Run, key: &str) {
    let shown = format!("{}{}", run.stdout, run.stderr);
    assert!(!shown.contains("panicked"), "{name}: {shown}");
    let lowercase = shown.to_lowercase();
    let secrets = ["canary", "6085550199", "eyj", "client_assertion", "-----begin"];
    for secret in secrets.into_iter().map(str::to_owned).chain(key.lines().map(str::to_lowercase)) {
        assert!(!lowercase.contains(&secret), "{name} shows {secret}: {shown}");
    }
}

#[tokio::test]
async fn the_log_shows_no_secret_no_body_and_nobody_on_any_path() {
    let folder = Folder::new();
    let message = canaries();
    let right = folder.file("right.json", message.to_string());
    let mut message = message;
    message["Slots"][0]["Provider"]["PhoneNumber"]["Office"] = json!("canary-phone");
    message["Slots"][0]["Duration"] = json!("canary-duration");
    let wrong = folder.file("wrong.json", message.to_string());
    let broken = folder.file("broken.json", r#"{"Slots": [{"Reason": "canary-reason" canary"#);

    let echo = r#"{"Meta":{"Errors":[{"Text":"Canarylast of 1 Canary Street is unknown"}]}}"#;
    let refused = r#"{"error":"canary-error","error_description":"eyJcanary","access_token":"canary-token"}"#;
    let html = "Content-Type: text/html\r\n";
    for (name, file, acts) in [
        ("accepted", &right, vec![token(), Act::answer("200 OK", "", r#"{"Meta":{"Logs":[{"ID":"1"}]}}"#)]),
        ("refused", &right, vec![token(), Act::answer("400 Bad Request", "", echo)]),
        ("refused in words", &right, vec![token(), Act::answer("403 No", html, "Canarylast canary-token")]),
        ("errors in a yes", &right, vec![token(), Act::answer("200 OK", "", echo)]),
        (
            "token rejected",
            &right,
            vec![token(), Act::answer("401 No", "", echo), token(), Act::answer("401 No", "", echo)],
        ),
        (
            "lost, then refused",
            &right,
            vec![token(), Act::ResetAfterReading, Act::answer("422 No", "", echo)],
        ),
        (
            "cut",
            &right,
            vec![token(), Act::Answer("HTTP/1.1 400 No\r\nContent-Length: 90\r\n\r\ncanary".to_owned())],
        ),
        (
            "no HTTP",
            &right,
            vec![
                token(),
                Act::Answer("canary-token canary-token\r\n\r\n".to_owned()),
                Act::CloseAfterReading,
            ],
        ),
        (
            "credentials refused",
            &right,
            vec![Act::answer("400 No", "Content-Type: application/json\r\n", refused)],
        ),
        (
            "no token",
            &right,
            vec![Act::answer("200 OK", html, "canary-token"), Act::answer("200 OK", "", refused)],
        ),
        ("wrong message", &wrong, vec![]),
        ("no message", &broken, vec![]),
    ] {
        for legacy in [false, true] {
            let service = RawServer::start(acts.clone()).await;
            let mut settings = settings(&service.url, "plain", &folder);
            let key = std::fs::read_to_string(&settings["PUSHSLOTS_PRIVATE_KEY_FILE"]).unwrap();
            if legacy {
                for name in ["PUSHSLOTS_CLIENT_ID", "PUSHSLOTS_KEY_ID", "PUSHSLOTS_PRIVATE_KEY_FILE"] {
                    settings.remove(name);
                }
                settings.insert("PUSHSLOTS_API_KEY", "canary-api-key".to_owned());
                settings.insert("PUSHSLOTS_API_SECRET", "canary-api-secret".to_owned());
            }
            settings.insert("PUSHSLOTS_MAX_ATTEMPTS", "2".to_owned());
            settings.insert("RUST_LOG", "trace".to_owned());
            let run = push_file(Some(file), &settings).await;
            service.finish().await;
            assert_shows_nothing(name, &run, &key);
            if file == &right {
                assert_eq!(run.code, Some(i32::from(name != "accepted")), "{name}: {}", run.stderr);
                assert!(run.stderr.contains("TRACE"), "{name}: the log is on: {}", run.stderr);
            }
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_log_shows_nothing_over_tls_and_http2_either() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let listener = TlsListener::bind(&authority, None, &["h2"]).await;
    let mut settings = settings(&listener.url(), "plain", &folder);
    let (send, mut arrived) = unbounded_channel();
    tokio::spawn(serve(listener, 100, send));
    let key = std::fs::read_to_string(&settings["PUSHSLOTS_PRIVATE_KEY_FILE"]).unwrap();
    let message = folder.file("message.json", canaries().to_string());
    // On Linux the system's certificates are those in this file.
    let authority = folder.file("authority.pem", &authority.pem);
    settings.insert("SSL_CERT_FILE", authority.display().to_string());
    settings.insert("RUST_LOG", "trace".to_owned());
    let serve = async {
        arrived.recv().await.unwrap().respond.send_reset(h2::Reason::INTERNAL_ERROR);
        arrived.recv().await.unwrap().accept().await
    };
    let (run, body) = tokio::join!(push_file(Some(&message), &settings), serve);
    assert!(String::from_utf8(body).unwrap().contains("canary-reason"), "the message did go out");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("TRACE") && run.stderr.contains("h2::"), "the log is on: {}", run.stderr);
    assert_shows_nothing("HTTP/2", &run, &key);
}
