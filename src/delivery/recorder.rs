//! The reporting of a send: its spans, its calls of the observer, and its end if it is dropped.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tracing::Span;

use super::outcome::Outcome;
use super::send_state::{AdmissionError, AttemptTimes, SendDecision, SendState};
use super::{AttemptObserver, trace};
use crate::clock;
use crate::error::{Error, ErrorKind};
use crate::message::PreparedMessage;
use crate::receipt::{Attempt, Delivery, Receipt};

/// A recorder that runs the state of a send and reports each attempt to spans and the observer. If
/// it is dropped before the send ends, it reports the attempt in flight as dropped.
pub(super) struct SendRecorder<'a> {
    state: SendState<'a>,
    message: &'a PreparedMessage,
    /// The observer of the client, and that of the send.
    observers: [Option<&'a dyn AttemptObserver>; 2],
    /// The span of the send.
    span: Span,
    current: Option<AttemptInFlight>,
    has_ended: bool,
}

/// An attempt in flight.
pub(super) struct AttemptInFlight {
    /// The number of earlier requests with the message.
    pub(super) resend_count: usize,
    pub(super) span: Span,
    started: DateTime<Utc>,
    pub(super) began: Instant,
    /// The age of the token when the request was sent; `None` before that.
    pub(super) token_age: Option<Duration>,
}

impl AttemptInFlight {
    fn begin(state: &SendState<'_>) -> Self {
        Self {
            span: trace::attempt(state.next_number()),
            resend_count: state.requests(),
            started: clock::now(),
            began: Instant::now(),
            token_age: None,
        }
    }

    fn times(&self, ended: Instant) -> AttemptTimes {
        AttemptTimes {
            started: self.started,
            elapsed: ended - self.began,
            token_age: self.token_age,
        }
    }
}

impl<'a> SendRecorder<'a> {
    pub(super) fn new(
        state: SendState<'a>,
        message: &'a PreparedMessage,
        observers: [Option<&'a dyn AttemptObserver>; 2],
        span: Span,
    ) -> Self {
        Self { state, message, observers, span, current: None, has_ended: false }
    }

    pub(super) fn begin_attempt(&mut self) -> &mut AttemptInFlight {
        self.current.insert(AttemptInFlight::begin(&self.state))
    }

    /// Discards an attempt for which no request was made.
    pub(super) fn postpone_attempt(&mut self) {
        if let Some(postponed) = self.current.take() {
            trace::postponed(&postponed.span);
        }
    }

    /// Ends the attempt in flight at `ended`. Returns the delay before the next one, or the result
    /// of the send.
    pub(super) fn end_attempt(
        &mut self,
        outcome: Outcome,
        ended: Instant,
        time_left: Duration,
    ) -> ControlFlow<Result<Receipt, Error>, Duration> {
        let current = self.current.take().unwrap_or_else(|| AttemptInFlight::begin(&self.state));
        let kind = outcome.kind;
        match self.state.decide(outcome, current.times(ended), time_left) {
            SendDecision::Retry { after } => {
                self.record(self.state.attempts().last(), &current.span, kind);
                ControlFlow::Continue(after)
            }
            SendDecision::Accepted(attempts) => {
                self.has_ended = true;
                self.record(attempts.last(), &current.span, kind);
                let receipt = Receipt::new(self.message, attempts);
                trace::accepted(&self.span, &receipt);
                ControlFlow::Break(Ok(receipt))
            }
            SendDecision::Failed { error, next_step } => {
                self.has_ended = true;
                self.record(error.attempts().last(), &current.span, kind);
                trace::abandoned(&self.span, &error, next_step);
                ControlFlow::Break(Err(error))
            }
        }
    }

    /// Ends the send because the client's own limits leave no room for the next attempt within the
    /// deadline.
    pub(super) fn not_admitted(&mut self, reason: AdmissionError) -> Error {
        self.has_ended = true;
        let (error, next_step) = self.state.not_admitted(reason);
        trace::abandoned(&self.span, &error, next_step);
        error
    }

    fn record(&self, attempt: Option<&Attempt>, span: &Span, kind: ErrorKind) {
        let Some(attempt) = attempt else { return };
        trace::ended(span, attempt, kind);
        if attempt.delay.is_some() {
            trace::retrying(attempt);
        }
        for observer in self.observers.into_iter().flatten() {
            // A panic in the observer must not cost the message.
            let _ = catch_unwind(AssertUnwindSafe(|| observer.attempt_ended(attempt)));
        }
    }
}

impl Drop for SendRecorder<'_> {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        if let Some(current) = self.current.take() {
            let outcome = Outcome::dropped(current.token_age.is_some());
            let kind = outcome.kind;
            self.state.drop_attempt(outcome, current.times(Instant::now()));
            self.record(self.state.attempts().last(), &current.span, kind);
        }
        let attempts = self.state.attempts();
        let delivery = Delivery::of_failed(attempts);
        trace::dropped(&self.span, self.message.message_id, attempts.len(), delivery);
    }
}
