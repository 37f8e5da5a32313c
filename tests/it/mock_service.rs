//! The example `mock_service`: `push_file` works with the printed settings.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use support::examples::{program, push_file_in_shell};
use support::{any_http, repository};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

#[tokio::test]
async fn push_file_works_with_the_printed_settings() {
    let mut mock = Command::new(program("mock_service"))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(mock.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = timeout(Duration::from_secs(30), lines.next_line());
        line.await.unwrap().unwrap().expect("it prints more")
    };
    let first = next().await;
    let page = first.strip_prefix("The page of the mock: ").unwrap();
    let mut settings = String::new();
    loop {
        match next().await {
            line if line.starts_with("cargo run --example push_file") => break,
            line if line.starts_with("In another terminal") => settings.clear(),
            line => settings += &(line + "\n"),
        }
    }

    let file = repository("tests/data/official-push-slots.json");
    let sent = push_file_in_shell(&settings, &file).await;
    let state = any_http().get(format!("{page}page/state")).send().await.unwrap();
    let state: Value = serde_json::from_slice(&state.bytes().await.unwrap()).unwrap();
    assert_eq!(state["messages"][0]["message_id"], sent["message_id"]);
    assert_eq!(state["messages"][0]["state"], "accepted");
    let id = mock.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
    timeout(Duration::from_secs(30), mock.wait()).await.unwrap().unwrap();
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
