//! Whether and when to try again. Pure: it knows classes of outcome, numbers and durations, and has no
//! clock of its own.

mod body_kind;
mod budget;
mod classify;
mod delay;
mod next;
mod policy;

#[cfg(test)]
mod tests;

pub(crate) use budget::{Cost, RetryBudget, USUAL_BUDGET};
pub(crate) use delay::{AttemptDelays, Backoff};
pub(crate) use policy::{Decision, Ended, Ending, LONGEST_HINT, Policy, Renewal};

pub use body_kind::BodyKind;
pub(crate) use classify::{Answered, asks_again};
pub use classify::{Class, Exchange};
pub use next::Next;
pub use policy::OnUnknown;
