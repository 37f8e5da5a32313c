//! A send and its options.

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::Client;
use crate::delivery::{AttemptObserver, SendContext};
use crate::error::Error;
use crate::message::{
    BatchNumbers, Content, Meta, PreparedMessage, Problem, Validation, write_from,
};
use crate::random::fresh_id;
use crate::receipt::Receipt;
use crate::retry::{OnUnknown, Policy};
use crate::transport::Permit;

/// A send and its options, created by [`Client::send`]. Await it to start the send.
///
/// The builder implements [`IntoFuture`]. Call `into_future` to pass it to `buffer_unordered` or
/// `join_all`. To spawn it, move a clone of the client and the message into an `async` block.
///
/// ```no_run
/// # use pushslots::{Client, Error, OnUnknown, PushSlots};
/// # use std::time::Duration;
/// # async fn example(client: Client, message: PushSlots) -> Result<(), Error> {
/// // A person waits, and checks the service's dashboard before sending a second copy.
/// let send = client.send(&message).deadline(Duration::from_secs(10)).on_unknown(OnUnknown::Stop);
/// let receipt = send.await?;
/// # Ok(()) }
/// ```
#[must_use = "nothing is sent until this is awaited"]
pub struct SendBuilder<'a> {
    client: &'a Client,
    content: Content<'a>,
    message_id: Option<Uuid>,
    permit: Option<Permit>,
    observer: Option<Arc<dyn AttemptObserver>>,
    policy: Policy,
    validation: Validation,
}

impl<'a> SendBuilder<'a> {
    pub(super) fn new(client: &'a Client, content: Content<'a>) -> Self {
        let policy = client.0.policy.clone();
        let validation = client.0.validation;
        Self { client, content, message_id: None, permit: None, observer: None, policy, validation }
    }

