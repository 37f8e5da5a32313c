//! What is told: the log, the outcome as JSON, and where to go on.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use pushslots::{PublishHandle, PublishReport};
use serde::Serialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Writes the log that `RUST_LOG` asks for.
pub fn log_to_stderr() {
    let off = EnvFilter::builder().with_default_directive(LevelFilter::OFF.into());
    tracing_subscriber::fmt()
        .with_env_filter(off.from_env_lossy())
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

/// Stops behind the message that is on its way at the first ctrl-c, and at once at the second.
pub async fn stop_at_ctrl_c(handle: PublishHandle) {
    if tokio::signal::ctrl_c().await.is_ok() {
        eprintln!("stopping behind the message that is on its way; ctrl-c again ends it at once");
        handle.stop();
    }
    if tokio::signal::ctrl_c().await.is_ok() {
        print(&Line { report: &handle.report(), error: Some("ended before its message did") });
        tell_where_to_go_on(&handle.report());
        std::process::exit(1);
    }
}

/// Also where nothing is accepted: what is on its way may be, and another batch would send it under another id.
pub fn tell_where_to_go_on(report: &PublishReport) {
    if let Some(point) = report.resume_point() {
        let batch = report.batch_id();
        eprintln!("to go on: PUSHSLOTS_BATCH_ID={batch} PUSHSLOTS_RESUME_FROM={point}");
    }
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
    // The exit code still tells the outcome when nobody reads stdout any more.
    let _ = writeln!(std::io::stdout(), "{line}");
}
