//! The log, the outcome as JSON and as exit code, and how to resume.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use pushslots::{Delivery, ErrorKind, PublishError, PublishHandle, PublishReport};
use serde::Serialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::input::Batch;

const CTRL_C: u8 = 130;
const SIGTERM: u8 = 143;

/// Writes the log that `RUST_LOG` asks for.
pub fn log_to_stderr() {
    let off = EnvFilter::builder().with_default_directive(LevelFilter::OFF.into());
    tracing_subscriber::fmt()
        .with_env_filter(off.from_env_lossy())
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

/// The signals that stop a publication: the first after the message in flight, the second at once.
#[derive(Clone, Default)]
pub struct Signals(Arc<AtomicU8>);

impl Signals {
    /// The exit code of the last signal; 0 if there was none.
    pub fn last(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    pub async fn stop(self, handle: PublishHandle, batch: Batch) {
        self.0.store(signal().await, Ordering::Relaxed);
        eprintln!("stopping after the message in flight; another signal stops at once");
        handle.stop();
        let code = signal().await;
        let report = handle.report();
        print(&Line { report: &report, error: Some("stopped while a message was in flight") });
        explain_how_to_resume(&report, &batch);
        std::process::exit(code.into());
    }
}

/// Waits for a signal, and returns its exit code.
#[cfg(unix)]
async fn signal() -> u8 {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return ctrl_c().await };
    tokio::select! {
        code = ctrl_c() => code,
        _ = terminate.recv() => SIGTERM,
    }
}

#[cfg(not(unix))]
async fn signal() -> u8 {
    ctrl_c().await
}

async fn ctrl_c() -> u8 {
    match tokio::signal::ctrl_c().await {
        Ok(()) => CTRL_C,
        Err(_) => std::future::pending().await,
    }
}

pub fn explain_how_to_resume(report: &PublishReport, batch: &Batch) {
    let Some(point) = report.resume_point() else { return };
    if batch.start.is_none() {
        eprintln!("to resume, run the same command again");
        return;
    }
    let id = report.batch_id().replace('\'', r"'\''");
    eprintln!("to resume: PUBLISH_BATCH_ID='{id}' PUBLISH_RESUME_FROM={point}");
}

pub fn exit_code(result: &Result<PublishReport, PublishError>, signal: u8) -> ExitCode {
    let error = match result {
        Ok(report) => return ExitCode::from(if report.run().skipped_slots > 0 { 3 } else { 0 }),
        Err(error) => error,
    };
    let input = [
        ErrorKind::Configuration,
        ErrorKind::InvalidMessage,
        ErrorKind::Input,
        ErrorKind::Checkpoint,
    ];
    ExitCode::from(match error.kind() {
        ErrorKind::Stopped => signal,
        kind if input.contains(&kind) && error.report().run().requests == 0 => 2,
        ErrorKind::Credentials => 4,
        _ if error.delivery() == Delivery::Unknown => 6,
        _ if error.is_retryable() => 5,
        _ => 1,
    })
}

pub fn bad_input(wrong: &str) -> ExitCode {
    eprintln!("{wrong}");
    print(&Line { report: &PublishReport::default(), error: Some(wrong) });
    ExitCode::from(2)
}

#[derive(Serialize)]
pub struct Line<'a> {
    pub error: Option<&'a str>,
    #[serde(flatten)]
    pub report: &'a PublishReport,
}

pub fn print(line: &impl Serialize) {
    let line = serde_json::to_string(line).expect("text and numbers have a JSON form");
    // The exit code reports the outcome even if stdout is closed.
    let _ = writeln!(std::io::stdout(), "{line}");
}
