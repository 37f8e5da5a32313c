//! Sends a message from a file, with the settings from the environment: `push_file MESSAGE.json`.
//!
//! Prints the outcome as one JSON object on stdout: `message_id`, `delivery`, `logs`, `attempts`,
//! `error` and `retry_after_s`. Exits with 0 if the message is accepted, with 1 if it isn't, and
//! with 2 if the settings or the message are wrong: then nothing is sent, and stderr names every
//! problem. If the service gives a reason for a rejection, stderr shows it; it may repeat parts of
//! the message. `RUST_LOG` turns on the log, on stderr.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use pushslots::{Client, ErrorKind, PushSlots};
use serde::Serialize;
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let off = EnvFilter::builder().with_default_directive(LevelFilter::OFF.into());
    tracing_subscriber::fmt()
        .with_env_filter(off.from_env_lossy())
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();

    let (client, message) = match (Client::from_env(), read_message()) {
        (Ok(client), Ok(message)) => (client, message),
        (client, message) => {
            // What is wrong with the message is told beside what is wrong with the settings.
            let wrong = message.and_then(|message| message.validate().map_err(|e| e.to_string()));
            let wrong = [client.err().map(|error| error.to_string()), wrong.err()];
            return bad_input(&wrong.into_iter().flatten().collect::<Vec<_>>().join("\n"));
        }
    };
    match client.send(&message).await {
        Ok(receipt) => {
            print(&receipt);
            ExitCode::SUCCESS
        }
        Err(error) if error.kind() == ErrorKind::InvalidMessage => bad_input(&error.to_string()),
        Err(error) => {
            eprintln!("{error}");
            if let Some(text) = error.service_text() {
                eprintln!("the service's reason: {text}");
            }
            print(&error);
            ExitCode::FAILURE
        }
    }
}

fn read_message() -> Result<PushSlots, String> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(path), None) = (arguments.next().map(PathBuf::from), arguments.next()) else {
        return Err("usage: push_file MESSAGE.json".to_owned());
    };
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let json = std::fs::read(&path).map_err(|error| told(&error))?;
    PushSlots::from_json(json).map_err(|error| told(&error))
}

fn bad_input(wrong: &str) -> ExitCode {
    eprintln!("{wrong}");
    print(&json!({ "delivery": "not_sent", "logs": [], "attempts": [], "error": wrong }));
    ExitCode::from(2)
}

/// Prints those keys of a receipt or an error that both have a place for; what the service said of
/// a rejection is not one of them.
fn print(outcome: &impl Serialize) {
    let outcome = serde_json::to_value(outcome).expect("text and numbers have a JSON form");
    let keys = ["message_id", "delivery", "logs", "attempts", "error", "retry_after_s"];
    let line: Value = keys.map(|key| (key, outcome[key].clone())).into_iter().collect();
    // The exit code reports the outcome even if stdout is closed.
    let _ = writeln!(std::io::stdout(), "{line}");
}
