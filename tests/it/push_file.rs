//! The example `push_file` as a user runs it: its output and its exit codes.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pushslots::mock::MockService;
use pushslots::uuid::Uuid;
use serde_json::{Value, json};
use support::examples::{Folder, push_file, settings, token};
use support::raw::{Act, RawServer};
use support::{DESTINATION, MESSAGE, fixtures, keys};

#[tokio::test]
async fn an_accepted_message_exits_with_0() {
    let service = fixtures::serve();
    let folder = Folder::create();
    let message = folder.file("message.json", MESSAGE);
    let run = push_file(Some(&message), &settings(service.url(), "throttled", &folder)).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let mut json = run.json();
    assert!(Uuid::try_parse(json["message_id"].as_str().unwrap()).is_ok());
    let message_id = json["message_id"].clone();
    for attempt in json["attempts"].as_array_mut().unwrap() {
        assert!(attempt["elapsed_ms"].take().is_u64() && attempt["token_age_ms"].take().is_u64());
        assert!(attempt["started"].take().is_string());
        assert_eq!(attempt["message_id"].take(), message_id);
    }
    assert_eq!(json["attempts"][1]["logs"].take(), json["logs"]);
    assert!(json["attempts"][0]["delay_ms"].take().as_u64().unwrap() >= 1_000);
    json["message_id"] = Value::Null;
    let logs = json["logs"].take();
    assert_eq!(logs.as_array().unwrap().len(), 1, "one log for each destination");
    let is_uuid = |id: &Value| Uuid::try_parse(id.as_str().unwrap()).is_ok();
    assert!(
        logs.as_array()
            .unwrap()
            .iter()
            .all(|log| is_uuid(&log["id"]) && is_uuid(&log["attempt_id"]))
    );
    assert_eq!(
        json,
        json!({
            "message_id": null,
            "delivery": "accepted",
            "logs": null,
            "attempts": [
                {
                    "number": 1, "status": 429, "delivery": "rejected", "message_id": null, "started": null,
                    "error": "the service responded with 429", "elapsed_ms": null, "delay_ms": null, "logs": [],
                    "token_age_ms": null, "retry_after_s": 1, "next_step": "retry_after"
                },
                {
                    "number": 2, "status": 200, "delivery": "accepted", "message_id": null, "started": null,
                    "error": null, "elapsed_ms": null, "delay_ms": null, "logs": null,
                    "token_age_ms": null, "retry_after_s": null, "next_step": "done"
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
    let folder = Folder::create();
    let message = folder.file("message.json", MESSAGE);
    let service = fixtures::serve();
    for (client_id, delivery, status) in
        [("rejected", "rejected", json!(400)), ("token-rejected", "not_sent", Value::Null)]
    {
        let run = push_file(Some(&message), &settings(service.url(), client_id, &folder)).await;
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        let json = run.json();
        assert_eq!(
            (&json["delivery"], &json["attempts"][0]["status"]),
            (&json!(delivery), &status)
        );
        assert!(json["error"].as_str().unwrap().starts_with("attempt 1: "), "{json}");
    }
    let busy =
        RawServer::start([token(), Act::response("429 Busy", "Retry-After: 300\r\n", "")]).await;
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
async fn invalid_message_exits_with_2_and_lists_every_problem_on_stderr() {
    let service = fixtures::serve();
    let folder = Folder::create();
    let mut settings = settings(service.url(), "plain", &folder);
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
        (b"\xff\xfe{\x00}", "the input isn't UTF-8 at line 1 column 1"),
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
        assert!(
            run.stderr.contains("PUSHSLOTS_PRIVATE_KEY_FILE: can't read the file"),
            "{}",
            run.stderr
        );
        assert!(!format!("{}{}", run.stdout, run.stderr).contains(secret), "{}", run.stderr);
    }
    let run = push_file(None, &settings).await;
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("usage: push_file MESSAGE.json"), "{}", run.stderr);
    assert!(service.requests().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn invalid_settings_exit_with_2_and_list_every_variable() {
    let folder = Folder::create();
    let message = folder.file("message.json", r#"{"Slots":[{"Duration":15}]}"#);
    for (wrong, expected) in [
        (vec![("PUSHSLOTS_BASE_URL", "http://example.org")], vec!["PUSHSLOTS_BASE_URL"]),
        (vec![("PUSHSLOTS_TOKEN_URL", "nowhere")], vec!["PUSHSLOTS_TOKEN_URL"]),
        (
            vec![("PUSHSLOTS_TOKEN_AUDIENCE", "nowhere"), ("PUSHSLOTS_MAX_ATTEMPTS", "0")],
            vec!["PUSHSLOTS_TOKEN_AUDIENCE", "PUSHSLOTS_MAX_ATTEMPTS"],
        ),
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
        assert!(
            run.stderr.contains("Slots[0].DateTime: "),
            "the problems of the message are listed too: {}",
            run.stderr
        );
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
    let folder = Folder::create();
    let message = folder
        .file("message.json", r#"{"Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":15}]}"#);
    let service = fixtures::serve();
    let tokens = fixtures::serve();
    let mut settings = settings(service.url(), "plain", &folder);
    settings.insert("PUSHSLOTS_TOKEN_URL", format!("{}/v2/auth/token", tokens.url()));
    settings.insert("PUSHSLOTS_SCOPE", "fhir:development".to_owned());
    settings.insert("PUSHSLOTS_TOKEN_AUDIENCE", "\u{feff}urn:example:token\r\n".to_owned());
    settings.insert("PUSHSLOTS_SOURCE_ID", Uuid::nil().to_string());
    assert_eq!(push_file(Some(&message), &settings).await.code, Some(0));
    let form = String::from_utf8(tokens.requests()[0].body().to_vec()).unwrap();
    assert!(form.contains("scope=fhir%3Adevelopment"), "{form}");
    let (_, assertion) = form.split_once("client_assertion=").unwrap();
    let claims = BASE64_URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["aud"], "urn:example:token");
    let body: Value = serde_json::from_slice(service.requests()[0].body()).unwrap();
    assert_eq!(body["Meta"]["Source"]["ID"], Uuid::nil().to_string());
    assert_eq!(body["Meta"]["Destinations"], json!([{"ID": DESTINATION}, {"ID": Uuid::max()}]));

    let legacy = BTreeMap::from([
        ("PUSHSLOTS_BASE_URL", service.url().to_owned()),
        ("PUSHSLOTS_API_KEY", "key".to_owned()),
        ("PUSHSLOTS_API_SECRET", "secret".to_owned()),
        ("PUSHSLOTS_DESTINATION_IDS", DESTINATION.to_string()),
    ]);
    assert_eq!(push_file(Some(&message), &legacy).await.code, Some(0));

    for (name, text) in [
        ("PUSHSLOTS_DEADLINE", "deadline of 1.5s"),
        ("PUSHSLOTS_ATTEMPT_TIMEOUT", "no response arrived within the timeout"),
    ] {
        let stalls = RawServer::start([token(), Act::Stall(String::new())]).await;
        let mut limits = BTreeMap::from([(name, "1500ms".to_owned())]);
        limits.insert("PUSHSLOTS_MAX_ATTEMPTS", "1".to_owned());
        let mut settings = support::examples::settings(&stalls.url, "plain", &folder);
        settings.extend(limits);
        if name == "PUSHSLOTS_DEADLINE" {
            settings.remove("PUSHSLOTS_MAX_ATTEMPTS");
        }
        let run = push_file(Some(&message), &settings).await;
        assert_eq!(run.code, Some(1));
        assert!(run.stderr.contains(text), "{}", run.stderr);
        stalls.finish().await;
    }
}

#[tokio::test]
async fn key_can_come_from_the_environment_or_a_jwk_file() {
    let folder = Folder::create();
    let message = folder.file("message.json", MESSAGE);
    let key = keys::p384();
    let service = MockService::builder()
        .public_jwk("client", key.public_jwk("key").to_string())
        .start()
        .unwrap();
    let settings = BTreeMap::from([
        ("PUSHSLOTS_BASE_URL", service.url().to_owned()),
        ("PUSHSLOTS_CLIENT_ID", "client".to_owned()),
        ("PUSHSLOTS_DESTINATION_IDS", DESTINATION.to_string()),
    ]);
    let jwk = folder.file("key.jwk", key.jwk("key").to_string());
    let key_settings = [
        [("PUSHSLOTS_KEY_ID", "key".to_owned()), ("PUSHSLOTS_PRIVATE_KEY", key.pem.clone())]
            .to_vec(),
        vec![("PUSHSLOTS_PRIVATE_JWK_FILE", jwk.display().to_string())],
    ];
    for key_setting in key_settings {
        let mut settings = settings.clone();
        settings.extend(key_setting);
        let run = push_file(Some(&message), &settings).await;
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }

    let both = [
        ("PUSHSLOTS_PRIVATE_KEY", key.pem.clone()),
        ("PUSHSLOTS_PRIVATE_JWK_FILE", jwk.display().to_string()),
    ];
    let with_key_id = [
        ("PUSHSLOTS_KEY_ID", "key".to_owned()),
        ("PUSHSLOTS_PRIVATE_JWK_FILE", jwk.display().to_string()),
    ];
    let without_key_id = [("PUSHSLOTS_PRIVATE_KEY", key.pem.clone())];
    for (wrong, problem) in [
        (
            both.as_slice(),
            "PUSHSLOTS_PRIVATE_JWK_FILE: set together with PUSHSLOTS_PRIVATE_KEY; keep only one of them",
        ),
        (
            &with_key_id,
            "PUSHSLOTS_KEY_ID: not allowed with a JWK, which contains its key id; unset it",
        ),
        (&without_key_id, "PUSHSLOTS_KEY_ID: missing"),
    ] {
        let mut settings = settings.clone();
        settings.extend(wrong.iter().cloned());
        let run = push_file(Some(&message), &settings).await;
        assert_eq!(run.code, Some(2));
        assert!(run.stderr.contains(problem), "{problem} in {}", run.stderr);
        assert!(!run.stderr.contains("PRIVATE KEY-----"), "the error contains no key");
    }
}

#[tokio::test]
async fn hosts_and_certificates_can_come_from_the_environment() {
    let folder = Folder::create();
    let message = folder.file("message.json", MESSAGE);
    let settings = |hosts: &str, certificates: &Path| {
        BTreeMap::from([
            ("PUSHSLOTS_BASE_URL", "http://service.invalid".to_owned()),
            ("PUSHSLOTS_PLAIN_HTTP_HOSTS", hosts.to_owned()),
            ("PUSHSLOTS_ROOT_CERTIFICATE_FILE", certificates.display().to_string()),
            ("PUSHSLOTS_API_KEY", "key".to_owned()),
            ("PUSHSLOTS_API_SECRET", "secret".to_owned()),
            ("PUSHSLOTS_DESTINATION_IDS", DESTINATION.to_string()),
            ("PUSHSLOTS_MAX_ATTEMPTS", "1".to_owned()),
        ])
    };
    let root = rcgen::generate_simple_self_signed(["service.invalid".to_owned()]).unwrap();
    let good = folder.file("root.pem", root.cert.pem());
    let run = push_file(Some(&message), &settings("other.invalid, service.invalid", &good)).await;
    assert_eq!(
        run.code,
        Some(1),
        "the settings are valid, and the host doesn't exist: {}",
        run.stderr
    );

    let no_pem = folder.file("none.pem", "no PEM");
    let missing = folder.path().join("missing.pem");
    for (hosts, certificates, problem) in [
        (
            "other.invalid",
            good.as_path(),
            "PUSHSLOTS_BASE_URL: plain http to service.invalid exposes",
        ),
        ("http://service.invalid", &good, "PUSHSLOTS_PLAIN_HTTP_HOSTS: entry 1 isn't a host name"),
        ("a,service.invalid:80", &good, "PUSHSLOTS_PLAIN_HTTP_HOSTS: entry 2 isn't a host name"),
        (
            "service.invalid",
            &no_pem,
            "PUSHSLOTS_ROOT_CERTIFICATE_FILE: can't be used: it contains no PEM block `CERTIFICATE`",
        ),
        ("service.invalid", &missing, "PUSHSLOTS_ROOT_CERTIFICATE_FILE: can't read the file: "),
    ] {
        let run = push_file(Some(&message), &settings(hosts, certificates)).await;
        assert_eq!(run.code, Some(2), "{problem}");
        assert!(run.stderr.contains(problem), "{problem} in {}", run.stderr);
    }
}

#[tokio::test]
async fn an_unknown_variable_is_logged_with_the_nearest_name() {
    let service = fixtures::serve();
    let folder = Folder::create();
    let message = folder.file("message.json", MESSAGE);
    let mut settings = settings(service.url(), "plain", &folder);
    settings.insert("RUST_LOG", "warn".to_owned());
    settings.insert("PUSHSLOTS_RATE", "canary".to_owned());
    settings.insert("PUSHSLOTS_COLOUR_OF_THE_SKY", "canary".to_owned());
    let run = push_file(Some(&message), &settings).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let line = |name: &str| run.stderr.lines().find(|line| line.contains(name)).unwrap_or_default();
    assert!(
        line("PUSHSLOTS_RATE\"").contains("pushslots.nearest=\"PUSHSLOTS_RATE_LIMIT\""),
        "{}",
        run.stderr
    );
    assert!(
        line("COLOUR").contains("unknown environment variable")
            && !line("COLOUR").contains("nearest"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("canary"));
}
