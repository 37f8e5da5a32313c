//! The example `durable_publish`, killed and started again.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use pushslots::Receipt;
use pushslots::mock::MockService;
use support::examples::{Folder, mock_settings, program};
use tokio::process::Command;
use tokio::time::timeout;

#[tokio::test]
async fn second_run_resumes_after_a_kill() {
    let service = MockService::start().unwrap();
    let folder = Folder::create();
    let start = || {
        let mut command = Command::new(program("durable_publish"));
        command.env_clear().envs(mock_settings(&service)).current_dir(folder.path());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
    };

    let mut first = start();
    timeout(Duration::from_secs(60), service.wait_for(5)).await.unwrap();
    first.kill().await.unwrap();
    let second = timeout(Duration::from_secs(60), start().wait_with_output()).await;
    let second = second.expect("the second run timed out").unwrap();
    let output = String::from_utf8(second.stdout).unwrap();
    assert!(second.status.success(), "{}", String::from_utf8_lossy(&second.stderr));
    assert!(output.starts_with("complete: 96 slots, "), "{output}");
    assert!(!output.contains(", 96 of them in this run"), "{output}");

    let starts: BTreeSet<_> = service.slots().iter().filter_map(|slot| slot.date_time).collect();
    assert_eq!(starts.len(), 96);
    // Only the message that was in flight can have arrived twice.
    let messages = service.received();
    let ids: BTreeSet<_> = messages.iter().filter_map(|message| message.message_id()).collect();
    assert!(ids.len() == 24 && messages.len() <= 25, "{}", messages.len());
    let receipts = std::fs::read_to_string(folder.path().join("receipts.ndjson")).unwrap();
    let stored: BTreeSet<_> = receipts
        .lines()
        .map(|line| serde_json::from_str::<Receipt>(line).unwrap().message_id())
        .collect();
    assert_eq!(stored, ids);
    assert!(!folder.path().join("durable_publish.checkpoint").exists());
}
