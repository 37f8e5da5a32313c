//! The log of `push_file` at level `trace` shows no secrets or personal data.

use serde_json::{Value, json};
use support::examples::{Folder, Run, push_file, settings, token};
use support::http2::serve;
use support::raw::{Act, RawServer};
use support::tls::{Authority, TlsListener};
use tokio::sync::mpsc::unbounded_channel;

/// Returns a message full of values that no log may show.
fn canaries() -> Value {
    json!({
        "Slots": [{
            "DateTime": "2026-12-01T09:00:00Z", "Duration": 15, "Reason": "canary-reason",
            "Provider": {
                "FirstName": "Canaryfirst",
                "LastName": "Canarylast",
                "EmailAddresses": ["canary@example.org"],
                "Address": {"StreetAddress": "1 Canary Street"},
                "PhoneNumber": {"Office": "+16085550199"}
            }
        }],
        "Extensions": {"canary": "canary-extension"}
    })
}

/// Asserts that the log shows nothing of [`canaries`], and no token, assertion or key.
fn assert_shows_no_secret(name: &str, run: &Run, key: &str) {
    // The example prints the service's reason for its user, on a separate line.
    let is_log = |line: &&str| !line.starts_with("the service's reason: ");
    let log: Vec<_> = run.stderr.lines().filter(is_log).collect();
    let shown = format!("{}{}", run.stdout, log.join("\n"));
    assert!(!shown.contains("panicked"), "{name}: {shown}");
    let lowercase = shown.to_lowercase();
    let secrets = ["canary", "6085550199", "eyj", "client_assertion", "-----begin"];
    for secret in secrets.into_iter().map(str::to_owned).chain(key.lines().map(str::to_lowercase)) {
        assert!(!lowercase.contains(&secret), "{name} shows {secret}: {shown}");
    }
}

#[tokio::test]
async fn log_shows_no_secrets_bodies_or_names_on_any_path() {
    let folder = Folder::create();
    let message = canaries();
    let valid = folder.file("valid.json", message.to_string());
    let mut message = message;
    message["Slots"][0]["Provider"]["PhoneNumber"]["Office"] = json!("canary-phone");
    message["Slots"][0]["Duration"] = json!("canary-duration");
    let invalid = folder.file("invalid.json", message.to_string());
    let malformed =
        folder.file("malformed.json", r#"{"Slots": [{"Reason": "canary-reason" canary"#);

    let echo = r#"{"Meta":{"Errors":[{"Text":"Canarylast of 1 Canary Street is unknown"}]}}"#;
    // A token endpoint may echo the request.
    let rejected = |echo: &str| {
        let body = json!({
            "error": "invalid_client",
            "error_description": echo,
            "access_token": "canary-token"
        });
        Act::response("400 No", "Content-Type: application/json\r\n", &body.to_string())
    };
    let html = "Content-Type: text/html\r\n";
    for (name, file, acts) in [
        (
            "accepted",
            &valid,
            vec![token(), Act::response("200 OK", "", r#"{"Meta":{"Logs":[{"ID":"1"}]}}"#)],
        ),
        ("rejected", &valid, vec![token(), Act::response("400 Bad Request", "", echo)]),
        (
            "rejected in plain text",
            &valid,
            vec![token(), Act::response("403 No", html, "Canarylast canary-token")],
        ),
        ("errors in a success", &valid, vec![token(), Act::response("200 OK", "", echo)]),
        (
            "token rejected",
            &valid,
            vec![
                token(),
                Act::response("401 No", "", echo),
                token(),
                Act::response("401 No", "", echo),
            ],
        ),
        (
            "lost, then rejected",
            &valid,
            vec![token(), Act::ResetAfterReading, Act::response("422 No", "", echo)],
        ),
        (
            "cut",
            &valid,
            vec![
                token(),
                Act::Response("HTTP/1.1 400 No\r\nContent-Length: 90\r\n\r\ncanary".to_owned()),
            ],
        ),
        (
            "not HTTP",
            &valid,
            vec![
                token(),
                Act::Response("canary-token canary-token\r\n\r\n".to_owned()),
                Act::CloseAfterReading,
            ],
        ),
        ("credentials rejected", &valid, vec![rejected("not eyJcanary.canary.canary")]),
        (
            "no token",
            &valid,
            vec![
                Act::response("200 OK", html, "canary-token"),
                Act::response("200 OK", "", r#"{"access_token":["canary-token"],"accessToken":7}"#),
            ],
        ),
        ("invalid message", &invalid, vec![]),
        ("malformed message", &malformed, vec![]),
    ] {
        for legacy in [false, true] {
            let service = RawServer::start(acts.clone()).await;
            let mut settings = settings(&service.url, "plain", &folder);
            let key = std::fs::read_to_string(&settings["PUSHSLOTS_PRIVATE_KEY_FILE"]).unwrap();
            if legacy {
                for name in
                    ["PUSHSLOTS_CLIENT_ID", "PUSHSLOTS_KEY_ID", "PUSHSLOTS_PRIVATE_KEY_FILE"]
                {
                    settings.remove(name);
                }
                settings.insert("PUSHSLOTS_API_KEY", "canary-api-key".to_owned());
                settings.insert("PUSHSLOTS_API_SECRET", "canary-api-secret".to_owned());
            }
            settings.insert("PUSHSLOTS_MAX_ATTEMPTS", "2".to_owned());
            settings.insert("RUST_LOG", "trace".to_owned());
            let run = push_file(Some(file), &settings).await;
            service.finish().await;
            assert_shows_no_secret(name, &run, &key);
            if file == &valid {
                assert_eq!(run.code, Some(i32::from(name != "accepted")), "{name}: {}", run.stderr);
                assert!(run.stderr.contains("TRACE"), "{name}: the log is on: {}", run.stderr);
            }
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn log_shows_no_secrets_over_tls_and_http2() {
    let folder = Folder::create();
    let authority = Authority::generate();
    let listener = TlsListener::bind(&authority, None, &["h2"]).await;
    let mut settings = settings(&listener.url(), "plain", &folder);
    let (send, mut arrived) = unbounded_channel();
    tokio::spawn(serve(listener, 100, send));
    let key = std::fs::read_to_string(&settings["PUSHSLOTS_PRIVATE_KEY_FILE"]).unwrap();
    let message = folder.file("message.json", canaries().to_string());
    // On Linux, this file replaces the certificates of the system.
    let authority = folder.file("authority.pem", &authority.pem);
    settings.insert("SSL_CERT_FILE", authority.display().to_string());
    settings.insert("RUST_LOG", "trace".to_owned());
    let serve = async {
        arrived.recv().await.unwrap().respond.send_reset(h2::Reason::INTERNAL_ERROR);
        arrived.recv().await.unwrap().accept().await
    };
    let (run, body) = tokio::join!(push_file(Some(&message), &settings), serve);
    assert!(String::from_utf8(body).unwrap().contains("canary-reason"), "the message was sent");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stderr.contains("TRACE") && run.stderr.contains("h2::"),
        "the log is on: {}",
        run.stderr
    );
    assert_shows_no_secret("HTTP/2", &run, &key);
}
