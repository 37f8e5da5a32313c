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

use futures_util::TryStreamExt;
use pushslots::chrono::{TimeDelta, TimeZone, Utc};
use pushslots::{Client, PreparedMessage, Slot};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["prepare", folder] => prepare(Path::new(folder)).await,
        ["send", folder] => send(Path::new(folder)).await,
        _ => Err("usage: prepare_and_send_later prepare|send FOLDER".into()),
    }
}

/// Stores the messages of a day, and sends nothing.
async fn prepare(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let nine = Utc.with_ymd_and_hms(2026, 12, 1, 9, 0, 0).unwrap();
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
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let receipt = client.send(&message).await?;
        println!("slots {:?} accepted as {}", receipt.slots(), receipt.message_id());
        fs::remove_file(path)?;
    }
    Ok(())
}
