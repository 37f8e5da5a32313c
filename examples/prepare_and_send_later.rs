//! Prepares today what another process sends tomorrow: the same bytes, message ids and batch
//! numbers, however often it is run.
//!
//! ```text
//! cargo run --example mock_service -- --port 8080        # prints settings to paste
//! cargo run --example prepare_and_send_later -- prepare outgoing
//! cargo run --example prepare_and_send_later -- send outgoing
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use futures_util::TryStreamExt;
use pushslots::chrono::{DateTime, TimeDelta, Utc};
use pushslots::{Client, PreparedMessage, Slot};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["prepare", folder] => prepare(Path::new(folder)).await,
        ["send", folder] => send(Path::new(folder)).await,
        _ => bail!("usage: prepare_and_send_later prepare|send FOLDER"),
    }
}

/// Stores the messages of a day, and sends nothing.
async fn prepare(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let nine: DateTime<Utc> = "2026-12-01T09:00:00Z".parse()?;
    let day: Vec<_> =
        (0..32).map(|quarter| Slot::new(nine + TimeDelta::minutes(15 * quarter), 15)).collect();
    let client = Client::from_env()?;
    let mut messages =
        client.publish(&day).batch_id("slots-2026-12-01").slots_per_message(10).prepare();
    while let Some(message) = messages.try_next().await? {
        let number = message.batch().map_or(1, |batch| batch.number);
        let path = folder.join(format!("{number:04}.prepared"));
        fs::write(&path, message.to_bytes())?;
        println!(
            "{}: slots {:?}, message id {}",
            path.display(),
            message.slots(),
            message.message_id()
        );
    }
    Ok(())
}

/// Sends the stored messages in their order. A file is removed once its message is accepted, so
/// that a second run resumes.
async fn send(folder: &Path) -> Result<()> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    let client = Client::from_env()?;
    for path in paths {
        let message = PreparedMessage::from_bytes(&fs::read(&path)?)
            .with_context(|| path.display().to_string())?;
        let receipt = client.send(&message).await?;
        println!("slots {:?} accepted as {}", receipt.slots(), receipt.message_id());
        fs::remove_file(path)?;
    }
    Ok(())
}
