//! The function that is called after each accepted message.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use serde::Serialize;

use super::ResumePoint;
use super::callback::Callback;
use super::source::StreamError;
use crate::receipt::Receipt;

/// A message that was accepted, as
/// [`PublishBuilder::on_accepted`](crate::PublishBuilder::on_accepted) gets it.
///
/// Serializes to `{"batch_id", "receipt", "resume_point"}`.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct AcceptedMessage {
    /// The id of the batch.
    pub batch_id: String,
    /// The receipt, which names the [slots](Receipt::slots) of the message.
    pub receipt: Receipt,
    /// The point from which the batch resumes after this message.
    pub resume_point: ResumePoint,
}

pub(crate) type OnAccepted<'a> = Box<dyn FnMut(AcceptedMessage) -> HookFuture<'a> + Send + 'a>;

type HookFuture<'a> = Pin<Box<dyn Future<Output = Result<(), StreamError>> + Send + 'a>>;

/// Calls the function for one message after the other.
pub(super) struct AcceptedHook<'a> {
    function: Callback<OnAccepted<'a>>,
    /// The messages that it is to be called for. There are no more than may be in flight.
    waiting: VecDeque<AcceptedMessage>,
    working: Option<HookFuture<'a>>,
}

impl<'a> AcceptedHook<'a> {
    pub(super) fn new(function: Callback<OnAccepted<'a>>) -> Self {
        Self { function, waiting: VecDeque::new(), working: None }
    }

    pub(super) fn accepted(&mut self, message: AcceptedMessage) {
        self.waiting.push_back(message);
    }

    /// Whether no message may go out before a call has ended.
    pub(super) fn is_busy(&self) -> bool {
        self.working.is_some() || !self.waiting.is_empty()
    }

    /// Completes when a call has ended. After an error, the function is still called for the
    /// messages that are accepted.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        let working = match &mut self.working {
            Some(working) => working,
            None => {
                let Some(message) = self.waiting.pop_front() else { return Poll::Pending };
                let mut begun = None;
                self.function.call(|function| begun = Some(function(message)));
                // It panicked, and so the publication stops.
                let Some(working) = begun else { return Poll::Ready(Ok(())) };
                self.working.insert(working)
            }
        };
        let polled = AssertUnwindSafe(working.as_mut()).catch_unwind().poll_unpin(context);
        let Poll::Ready(done) = polled else { return Poll::Pending };
        self.working = None;
        let done = done.unwrap_or_else(|panic| {
            self.function.panicked(panic);
            Ok(())
        });
        Poll::Ready(done)
    }
}
