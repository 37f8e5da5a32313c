//! The observer of attempts.
use crate::receipt::Attempt;

/// An observer that is called after every attempt, even if the send was dropped.
///
/// A receipt or error lists the attempts of a send that has ended. An observer receives each
/// attempt at once. So every attempt is recorded, even if the process stops or a caller gives up
/// waiting. A function can be an observer:
///
/// ```
/// use pushslots::{Attempt, Client};
///
/// let builder = Client::builder().attempt_observer(|attempt: &Attempt| {
///     println!("{} {} {} {}", attempt.message_id, attempt.number, attempt.delivery, attempt.next_step);
/// });
/// ```
pub trait AttemptObserver: Send + Sync + 'static {
    /// Records `attempt`.
    ///
    /// The sending task calls this method, and continues when it returns. Hand slow work to another
    /// task. If this method panics, the send continues.
    fn attempt_ended(&self, attempt: &Attempt);
}

impl<F: Fn(&Attempt) + Send + Sync + 'static> AttemptObserver for F {
    fn attempt_ended(&self, attempt: &Attempt) {
        self(attempt);
    }
}
