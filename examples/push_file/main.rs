//! Sends the message in a file, with settings from the environment.
//!
//! `cargo run --example push_file -- message.json`
//!
//! It prints the outcome on stdout as one JSON object with the members `message_id`, `delivery`,
//! `logs`, `attempts`, `error` and `retry_after_s`. stderr shows each problem in the settings or
//! the message, and the service's reason for a rejection, which may repeat parts of the message.
//! With `RUST_LOG`, the log goes to stderr as well.
//!
//! | exit code | meaning |
//! | --- | --- |
//! | 0 | the service accepted the message |
//! | 1 | the service didn't accept the message, or its response was lost |
//! | 2 | the settings or the message are invalid; nothing was sent |

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use pushslots::{Client, ErrorKind, PushSlots};
use serde::Serialize;
use serde_json::json;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

#[tokio::main]
async fn main() -> ExitCode {
    log_to_stderr();
    let client = Client::from_env();
    let message = read_message();
    let (Ok(client), Ok(message)) = (&client, &message) else {
        // One run reports the problems in the settings and those in the message.
        let mut problems = Vec::new();
        if let Err(error) = &client {
            problems.push(error.to_string());
        }
        match &message {
            Ok(message) => {
                if let Err(error) = message.validate() {
                    problems.push(error.to_string());
                }
            }
            Err(error) => problems.push(error.clone()),
        }
        return invalid_input(&problems.join("\n"));
    };

    match client.send(message).await {
        Ok(receipt) => {
            print(&receipt);
            ExitCode::SUCCESS
        }
        Err(error) if error.kind() == ErrorKind::InvalidMessage => {
            invalid_input(&error.to_string())
        }
        Err(error) => {
            eprintln!("{error}");
            if let Some(reason) = error.service_text() {
                eprintln!("the service's reason: {reason}");
            }
            print(&error);
            ExitCode::FAILURE
        }
    }
}

/// Logs the events that `RUST_LOG` selects. Without it, nothing is logged.
fn log_to_stderr() {
    let filter =
        EnvFilter::builder().with_default_directive(LevelFilter::OFF.into()).from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

/// Reads the message from the file that the command line names.
fn read_message() -> Result<PushSlots, String> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(path), None) = (arguments.next(), arguments.next()) else {
        return Err("usage: push_file MESSAGE.json".to_owned());
    };
    let path = PathBuf::from(path);
    let json = std::fs::read(&path)
        .map_err(|error| format!("failed to read {}: {error}", path.display()))?;
    PushSlots::from_json(json).map_err(|error| format!("{}: {error}", path.display()))
}

/// Reports that nothing was sent, because the settings or the message are invalid.
fn invalid_input(error: &str) -> ExitCode {
    eprintln!("{error}");
    print(&json!({ "delivery": "not_sent", "logs": [], "attempts": [], "error": error }));
    ExitCode::from(2)
}

/// Prints the same members for a receipt and for an error. A missing one is `null`.
fn print(outcome: &impl Serialize) {
    let outcome = match serde_json::to_value(outcome) {
        Ok(outcome) => outcome,
        Err(error) => {
            eprintln!("failed to write the outcome as JSON: {error}");
            return;
        }
    };
    let line = json!({
        "message_id": outcome["message_id"],
        "delivery": outcome["delivery"],
        "logs": outcome["logs"],
        "attempts": outcome["attempts"],
        "error": outcome["error"],
        "retry_after_s": outcome["retry_after_s"],
    });
    // Unlike `println!`, this doesn't panic if stdout is closed. The exit code shows the outcome.
    let _ = writeln!(std::io::stdout(), "{line}");
}
