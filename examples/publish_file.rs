//! Publishes the slots of a file as a batch, with the settings from the environment: `publish_file SLOTS.ndjson`.
//!
//! The file has a slot a line, or a JSON list of slots, or a whole message, whose `Meta` then goes with all messages, but for its
//! batch numbers. It is read twice, each time as a stream, so that one that is cut off is told before anything goes out. Beside
//! the settings of `push_file` there are `PUSHSLOTS_BATCH_ID`, and `PUSHSLOTS_RESUME_FROM` with what an earlier run on the same file
//! printed as `resume_from`.
//!
//! Prints one JSON object on stdout, and progress on stderr where that is a terminal. Exits with 0 when all slots are accepted, with
//! 1 when a message is not, or when ctrl-c stopped it, and with 2 when the settings or the file are wrong. Single slots that are wrong
//! are set aside and told on stderr: the others are published, and the exit code is 2. Once corrected, they go in a file of their own.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use pushslots::{Client, ErrorKind, Meta, PublishError, PublishReport, ResumePoint, SlotReader};
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
    let (client, batch, file) = match (Client::from_env(), Batch::from_env(), Survey::of_argument()) {
        (Ok(client), Ok(batch), Ok(file)) => (client, batch, file),
        (client, batch, file) => {
            let wrong = [client.err().map(|error| error.to_string()), batch.err(), file.err()];
            return bad_input(&wrong.into_iter().flatten().collect::<Vec<_>>().join("\n"));
        }
    };
    match publish(&client, batch, &file).await {
        Ok(report) => {
            print(&Line { report: &report, error: None });
            tell_where_to_go_on(&report);
            let is_stopped = report.resume_point().is_some();
            ExitCode::from(if is_stopped { 1 } else { 2 * u8::from(report.skipped() > 0) })
        }
        Err(error) => {
            eprintln!("{error}");
            print(&error);
            tell_where_to_go_on(error.report());
            let kind = error.error().kind();
            let is_input =
                [ErrorKind::Configuration, ErrorKind::InvalidMessage, ErrorKind::Input].contains(&kind);
            ExitCode::from(if is_input { 2 } else { 1 })
        }
    }
}

async fn publish(client: &Client, batch: Batch, file: &Survey) -> Result<PublishReport, PublishError> {
    let bar = ProgressBar::new(file.values);
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} slots, {rate}/s, {eta} left{msg}");
    let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let _ = write!(out, "{:.0}", state.per_sec());
    };
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("rate", rate));
    let before = batch.start.slots_before().unwrap_or(0);
    bar.set_position(before as u64);
    bar.reset_eta();

    let (mut reader, line) = (SlotReader::new(&file.file), Arc::new(AtomicUsize::new(0)));
    let (seen, path) = (line.clone(), &file.path);
    let slots = stream::iter(std::iter::from_fn(move || {
        let slot = reader.next();
        line.store(reader.line(), Ordering::Relaxed);
        slot
    }));
    let mut publication = client.publish_stream(slots).meta(file.meta.clone()).resume_from(batch.start);
    if let Some(id) = batch.id {
        publication = publication.batch_id(id);
    }
    let handle = publication.handle();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            eprintln!("stopping behind the message that is on its way; ctrl-c again ends it at once");
            handle.stop();
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            print(&Line { report: &handle.report(), error: Some("ended before its message did") });
            tell_where_to_go_on(&handle.report());
            std::process::exit(1);
        }
    });
    let result = publication
        .on_progress(|progress| {
            bar.set_position((before + progress.slots + progress.skipped) as u64);
            let waiting = Some(progress.waiting).filter(|waiting| !waiting.is_zero());
            bar.set_message(waiting.map_or(String::new(), |time| format!("; the pace waits {time:.0?}")));
        })
        .skip_invalid(|_, problems| {
            for problem in problems {
                bar.suspend(|| {
                    eprintln!("{} line {}: {problem}", path.display(), seen.load(Ordering::Relaxed))
                });
            }
        })
        .await;
    bar.finish_and_clear();
    result
}

/// Which batch is published, and from where on.
struct Batch {
    id: Option<String>,
    start: ResumePoint,
}

impl Batch {
    fn from_env() -> Result<Self, String> {
        let variable = |name| std::env::var(name).ok().filter(|text| !text.trim().is_empty());
        let (id, start) = (variable("PUSHSLOTS_BATCH_ID"), variable("PUSHSLOTS_RESUME_FROM"));
        match (start.map(|text| text.trim().parse()).transpose(), id) {
            (Err(wrong), _) => Err(format!("PUSHSLOTS_RESUME_FROM: {wrong}")),
            (Ok(Some(_)), None) => Err("PUSHSLOTS_BATCH_ID: missing beside PUSHSLOTS_RESUME_FROM".to_owned()),
            (Ok(start), id) => Ok(Self { id, start: start.unwrap_or(1.into()) }),
        }
    }
}

/// A file that can be read to its end.
struct Survey {
    path: PathBuf,
    file: File,
    /// How many slots it has, right or wrong.
    values: u64,
    meta: Meta,
}

impl Survey {
    fn of_argument() -> Result<Self, String> {
        let mut arguments = std::env::args_os().skip(1);
        let (Some(path), None) = (arguments.next().map(PathBuf::from), arguments.next()) else {
            return Err("usage: publish_file SLOTS.ndjson".to_owned());
        };
        Self::of(&path).map_err(|wrong| format!("{}: {wrong}", path.display()))
    }

    fn of(path: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        if !std::fs::metadata(path)?.is_file() {
            return Err("not a regular file, and it is read twice".into());
        }
        let mut reader = SlotReader::new(File::open(path)?);
        let (mut values, mut broken) = (0, None);
        for slot in &mut reader {
            values += 1;
            broken = slot.err();
        }
        // Who writes a file and breaks off leaves it so.
        if let Some(error) = broken {
            return Err(format!("the file may be cut off: {error}").into());
        }
        let mut meta = reader.meta().cloned().unwrap_or_default();
        (meta.batch_id, meta.current_batch, meta.total_batches) = (None, None, None);
        Ok(Self { path: path.to_owned(), file: File::open(path)?, values, meta })
    }
}

fn tell_where_to_go_on(report: &PublishReport) {
    if let (Some(point), 1..) = (report.resume_point(), report.receipts().len()) {
        let batch = report.batch_id();
        eprintln!("to go on: PUSHSLOTS_BATCH_ID={batch} PUSHSLOTS_RESUME_FROM={point}");
    }
}

fn bad_input(wrong: &str) -> ExitCode {
    eprintln!("{wrong}");
    print(&Line { report: &PublishReport::default(), error: Some(wrong) });
    ExitCode::from(2)
}

#[derive(Serialize)]
struct Line<'a> {
    error: Option<&'a str>,
    #[serde(flatten)]
    report: &'a PublishReport,
}

fn print(line: &impl Serialize) {
    let line = serde_json::to_string(line).expect("text and numbers have a JSON form");
    // The exit code still tells the outcome when nobody reads stdout any more.
    let _ = writeln!(std::io::stdout(), "{line}");
}
