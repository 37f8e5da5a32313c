//! Prepares messages today that another process sends tomorrow.
//!
//! ```text
//! cargo run --example mock_service -- --port 8080   # prints settings to paste
//! cargo run --example prepare_and_send_later -- prepare outgoing
//! cargo run --example prepare_and_send_later -- send outgoing
//! ```
//!
//! Every run of the second command stores the same bytes, message ids and batch numbers. The third
//! command sends them. If it fails, run it again: it resumes with the message that failed.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use pushslots::chrono::{DateTime, TimeDelta, Utc};
use pushslots::{Client, PreparedMessage, Slot};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [command, folder] = arguments.as_slice() else {
        bail!("usage: prepare_and_send_later prepare|send FOLDER");
    };
    match command.as_str() {
        "prepare" => prepare(Path::new(folder)).await,
        "send" => send(Path::new(folder)).await,
        _ => bail!("unknown command `{command}`: use prepare or send"),
    }
}

/// Stores the messages for the slots of one day, and sends nothing.
async fn prepare(folder: &Path) -> anyhow::Result<()> {
    let client = Client::from_env()?;
    let nine: DateTime<Utc> = "2026-12-01T09:00:00Z".parse()?;
    let mut day = Vec::new();
    for quarter in 0..32 {
        day.push(Slot::new(nine + TimeDelta::minutes(15 * quarter), 15));
    }
    // The message ids are derived from the batch id, so each day has its own.
    let publication = client.publish(&day).batch_id("slots-2026-12-01").slots_per_message(10);
    let mut messages = publication.prepare();

    fs::create_dir_all(folder)
        .with_context(|| format!("failed to create the folder {}", folder.display()))?;
    while let Some(message) = messages.next().await {
        let message = message?;
        let batch = message.batch().context("the message has no batch number")?;
        // The names sort in the order of the messages.
        let path = folder.join(format!("{:04}.prepared", batch.number));
        fs::write(&path, message.to_bytes())
            .with_context(|| format!("failed to write {}", path.display()))?;
        let id = message.message_id();
        println!("{}: slots {:?}, message id {id}", path.display(), message.slots());
    }
    Ok(())
}

/// Sends the stored messages in their order, and removes each file once its message is accepted.
async fn send(folder: &Path) -> anyhow::Result<()> {
    let client = Client::from_env()?;
    let entries = fs::read_dir(folder)
        .with_context(|| format!("failed to list the files in {}", folder.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry?.path());
    }
    paths.sort();

    for path in paths {
        let bytes =
            fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        let message = PreparedMessage::from_bytes(&bytes)
            .with_context(|| format!("failed to read the message in {}", path.display()))?;
        let receipt = client
            .send(&message)
            .await
            .with_context(|| format!("failed to send the message in {}", path.display()))?;
        println!("slots {:?} accepted as {}", receipt.slots(), receipt.message_id());
        fs::remove_file(&path).with_context(|| format!("failed to remove {}", path.display()))?;
    }
    Ok(())
}
