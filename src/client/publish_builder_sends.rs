//! The settings of a publication that apply to each of its sends.

use std::time::Duration;

use super::PublishBuilder;
use crate::message::Validation;
use crate::retry::OnUnknown;

impl PublishBuilder<'_> {
    /// Sets the maximum time for one send of a message, above 0. Defaults to [the
    /// client's](crate::ClientBuilder::deadline).
    ///
    /// The deadline doesn't cover waits for the client's rate limit and for other messages in
    /// flight. After the deadline, the publication [waits out](Self::patience) a temporary failure.
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

    /// Sets whether a message is sent again after an unknown outcome. Defaults to [the
    /// client's](crate::ClientBuilder::on_unknown).
    pub fn on_unknown(mut self, on_unknown: OnUnknown) -> Self {
        self.policy.on_unknown = on_unknown;
        self
    }

    /// Sets the maximum number of attempts per send, including the first, at least 1. Defaults to
    /// [the client's](crate::ClientBuilder::max_attempts).
    ///
    /// After the last attempt, the publication [waits out](Self::patience) a temporary failure.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.policy.max_attempts = attempts;
        self
    }

    /// Sets whether slots with problems are published. Defaults to [the
    /// client's](crate::ClientBuilder::validation).
    ///
    /// The [report](crate::PublishReport::problems) lists the permitted problems. Resume a batch
    /// with the same setting, because dropped values change the slots and the message boundaries.
    pub fn validation(mut self, validation: Validation) -> Self {
        self.validation = validation;
        self
    }
}
