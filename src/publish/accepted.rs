//! The caller's function for accepted messages.

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

/// An accepted message, as passed to the function of
/// [`PublishBuilder::on_accepted`](crate::PublishBuilder::on_accepted).
///
/// Serializes to `{"batch_id", "receipt", "resume_point"}`.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct AcceptedMessage {
    /// The id of the batch.
    pub batch_id: String,
    /// The receipt, which includes the range of [slots](Receipt::slots) in the message.
    pub receipt: Receipt,
    /// The point at which the batch resumes after this message.
    pub resume_point: ResumePoint,
}

pub(crate) type OnAccepted<'a> = Box<dyn FnMut(AcceptedMessage) -> HookFuture<'a> + Send + 'a>;

type HookFuture<'a> = Pin<Box<dyn Future<Output = Result<(), StreamError>> + Send + 'a>>;

/// Calls the caller's function for each accepted message, one call at a time.
pub(super) struct AcceptedHook<'a> {
    function: Callback<OnAccepted<'a>>,
    /// Accepted messages without a call yet, at most as many as may be in flight.
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

    /// Returns whether a call is running or due. No message may be sent meanwhile.
    pub(super) fn is_busy(&self) -> bool {
        self.working.is_some() || !self.waiting.is_empty()
    }

    /// Completes when a call ends. The function is called for further accepted messages even after
    /// an error.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        let working = match &mut self.working {
            Some(working) => working,
            None => {
                let Some(message) = self.waiting.pop_front() else { return Poll::Pending };
                let mut begun = None;
                self.function.call(|function| begun = Some(function(message)));
                // The function panicked, and the publication stops.
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
