//! The decision whether and when to retry. This layer is pure: it handles classifications, counts
//! and durations, and reads no clock.

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
