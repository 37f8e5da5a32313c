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

mod bar;
mod input;
mod output;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bar::Bar;
use futures_util::stream;
use input::{Batch, Survey};
use output::{Line, bad_input, log_to_stderr, print, stop_at_ctrl_c, tell_where_to_go_on};
use pushslots::{Client, ErrorKind, PublishError, PublishReport, SlotReader};

#[tokio::main]
async fn main() -> ExitCode {
    log_to_stderr();
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
            ExitCode::from(if is_stopped { 1 } else { 2 * u8::from(report.run().skipped_slots > 0) })
        }
        Err(error) => {
            eprintln!("{error}");
            print(&error);
            tell_where_to_go_on(error.report());
            let input = [ErrorKind::Configuration, ErrorKind::InvalidMessage, ErrorKind::Input];
            ExitCode::from(if input.contains(&error.error().kind()) { 2 } else { 1 })
        }
    }
}

async fn publish(client: &Client, batch: Batch, file: &Survey) -> Result<PublishReport, PublishError> {
    let bar = Bar::new(file.values, batch.start.slots_before().unwrap_or(0));
    let (mut reader, line) = (SlotReader::new(&file.file), Arc::new(AtomicUsize::new(0)));
    let (seen, path) = (line.clone(), file.path.display());
    let slots = stream::iter(std::iter::from_fn(move || {
        let slot = reader.next();
        line.store(reader.line(), Ordering::Relaxed);
        slot
    }));
    let mut publication = client.publish_stream(slots).meta(file.meta.clone()).resume_from(batch.start);
    if let Some(id) = batch.id {
        publication = publication.batch_id(id);
    }
    tokio::spawn(stop_at_ctrl_c(publication.handle()));
    let result = publication
        .patience(Duration::ZERO)
        .on_progress(|progress| bar.show(progress))
        .skip_invalid(|_, problems| {
            for problem in problems {
                let line = seen.load(Ordering::Relaxed);
                bar.bar.suspend(|| eprintln!("{path} line {line}: {problem}"));
            }
        })
        .await;
    bar.bar.finish_and_clear();
    result
}
