//! Publishes the slots of a file as a batch, with the settings from the environment: `publish_file
//! SLOTS.ndjson`.
//!
//! The file has one slot a line, a JSON list of slots, or a whole message, whose `Meta` then goes
//! with all messages except for its batch numbers. It is read twice, each time as a stream, so that
//! a file that is cut off is found before anything is sent.
//!
//! The state of the publication is kept in a file next to it, with the ending `.checkpoint`.
//! Outages are waited out for 15 minutes. After a crash, a signal or an error, run the same command
//! again: it resumes where the last run ended. If the slots before that place have changed, a new
//! batch starts. If both `PUBLISH_BATCH_ID` and `PUBLISH_RESUME_FROM` are set, they name the place,
//! and no checkpoint is used.
//!
//! Prints the id of the batch on stderr first, progress if that is a terminal, and one JSON object
//! on stdout at the end.
//!
//! | exit code | meaning |
//! | --- | --- |
//! | 0 | all slots are accepted |
//! | 1 | a message was rejected, or the file ended with an error after messages were sent |
//! | 2 | settings, file or checkpoint are wrong; nothing was sent |
//! | 3 | all others are accepted, but invalid slots were skipped; correct them and publish them in a file of their own |
//! | 4 | the credentials are rejected |
//! | 5 | a temporary failure took longer than the patience; run the same command again |
//! | 6 | the same, and the last message may have arrived; run the same command again, which sends it under the same id |
//! | 130, 143 | stopped by ctrl-c or SIGTERM after the message in flight; run the same command again |

mod bar;
mod input;
mod output;

use std::fs::File;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bar::Bar;
use futures_util::{StreamExt, stream};
use input::{Batch, Survey};
use output::{Line, Signals, bad_input, exit_code, explain_how_to_resume, log_to_stderr, print};
use pushslots::{Client, ErrorKind, PublishError, PublishReport, SlotReader};

#[tokio::main]
async fn main() -> ExitCode {
    log_to_stderr();
    let (client, batch, file) = match (Client::from_env(), Batch::from_env(), Survey::of_argument())
    {
        (Ok(client), Ok(batch), Ok(file)) => (client, batch, file),
        (client, batch, file) => {
            let wrong = [client.err().map(|error| error.to_string()), batch.err(), file.err()];
            return bad_input(&wrong.into_iter().flatten().collect::<Vec<_>>().join("\n"));
        }
    };
    let signals = Signals::default();
    let had_checkpoint = file.checkpoint().exists();
    let opened = file.open().and_then(|first| Ok([first, file.open()?]));
    let [first, second] = match opened {
        Ok(opened) => opened,
        Err(wrong) => return bad_input(&wrong),
    };
    let mut result = publish(&client, &batch, &file, first, &signals).await;
    if had_checkpoint && is_replaced(&result, &file) {
        // The stream of slots has passed, and the checkpoint of another batch is out of the way.
        result = publish(&client, &batch, &file, second, &signals).await;
    }
    match &result {
        Ok(report) => print(&Line { report, error: None }),
        Err(error) => {
            eprintln!("{error}");
            // It may repeat parts of the message.
            if let Some(text) = error.service_text() {
                eprintln!("the service's reason: {text}");
            }
            print(error);
        }
    }
    let report = result.as_ref().unwrap_or_else(PublishError::report);
    explain_how_to_resume(report, &batch);
    exit_code(&result, signals.last())
}

/// Whether the checkpoint of a batch with other slots was moved away.
fn is_replaced(result: &Result<PublishReport, PublishError>, file: &Survey) -> bool {
    let is_checkpoint = |error: &PublishError| error.kind() == ErrorKind::Checkpoint;
    result.as_ref().is_err_and(is_checkpoint) && !file.checkpoint().exists()
}

async fn publish(
    client: &Client,
    batch: &Batch,
    file: &Survey,
    slots: File,
    signals: &Signals,
) -> Result<PublishReport, PublishError> {
    let mut bar = Bar::new(file.values);
    let progress_bar = bar.bar.clone();
    let mut stream = SlotReader::new(slots).into_stream();
    let line = Arc::new(AtomicUsize::new(0));
    let seen = line.clone();
    let path = file.path.display();
    let slots = stream::poll_fn(move |context| {
        let slot = stream.poll_next_unpin(context);
        line.store(stream.line(), Ordering::Relaxed);
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
            for problem in problems {
                let line = seen.load(Ordering::Relaxed);
                progress_bar.suspend(|| eprintln!("{path} line {line}: {problem}"));
            }
        })
        .await;
    stop.abort();
    progress_bar.finish_and_clear();
    result
}