    /// Sets the maximum time for the send, including all attempts and delays. Defaults to [the
    /// client's](crate::ClientBuilder::deadline).
    ///
    /// With a deadline of zero, nothing is sent, and the send ends with
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.policy.deadline = deadline;
        self
    }

    /// Sets the timeout of one attempt, above 0. Defaults to [the
    /// client's](crate::ClientBuilder::attempt_timeout).
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.policy.attempt_timeout = timeout;
        self
    }

    /// Sets whether to retry after an attempt with an unknown outcome. Defaults to [the
    /// client's](crate::ClientBuilder::on_unknown).
    pub fn on_unknown(mut self, on_unknown: OnUnknown) -> Self {
        self.policy.on_unknown = on_unknown;
        self
    }

    /// Sets the maximum number of attempts, including the first, at least 1. Defaults to [the
    /// client's](crate::ClientBuilder::max_attempts).
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.policy.max_attempts = attempts;
        self
    }

    /// Sets whether a message with problems is sent. Defaults to [the
    /// client's](crate::ClientBuilder::validation).
    ///
    /// The [receipt](Receipt::problems) lists the permitted problems. In an
    /// [`EncodedMessage`](crate::EncodedMessage), only `Meta` is checked. A [`PreparedMessage`] is
    /// sent unchanged.
    pub fn validation(mut self, validation: Validation) -> Self {
        self.validation = validation;
        self
    }

    /// Sets the message id. Defaults to a fresh UUID.
    ///
    /// To send a message again, pass [the id of the earlier send](Error::message_id). A
    /// [`PreparedMessage`] already has an id, so setting another one is an error.
    pub fn message_id(mut self, message_id: Uuid) -> Self {
        self.message_id = Some(message_id);
        self
    }

    /// Sends the first attempt with a permit obtained in advance from the client's [rate
    /// limiter](crate::ClientBuilder::rate_limiter). Later attempts wait for their own permits.
    ///
    /// If the client has no access token yet, or [too many
    /// messages](crate::ClientBuilder::max_in_flight) are in flight, the permit goes back to the
    /// limiter. The first attempt then waits for another permit. To obtain a token in advance, call
    /// [`Client::check`].
    ///
    /// ```
    /// # use pushslots::{Client, PushSlots, RateLimiter};
    /// # async fn example(limiter: RateLimiter, client: Client, next: impl AsyncFn() -> PushSlots) -> Result<(), Box<dyn std::error::Error>> {
    /// // Choose the message only when it can be sent.
    /// let permit = limiter.permit().await?;
    /// let message = next().await;
    /// client.send(&message).permit(permit).await?;
    /// # Ok(()) }
    /// ```
    pub fn permit(mut self, permit: Permit) -> Self {
        self.permit = Some(permit);
        self
    }

    /// Sets an observer of this send's attempts, in addition to [the
    /// client's](crate::ClientBuilder::attempt_observer).
    ///
    /// A send that is dropped returns neither a receipt nor an error. The observer still receives
    /// its attempts, including the one in flight, so the [delivery](crate::Attempt::delivery) of
    /// each is known.
    ///
    /// ```no_run
    /// # use pushslots::{Attempt, Client, Delivery, PushSlots};
    /// # use std::sync::{Arc, Mutex};
    /// # use std::time::Duration;
    /// # async fn example(client: Client, message: PushSlots) {
    /// let attempts = Arc::new(Mutex::new(Vec::new()));
    /// let seen = attempts.clone();
    /// let send = client
    ///     .send(&message)
    ///     .attempt_observer(move |attempt: &Attempt| seen.lock().unwrap().push(attempt.delivery));
    /// let sent = tokio::time::timeout(Duration::from_secs(2), send.into_future()).await;
    /// if sent.is_err() && !attempts.lock().unwrap().contains(&Delivery::Unknown) {
    ///     println!("the message didn't arrive");
    /// }
    /// # }
    /// ```
    pub fn attempt_observer(mut self, observer: impl AttemptObserver) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Returns the message as it would be sent, including its message id. Nothing is sent.
    ///
    /// # Errors
    ///
    /// Returns an error if the options or the message are invalid.
    pub fn prepare(self) -> Result<PreparedMessage, Error> {
        self.check()?;
        self.prepared()
    }

    async fn send(mut self) -> Result<Receipt, Error> {
        let sender = &self.client.0.sender;
        let _guard = sender.in_progress.begin();
        self.check()?;
        let (permit, observer) = (self.permit.take(), self.observer.take());
        let context = SendContext { permit, earlier: Vec::new(), observer };
        let policy = self.policy.clone();
        match self.content {
            Content::Prepared(message) => sender.deliver(message, &policy, context).await,
            Content::Message(_) => sender.deliver(&self.prepared()?, &policy, context).await,
        }
    }

    /// Checks the options of the send.
    ///
    /// # Errors
    ///
    /// Returns an error that lists all invalid options.
    fn check(&self) -> Result<(), Error> {
        let mut problems = Vec::new();
        if self.policy.max_attempts == 0 {
            problems.push(Problem::new(
                "max_attempts",
                "must be at least 1, because the first \
                                                        attempt counts",
            ));
        }
        if self.policy.attempt_timeout.is_zero() {
            problems.push(Problem::new("attempt_timeout", "must be above 0"));
        }
        if matches!(self.content, Content::Prepared(_)) && self.message_id.is_some() {
            problems.push(Problem::new(
                "message_id",
                "the prepared message already has an id; remove \
                                                  this one",
            ));
        }
        let limiter = self.client.0.sender.limiter.as_ref();
        if self
            .permit
            .as_ref()
            .is_some_and(|permit| !limiter.is_some_and(|limiter| permit.is_of(limiter)))
        {
            problems.push(Problem::new(
                "permit",
                "comes from another rate limiter; request it from the client's rate limiter",
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

impl fmt::Debug for SendBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBuilder")
            .field("content", &self.content)
            .field("message_id", &self.message_id)
            .field("permit", &self.permit)
            .field("policy", &self.policy)
            .field("validation", &self.validation)
            .finish_non_exhaustive()
    }
}

/// Returns the position in a batch that `meta` contains.
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
