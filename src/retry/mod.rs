//! Whether and when to try again. Pure: it knows classes of outcome, numbers and durations, and has
//! no clock of its own.

mod body_kind;
mod budget;
mod classify;
mod delay;
mod next_step;
mod policy;

#[cfg(test)]
mod tests;

pub(crate) use budget::{Cost, DEFAULT_BUDGET, RetryBudget};
pub(crate) use delay::{AttemptDelays, Backoff};
pub(crate) use policy::{
    AttemptResult, Decision, LONGEST_RETRY_AFTER, Policy, Renewal, RetryState,
};

pub use body_kind::BodyKind;
pub use classify::{Classification, Exchange};
pub(crate) use classify::{ResponseFacts, asks_again};
pub use next_step::NextStep;
pub use policy::OnUnknown;
