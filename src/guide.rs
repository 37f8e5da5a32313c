//! Guides to the steps from the first message to production.

#[doc = include_str!("../docs/going-live.md")]
pub mod going_live {}

#[doc = include_str!("../docs/delivery-guarantees.md")]
pub mod delivery_guarantees {}

#[doc = include_str!("../docs/resuming.md")]
pub mod resuming {}

#[doc = include_str!("../docs/tokens.md")]
pub mod tokens {}

#[doc = include_str!("../docs/rate-limits.md")]
pub mod rate_limits {}

#[cfg(feature = "mock")]
#[doc = include_str!("../docs/testing.md")]
pub mod testing {}

#[doc = include_str!("../docs/observability.md")]
pub mod observability {}

#[doc = include_str!("../docs/troubleshooting.md")]
pub mod troubleshooting {}
