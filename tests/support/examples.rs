//! Runs the examples as a user does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pushslots::mock::MockService;
use pushslots::uuid::Uuid;
use serde_json::Value;
use tokio::process::Command;

use super::raw::Act;
use super::{DESTINATION, keys};

/// A folder for one test, removed on drop.
pub struct Folder(PathBuf);

impl Folder {
    pub fn create() -> Self {
        let path = std::env::temp_dir().join(format!("pushslots-{}", Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Creates a file in a folder below this one.
    pub fn file_in(&self, folder: &str, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        std::fs::create_dir_all(self.0.join(folder)).unwrap();
        self.file(&format!("{folder}/{name}"), content)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The result of running an example.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).expect("stdout is exactly one JSON object")
    }
}

pub async fn push_file(message: Option<&Path>, variables: &BTreeMap<&str, String>) -> Run {
    run("push_file", message, variables).await
}

pub async fn publish_file(slots: Option<&Path>, variables: &BTreeMap<&str, String>) -> Run {
    run("publish_file", slots, variables).await
}

/// Returns the path of an example, which cargo builds next to the folder of the tests.
pub fn program(example: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples").join(example);
    assert!(program.exists(), "{example} isn't built; run `cargo build --examples`");
    program
}

/// Runs `push_file` as if `settings`, which are shell commands, were pasted into a terminal. Returns
/// what it prints.
pub async fn push_file_in_shell(settings: &str, file: &Path) -> Value {
    let program = program("push_file");
    let script = format!("{settings}exec '{}' '{}'", program.display(), file.display());
    let mut shell = Command::new("sh");
    shell.env_clear().args(["-c", &script]);
    let run = output(shell).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.json()
}

async fn run(example: &str, file: Option<&Path>, variables: &BTreeMap<&str, String>) -> Run {
    let mut command = Command::new(program(example));
    command.args(file).env_clear().envs(variables);
    output(command).await
}

async fn output(mut command: Command) -> Run {
    let output = tokio::time::timeout(Duration::from_secs(60), command.kill_on_drop(true).output());
    let output = output.await.expect("the example ends within 60 s").unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Returns settings for the service at `url` and the client id that selects a fixture.
pub fn settings(url: &str, client_id: &str, folder: &Folder) -> BTreeMap<&'static str, String> {
    let key = folder.file("key.pem", keys::p384().pem);
    BTreeMap::from([
        ("PUSHSLOTS_BASE_URL", url.to_owned()),
        ("PUSHSLOTS_CLIENT_ID", client_id.to_owned()),
        ("PUSHSLOTS_KEY_ID", "key-7".to_owned()),
        ("PUSHSLOTS_PRIVATE_KEY_FILE", key.display().to_string()),
        ("PUSHSLOTS_DESTINATION_IDS", format!("{DESTINATION}, {}", Uuid::max())),
    ])
}

/// Returns settings for a mock of the service.
pub fn mock_settings(service: &MockService) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("PUSHSLOTS_BASE_URL", service.url().to_owned()),
        ("PUSHSLOTS_CLIENT_ID", service.client_id().to_owned()),
        ("PUSHSLOTS_KEY_ID", service.key_id().to_owned()),
        ("PUSHSLOTS_PRIVATE_KEY", service.private_key_pem().to_owned()),
        ("PUSHSLOTS_DESTINATION_IDS", service.destination().to_string()),
    ])
}

/// Returns a token response that works for assertions and legacy keys.
pub fn token() -> Act {
    let json =
        r#"{"access_token":"canary-token","token_type":"Bearer","accessToken":"canary-token"}"#;
    Act::response("200 OK", "Content-Type: application/json\r\n", json)
}
