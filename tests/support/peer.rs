//! The third-party authorization server in `tests/peers/`.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::or_skip;

/// A running `oidc-provider`, stopped on drop.
pub struct AuthorizationServer {
    pub token_url: String,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl AuthorizationServer {
    /// Starts the server with these clients. If it isn't installed, returns `None` and prints that
    /// the test is skipped, or panics if `CI=true`.
    pub async fn start(clients: &Value) -> Option<Self> {
        let mut child = or_skip(spawn(clients))?;
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut server = Self { token_url: String::new(), lines, _child: child };
        server.token_url = server.next().await["token_url"].as_str().unwrap().to_owned();
        Some(server)
    }

    /// Returns the next line that the server prints. It reports whether a token request was
    /// granted, and otherwise the reason.
    pub async fn next(&mut self) -> Value {
        let line = timeout(Duration::from_secs(30), self.lines.next_line());
        let line = line
            .await
            .expect("the server prints a line within 30 s")
            .unwrap()
            .expect("the server is running");
        serde_json::from_str(&line).unwrap()
    }
}

fn spawn(clients: &Value) -> Result<Child, String> {
    let folder = super::repository("tests/peers");
    if !folder.join("node_modules/oidc-provider").exists() {
        return Err("run `npm ci` in tests/peers first".to_owned());
    }
    let version = std::process::Command::new("node").arg("--version").output();
    let version = version.map_err(|error| format!("node does not start: {error}"))?.stdout;
    let major = String::from_utf8_lossy(&version)
        .trim_start_matches('v')
        .split('.')
        .next()
        .unwrap()
        .parse();
    if !major.is_ok_and(|major: u32| major >= 20) {
        return Err("node must be 20 or later".to_owned());
    }
    Command::new("node")
        .arg("authorization_server.js")
        .arg(clients.to_string())
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("node does not start: {error}"))
}
