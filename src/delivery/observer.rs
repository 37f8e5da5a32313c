//! Who is told of every attempt.
use crate::receipt::Attempt;

/// Is told of every attempt as it ends, also of one whose send is dropped.
///
/// A receipt and an error have the attempts of a send that ended. An observer hears of them at
/// once, so that nothing that left goes unrecorded when the process stops or a caller gives up
/// waiting. A function is one too:
///
/// ```
/// use pushslots::{Attempt, Client};
///
/// let builder = Client::builder().attempt_observer(|attempt: &Attempt| {
///     println!("{} {} {} {}", attempt.message_id, attempt.number, attempt.delivery, attempt.next_step);
/// });
/// ```
pub trait AttemptObserver: Send + Sync + 'static {
    /// Takes note of `attempt`.
    ///
    /// It is called by the task that sends, which goes on when this returns: hand over what takes
    /// time. The send goes on also after a panic in it.
    fn attempt_ended(&self, attempt: &Attempt);
}

impl<F: Fn(&Attempt) + Send + Sync + 'static> AttemptObserver for F {
    fn attempt_ended(&self, attempt: &Attempt) {
        self(attempt);
    }
}
