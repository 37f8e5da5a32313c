//! Sends a message from a file, with the settings from the environment: `push_file MESSAGE.json`.
//!
//! Prints one JSON object on stdout. Exits with 0 when the message is accepted, with 1 when it is not, and with 2
//! when the settings or the message are wrong: then nothing goes out, and stderr names every problem. `RUST_LOG`
//! turns on the log, on stderr.

use std::path::PathBuf;
use std::process::ExitCode;

use pushslots::uuid::Uuid;
use pushslots::{Attempt, Client, Delivery, ErrorKind, Log, PushSlots};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
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
            let (id, logs) = (Some(receipt.message_id()), logs(receipt.logs()));
            print(id, Delivery::Accepted, logs, receipt.attempts(), None, None);
            ExitCode::SUCCESS
        }
        Err(error) if error.kind() == ErrorKind::InvalidMessage => bad_input(&error.to_string()),
        Err(error) => {
            eprintln!("{error}");
            let text = Some(error.to_string());
            let wait = error.retry_after().map(|wait| wait.as_secs());
            let logs = logs(error.logs());
            print(error.message_id(), error.delivery(), logs, error.attempts(), text, wait);
            ExitCode::FAILURE
        }
    }
}

fn read_message() -> Result<PushSlots, String> {
    let path = std::env::args_os().nth(1).map(PathBuf::from);
    let path = path.ok_or("usage: push_file MESSAGE.json")?;
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let json = std::fs::read(&path).map_err(|error| told(&error))?;
    PushSlots::from_json(json).map_err(|error| told(&error))
}

fn bad_input(wrong: &str) -> ExitCode {
    eprintln!("{wrong}");
    print(None, Delivery::NotSent, Vec::new(), &[], Some(wrong.to_owned()), None);
    ExitCode::from(2)
}

fn logs(logs: &[Log]) -> Vec<Value> {
    logs.iter().map(|log| json!({"id": log.id, "attempt_id": log.attempt_id})).collect()
}

fn print(
    message_id: Option<Uuid>,
    delivery: Delivery,
    logs: Vec<Value>,
    attempts: &[Attempt],
    error: Option<String>,
    retry_after_s: Option<u64>,
) {
    let attempts = attempts.iter().map(|attempt| {
        json!({
            "number": attempt.number,
            "status": attempt.status,
            "delivery": attempt.delivery,
            "error": attempt.error,
            "elapsed_ms": attempt.elapsed.as_millis() as u64,
            "delay_ms": attempt.delay.map(|delay| delay.as_millis() as u64),
        })
    });
    let attempts: Vec<_> = attempts.collect();
    println!(
        "{}",
        json!({
            "message_id": message_id,
            "delivery": delivery,
            "logs": logs,
            "attempts": attempts,
            "error": error,
            "retry_after_s": retry_after_s,
        })
    );
}
