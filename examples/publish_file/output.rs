//! The output: the log, the outcome as JSON and as exit code, and how to resume.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use pushslots::{Delivery, ErrorKind, PublishError, PublishReport};
use serde::Serialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::input::Batch;

/// Logs the events that `RUST_LOG` selects. Without it, nothing is logged.
pub fn log_to_stderr() {
    let filter =
        EnvFilter::builder().with_default_directive(LevelFilter::OFF.into()).from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

/// A report with the member `error`. A [`PublishError`] serializes both by itself.
#[derive(Serialize)]
pub struct Outcome<'a> {
    pub error: Option<&'a str>,
    #[serde(flatten)]
    pub report: &'a PublishReport,
}

/// Prints an outcome as one line of JSON.
pub fn print(outcome: &impl Serialize) {
    match serde_json::to_string(outcome) {
        Ok(line) => {
            // Unlike `println!`, this doesn't panic if stdout is closed. The exit code shows the
            // outcome.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
        Err(error) => eprintln!("failed to write the outcome as JSON: {error}"),
    }
}

/// Prints the command or the settings that resume the batch, unless it is complete.
pub fn explain_how_to_resume(report: &PublishReport, batch: &Batch) {
    let Some(point) = report.resume_point() else { return };
    if batch.start.is_none() {
        eprintln!("to resume, run the same command again");
        return;
    }
    // The id is quoted for a shell.
    let id = report.batch_id().replace('\'', r"'\''");
    eprintln!("to resume: PUBLISH_BATCH_ID='{id}' PUBLISH_RESUME_FROM={point}");
}

/// Reports that nothing was sent, because the settings or the file are invalid.
pub fn invalid_input(error: &str) -> ExitCode {
    eprintln!("{error}");
    print(&Outcome { report: &PublishReport::default(), error: Some(error) });
    ExitCode::from(2)
}

/// Returns the exit code that the documentation of the program lists for this result.
pub fn exit_code(result: &Result<PublishReport, PublishError>, signal: u8) -> ExitCode {
    let code = match result {
        Ok(report) if report.run().skipped_slots > 0 => 3,
        Ok(_) => 0,
        Err(error) => error_code(error, signal),
    };
    ExitCode::from(code)
}

fn error_code(error: &PublishError, signal: u8) -> u8 {
    let has_sent = error.report().run().requests > 0;
    match error.kind() {
        ErrorKind::Stopped => signal,
        ErrorKind::Configuration
        | ErrorKind::InvalidMessage
        | ErrorKind::Input
        | ErrorKind::Checkpoint
            if !has_sent =>
        {
            2
        }
        ErrorKind::Credentials => 4,
        _ if error.delivery() == Delivery::Unknown => 6,
        _ if error.is_retryable() => 5,
        _ => 1,
    }
}
