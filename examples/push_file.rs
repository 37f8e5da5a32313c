//! Sends a message from a file, with the settings from the environment: `push_file MESSAGE.json`.
//!
//! Prints one JSON object on stdout. Exits with 0 when the message is accepted, with 1 when it is not, and with 2
//! when the settings or the message are wrong: then nothing goes out, and stderr names every problem. `RUST_LOG`
//! turns on the log, on stderr.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use pushslots::uuid::Uuid;
use pushslots::{Attempt, Client, Delivery, ErrorKind, Log, PushSlots};
use serde::Serialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::builder().with_default_directive(LevelFilter::OFF.into()).from_env_lossy(),
        )
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
            let id = Some(receipt.message_id());
            print(id, Delivery::Accepted, receipt.logs(), receipt.attempts(), None, None);
            ExitCode::SUCCESS
        }
        Err(error) if error.kind() == ErrorKind::InvalidMessage => bad_input(&error.to_string()),
        Err(error) => {
            let text = error.to_string();
            eprintln!("{text}");
            let wait = error.retry_after().map(|wait| wait.as_secs_f64().ceil() as u64);
            print(error.message_id(), error.delivery(), error.logs(), error.attempts(), Some(&text), wait);
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
    print(None, Delivery::NotSent, &[], &[], Some(wrong), None);
    ExitCode::from(2)
}

fn print(
    message_id: Option<Uuid>,
    delivery: Delivery,
    logs: &[Log],
    attempts: &[Attempt],
    error: Option<&str>,
    retry_after_s: Option<u64>,
) {
    let logs =
        logs.iter().map(|log| LogLine { id: log.id.as_deref(), attempt_id: log.attempt_id.as_deref() });
    let attempts = attempts.iter().map(|attempt| AttemptLine {
        number: attempt.number,
        status: attempt.status,
        delivery: attempt.delivery,
        error: attempt.error.as_deref(),
        elapsed_ms: attempt.elapsed.as_millis(),
        delay_ms: attempt.delay.map(|delay| delay.as_millis()),
    });
    let line = Line {
        message_id,
        delivery,
        logs: logs.collect(),
        attempts: attempts.collect(),
        error,
        retry_after_s,
    };
    let line = serde_json::to_string(&line).expect("text and numbers have a JSON form");
    // The exit code still tells the outcome when nobody reads stdout any more.
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[derive(Serialize)]
struct Line<'a> {
    message_id: Option<Uuid>,
    delivery: Delivery,
    logs: Vec<LogLine<'a>>,
    attempts: Vec<AttemptLine<'a>>,
    error: Option<&'a str>,
    retry_after_s: Option<u64>,
}

#[derive(Serialize)]
struct LogLine<'a> {
    id: Option<&'a str>,
    attempt_id: Option<&'a str>,
}

#[derive(Serialize)]
struct AttemptLine<'a> {
    number: u32,
    status: Option<u16>,
    delivery: Delivery,
    error: Option<&'a str>,
    elapsed_ms: u128,
    delay_ms: Option<u128>,
}
