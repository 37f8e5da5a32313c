//! Starting a publication, or preparing its messages, after its options are checked.

use std::future::IntoFuture;
use std::pin::Pin;

#[cfg(doc)]
use super::Client;
use super::PublishBuilder;
use crate::error::Error;
#[cfg(doc)]
use crate::message::PreparedMessage;
use crate::message::{Envelope, Problem};
use crate::publish::{
    BatchOptions, CheckpointOptions, PreparedMessages, Publication, PublishError, PublishReport,
    ResumePoint,
};
use crate::text;

impl<'a> PublishBuilder<'a> {
    /// Returns the messages of the batch as they would be sent, with their batch numbers and
    /// message ids. Nothing is sent.
    ///
    /// You can [store](PreparedMessage::to_bytes) each message and [send](Client::send) it later,
    /// in any process. This also serves as a dry run. The same slots, batch id, `Meta`, limits and
    /// destinations produce the same messages as [`publish`](Client::publish).
    ///
    /// The stream uses the options [`batch_id`](Self::batch_id), [`meta`](Self::meta),
    /// [`slots_per_message`](Self::slots_per_message),
    /// [`bytes_per_message`](Self::bytes_per_message), [`resume_from`](Self::resume_from),
    /// [`validation`](Self::validation) and [`skip_invalid`](Self::skip_invalid). Other options
    /// have no effect. A checkpoint is an error, because nothing is sent that could be resumed.
    ///
    /// # Errors
    ///
    /// The stream ends after its first error. An item is an error if the options, the slots or
    /// `Meta` are invalid, or if a stream of slots fails.
    #[must_use]
    pub fn prepare(mut self) -> PreparedMessages<'a> {
        let options = match self.options() {
            Ok(_) if self.checkpoint.is_some() => {
                let text = "prepare sends nothing, so there is nothing to resume; remove the \
                            checkpoint";
                Err(Error::configuration(vec![Problem::new("checkpoint", text)]))
            }
            options => options,
        };
        match options {
            Ok(options) => {
                PreparedMessages::new(self.source, self.on_invalid, options, self.handle)
            }
            Err(error) => PreparedMessages::failed(error),
        }
    }

    async fn publish(mut self) -> Result<PublishReport, PublishError> {
        let client = &*self.client.0;
        let options = match self.options() {
            Ok(options) => options,
            Err(error) => {
                return Err(PublishError::new(PublishReport::default(), error, None, None));
            }
        };
        let restarts_if_changed = self.restarts_if_changed;
        let checkpoint =
            self.checkpoint.map(|checkpoint| CheckpointOptions { checkpoint, restarts_if_changed });
        let publication = Publication {
            sender: &client.sender,
            policy: self.policy,
            source: self.source,
            options,
            checkpoint,
            concurrency: self.concurrency,
            patience: self.patience,
            on_invalid: self.on_invalid,
            on_progress: self.on_progress,
            on_accepted: self.on_accepted,
            handle: self.handle,
        };
        publication.run().await
    }

    /// Returns the options that determine the messages of the batch.
    fn options(&mut self) -> Result<BatchOptions, Error> {
        let client = &*self.client.0;
        let given = self.batch_id.as_ref().or(self.meta.batch_id.as_ref());
        let id = given.map(|id| text::trimmed(id).to_owned());
        let problems = self.problems(id.as_deref());
        if !problems.is_empty() {
            return Err(Error::configuration(problems));
        }
        let mut meta = std::mem::take(&mut self.meta);
        meta.clear_batch_numbers();
        // Each message gets the id together with its number.
        meta.batch_id = None;
        if self.batch_id.is_some() {
            meta.remove_unread_member("BatchID");
        }
        let envelope = Envelope::new(&meta, client.defaults(), self.validation)?;
        // Without an id of its own, the batch gets a UUID.
        let empty =
            envelope.length(id.as_deref().unwrap_or("00000000-0000-0000-0000-000000000000"));
        if empty >= self.limits.bytes {
            let text = format!("must be above {empty}, the size of a message without slots");
            return Err(Error::configuration(vec![Problem::new("bytes_per_message", text)]));
        }
        let limits = self.limits;
        let start = self.start.take();
        let validation = self.validation;
        Ok(BatchOptions { id, envelope, limits, start, validation })
    }

    fn problems(&self, batch_id: Option<&str>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut need = |met: bool, name: &str, text: &'static str| {
            if !met {
                problems.push(Problem::new(name, text));
            }
        };
        need(self.limits.slots > 0, "slots_per_message", "must be at least 1");
        need(self.limits.bytes > 0, "bytes_per_message", "must be at least 1");
        need(self.concurrency > 0, "concurrency", "must be at least 1");
        need(
            self.policy.max_attempts > 0,
            "max_attempts",
            "must be at least 1, because the first \
                                                            attempt counts",
        );
        need(!self.policy.attempt_timeout.is_zero(), "attempt_timeout", "must be above 0");
        need(!self.policy.deadline.is_zero(), "deadline", "must be above 0");
        need(batch_id != Some(""), "batch_id", "empty; remove it to use a fresh UUID");
        let number = self.start.as_ref().map_or(1, ResumePoint::number);
        need(number > 0, "resume_from", "must be at least 1, because message numbers start at 1");
        let has_batch = batch_id.is_some() || self.checkpoint.is_some();
        let is_begun = self.start.as_ref().is_some_and(ResumePoint::is_begun);
        need(!is_begun || has_batch, "batch_id", "missing; pass the id of the batch to resume");
        let has_checkpoint = self.checkpoint.is_some();
        need(
            has_checkpoint || !self.restarts_if_changed,
            "restart_if_changed",
            "needs a checkpoint",
        );
        problems
    }
}

impl<'a> IntoFuture for PublishBuilder<'a> {
    type Output = Result<PublishReport, PublishError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.publish())
    }
}
