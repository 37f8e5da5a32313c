//! The example `mock_service` as a user runs it: `push_file` works with its settings, and it
//! deletes its key at the end.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use support::examples::{program, push_file};
use support::{any_http, repository};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

#[tokio::test]
async fn push_file_works_with_the_printed_settings() {
    for signal in ["-INT", "-TERM"] {
        plays_until(signal).await;
    }
}

async fn plays_until(signal: &str) {
    let mut mock = Command::new(program("mock_service"))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(mock.stdout.take().unwrap()).lines();
    let mut settings = BTreeMap::new();
    let mut printed = String::new();
    while !printed.contains("cargo run") {
        let line =
            timeout(Duration::from_secs(30), lines.next_line()).await.unwrap().unwrap().unwrap();
        if let Some((name, value)) =
            line.strip_prefix("export ").and_then(|line| line.split_once('='))
        {
            settings.insert(name.to_owned(), value.trim_matches('\'').to_owned());
        }
        printed += &(line + "\n");
    }
    assert!(printed.contains(&format!("{}/\n", settings["PUSHSLOTS_BASE_URL"])), "{printed}");

    let file = repository("tests/data/official-push-slots.json");
    let variables = settings.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let run = push_file(Some(&file), &variables).await;
    assert_eq!(run.code, Some(0), "{} {}", run.stdout, run.stderr);
    let http = any_http();
    let url = format!("{}/page/state", settings["PUSHSLOTS_BASE_URL"]);
    let state = http.get(url).send().await.unwrap().bytes().await.unwrap();
    let state: Value = serde_json::from_slice(&state).unwrap();
    assert_eq!(state["messages"][0]["message_id"], run.json()["message_id"]);
    assert_eq!(state["messages"][0]["state"], "accepted");

    let key_file = Path::new(&settings["PUSHSLOTS_PRIVATE_KEY_FILE"]);
    assert!(key_file.exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            key_file.metadata().unwrap().permissions().mode() & 0o077,
            0,
            "for its owner alone"
        );
        let id = mock.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
        assert!(timeout(Duration::from_secs(30), mock.wait()).await.unwrap().unwrap().success());
        assert!(!key_file.exists());
    }
}

#[tokio::test]
async fn invalid_port_is_reported() {
    for arguments in
        [&["--port"][..], &["--port", "x"], &["--port", "70000"], &["--port", "1", "2"], &["8080"]]
    {
        let run = Command::new(program("mock_service")).args(arguments).kill_on_drop(true).output();
        let run = timeout(Duration::from_secs(30), run).await.unwrap().unwrap();
        assert!(!run.status.success() && run.stdout.is_empty(), "{arguments:?}");
    }
}
