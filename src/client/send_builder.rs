//! One send and its options.

use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use uuid::Uuid;

use super::Client;
use crate::error::Error;
use crate::message::{
    BatchNumbers, Content, Meta, PreparedMessage, Problem, Validation, write_from,
};
use crate::random::fresh_id;
use crate::receipt::Receipt;
use crate::retry::{OnUnknown, Policy};
use crate::transport::Permit;

/// One send and its options, made by [`Client::send`]; `.await` starts it.
///
/// It implements [`IntoFuture`]. Call `into_future` to pass it to `buffer_unordered` or `join_all`.
/// To spawn it, move a clone of the client and the message into an `async` block.
///
/// ```no_run
/// # use pushslots::{Client, Error, OnUnknown, PushSlots};
/// # use std::time::Duration;
/// # async fn example(client: Client, message: PushSlots) -> Result<(), Error> {
/// // A person waits, and looks at the service's dashboard before a second copy goes out.
/// let send = client.send(&message).deadline(Duration::from_secs(10)).on_unknown(OnUnknown::Stop);
/// let receipt = send.await?;
/// # Ok(()) }
/// ```
#[must_use = "nothing is sent until this is awaited"]
#[derive(Debug)]
pub struct SendBuilder<'a> {
    client: &'a Client,
    content: Content<'a>,
    message_id: Option<Uuid>,
    permit: Option<Permit>,
    policy: Policy,
    validation: Validation,
}

impl<'a> SendBuilder<'a> {
    pub(super) fn new(client: &'a Client, content: Content<'a>) -> Self {
        let policy = client.0.policy.clone();
        let validation = client.0.validation;
        Self { client, content, message_id: None, permit: None, policy, validation }
    }

    /// Sets the longest time for the whole send. Defaults to [the
    /// client's](crate::ClientBuilder::deadline).
    ///
    /// With zero nothing goes out, and the send ends as
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.policy.deadline = deadline;
        self
    }

    /// Sets the longest time for one attempt, above 0. Defaults to [the
    /// client's](crate::ClientBuilder::attempt_timeout).
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.policy.attempt_timeout = timeout;
        self
    }

    /// Sets whether to try again if the service may have the message. Defaults to [the
    /// client's](crate::ClientBuilder::on_unknown).
    pub fn on_unknown(mut self, on_unknown: OnUnknown) -> Self {
        self.policy.on_unknown = on_unknown;
        self
    }

    /// Sets the maximum number of attempts, at least 1, including the first. Defaults to
    /// [the client's](crate::ClientBuilder::max_attempts).
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.policy.max_attempts = attempts;
        self
    }

    /// Sets whether a message with problems is sent. Defaults to [the
    /// client's](crate::ClientBuilder::validation).
    ///
    /// The [receipt](Receipt::problems) lists the problems that were permitted. Of an
    /// [`EncodedMessage`](crate::EncodedMessage) only `Meta` is checked, and a [`PreparedMessage`]
    /// goes out as it is.
    pub fn validation(mut self, validation: Validation) -> Self {
        self.validation = validation;
        self
    }

    /// Sets the message id. Defaults to a fresh UUID; pass [the same again](Error::message_id) for
    /// a message that was sent before.
    ///
    /// A [`PreparedMessage`] has an id already, and takes no other.
    pub fn message_id(mut self, message_id: Uuid) -> Self {
        self.message_id = Some(message_id);
        self
    }

    /// Sends the first attempt with a permit that was taken ahead, from the [rate
    /// limiter](crate::ClientBuilder::rate_limiter) of the client. Further attempts wait for
    /// permits of their own.
    ///
    /// If the client has no access token yet, or [too many
    /// messages](crate::ClientBuilder::max_in_flight) are in flight, the permit is given back, and
    /// the first attempt waits for another. [`Client::check`] obtains a token beforehand.
    ///
    /// ```
    /// # use pushslots::{Client, PushSlots, RateLimiter};
    /// # async fn example(limiter: RateLimiter, client: Client, next: impl AsyncFn() -> PushSlots) -> Result<(), Box<dyn std::error::Error>> {
    /// // Choose the message only when it can go out.
    /// let permit = limiter.permit().await?;
    /// let message = next().await;
    /// client.send(&message).permit(permit).await?;
    /// # Ok(()) }
    /// ```
    pub fn permit(mut self, permit: Permit) -> Self {
        self.permit = Some(permit);
        self
    }

    /// Returns the message as it would be sent, with its message id, and sends nothing.
    ///
    /// # Errors
    ///
    /// Returns the errors of the send that are known before anything goes out.
    pub fn prepare(self) -> Result<PreparedMessage, Error> {
        self.check()?;
        self.prepared()
    }

    async fn send(mut self) -> Result<Receipt, Error> {
        let sender = &self.client.0.sender;
        let _guard = sender.in_progress.begin();
        self.check()?;
        let permit = self.permit.take();
        let policy = self.policy.clone();
        match self.content {
            Content::Prepared(message) => {
                sender.deliver(message, &policy, permit, Vec::new()).await
            }
            Content::Message(_) => {
                sender.deliver(&self.prepared()?, &policy, permit, Vec::new()).await
            }
        }
    }

    /// # Errors
    ///
    /// Returns every option that can't be used.
    fn check(&self) -> Result<(), Error> {
        let mut problems = Vec::new();
        if self.policy.max_attempts == 0 {
            problems.push(Problem::new("max_attempts", "must be at least 1, the first attempt"));
        }
        if self.policy.attempt_timeout.is_zero() {
            problems.push(Problem::new("attempt_timeout", "must be above 0"));
        }
        if matches!(self.content, Content::Prepared(_)) && self.message_id.is_some() {
            problems
                .push(Problem::new("message_id", "the message is prepared, and has one already"));
        }
        let limiter = self.client.0.sender.limiter.as_ref();
        if self
            .permit
            .as_ref()
            .is_some_and(|permit| !limiter.is_some_and(|limiter| permit.is_of(limiter)))
        {
            problems.push(Problem::new(
                "permit",
                "comes from another rate limiter; take it from the client's",
            ));
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::configuration(problems)) }
    }

    fn prepared(&self) -> Result<PreparedMessage, Error> {
        let client = &*self.client.0;
        let message = match self.content {
            Content::Prepared(message) => return Ok(message.clone()),
            Content::Message(message) => message,
        };
        let message_id = self.message_id.unwrap_or_else(fresh_id);
        let written = write_from(message, client.defaults(), self.validation)
            .map_err(|invalid| Error::invalid_message(invalid, message_id))?;
        let slot_count = message.slot_count();
        Ok(PreparedMessage {
            message_id,
            slots: 0..slot_count,
            slot_count,
            destination_count: written.meta.destinations.len(),
            batch: numbers(&written.meta),
            body: written.json,
            problems: written.problems,
        })
    }
}

/// The place in a batch that `meta` names.
fn numbers(meta: &Meta) -> Option<BatchNumbers> {
    let id = meta.batch_id.clone()?;
    let number = meta.current_batch?;
    Some(BatchNumbers { id, number, total: meta.total_batches })
}

impl<'a> IntoFuture for SendBuilder<'a> {
    type Output = Result<Receipt, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
