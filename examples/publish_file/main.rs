//! Publishes the slots of a file of any size as one batch, with settings from the environment.
//!
//! `cargo run --release --example publish_file -- slots.ndjson`
//!
//! The file contains one slot per line, a JSON list of slots, or a whole message. The `Meta` of a
//! message goes with every message of the batch, except for its batch numbers. The file is read
//! twice, as a stream: the first time to find out whether it is complete, before anything is sent.
//!
//! The state of the publication is in a file next to the input, with the ending `.checkpoint`.
//! Outages are waited out for 15 minutes. After a crash, a signal or an error, run the same command
//! again. It resumes where the last run ended. If the slots before that place have changed, it
//! starts a new batch instead. If both `PUBLISH_BATCH_ID` and `PUBLISH_RESUME_FROM` are set, they
//! name the resume point, and there is no checkpoint.
//!
//! stderr shows the batch id first, and the progress if it is a terminal. At the end, stdout shows
//! the outcome as one JSON object.
//!
//! | exit code | meaning |
//! | --- | --- |
//! | 0 | all slots are accepted |
//! | 1 | a message was rejected, or the file ended with an error after messages were sent |
//! | 2 | the settings, the file or the checkpoint are invalid; nothing was sent |
//! | 3 | all valid slots are accepted; fix the skipped ones, and publish them in a new file |
//! | 4 | the credentials were rejected |
//! | 5 | a temporary failure outlasted the patience; run the same command again |
//! | 6 | as 5, but the last message may have arrived; the next run sends it under the same id |
//! | 130, 143 | ctrl-c or SIGTERM stopped it; run the same command again |

mod bar;
mod input;
mod output;
mod signals;

use std::fs::File;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use bar::Bar;
use futures_util::{StreamExt, stream};
use input::{Batch, SlotFile};
use output::{Outcome, exit_code, explain_how_to_resume, invalid_input, log_to_stderr, print};
use pushslots::{Client, ErrorKind, PublishError, PublishReport, SlotReader};
use signals::Signals;

#[tokio::main]
async fn main() -> ExitCode {
    log_to_stderr();
    let client = Client::from_env();
    let batch = Batch::from_env();
    let file = SlotFile::from_arguments();
    let (Ok(client), Ok(batch), Ok(file)) = (&client, &batch, &file) else {
        // One run reports the problems of all three.
        let mut problems = Vec::new();
        if let Err(error) = &client {
            problems.push(error.to_string());
        }
        if let Err(error) = &batch {
            problems.push(error.clone());
        }
        if let Err(error) = &file {
            problems.push(error.clone());
        }
        return invalid_input(&problems.join("\n"));
    };
    // A batch that has to start again needs a second stream. Opening both now makes sure that they
    // read the same file, even if another one replaces it meanwhile.
    let (first, second) = match (file.open(), file.open()) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(error), _) | (_, Err(error)) => return invalid_input(&error),
    };

    let signals = Signals::default();
    let had_checkpoint = file.checkpoint().exists();
    let mut result = publish(client, batch, file, first, &signals).await;
    if had_checkpoint && was_replaced(&result, file) {
        result = publish(client, batch, file, second, &signals).await;
    }

    match &result {
        Ok(report) => {
            print(&Outcome { report, error: None });
            explain_how_to_resume(report, batch);
        }
        Err(error) => {
            eprintln!("{error}");
            // The error doesn't contain this text, because it may repeat parts of the message.
            if let Some(reason) = error.service_text() {
                eprintln!("the service's reason: {reason}");
            }
            print(error);
            explain_how_to_resume(error.report(), batch);
        }
    }
    exit_code(&result, signals.last())
}

/// Publishes the slots, and shows the progress and the invalid slots meanwhile.
async fn publish(
    client: &Client,
    batch: &Batch,
    file: &SlotFile,
    slots: File,
    signals: &Signals,
) -> Result<PublishReport, PublishError> {
    let mut bar = Bar::new(file.slots);
    let progress_bar = bar.bar.clone();
    // The line of the slot that was read last, for the report of an invalid slot.
    let line = &AtomicUsize::new(0);
    let mut slots = SlotReader::new(slots).into_stream();
    let slots = stream::poll_fn(move |context| {
        let slot = slots.poll_next_unpin(context);
        line.store(slots.line(), Ordering::Relaxed);
        slot
    });

    let mut publication = client.publish_stream(slots).meta(file.meta.clone());
    if let Some(id) = &batch.id {
        publication = publication.batch_id(id);
    }
    publication = match &batch.start {
        Some(point) => publication.resume_from(point),
        None => publication.checkpoint(file.checkpoint()).restart_if_changed(),
    };
    let stop = tokio::spawn(signals.clone().stop(publication.handle(), batch.clone()));
    let result = publication
        .on_progress(|progress| bar.show(progress))
        .skip_invalid(|_, problems| {
            let path = file.path.display();
            let line = line.load(Ordering::Relaxed);
            for problem in problems {
                progress_bar.suspend(|| eprintln!("{path} line {line}: {problem}"));
            }
        })
        .await;
    stop.abort();
    progress_bar.finish_and_clear();
    result
}

/// Returns whether the checkpoint belonged to other slots, and `restart_if_changed` moved it.
///
/// The client can't start the new batch itself, because it has already read the stream.
fn was_replaced(result: &Result<PublishReport, PublishError>, file: &SlotFile) -> bool {
    match result {
        Ok(_) => false,
        Err(error) => error.kind() == ErrorKind::Checkpoint && !file.checkpoint().exists(),
    }
}
